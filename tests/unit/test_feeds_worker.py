"""Workers on real sources: each answer and each failure reaches the book, and none of them ends a worker."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from connectors.transport import REAL, Timing
from daemon.app import utc_now
from daemon.feeds.asking import Asked, asked
from daemon.feeds.book import Heard as Said
from daemon.feeds.checking import Expected
from daemon.feeds.config import FeedsConfig
from daemon.feeds.opening import Surroundings
from daemon.feeds.plan import SourceKey
from daemon.feeds.values import Answer, Fault, FeedKind, FeedReason
from daemon.feeds.worker import FeedWorkers, ask_all, following
from daemon.replay.simulation import Simulation
from tests.build import NOON
from tests.pricing import Figures
from tests.system.daemon import until

LIABILITIES = FeedKind.LIABILITIES


def around(folder: Path, *, timing: Timing = REAL, now: Callable[[], datetime] = utc_now) -> Surroundings:
    return Surroundings("JPY", {}, folder, now, timing)


def owing(url: str, **more: object) -> tuple[Asked, ...]:
    """A source of liabilities of BTC."""
    feed = {"kind": "http", "url": url, "values": "@", "every": "20ms", "timeout": "200ms", **more}
    return sources({"liabilities": [feed]})


def sources(feeds: dict[str, object]) -> tuple[Asked, ...]:
    config = FeedsConfig.model_validate(feeds)
    return asked(config, decimals={"BTC": 8}, currency="JPY", chains={})


class Heard:
    """What workers have brought."""

    def __init__(self) -> None:
        self.said: list[tuple[SourceKey, Said]] = []

    async def take(self, source: SourceKey, said: Said) -> None:
        self.said.append((source, said))

    @property
    def newest(self) -> Said | None:
        return self.said[-1][1] if self.said else None

    async def value(self, value: str) -> None:
        """Until the newest is an answer with this for BTC."""
        await until(lambda: isinstance(self.newest, Answer) and self.newest.values == {"BTC": Decimal(value)})

    async def fault(self, reason: FeedReason) -> Fault:
        await until(lambda: isinstance(self.newest, Fault) and self.newest.reason is reason)
        assert isinstance(self.newest, Fault)
        return self.newest


@pytest.fixture
async def figures() -> AsyncIterator[Figures]:
    async with Figures('{"BTC": "12.5"}').serving() as server:
        yield server


async def test_a_source_that_fails_and_lies_is_asked_on_and_heard_again(figures: Figures, tmp_path: Path) -> None:
    heard = Heard()
    with capture_logs() as logs:
        async with following(owing(figures.url), take=heard.take, around=around(tmp_path)):
            await heard.value("12.5")
            figures.status = 500
            await heard.fault(FeedReason.UNAVAILABLE)
            figures.status, figures.body = 200, '{"BTC": "-1"}'
            assert "negative" in (await heard.fault(FeedReason.BAD_ANSWER)).detail
            figures.silent = True
            await heard.fault(FeedReason.TIMEOUT)
            figures.silent, figures.body = False, '{"BTC": 13}'
            await heard.value("13")
    assert {source for source, _ in heard.said} == {(LIABILITIES, "http")}
    assert [(entry["event"], entry["source"]) for entry in logs] == [("feed down", "http"), ("feed up again", "http")]


async def test_a_source_that_can_not_be_opened_is_a_fault_and_tried_again(tmp_path: Path) -> None:
    heard = Heard()
    (tmp_path / "owed.yaml").mkdir()
    source = sources({"liabilities": [{"kind": "file", "path": "owed.yaml", "every": "20ms"}]})
    async with following(source, take=heard.take, around=around(tmp_path)):
        await until(lambda: len(heard.said) >= 2)
    assert isinstance(heard.newest, Fault)


async def test_an_answer_is_as_of_when_it_was_asked_for(figures: Figures, tmp_path: Path) -> None:
    ((_, said),) = await ask_all(owing(figures.url), around=around(tmp_path, now=lambda: NOON))
    assert isinstance(said, Answer)
    assert (said.values, said.at) == ({"BTC": Decimal("12.5")}, NOON)


async def test_all_sources_are_asked_at_the_same_time_within_their_time_outs(figures: Figures, tmp_path: Path) -> None:
    async with Figures("{}").serving() as other:
        figures.silent = other.silent = True
        several = (*owing(figures.url, name="one"), *owing(other.url, name="two"))
        asking = asyncio.create_task(ask_all(several, around=around(tmp_path)))
        await until(lambda: figures.asked and other.asked)
        assert [said.reason for _, said in await asking if isinstance(said, Fault)] == [FeedReason.TIMEOUT] * 2


async def test_a_worker_lives_in_simulated_time(figures: Figures, tmp_path: Path) -> None:
    heard = Heard()
    simulation = Simulation(NOON)
    timing = simulation.timing(random.Random(0))

    async def settled() -> None:
        """Nothing is to be judged here."""

    source = owing(figures.url, every="10m", timeout="5s")
    async with following(source, take=heard.take, around=around(tmp_path, timing=timing, now=simulation.now)):
        await simulation.run_until(NOON + timedelta(hours=1), settled=settled)
    moments = [(said.at - NOON).total_seconds() for _, said in heard.said if isinstance(said, Answer)]
    assert moments == [600 * n for n in range(7)]


class Steps:
    """Keeps account of the steps that are going on, by name."""

    def __init__(self) -> None:
        self.log: list[str] = []

    def start(self, name: str, step: Callable[[], Awaitable[None]]) -> None:
        self.log.append(f"+{name}")

    async def stop(self, name: str) -> None:
        self.log.append(f"-{name}")


async def test_a_reload_lets_sources_go_on_that_are_asked_as_before(tmp_path: Path) -> None:
    steps = Steps()
    workers = FeedWorkers(start=steps.start, stop=steps.stop, take=Heard().take)
    first = (*owing("http://127.0.0.1:9/", name="same"), *owing("http://127.0.0.1:9/", name="moved"))
    second = (*owing("http://127.0.0.1:10/", name="moved"), *owing("http://127.0.0.1:9/", name="same"))
    for wanted in (first, second, ()):
        await workers.stop_changed(wanted)
        workers.start(wanted, around=around(tmp_path))
    moved, same = "feed liabilities/moved", "feed liabilities/same"
    assert steps.log == [f"+{same}", f"+{moved}", f"-{moved}", f"+{moved}", f"-{same}", f"-{moved}"]


def identity(*, decimals: int = 8, currency: str = "JPY", assets: tuple[str, ...] = ("BTC",)) -> object:
    config = FeedsConfig.model_validate({"liabilities": [{"kind": "file", "path": "owed.csv"}]})
    (one,) = asked(config, decimals=dict.fromkeys(assets, decimals), currency=currency, chains={})
    return one.identity


def test_what_a_source_is_held_to_is_part_of_what_it_is() -> None:
    assert identity() == identity()
    assert identity() != identity(decimals=18)
    assert identity() != identity(currency="USD")
    assert identity() != identity(assets=("BTC", "ETH"))


def test_sources_are_held_to_what_they_are_to_speak_of() -> None:
    found = sources(
        {
            "prices": [{"kind": "http", "url": "http://a/", "values": "@", "currency": "USD"}],
            "rates": [{"kind": "http", "url": "http://b/", "values": "@"}],
            "liabilities": [{"kind": "file", "path": "owed.csv", "ignore": ["JPY"]}],
            "custodians": [{"kind": "file", "path": "kept.csv", "custodian": "Bank", "tier": "cold"}],
            "reserves": {"fund": [{"kind": "file", "path": "fund.yaml"}]},
        }
    )
    prices, rates, owed, kept, fund = (one.expected for one in found)
    assert prices == Expected(frozenset({"BTC"}), each_by_itself=True)
    assert rates == Expected(frozenset({"USD"}), each_by_itself=True)
    assert owed == Expected(frozenset({"BTC"}), frozenset({"BTC"}), frozenset({"JPY"}), {"BTC": 8})
    assert kept == Expected(frozenset({"BTC"}), decimals={"BTC": 8})
    assert fund == Expected(frozenset({"all"}), frozenset({"all"}))
