"""Drills: a real connector on a played chain in simulated time, seeded traffic, and who listens to what it tells."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from connectors import CONNECTORS, AnyChainConfig
from connectors.base import Address, Connector, Movement, Token, Update, Watch
from daemon.replay.faults import Faults
from daemon.replay.played import Opening, PlayedChain, PlayedToken
from daemon.replay.simulation import Simulation

START = datetime(2018, 1, 26, tzinfo=UTC)
BLOCK = timedelta(seconds=60)
TO_READ = timedelta(seconds=50)
"""What a connector has after a block before it is looked at."""

EACH, PLENTY = 10**9, 10**13
CONFIGS: TypeAdapter[AnyChainConfig] = TypeAdapter(AnyChainConfig)

Known = dict[tuple[Address, Token], int]


class Played(PlayedChain, Protocol):
    """A played chain that tells its newest block, too."""

    @property
    def time(self) -> datetime: ...

    @property
    def tip(self) -> str:
        """The hash."""
        ...


P = TypeVar("P", bound=Played)


@dataclass(frozen=True, slots=True)
class Ground(Generic[P]):
    """What a drill is held on. The `watch` is of the native coin and at most one token."""

    kind: str
    watch: Watch
    strangers: Sequence[str]
    tokens: Sequence[PlayedToken]
    make: Callable[[Opening], P]

    def opened(self, simulation: Simulation, *, nodes: int = 1, seed: int = 1) -> P:
        """Watched accounts with something of everything, and strangers with plenty."""
        contracts = [token.contract for token in self.watch.tokens]
        purses = {
            (str(account), contract): EACH + number
            for number, account in enumerate(self.watch.accounts)
            for contract in contracts
        }
        purses |= {(stranger, contract): PLENTY for stranger in self.strangers for contract in contracts}
        return self.make(Opening(purses, self.tokens, START, nodes=nodes, simulation=simulation, seed=seed))

    def truth(self, played: P) -> Known:
        """What the ledger itself says at its tip."""
        return {
            (account, token): played.units(account, token.contract)
            for account in self.watch.accounts
            for token in self.watch.tokens
        }


class Traffic(Generic[P]):
    """Payments to and fro by a seed, a few before each block."""

    def __init__(self, played: P, *, ground: Ground[P], seed: int = 1) -> None:
        self._played = played
        self._ground = ground
        self._random = random.Random(seed)

    def pay(self) -> None:
        ground, chance = self._ground, self._random
        for _ in range(chance.randint(1, 3)):
            inside, outside = str(chance.choice(ground.watch.accounts)), chance.choice(ground.strangers)
            payer, payee = (outside, inside) if chance.random() < 0.5 else (inside, outside)
            token = chance.choice(ground.watch.tokens)
            self._played.pay(payer, payee, units=chance.randint(1, 10**4), token=token.contract, fee=50)


class Listener:
    """Applies updates as the daemon does. `known` lacks what could not be read."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.known: Known = {}
        self.tip: str | None = None

    async def listen(self, connector: Connector, watch: Watch) -> None:
        async for update in connector.updates(watch):
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

    @property
    def movements(self) -> list[Movement]:
        return [movement for update in self.updates for movement in update.movements]

    @property
    def troubles(self) -> list[Update]:
        return [update for update in self.updates if update.failure or update.unread]


@dataclass(slots=True)
class Drill(Generic[P]):
    """The connector on played nodes in simulated time."""

    ground: Ground[P]
    played: P
    simulation: Simulation
    connector: Connector
    listener: Listener
    traffic: Traffic[P]

    @property
    def faults(self) -> Sequence[Faults]:
        return self.played.faults

    async def blocks(self, count: int, *, apart: timedelta = BLOCK) -> None:
        """So many blocks with traffic, and time to read each."""
        for _ in range(count):
            self.traffic.pay()
            self.played.mine(time=self.played.time + apart)
            await self.settle()

    async def reorganise(self, depth: int) -> None:
        self.played.reorganise(depth, time=self.played.time + BLOCK)
        await self.settle()

    async def settle(self) -> None:
        await self.run_until(self.played.time + TO_READ)

    async def run_until(self, moment: datetime) -> None:
        await self.simulation.run_until(moment, settled=nothing)

    def assert_exact(self) -> None:
        """What the connector told is the ledger's truth, at the ledger's tip."""
        assert self.listener.tip == self.played.tip
        assert self.listener.known == self.ground.truth(self.played)


@asynccontextmanager
async def drill(ground: Ground[P], *, nodes: int = 1, **settings: object) -> AsyncIterator[Drill[P]]:
    """A drill at the first block, which has been read."""
    simulation = Simulation(START)
    async with ground.opened(simulation, nodes=nodes) as played:
        config = CONFIGS.validate_python({**played.settings(), "poll": "5s", **settings})
        connect = CONNECTORS[ground.kind].connect(
            config,
            chain=ground.watch.chain,
            now=simulation.now,
            clock=simulation.clock,
            sleep=simulation.sleep,
            rng=random.Random(7).random,
        )
        async with connect as connector:
            listener = Listener()
            listening = asyncio.create_task(listener.listen(connector, ground.watch))
            running = Drill(ground, played, simulation, connector, listener, Traffic(played, ground=ground))
            await running.settle()
            try:
                yield running
            finally:
                listening.cancel()
                with suppress(asyncio.CancelledError):
                    await listening


async def nothing() -> None:
    """Nobody minds that all are idle."""
