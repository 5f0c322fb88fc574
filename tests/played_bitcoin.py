"""A played Bitcoin chain with the real connector on it, and what a consumer of its updates knows."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors import CONNECTORS
from connectors.base import Address, Connector, Disagreement, Movement, Stage, Token, Update, Watch
from connectors.bitcoin.config import BitcoinConfig
from daemon.replay.bitcoin.played import PlayedBitcoin
from daemon.replay.played import Opening, Purse
from daemon.replay.simulation import Simulation

BEGIN = datetime(2024, 5, 31, 4, tzinfo=UTC)
COIN = Token("btc", None, 8)
WHOLE = 10**8
HOT, COLD, CUSTOMER, THIEF = (PlayedBitcoin.account(name) for name in ("hot", "cold", "customer", "thief"))
PATIENCE = 30.0
"""Real seconds until something must have happened."""


def opening(
    balances: Mapping[str, int], *, simulation: Simulation, nodes: int = 1, time: datetime = BEGIN, seed: int = 1
) -> Opening:
    purses: dict[Purse, int] = {(account, None): units for account, units in balances.items()}
    return Opening(purses=purses, tokens=(), time=time, nodes=nodes, simulation=simulation, seed=seed)


def watching(*accounts: str) -> Watch:
    return Watch("btc", tuple(Address(account) for account in accounts), (COIN,))


class Known:
    """What a consumer knows: units by account at `tip`, movements by transaction and stage, what was wrong."""

    def __init__(self) -> None:
        self.units: dict[str, int] = {}
        self.unread: set[str] = set()
        self.tip: str | None = None
        self.reorgs: list[int] = []
        self.movements: list[Movement] = []
        self.disagreements: list[Disagreement] = []
        self.failures: list[str] = []
        self.news = asyncio.Event()

    def take(self, update: Update) -> None:
        self.movements += update.movements
        self.disagreements += update.disagreements
        if update.failure is not None:
            self.failures.append(update.failure.detail)
        else:
            self._take_values(update)
        self.news.set()

    def stages(self, transaction: str) -> list[Stage]:
        """In their order; two sources that tell one stage differently (a lie, a fee) count once."""
        return list(dict.fromkeys(one.stage for one in self.movements if one.transaction == transaction))

    async def until(self, question: Callable[[], bool]) -> None:
        """Waits until it is so; AssertionError when that takes too long."""
        deadline = time.monotonic() + PATIENCE
        while not question():
            self.news.clear()
            try:
                async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                    await self.news.wait()
            except TimeoutError:
                raise AssertionError(f"it never came to be; failures: {self.failures[-3:]}") from None

    def _take_values(self, update: Update) -> None:
        read: dict[str, int] = {one.account: one.units for one in update.held}
        unread: set[str] = {one.account for one in update.unread}
        if update.complete:
            self.units, self.unread = {}, set()
        self.units = {account: units for account, units in (self.units | read).items() if account not in unread}
        self.unread = (self.unread - read.keys()) | unread
        self.tip = update.tip.hash if update.tip is not None else None
        if update.reorg_depth:
            self.reorgs.append(update.reorg_depth)


@asynccontextmanager
async def connected(
    played: PlayedBitcoin,
    *,
    simulation: Simulation | None = None,
    sources: Sequence[str] = ("node", "electrum"),
    **settings: object,
) -> AsyncIterator[Connector]:
    """The real connector on the played nodes, on simulated time where that is given. `sources`: which of them."""
    offered = played.settings()
    unwanted = {"node", "electrum"} - set(sources)
    wanted = {key: value for key, value in offered.items() if key not in unwanted}
    defaults: dict[str, object] = {"max_tip_age": "30000d" if simulation is None else "3h"}
    config = BitcoinConfig.model_validate(defaults | wanted | settings)
    chance = random.Random(5)
    clocks: dict[str, Any] = {"now": lambda: datetime.now(UTC)}
    if simulation is not None:
        clocks = {"now": simulation.now, "clock": simulation.clock, "sleep": simulation.sleep}
    async with CONNECTORS["bitcoin"].connect(config, chain="btc", rng=chance.random, **clocks) as connector:
        yield connector


@asynccontextmanager
async def following(connector: Connector, watch: Watch) -> AsyncIterator[Known]:
    """What the updates tell, taken by a task beside."""
    known = Known()

    async def follow() -> None:
        async for update in connector.updates(watch):
            known.take(update)

    task = asyncio.create_task(follow(), name="following")
    try:
        yield known
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


class Drill:
    """Simulated time with a chain, a connector and somebody who follows: `pass_to` is how time goes on."""

    def __init__(self, simulation: Simulation, *, played: PlayedBitcoin, known: Known) -> None:
        self.simulation = simulation
        self.played = played
        self.known = known

    async def go_on(self, span: timedelta = timedelta(seconds=30)) -> None:
        """Lets so much time pass."""
        await self.simulation.run_until(self.simulation.now() + span, settled=_nothing)

    async def mine(self, *, after: timedelta = timedelta(minutes=10)) -> None:
        await self.go_on(after)
        self.played.mine(time=self.simulation.now())


@asynccontextmanager
async def drill(
    balances: Mapping[str, int],
    *,
    nodes: int = 1,
    watched: Sequence[str] | None = None,
    sources: Sequence[str] = ("node", "electrum"),
    **settings: object,
) -> AsyncIterator[Drill]:
    """`settings` of the connector beside the nodes."""
    simulation = Simulation(BEGIN)
    played = PlayedBitcoin(opening(balances, simulation=simulation, nodes=nodes))
    async with (
        played,
        connected(played, simulation=simulation, sources=sources, **settings) as connector,
        following(connector, watching(*(watched or balances))) as known,
    ):
        yield Drill(simulation, played=played, known=known)


async def _nothing() -> None:
    """Nobody wants to do anything when all is settled."""
