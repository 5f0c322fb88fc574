"""A played Symbol chain for tests: an opening, seeded traffic, the real connector on its nodes, and its listener."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from connectors import CONNECTORS
from connectors.base import Address, Connector, Movement, Token, Update, Watch
from connectors.symbol.config import SymbolConfig
from daemon.replay.faults import Faults
from daemon.replay.played import Opening, PlayedToken
from daemon.replay.simulation import Simulation
from daemon.replay.symbol.played import PlayedSymbol

START = datetime(2026, 1, 26, tzinfo=UTC)
BLOCK = timedelta(seconds=60)
GOLD = PlayedSymbol.contract("GOLD")
COIN, METAL = Token("symbol", None, 6), Token("symbol", GOLD, 2)
STRANGERS = tuple(PlayedSymbol.account(f"stranger {number}") for number in range(1, 4))
PLENTY = 10**15
FEE = 21_000
NODES_TELL = timedelta(seconds=1)
"""How long after a block we ask first, so that polls as far apart as blocks come after them."""

Known = dict[tuple[Address, Token], int]


def accounts(count: int) -> tuple[Address, ...]:
    return tuple(Address(PlayedSymbol.account(f"wallet {number}")) for number in range(1, count + 1))


def opened(simulation: Simulation, *, nodes: int = 1, seed: int = 1, watched: int = 8) -> PlayedSymbol:
    """Watched accounts with something of both tokens, and strangers with plenty."""
    purses = {
        (str(account), contract): 10**9 + number
        for number, account in enumerate(accounts(watched))
        for contract in (None, GOLD)
    }
    purses |= {(stranger, contract): PLENTY for stranger in STRANGERS for contract in (None, GOLD)}
    tokens = [PlayedToken(GOLD, "GOLD", 2)]
    return PlayedSymbol(Opening(purses, tokens, START, nodes=nodes, simulation=simulation, seed=seed))


def configured(played: PlayedSymbol, **settings: object) -> SymbolConfig:
    return SymbolConfig.model_validate({**played.settings(), **settings})


class Traffic:
    """Payments to and fro by a seed, a few before each block."""

    def __init__(self, played: PlayedSymbol, *, watched: tuple[Address, ...], seed: int = 1) -> None:
        self._played = played
        self._watched = watched
        self._random = random.Random(seed)

    def pay(self) -> None:
        for _ in range(self._random.randint(1, 3)):
            inside, outside = self._random.choice(self._watched), self._random.choice(STRANGERS)
            token = self._random.choice((None, GOLD))
            payer, payee = (outside, str(inside)) if self._random.random() < 0.5 else (str(inside), outside)
            self._played.pay(payer, payee, units=self._random.randint(1, 10**6), token=token, fee=FEE)


class Listener:
    """Applies updates as the daemon does. `known` lacks what could not be read."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.updates: list[Update] = []
        self.movements: list[Movement] = []
        self.known: Known = {}
        self.tip: str | None = None

    async def listen(self, connector: Connector) -> None:
        async for update in connector.updates(self.watch):
            self.hear(update)

    def hear(self, update: Update) -> None:
        self.updates.append(update)
        self.movements += update.movements
        if update.failure is not None:
            return
        if update.complete:
            self.known.clear()
        for one in update.held:
            self.known[one.account, one.token] = one.units
        for unread in update.unread:
            self.known.pop((unread.account, unread.token), None)
        self.tip = None if update.tip is None else update.tip.hash

    def stages(self, transaction: str) -> list[str]:
        """What the transaction came to, in this order."""
        return [str(one.stage) for one in self.movements if one.transaction == transaction]


class Drill:
    """The connector on played nodes in simulated time; `interval` is from one block to the next."""

    def __init__(
        self, played: PlayedSymbol, *, simulation: Simulation, connector: Connector, listener: Listener
    ) -> None:
        self.played = played
        self.simulation = simulation
        self.connector = connector
        self.listener = listener
        self.interval = BLOCK
        self.traffic = Traffic(played, watched=listener.watch.accounts)

    @property
    def faults(self) -> list[Faults]:
        return list(self.played.faults)

    @property
    def truth(self) -> Known:
        """What the ledger itself says at its tip."""
        watch = self.listener.watch
        return {
            (account, token): self.played.units(account, token.contract)
            for account in watch.accounts
            for token in watch.tokens
        }

    async def blocks(self, count: int) -> None:
        """So many blocks with traffic, each of which there is nearly the whole interval to read."""
        for _ in range(count):
            self.traffic.pay()
            moment = self.played.ledger.tip.time + self.interval
            await self.until(moment)
            self.played.mine(time=moment)
            await self.settle()

    async def reorganise(self, depth: int) -> None:
        moment = self.played.ledger.tip.time + self.interval
        await self.until(moment)
        self.played.reorganise(depth, time=moment)
        await self.settle()

    async def settle(self) -> None:
        """Until shortly before the next block."""
        await self.until(self.played.ledger.tip.time + self.interval * 5 / 6)

    async def until(self, moment: datetime) -> None:
        await self.simulation.run_until(moment, settled=_nothing)

    def assert_exact(self) -> None:
        """What the connector told is the ledger's truth, at the ledger's tip."""
        assert self.listener.tip == self.played.ledger.tip.hash
        assert self.listener.known == self.truth


@asynccontextmanager
async def drill(*, nodes: int = 1, watched: int = 8, **settings: object) -> AsyncIterator[Drill]:
    """A drill at the first block, which has been read."""
    simulation = Simulation(START)
    watch = Watch("symbol", accounts(watched), (COIN, METAL))
    async with opened(simulation, nodes=nodes, watched=watched) as played:
        connect = CONNECTORS["symbol"].connect(
            configured(played, **{"poll": "5s", "max_age": "5m", **settings}),
            chain="symbol",
            now=simulation.now,
            clock=simulation.clock,
            sleep=simulation.sleep,
            rng=random.Random(7).random,
        )
        async with connect as connector:
            await simulation.run_until(START + NODES_TELL, settled=_nothing)
            listener = Listener(watch)
            listening = asyncio.create_task(listener.listen(connector))
            running = Drill(played, simulation=simulation, connector=connector, listener=listener)
            await running.settle()
            try:
                yield running
            finally:
                listening.cancel()
                with suppress(asyncio.CancelledError):
                    await listening


async def _nothing() -> None:
    """Nobody minds that all are idle."""
