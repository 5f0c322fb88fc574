"""When an expected alert is due: before a step, before its block, or when it has been read."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.replay.cast import Cast
from daemon.replay.expectation import RULES, Deadline, block_after, deadlines, not_yet, robbed
from daemon.replay.scenario import Expectation, Scenario, load
from daemon.replay.script import when

GOOD = Path(__file__).parents[2] / "data" / "good_scenario.yaml"
SCENARIO: Scenario = load(GOOD)
CAST = Cast(SCENARIO)


def clock(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-01-05T{text}").replace(tzinfo=UTC)


def due(**keys: object) -> tuple[Deadline, ...]:
    expectation = Expectation.model_validate({"alert": "PyrometerDrain", "needs": "drain", **keys})
    return deadlines(expectation, scenario=SCENARIO, cast=CAST)


def test_before_a_step_means_before_its_moment() -> None:
    (deadline,) = due(before="first")
    assert deadline.met(clock("00:59:59"))
    assert not deadline.met(clock("01:00:00"))


def test_a_lead_is_at_least_so_long_before() -> None:
    (deadline,) = due(before="first", lead="2m")
    assert deadline.met(clock("00:58:00"))
    assert not deadline.met(clock("00:58:01"))


def test_before_it_is_mined_means_before_the_block_with_the_step() -> None:
    late = SCENARIO.model_copy(update={"starts": clock("00:00:30")})  # blocks come 30 s past the minute
    expectation = Expectation(alert="PyrometerDrain", needs="drain", before_mined="first")
    (deadline,) = deadlines(expectation, scenario=late, cast=CAST)
    assert deadline == Deadline(clock("01:00:30"), inclusive=False)


def test_no_later_than_a_payment_leaves_a_block_time_after_its_block() -> None:
    assert due(no_later_than="first") == (Deadline(clock("01:01:00"), inclusive=True),)


def test_no_later_than_a_repeated_step_means_its_first_time() -> None:
    assert due(no_later_than="second") == (Deadline(clock("01:06:00"), inclusive=True),)


def test_no_later_than_a_step_in_no_block_leaves_a_minute() -> None:
    assert due(no_later_than="over") == (Deadline(clock("03:01:00"), inclusive=True),)


def test_no_later_than_an_instant_leaves_nothing() -> None:
    (deadline,) = due(no_later_than="2026-01-05T02:00:00Z")
    assert deadline.met(clock("02:00:00"))
    assert not deadline.met(clock("02:00:01"))


def test_every_time_that_is_given_counts() -> None:
    assert len(due(before="over", before_mined="first", no_later_than="second")) == 3


@given(st.integers(min_value=0, max_value=6 * 3600))
def test_a_block_comes_at_or_after_what_stands_in_it_and_within_a_block_time(second: int) -> None:
    moment = SCENARIO.starts + timedelta(seconds=second)
    block = block_after(moment, chain="ethereum", scenario=SCENARIO)
    assert timedelta(0) <= block - moment < SCENARIO.chains["ethereum"].block_time
    assert (block - SCENARIO.starts) % SCENARIO.chains["ethereum"].block_time == timedelta(0)


def test_a_reference_is_a_step_or_an_instant() -> None:
    assert when("second", scenario=SCENARIO) == clock("01:05:00")
    assert when("2026-01-05T02:00:00Z", scenario=SCENARIO) == clock("02:00:00")
    with pytest.raises(ValueError, match="UTC instant"):
        when("third", scenario=SCENARIO)


def test_robbed_are_the_wallets_that_thefts_pay_from_each_once() -> None:
    assert robbed(SCENARIO, cast=CAST) == ("xem-hot",)


def test_rules_that_are_there_can_be_met_and_others_not_yet() -> None:
    assert "hot_share" in RULES
    assert not not_yet(Expectation(alert="PyrometerHotShareHigh", needs="hot_share", before="first"))
    assert not_yet(Expectation(alert="PyrometerDrain", needs="a_rule_of_next_year", before="first"))
