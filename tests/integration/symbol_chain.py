"""A scripted Symbol chain with some people on it, small nodes that hold it, and the connector or one of its nodes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import cast

from connectors.base import Address, Connector, Control, Stage, Token, Update, Watch
from connectors.symbol.client import connect
from connectors.symbol.config import SymbolConfig
from connectors.symbol.networks import NETWORKS
from connectors.symbol.node import Asked
from connectors.symbol.node import SymbolNode as Witness
from daemon.replay.symbol_ledger import Alias, Ledger, Person
from daemon.replay.symbol_node import SymbolNode
from tests.unit.connectors.server import FakeTime, transport_to

ALICE, BOB, CAROL, DAVE = (Person(name) for name in ("Alice", "Bob", "Carol", "Dave"))
COIN = Token("symbol", None, 6)
GOLD = Token("symbol", "0DC67FBE1CAD29E3", 2)
MISSING = Token("symbol", "0000000000000001", 0)
RICH = 10**12
FEE = 17_600
"""Of a plain transfer on the small node: 176 bytes at a multiplier of 100."""

XYM_NAME = Alias("E74B99BA41F4AFEE", mosaic="6BED913FA20223F8")
"""The namespace symbol.xym, which wallets write in the place of the currency's mosaic."""


def scripted(*, blocks: int = 5) -> Ledger:
    """Alice and Bob are rich and hold gold; Carol and Dave have never appeared."""
    balances = {ALICE.address: RICH, BOB.address: RICH}
    ledger = Ledger(balances, time=datetime.now(UTC) - timedelta(hours=6), mosaics={GOLD.contract or "": 2})
    ledger.grant(ALICE.address, mosaic=GOLD.contract or "", units=500)
    for _ in range(blocks - 1):
        ledger.mine()
    return ledger


def watching(*people: Person, tokens: tuple[Token, ...] = (COIN,)) -> Watch:
    return Watch("symbol", tuple(person.address for person in people or (ALICE, BOB, CAROL)), tokens)


@asynccontextmanager
async def serving(ledger: Ledger, *, count: int = 1) -> AsyncIterator[list[SymbolNode]]:
    """Nodes that all hold the ledger."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(SymbolNode(ledger)) for _ in range(count)]


@asynccontextmanager
async def connected(*nodes: SymbolNode, **settings: object) -> AsyncIterator[Connector]:
    """The connector to these nodes, called n0, n1, ..."""
    endpoints = [{"url": node.url, "name": f"n{place}"} for place, node in enumerate(nodes)]
    chosen = {"poll": "20ms", "settle": "20ms", "timeout": "2s", **settings}
    config = SymbolConfig.model_validate({"kind": "symbol", "network": "mainnet", "endpoints": endpoints, **chosen})
    async with connect(config, chain="symbol", now=lambda: datetime.now(UTC)) as connector:
        yield connector


def following(connector: Connector, watch: Watch) -> aclosing[AsyncGenerator[Update, None]]:
    return aclosing(cast(AsyncGenerator[Update, None], connector.updates(watch)))


async def until(updates: AsyncGenerator[Update, None], is_it: Callable[[Update], object]) -> Update:
    """The first update of which this holds."""
    async for update in updates:
        if is_it(update):
            return update
    raise AssertionError("the updates ended")


def units(update: Update) -> dict[tuple[Address, Token], int]:
    return {(one.account, one.token): one.units for one in update.held}


def coins(update: Update) -> Mapping[Address, int]:
    return {one.account: one.units for one in update.held if one.token == COIN}


def told(update: Update) -> list[tuple[str, Stage]]:
    """Which transaction came to which stage."""
    return [(one.transaction, one.stage) for one in update.movements]


def moving(update: Update) -> object:
    return update.movements


def controls(update: Update) -> dict[Address, Control]:
    return {one.account: one for one in update.controls}


@asynccontextmanager
async def witness(
    node: SymbolNode, *, settle: float = 2.0, time: FakeTime | None = None, network: str = "mainnet"
) -> AsyncIterator[Witness]:
    """The connector's view of one node, whose pauses take no time."""
    asked = Asked(NETWORKS[network], batch=2, settle=settle)
    async with transport_to(node.url, time=time or FakeTime()) as transport:
        yield Witness(transport, asked=asked, now=lambda: datetime.now(UTC))
