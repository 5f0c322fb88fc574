"""Drills: a real connector on a played chain in simulated time, seeded traffic, and who listens to what it tells."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from pydantic import TypeAdapter

from connectors import CONNECTORS, AnyChainConfig
from connectors.base import Address, Connector, Disagreement, Movement, Stage, Token, Update, Watch
from connectors.transport import REAL
from daemon.replay.faults import Faults
from daemon.replay.played import Opening, PlayedChain, PlayedToken, Purse
from daemon.replay.simulation import Simulation

BLOCK = timedelta(seconds=60)
NODES_TELL = timedelta(seconds=1)
"""How long after a block we ask first, so that polls as far apart as blocks come after them."""
PATIENCE = 30.0
"""Real seconds until something must have happened."""

EACH = 10**9
CONFIGS: TypeAdapter[AnyChainConfig] = TypeAdapter(AnyChainConfig)

FAULTS = {
    "slow": Faults(latency=timedelta(milliseconds=200)),
    "failing now and then": Faults(failing=0.05),
    "failing often": Faults(failing=0.5),
    "failing always": Faults(failing=1.0),
    "throttled": Faults(per_second=2),
    "behind": Faults(behind=2),
    "lying": Faults(lying=True),
    "all at once": Faults(timedelta(milliseconds=200), failing=0.05, per_second=5, behind=1, lying=True),
}

Known = dict[tuple[Address, Token], int]
P = TypeVar("P", bound=PlayedChain)


def take_on(faults: Faults, wanted: Faults) -> None:
    """A node's faults become those."""
    for one in fields(wanted):
        setattr(faults, one.name, getattr(wanted, one.name))


@dataclass(frozen=True, slots=True)
class Ground(Generic[P]):
    """What a drill is held on: a chain as it begins, and who watches what of it.

    `fee` and `most` are of the traffic's payments, the fee and the largest; `settings` are the connector's, beside
    what the chain itself says.
    """

    kind: str
    watch: Watch
    make: Callable[[Opening], P]
    purses: Mapping[Purse, int]
    start: datetime
    tokens: Sequence[PlayedToken] = ()
    strangers: Sequence[str] = ()
    fee: int = 50
    most: int = 10**4
    settings: Mapping[str, object] = field(default_factory=lambda: {"poll": "5s"})

    def opened(self, simulation: Simulation | None = None, *, nodes: int = 1, seed: int = 1) -> P:
        """The chain at its start; see `opening`."""
        return self.make(self.opening(simulation, nodes=nodes, seed=seed))

    def opening(self, simulation: Simulation | None = None, *, nodes: int = 1, seed: int = 1) -> Opening:
        """Without a simulation, on one of its own that nobody moves."""
        simulation = Simulation(self.start) if simulation is None else simulation
        return Opening(self.purses, self.tokens, self.start, nodes=nodes, simulation=simulation, seed=seed)

    def truth(self, played: P) -> Known:
        """What the ledger itself says at its tip."""
        return {
            (account, token): played.units(account, token.contract)
            for account in self.watch.accounts
            for token in self.watch.tokens
        }


def filled(watch: Watch, *, strangers: Sequence[str], plenty: int) -> dict[Purse, int]:
    """Watched accounts with something of everything, and strangers with plenty."""
    contracts = [token.contract for token in watch.tokens]
    purses: dict[Purse, int] = {
        (account, contract): EACH + number for number, account in enumerate(watch.accounts) for contract in contracts
    }
    return purses | {(stranger, contract): plenty for stranger in strangers for contract in contracts}


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
            units = chance.randint(1, ground.most)
            self._played.pay(payer, payee, units=units, token=token.contract, fee=ground.fee)


class Listener:
    """Applies updates as the daemon does. `known` lacks what could not be read, which is `unread`."""

    def __init__(self) -> None:
        self.updates: list[Update] = []
        self.known: Known = {}
        self.unread: set[tuple[Address, Token]] = set()
        self.tip: str | None = None
        self._news = asyncio.Event()

    async def listen(self, connector: Connector, watch: Watch) -> None:
        async for update in connector.updates(watch):
            self.hear(update)

    def hear(self, update: Update) -> None:
        self.updates.append(update)
        self._news.set()
        if update.failure is not None:
            return
        if update.complete:
            self.known.clear()
            self.unread.clear()
        for one in update.held:
            self.known[one.account, one.token] = one.units
            self.unread.discard((one.account, one.token))
        for unread in update.unread:
            self.known.pop((unread.account, unread.token), None)
            self.unread.add((unread.account, unread.token))
        self.tip = None if update.tip is None else update.tip.hash

    async def until(self, question: Callable[[], bool]) -> None:
        """Waits in real time until it is so; AssertionError when that takes too long."""
        deadline = time.monotonic() + PATIENCE
        while not question():
            self._news.clear()
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await self._news.wait()
            except TimeoutError:
                raise AssertionError(f"it never came to be; failures: {self.failures[-3:]}") from None

    @property
    def units(self) -> dict[str, int]:
        """Of the native coin, by account."""
        return {account: units for (account, token), units in self.known.items() if token.contract is None}

    @property
    def movements(self) -> list[Movement]:
        return [movement for update in self.updates for movement in update.movements]

    @property
    def disagreements(self) -> list[Disagreement]:
        return [dispute for update in self.updates for dispute in update.disagreements]

    @property
    def reorgs(self) -> list[int]:
        """The depth of each that was told."""
        return [update.reorg_depth for update in self.updates if update.reorg_depth]

    @property
    def failures(self) -> list[str]:
        """What was said of each."""
        return [update.failure.detail for update in self.updates if update.failure is not None]

    @property
    def troubles(self) -> list[Update]:
        return [update for update in self.updates if update.failure or update.unread]

    def stages(self, transaction: str) -> list[Stage]:
        """What the transaction came to, in this order, as often as it was told."""
        return [one.stage for one in self.movements if one.transaction == transaction]


@dataclass(slots=True)
class Drill(Generic[P]):
    """The connector on played nodes in simulated time; `interval` is from one block to the next."""

    ground: Ground[P]
    played: P
    simulation: Simulation
    connector: Connector
    listener: Listener
    traffic: Traffic[P]
    interval: timedelta = BLOCK

    @property
    def faults(self) -> Sequence[Faults]:
        return self.played.faults

    @property
    def truth(self) -> Known:
        """What the ledger itself says at its tip."""
        return self.ground.truth(self.played)

    async def blocks(self, count: int) -> None:
        """So many blocks with traffic, each of which there is nearly the whole interval to read."""
        for _ in range(count):
            self.traffic.pay()
            moment = self.played.time + self.interval
            await self.until(moment)
            self.played.mine(time=moment)
            await self.settle()

    async def reorganise(self, depth: int) -> None:
        moment = self.played.time + self.interval
        await self.until(moment)
        self.played.reorganise(depth, time=moment)
        await self.settle()

    async def mine(self, *, after: timedelta = timedelta(minutes=10)) -> None:
        """A block when so much time has passed; nobody has read it yet."""
        await self.go_on(after)
        self.played.mine(time=self.simulation.now())

    async def settle(self) -> None:
        """Until shortly before the next block."""
        await self.until(self.played.time + self.interval * 5 / 6)

    async def go_on(self, span: timedelta) -> None:
        """Lets so much time pass."""
        await self.until(self.simulation.now() + span)

    async def until(self, moment: datetime) -> None:
        await self.simulation.run_until(moment, settled=nothing)

    def assert_exact(self) -> None:
        """What the connector told is the ledger's truth, at the ledger's tip."""
        assert self.listener.tip == self.played.tip
        assert self.listener.known == self.truth


def configured(
    ground: Ground[P], played: P, *, without: Collection[str] = (), settings: Mapping[str, object] | None = None
) -> AnyChainConfig:
    """The connector's configuration. Of what the chain says of itself, `without` is left out."""
    said = {name: value for name, value in played.settings().items() if name not in without}
    return CONFIGS.validate_python({**said, **ground.settings, **(settings or {})})


@asynccontextmanager
async def connected(
    ground: Ground[P],
    played: P,
    *,
    simulation: Simulation | None = None,
    without: Collection[str] = (),
    **settings: object,
) -> AsyncIterator[Connector]:
    """The real connector on the played nodes, on simulated time where that is given. See `configured`."""
    config = configured(ground, played, without=without, settings=settings)
    now, timing = (lambda: datetime.now(UTC)), REAL
    if simulation is not None:
        now, timing = simulation.now, simulation.timing(random.Random(7))
    async with CONNECTORS[ground.kind].connect(config, chain=ground.watch.chain, now=now, timing=timing) as connector:
        yield connector


@asynccontextmanager
async def listening(connector: Connector, watch: Watch) -> AsyncIterator[Listener]:
    """Who hears what the updates tell, in a task beside, whose error is raised at the end."""
    listener = Listener()
    task = asyncio.create_task(listener.listen(connector, watch), name="listening")
    try:
        yield listener
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def begun(
    ground: Ground[P], *, nodes: int = 1, without: Collection[str] = (), **settings: object
) -> AsyncIterator[Drill[P]]:
    """A drill of which nothing has been read yet."""
    simulation = Simulation(ground.start)
    async with (
        ground.opened(simulation, nodes=nodes) as played,
        connected(ground, played, simulation=simulation, without=without, **settings) as connector,
    ):
        await simulation.run_until(ground.start + NODES_TELL, settled=nothing)
        async with listening(connector, ground.watch) as listener:
            simulation.busy()  # somebody begins to work
            yield Drill(ground, played, simulation, connector, listener, Traffic(played, ground=ground))


@asynccontextmanager
async def drill(
    ground: Ground[P], *, nodes: int = 1, without: Collection[str] = (), **settings: object
) -> AsyncIterator[Drill[P]]:
    """A drill at the first block, which has been read."""
    async with begun(ground, nodes=nodes, without=without, **settings) as running:
        await running.settle()
        yield running


async def nothing() -> None:
    """Nobody minds that all are idle."""
