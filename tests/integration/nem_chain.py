"""A scripted NEM chain behind small NIS1 nodes of ours, and the real connector on them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from connectors import CONNECTORS
from connectors.base import Address, Connector, Movement, Token, Update, Watch
from connectors.nem.config import NemConfig
from connectors.nem.networks import NETWORKS
from daemon.replay.nem.ledger import Ledger, Purse
from daemon.replay.nem.node import NemNode
from daemon.replay.nem.transactions import Json, Notary, Person

XEM = Token("nem", None, 6)
COIN = Token("nem", "exchange:coin", 2)
RICH = 9_000_000_000_000_000

NAMES = ("hot", "cold", "deposits")


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class Chain:
    """A ledger with people on it; the watched ones are `hot`, `cold` and `deposits`, a mosaic is `exchange:coin`."""

    ledger: Ledger
    people: dict[str, Person] = field(default_factory=dict)

    @property
    def notary(self) -> Notary:
        return self.ledger.notary

    def person(self, name: str) -> Person:
        return self.notary.person(name)

    def address(self, name: str) -> Address:
        return self.person(name).address

    @property
    def accounts(self) -> tuple[Address, ...]:
        return tuple(self.address(name) for name in NAMES)

    def watch(self, *tokens: Token) -> Watch:
        return Watch("nem", self.accounts, tokens or (XEM, COIN))

    def transfer(self, sender: str, to: str, units: int, **more: Any) -> Json:  # noqa: ANN401 - as Notary.transfer
        return self.notary.transfer(self.person(sender), to=self.address(to), units=units, time=self.ledger.now, **more)

    def pay(self, sender: str, to: str, units: int, **more: Any) -> str:  # noqa: ANN401 - as Notary.transfer
        """In a new block; the transaction's hash."""
        name = self.ledger.announce(self.transfer(sender, to, units, **more))
        self.ledger.mine()
        return name

    def truth(self, *tokens: Token, height: int | None = None) -> dict[tuple[Address, Token], int]:
        """At the end of that block, the newest by default."""
        units = self.ledger.world(height).units
        return {
            (account, token): units.get((account, token.contract), 0)
            for account in self.accounts
            for token in tokens or (XEM, COIN)
        }


def chain(*, ago: timedelta = timedelta(days=1)) -> Chain:
    """Begun so long ago, by default yesterday, so that there is time for many blocks."""
    notary = Notary(NETWORKS["testnet"])
    balances: dict[Purse, int] = {
        (notary.person(name).address, None): 1_000_000_000_000 for name in (*NAMES, "customer", "other")
    }
    balances[notary.person("maker").address, None] = RICH
    made = Chain(Ledger(notary, balances=balances, time=now() - ago))
    maker, time = made.person("maker"), made.ledger.now
    definition = notary.mosaic_definition(maker, name="exchange:coin", divisibility=2, supply=1_000_000, time=time)
    made.ledger.mine([definition])
    made.ledger.mine([made.transfer("maker", "hot", 1_000_000, mosaics={"exchange:coin": 5000})])
    return made


@asynccontextmanager
async def nodes_on(chain: Chain, *, count: int = 1) -> AsyncIterator[list[NemNode]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(NemNode(chain.ledger)) for _ in range(count)]


def config_for(nodes: Sequence[NemNode], *, chain: Chain, **settings: object) -> NemConfig:
    """Nodes are called `a`, `b`, ...; one alone is called `node`."""
    names = ["node"] if len(nodes) == 1 else [chr(ord("a") + place) for place in range(len(nodes))]
    endpoints = [{"url": node.url, "name": name} for node, name in zip(nodes, names, strict=True)]
    quick = {"kind": "nem", "network": "testnet", "poll": "20ms", "settle": "5ms", "nemesis": chain.ledger.nemesis}
    return NemConfig.model_validate({**quick, "endpoints": endpoints, **settings})


@asynccontextmanager
async def connected(nodes: Sequence[NemNode], *, chain: Chain, **settings: object) -> AsyncIterator[Connector]:
    config = config_for(nodes, chain=chain, **settings)
    async with CONNECTORS["nem"].connect(config, chain="nem", now=now) as connector:
        yield connector


def following(connector: Connector, watch: Watch) -> aclosing[AsyncGenerator[Update, None]]:
    return aclosing(cast(AsyncGenerator[Update, None], connector.updates(watch)))


def held(update: Update) -> dict[tuple[Address, Token], int]:
    return {(one.account, one.token): one.units for one in update.held}


async def until(updates: AsyncGenerator[Update, None], good: Callable[[Update], bool]) -> Update:
    """The first update that is so; the time limit of the test is the deadline."""
    async for update in updates:
        if good(update):
            return update
    raise AssertionError("the updates ended")


async def movements_until(
    updates: AsyncGenerator[Update, None], good: Callable[[list[Movement]], bool]
) -> list[Movement]:
    """All that are told until it is so."""
    told: list[Movement] = []
    await until(updates, lambda update: told.extend(update.movements) or good(told))  # type: ignore[func-returns-value]
    return told


def some(movements: list[Movement]) -> bool:
    return bool(movements)


def at_the_tip(made: Chain) -> Callable[[Update], bool]:
    return lambda update: update.tip is not None and update.tip.hash == made.ledger.tip.block.hash


def of_accounts(node: NemNode) -> int:
    """Requests for what accounts hold."""
    return sum(count for path, count in node.calls.items() if path.startswith(("/account/get", "/account/mosaic")))
