"""The demonstration's world: a node of ours, a day that happens on it, and a clock that runs it in 90 seconds."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from daemon.replay.day import Minute, Power, write_day
from daemon.replay.evm.ledger import EvmLedger
from daemon.replay.evm.node import Node
from daemon.replay.exchange import CHAIN_ID, TOKENS, opening
from daemon.replay.story import Line, Word

MINUTE = timedelta(minutes=1)
FRIDAY = 4


class StoryClock:
    """Stands at `start` until `begin`, runs `speed` story seconds a second for a day, then at the world's own pace.

    `monotonic` gives seconds; `sleep` takes seconds.
    """

    def __init__(
        self,
        start: datetime,
        *,
        speed: float,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        if speed <= 0:
            raise ValueError("the story's clock runs forward: speed must be above 0")
        self.start = start
        self.end = start + timedelta(days=1)
        self._speed = speed
        self._monotonic = monotonic
        self._sleep = sleep
        self._began: float | None = None

    def begin(self) -> None:
        """Starts the clock; does nothing when it runs already."""
        if self._began is None:
            self._began = self._monotonic()

    def now(self) -> datetime:
        """The story's time, UTC."""
        if self._began is None:
            return self.start
        elapsed = self._monotonic() - self._began
        day = 86_400 / self._speed
        if elapsed <= day:
            return self.start + timedelta(seconds=elapsed * self._speed)
        return self.end + timedelta(seconds=elapsed - day)

    async def until(self, moment: datetime) -> None:
        """Returns once the story has come to `moment`, at once when it has passed."""
        while (left := (moment - self.now()).total_seconds()) > 0:
            # A little longer than the difference, because clocks round; a moment's pace is judged by where it lies.
            await self._sleep(left / (self._speed if moment <= self.end else 1.0) + 0.0005)


class Switched(Protocol):
    """What the story needs of a node: to fail and to come back."""

    @property
    def url(self) -> str: ...
    async def go_dark(self) -> None: ...
    async def come_back(self) -> None: ...


class World:
    """What `demo_world` gives. `url` is the node's, `now` the clock that the daemon must judge by."""

    def __init__(self, *, chain: EvmLedger, node: Switched, clock: StoryClock, script: tuple[Minute, ...]) -> None:
        self.chain = chain
        self.node = node
        self.clock = clock
        self._script = script

    @property
    def url(self) -> str:
        return self.node.url

    def now(self) -> datetime:
        return self.clock.now()

    async def play(self, tell: Callable[[Line], None]) -> None:
        """Starts the clock and plays the day; afterwards empty blocks come, one a minute, until this is cancelled.

        `tell` hears what really happens, as it happens. A late event loop never shifts the story: what is due is mined
        at once, and no block is ever younger than the clock.
        """
        self.clock.begin()
        for minute in self._script:
            moment = self.clock.start + minute.at
            await self.clock.until(moment)
            await self._happen(minute, moment, tell=tell)
        tell(
            Line(
                self.clock.end,
                Word.SCRIPT,
                "The day is over. The daemon goes on watching, in real time; Ctrl-C ends it.",
            )
        )
        while True:
            following = self.chain.tip.time + MINUTE
            await self.clock.until(following)
            self.chain.mine(time=following)

    async def _happen(self, minute: Minute, moment: datetime, *, tell: Callable[[Line], None]) -> None:
        self.chain.mine(minute.transfers, time=moment)
        for sentence in minute.told:
            tell(Line(moment, Word.SCRIPT, sentence))
        if minute.power is Power.OFF:
            await self.node.go_dark()
        elif minute.power is Power.ON:
            await self.node.come_back()


@asynccontextmanager
async def demo_world(
    *,
    seed: int = 1,
    speed: float = 960.0,
    day: date | None = None,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> AsyncIterator[World]:
    """A world whose node answers. It is midnight until `play`; `day` is the last Friday before today by default.

    A day in the past: whoever compares a block's time with a real clock finds no block from the future.
    """
    midnight = datetime.combine(day or last_friday(datetime.now(UTC).date()), datetime.min.time(), tzinfo=UTC)
    chain = EvmLedger(opening(), time=midnight)
    clock = StoryClock(midnight, speed=speed, monotonic=monotonic, sleep=sleep)
    async with Node(chain, chain_id=CHAIN_ID, tokens=TOKENS) as node:
        yield World(chain=chain, node=node, clock=clock, script=write_day(seed))


def last_friday(today: date) -> date:
    """The newest Friday before `today`: the story needs a weekend ahead."""
    return today - timedelta(days=(today.weekday() - FRIDAY - 1) % 7 + 1)
