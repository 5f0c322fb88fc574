"""What holds of the book whatever the sources say, fail to say, and when."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.feeds.book import FeedBook
from daemon.feeds.plan import Plan, SourceKey
from daemon.feeds.quotes import Quoting
from daemon.feeds.values import Answer, Fault, FeedKind, FeedReason, Feeds, Stated
from daemon.interval import Interval
from tests.build import NOON, at
from tests.feeding import source

pytestmark = pytest.mark.timeout(120)

PRICES, LIABILITIES = FeedKind.PRICES, FeedKind.LIABILITIES
MAX_AGES = {"a": 30, "b": 60, "c": 90}
TOLERANCES = {"a": "0.1", "b": None, "c": "0.02"}
ASSETS = ("BTC", "ETH")
SOURCES = tuple(
    source(feed, name, max_age=timedelta(seconds=seconds), tolerance=TOLERANCES[name])
    for feed in (LIABILITIES, PRICES)
    for name, seconds in MAX_AGES.items()
)
KEYS = tuple(plan.key for plan in SOURCES)

Event = tuple[int, SourceKey, Answer | Fault]
"""Seconds after noon, who, what."""

numbers = st.integers(1, 10_000).map(Decimal)
faults = st.sampled_from(
    [Fault(FeedReason.TIMEOUT, "late"), Fault(FeedReason.BAD_ANSWER, "nonsense"), Fault(FeedReason.UNAVAILABLE, "gone")]
)
moments = st.integers(-100, 400)


@st.composite
def answers(draw: st.DrawFn, *, second: int) -> Answer:
    lag = draw(st.integers(0, 40))
    return Answer(draw(st.dictionaries(st.sampled_from(ASSETS), numbers, min_size=1)), at(second - lag))


@st.composite
def events(draw: st.DrawFn) -> list[Event]:
    """In the order in which they happen, though the clock may be set back between them."""
    found: list[Event] = []
    for second in draw(st.lists(moments, max_size=8)):
        found.append((second, draw(st.sampled_from(KEYS)), draw(st.one_of(answers(second=second), faults))))
    return found


quotings = st.builds(Quoting, st.sampled_from(["first", "median"]), st.integers(1, 3), st.just(Decimal(10)))


def told(events: Sequence[Event], *, quoting: Quoting) -> FeedBook:
    subject = FeedBook(Plan(SOURCES, quoting, assets=frozenset(ASSETS)))
    subject.look(NOON)
    for second, key, said in events:
        subject.take(key, said, now=at(second))
    return subject


def values(found: Feeds) -> dict[tuple[FeedKind, str], Stated]:
    """Every price and liability that is known at all."""
    return {
        **{(PRICES, name): stated for name, stated in found.prices.items()},
        **{(LIABILITIES, name): stated for name, stated in found.liabilities.items()},
    }


def said_lately(events: Sequence[Event], feed: FeedKind, asset: str, *, now: int) -> set[Decimal]:
    """What sources have said of the asset that is not older than they may be."""
    return {
        said.values[asset]
        for _, (kind, name), said in events
        if kind is feed
        and isinstance(said, Answer)
        and asset in said.values
        and now - MAX_AGES[name] <= (said.at - NOON).total_seconds() <= now + 60
    }


@given(events(), quotings, moments)
def test_what_is_served_as_a_value_was_said_within_the_age_that_its_source_may_have(
    events: list[Event], quoting: Quoting, now: int
) -> None:
    for (feed, asset), stated in values(told(events, quoting=quoting).look(at(now))).items():
        if stated.value.value is None:
            continue
        lately = said_lately(events, feed, asset, now=now)
        if stated.value.value not in lately:  # the mean of two
            assert quoting.take == "median"
            assert any(stated.value.value == (one + other) / 2 for one in lately for other in lately)


@given(events(), quotings, moments)
def test_bounds_hold_what_was_said_last_by_the_source_that_they_come_from(
    events: list[Event], quoting: Quoting, now: int
) -> None:
    for (feed, asset), stated in values(told(events, quoting=quoting).look(at(now))).items():
        said = {
            value
            for _, (kind, name), answer in events
            if kind is feed and isinstance(answer, Answer) and name in stated.source.split(", ")
            for value in [answer.values.get(asset)]
            if value is not None
        }
        assert stated.value.high is not None
        assert any(stated.value.low <= value <= stated.value.high for value in said) or quoting.take == "median"
        assert stated.value.value is None or stated.value.low == stated.value.value == stated.value.high


def width(interval: Interval | None) -> tuple[bool, bool, Decimal]:
    """Greater is worse: unknown, then without a value, then by width."""
    if interval is None or interval.high is None:
        return True, True, Decimal(0)
    return False, interval.value is None, interval.high - interval.low


@given(events(), quotings, moments, st.sampled_from(KEYS), faults)
def test_no_fault_makes_anything_look_better_known(
    events: list[Event], quoting: Quoting, now: int, key: SourceKey, fault: Fault
) -> None:
    subject = told(events, quoting=quoting)
    before = values(subject.look(at(now)))
    subject.take(key, fault, now=at(now))
    after = values(subject.look(at(now)))
    assert after.keys() <= before.keys()
    for name, stated in after.items():
        assert width(before[name].value) <= width(stated.value)


@given(events(), quotings, st.lists(st.integers(400, 700), min_size=2, max_size=6).map(sorted))
def test_time_that_passes_makes_nothing_look_better_known(
    events: list[Event], quoting: Quoting, moments: list[int]
) -> None:
    subject = told(events, quoting=quoting)
    for earlier, later in pairwise(moments):
        before, after = values(subject.look(at(earlier))), values(subject.look(at(later)))
        assert after.keys() <= before.keys()
        for name, stated in after.items():
            assert width(before[name].value) <= width(stated.value)


@given(events(), quotings, st.lists(moments, min_size=1, max_size=8))
def test_a_book_that_remembers_tells_what_one_tells_that_looks_for_the_first_time(
    events: list[Event], quoting: Quoting, moments: list[int]
) -> None:
    remembering = told(events, quoting=quoting)
    for moment in moments:
        assert remembering.look(at(moment)) == told(events, quoting=quoting).look(at(moment))


@given(st.data(), quotings)
def test_it_does_not_matter_whose_answer_comes_first(data: st.DataObject, quoting: Quoting) -> None:
    """Of several sources at one moment: what each of them says stays in its own order."""
    steady = st.integers(100, 900).map(Decimal)  # no jumps
    said = {
        key: [Answer({asset: data.draw(steady) for asset in ASSETS}, at(second)) for second in range(2)] for key in KEYS
    }
    order = [key for key in KEYS for _ in range(2)]
    books = []
    for arrival in (order, data.draw(st.permutations(order))):
        left = {key: iter(those) for key, those in said.items()}
        books.append(told([(2, key, next(left[key])) for key in arrival], quoting=quoting))
    assert books[0].look(at(2)) == books[1].look(at(2))


@given(st.permutations([("a", 100), ("b", 102), ("a", 3000), ("b", 2900)]))
def test_a_jump_of_both_sources_is_taken_in_whatever_order_it_is_told(words: list[tuple[str, int]]) -> None:
    """Each source says its own words in their order."""
    ordered = {name: iter(sorted(price for one, price in words if one == name)) for name in "ab"}
    arrived = [(0, (PRICES, name), Answer({"BTC": Decimal(next(ordered[name]))}, at(0))) for name, _ in words]
    found = told(arrived, quoting=Quoting()).look(at(0))
    assert found.prices["BTC"].value == Interval.exactly(Decimal(3000))
