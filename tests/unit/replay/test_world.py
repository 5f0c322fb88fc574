"""The story's clock and the playing of the day, on a clock that the test turns."""

import asyncio
from collections import deque
from datetime import UTC, date, datetime, timedelta

import pytest

from daemon.replay.day import Power, write_day
from daemon.replay.evm.ledger import EvmLedger
from daemon.replay.exchange import opening
from daemon.replay.story import Line, Word
from daemon.replay.world import StoryClock, World, demo_world, last_friday

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)


class HandClock:
    """Seconds that pass only while somebody sleeps; `overslept` is added to each sleep."""

    def __init__(self, *, overslept: float = 0.0) -> None:
        self.seconds = 1000.0
        self.slept: deque[float] = deque(maxlen=10_000)
        self._overslept = overslept

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds + self._overslept
        await asyncio.sleep(0)


def story_clock(hand: HandClock, *, speed: float = 960.0) -> StoryClock:
    return StoryClock(MIDNIGHT, speed=speed, monotonic=hand.monotonic, sleep=hand.sleep)


def test_it_is_midnight_until_the_story_begins() -> None:
    """A slow start of the daemon costs no story."""
    hand = HandClock()
    clock = story_clock(hand)
    hand.seconds += 30
    assert clock.now() == MIDNIGHT


@pytest.mark.parametrize(
    ("elapsed", "now"),
    [
        (0, MIDNIGHT),
        (1, MIDNIGHT + timedelta(minutes=16)),
        (37.5, MIDNIGHT + timedelta(hours=10)),
        (90, MIDNIGHT + timedelta(days=1)),
        (150, MIDNIGHT + timedelta(days=1, minutes=1)),
    ],
)
def test_a_day_takes_90_seconds_then_time_is_real(elapsed: float, now: datetime) -> None:
    hand = HandClock()
    clock = story_clock(hand)
    clock.begin()
    hand.seconds += elapsed
    assert clock.now() == now


def test_beginning_twice_does_not_start_over() -> None:
    hand = HandClock()
    clock = story_clock(hand)
    clock.begin()
    hand.seconds += 1
    clock.begin()
    assert clock.now() == MIDNIGHT + timedelta(minutes=16)


@pytest.mark.parametrize("speed", [0.0, -1.0])
def test_the_clock_runs_forward(speed: float) -> None:
    with pytest.raises(ValueError, match="above 0"):
        story_clock(HandClock(), speed=speed)


async def test_waiting_ends_at_the_moment_or_just_after() -> None:
    hand = HandClock()
    clock = story_clock(hand)
    clock.begin()
    await clock.until(MIDNIGHT + timedelta(hours=10))
    assert timedelta() <= clock.now() - (MIDNIGHT + timedelta(hours=10)) < timedelta(seconds=1)


async def test_waiting_for_the_past_takes_no_time() -> None:
    hand = HandClock()
    clock = story_clock(hand)
    clock.begin()
    hand.seconds += 50
    await clock.until(MIDNIGHT + timedelta(hours=10))
    assert not hand.slept


class Switch:
    """A node that only remembers when it was switched."""

    def __init__(self, clock: StoryClock) -> None:
        self.switched: list[tuple[Power, datetime]] = []
        self._clock = clock

    @property
    def url(self) -> str:
        return "http://127.0.0.1:1"

    async def go_dark(self) -> None:
        self.switched.append((Power.OFF, self._clock.now()))

    async def come_back(self) -> None:
        self.switched.append((Power.ON, self._clock.now()))


class Playing:
    """A world on a clock turned by hand, and what it told."""

    def __init__(self, *, overslept: float = 0.0) -> None:
        self.hand = HandClock(overslept=overslept)
        self.clock = story_clock(self.hand)
        self.chain = EvmLedger(opening(), time=MIDNIGHT)
        self.node = Switch(self.clock)
        self.world = World(chain=self.chain, node=self.node, clock=self.clock, script=write_day(1))
        self.told: list[Line] = []

    async def until(self, moment: datetime) -> None:
        """Plays until the story's clock shows `moment`."""
        task = asyncio.create_task(self.world.play(self.told.append))
        while self.world.now() < moment:
            assert self.chain.tip.time <= self.world.now(), "a block from the future"
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_the_day_is_mined_a_block_a_minute() -> None:
    playing = Playing()
    await playing.until(MIDNIGHT + timedelta(hours=10))
    assert playing.chain.tip.height in (599, 600)
    assert playing.chain.tip.time == MIDNIGHT + timedelta(minutes=playing.chain.tip.height)


async def test_an_event_loop_that_is_late_catches_up() -> None:
    """Every sleep takes 10 story minutes too long: blocks come in bursts, none is lost, none is from the future."""
    playing = Playing(overslept=600 / 960)
    await playing.until(MIDNIGHT + timedelta(hours=10))
    assert playing.chain.tip.height > 575


async def test_what_happens_is_told_in_order_at_its_time() -> None:
    playing = Playing()
    await playing.until(MIDNIGHT + timedelta(hours=12))
    assert [line.at for line in playing.told] == sorted(line.at for line in playing.told)
    assert {line.word for line in playing.told} == {Word.SCRIPT}
    assert playing.told[0].at == MIDNIGHT + timedelta(hours=9, minutes=40)
    assert "1,500 ETH" in playing.told[0].text


async def test_the_node_is_switched_off_and_on() -> None:
    playing = Playing()
    await playing.until(MIDNIGHT + timedelta(hours=18))
    (off, went), (on, came) = playing.node.switched
    assert (off, on) == (Power.OFF, Power.ON)
    assert went - (MIDNIGHT + timedelta(hours=17)) < timedelta(minutes=1)
    assert timedelta(minutes=44) < came - went < timedelta(minutes=46)


async def test_after_the_day_empty_blocks_go_on_in_real_time() -> None:
    playing = Playing()
    await playing.until(MIDNIGHT + timedelta(days=1, minutes=5))
    tip = playing.chain.tip
    assert tip.height in (1444, 1445)
    assert tip.transactions == ()
    assert playing.hand.slept[-1] == pytest.approx(60, abs=1)
    assert "day is over" in playing.told[-1].text


@pytest.mark.parametrize(
    ("today", "friday"),
    [
        (date(2026, 11, 23), date(2026, 11, 20)),
        (date(2026, 11, 21), date(2026, 11, 20)),
        (date(2026, 11, 20), date(2026, 11, 13)),
        (date(2026, 11, 19), date(2026, 11, 13)),
    ],
)
def test_the_story_is_of_the_last_friday(today: date, friday: date) -> None:
    assert last_friday(today) == friday


async def test_a_demo_world_stands_at_midnight_of_a_past_friday_with_a_node_that_answers() -> None:
    async with demo_world() as world:
        assert world.now() == world.chain.tip.time == world.clock.start
        assert world.now().weekday() == 4
        assert world.clock.end < datetime.now(UTC) + timedelta(seconds=1)
        assert world.url.startswith("http://127.0.0.1:")
