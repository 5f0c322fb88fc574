"""A played EVM chain for tests: an opening, seeded traffic, the real connector on its nodes, and who listens to it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

from connectors import CONNECTORS
from connectors.base import Address, Connector, Token, Update, Watch
from connectors.evm.config import EvmConfig
from daemon.replay.evm.played import PlayedEvm
from daemon.replay.faults import Faults
from daemon.replay.played import Opening, PlayedToken
from daemon.replay.simulation import Simulation

START = datetime(2018, 1, 26, tzinfo=UTC)
BLOCK = timedelta(seconds=60)
USDT = PlayedEvm.contract("USDT")
COIN, TETHER = Token("eth", None, 18), Token("eth", USDT, 6)
ACCOUNTS = tuple(Address(PlayedEvm.account(f"wallet {number}")) for number in range(1, 9))
STRANGERS = tuple(PlayedEvm.account(f"stranger {number}") for number in range(1, 4))
WATCH = Watch("eth", ACCOUNTS, (COIN, TETHER))
PLENTY = 10**21

Known = dict[tuple[Address, Token], int]


def opened(simulation: Simulation, *, nodes: int = 1, seed: int = 1) -> PlayedEvm:
    """Watched accounts with something of both tokens, and strangers with plenty."""
    purses = {
        (str(account), contract): 10**9 + number for number, account in enumerate(ACCOUNTS) for contract in (None, USDT)
    }
    purses |= {(stranger, contract): PLENTY for stranger in STRANGERS for contract in (None, USDT)}
    tokens = [PlayedToken(USDT, "USDT", 6)]
    return PlayedEvm(Opening(purses, tokens, START, nodes=nodes, simulation=simulation, seed=seed))


class Traffic:
    """Payments to and fro by a seed, a few before each block."""

    def __init__(self, played: PlayedEvm, *, seed: int = 1) -> None:
        self._played = played
        self._random = random.Random(seed)

    def pay(self) -> None:
        for _ in range(self._random.randint(1, 3)):
            inside, outside = self._random.choice(ACCOUNTS), self._random.choice(STRANGERS)
            token = self._random.choice((None, USDT))
            payer, payee = (outside, str(inside)) if self._random.random() < 0.5 else (str(inside), outside)
            self._played.pay(payer, payee, units=self._random.randint(1, 10**6), token=token, fee=21_000)


def truth(played: PlayedEvm) -> Known:
    """What the ledger itself says at its tip."""
    return {
        (account, token): played.units(account, token.contract) for account in WATCH.accounts for token in WATCH.tokens
    }


class Listener:
    """Applies updates as the daemon does. `known` lacks what could not be read."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.known: Known = {}
        self.tip: str | None = None

    async def listen(self, connector: Connector) -> None:
        async for update in connector.updates(WATCH):
            self.hear(update)

    def hear(self, update: Update) -> None:
        self.updates.append(update)
        if update.failure is not None:
            return
        if update.complete:
            self.known.clear()
        for one in update.held:
            self.known[one.account, one.token] = one.units
        for unread in update.unread:
            self.known.pop((unread.account, unread.token), None)
        self.tip = None if update.tip is None else update.tip.hash


def configured(played: PlayedEvm, **settings: object) -> EvmConfig:
    return EvmConfig.model_validate({**played.settings(), **settings})


class Drill:
    """The connector on played nodes in simulated time."""

    def __init__(self, played: PlayedEvm, *, simulation: Simulation, connector: Connector, listener: Listener) -> None:
        self.played = played
        self.simulation = simulation
        self.connector = connector
        self.listener = listener
        self.traffic = Traffic(played)

    @property
    def faults(self) -> list[Faults]:
        return list(self.played.faults)

    async def blocks(self, count: int) -> None:
        """So many blocks with traffic, a minute apart; after each there are 50 seconds to read it."""
        for _ in range(count):
            self.traffic.pay()
            self.played.mine(time=self.played.ledger.tip.time + BLOCK)
            await self.settle()

    async def reorganise(self, depth: int) -> None:
        self.played.reorganise(depth, time=self.played.ledger.tip.time + BLOCK)
        await self.settle()

    async def settle(self) -> None:
        """Until 50 seconds after the newest block."""
        await self.simulation.run_until(self.played.ledger.tip.time + timedelta(seconds=50), settled=_nothing)

    def assert_exact(self) -> None:
        """What the connector told is the ledger's truth, at the ledger's tip."""
        assert self.listener.tip == self.played.ledger.tip.hash
        assert self.listener.known == truth(self.played)


@asynccontextmanager
async def drill(*, nodes: int = 1, **settings: object) -> AsyncIterator[Drill]:
    """A drill at the first block, which has been read."""
    simulation = Simulation(START)
    async with opened(simulation, nodes=nodes) as played:
        config = configured(played, **{"poll": "5s", **settings})
        connect = CONNECTORS["evm"].connect(
            config,
            chain="eth",
            now=simulation.now,
            clock=simulation.clock,
            sleep=simulation.sleep,
            rng=random.Random(7).random,
        )
        async with connect as connector:
            listener = Listener()
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
