"""Rules that are judged once a day: when that is, and what holds in between."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from daemon.ledger import Ledger
from daemon.model import Check, Judgement, Verdict
from daemon.policy import judged
from daemon.policy.blind import Blind
from daemon.policy.hot_share import HotShare
from daemon.policy.rule import Picture, Rule
from daemon.policy.schedule import Schedule
from daemon.policy.standing import Standing, digest, restored
from tests.build import ETH, ETHER, NOON, at, complete, picture, two_tiers

NINE_IN_SEOUL = Schedule.model_validate({"at": "09:00", "timezone": "Asia/Seoul"})
"""Midnight in UTC."""


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


def latest(at_time: str, zone: str, now: datetime) -> datetime:
    return Schedule.model_validate({"at": at_time, "timezone": zone}).latest(now).astimezone(UTC)


# The time of day.


def test_the_time_comes_once_a_day_in_its_time_zone() -> None:
    midnight = utc(2026, 11, 23)
    assert NINE_IN_SEOUL.latest(midnight) == midnight
    assert NINE_IN_SEOUL.latest(midnight - timedelta(microseconds=1)) == midnight - timedelta(days=1)
    assert NINE_IN_SEOUL.latest(midnight + timedelta(hours=23, minutes=59)) == midnight


def test_a_time_that_the_clock_skips_comes_when_it_skips() -> None:
    """Berlin, 29 March 2026: at 02:00 it is 03:00, which is 01:00 in UTC; there is no 02:30."""
    assert latest("02:30", "Europe/Berlin", utc(2026, 3, 29, 0, 59, 59)) == utc(2026, 3, 28, 1, 30)
    assert latest("02:30", "Europe/Berlin", utc(2026, 3, 29, 1)) == utc(2026, 3, 29, 1)
    assert latest("02:30", "Europe/Berlin", utc(2026, 3, 30, 0, 30)) == utc(2026, 3, 30, 0, 30)


def test_a_time_that_comes_twice_is_judged_the_first_time() -> None:
    """Berlin, 25 October 2026: 02:30 is 00:30 and 01:30 in UTC."""
    for moment in (utc(2026, 10, 25, 0, 30), utc(2026, 10, 25, 1, 30), utc(2026, 10, 25, 12)):
        assert latest("02:30", "Europe/Berlin", moment) == utc(2026, 10, 25, 0, 30)


def test_a_day_that_a_country_skips_is_judged_when_it_skips_it() -> None:
    """Samoa went from the end of 29 December 2011 to the beginning of 31 December: that was 10:00 in UTC."""
    assert latest("09:00", "Pacific/Apia", utc(2011, 12, 30, 9, 59, 59)) == utc(2011, 12, 29, 19)
    assert latest("09:00", "Pacific/Apia", utc(2011, 12, 30, 10)) == utc(2011, 12, 30, 10)
    assert latest("09:00", "Pacific/Apia", utc(2011, 12, 30, 19)) == utc(2011, 12, 30, 19)


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    st.timedeltas(timedelta(0), timedelta(days=2)),
    st.sampled_from(["Asia/Seoul", "America/St_Johns", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia"]),
    st.times(),
)
def test_the_latest_time_is_never_in_the_future_never_goes_back_and_is_at_most_two_days_old(
    now: datetime, later: timedelta, zone: str, moment: object
) -> None:
    first, second = (latest(f"{moment:%H:%M}", zone, each) for each in (now, now + later))
    assert first <= second
    assert timedelta(0) <= now - first < timedelta(days=2)


@pytest.mark.parametrize("text", ["9:00", "24:00", "09:60", "09:00:00", "noon", "", 9, None])
def test_a_time_of_day_is_written_with_four_digits(text: object) -> None:
    with pytest.raises(ValidationError, match="expected a time of day from 00:00 to 23:59, such as 09:00"):
        Schedule.model_validate({"at": text, "timezone": "Asia/Seoul"})


def test_a_time_zone_must_exist() -> None:
    with pytest.raises(ValidationError, match="expected the name of a time zone"):
        Schedule.model_validate({"at": "09:00", "timezone": "Asia/Soul"})


def test_a_schedule_is_shown_as_it_is_written() -> None:
    assert NINE_IN_SEOUL.model_dump(mode="json") == {"at": "09:00", "timezone": "Asia/Seoul"}


# What stands in between. Noon in UTC is nine in the evening in Seoul.

DAILY = HotShare(
    kind="hot_share",
    limit=Decimal("0.05"),
    schedule=Schedule.model_validate({"at": "21:00", "timezone": "Asia/Seoul"}),
)
DAY = 86_400.0


class Days:
    """Pictures of a hot and a cold wallet, judged one after the other with what stands."""

    def __init__(self, rule: Rule = DAILY, *, standing: Standing | None = None) -> None:
        self.rules: Sequence[tuple[str, Rule]] = (("daily", rule),)
        self.standing: Standing = standing or {}

    def see(self, hot: int, *, seconds: float, known: bool = True) -> Verdict:
        """The verdict on so many hundredths hot; unknown when the cold one was never read."""
        verdicts = self.judge(seen(hot, seconds=seconds, known=known))
        return verdicts[0]

    def judge(self, found: Picture) -> tuple[Verdict, ...]:
        verdicts, self.standing = judged(self.rules, found, standing=self.standing)
        return verdicts


def seen(hot: int, *, seconds: float, known: bool = True) -> Picture:
    inv, ledger = two_tiers(hot * ETHER, (100 - hot) * ETHER)
    if not known:
        ledger = Ledger(inv)
        ledger.apply(complete(1, {(1, ETH): hot * ETHER}, unread=[(2, ETH)]))
    found = picture(ledger, inv)
    return replace(found, at=at(seconds))


def test_between_two_times_the_verdict_of_the_first_stands() -> None:
    days = Days()
    first = days.see(4, seconds=0)
    assert first.judgement is Judgement.OK
    assert days.see(99, seconds=DAY - 1) == first


def test_the_verdict_of_a_time_that_comes_twice_stands_as_well() -> None:
    """Berlin, 25 October 2026: 02:30 is 00:30 and 01:30 in UTC."""
    half_past_two = Schedule.model_validate({"at": "02:30", "timezone": "Europe/Berlin"})
    days = Days(DAILY.model_copy(update={"schedule": half_past_two}))
    began = (utc(2026, 10, 25, 0, 30) - NOON).total_seconds()
    first = days.see(4, seconds=began)
    assert days.see(99, seconds=began + 7200) == first


def test_at_the_next_time_it_is_judged_again() -> None:
    days = Days()
    days.see(4, seconds=0)
    again = days.see(6, seconds=DAY)
    assert again.judgement is Judgement.BREACH
    assert days.see(4, seconds=2 * DAY - 1) == again


def test_the_evidence_says_for_when_and_when_it_was_judged() -> None:
    verdict = Days().see(4, seconds=5)
    assert verdict.evidence["scheduled_for"] == "2026-11-23T21:00:00+09:00"
    assert verdict.evidence["judged_at"] == "2026-11-23T12:00:05+00:00"
    assert verdict.summary.endswith("(judged for 2026-11-23 21:00 Asia/Seoul)")
    assert verdict.evidence["blocks"]["ethereum"]["height"] == 1


def test_what_can_not_be_known_then_is_judged_at_the_first_moment_when_it_can() -> None:
    days = Days()
    days.see(4, seconds=0)
    missed = days.see(6, seconds=DAY, known=False)
    assert (missed.judgement, missed.causes) == (Judgement.UNKNOWN, ("chain:ethereum",))
    assert missed.evidence["judged_at"] is None
    assert missed.summary.endswith("(due 2026-11-24 21:00 Asia/Seoul)")
    late = days.see(6, seconds=DAY + 3600)
    assert late.judgement is Judgement.BREACH
    assert late.evidence["scheduled_for"] == "2026-11-24T21:00:00+09:00"
    assert late.evidence["judged_at"] == "2026-11-24T13:00:00+00:00"


def test_an_outage_between_two_times_changes_nothing() -> None:
    days = Days()
    first = days.see(4, seconds=0)
    assert days.see(4, seconds=60, known=False) == first


def test_blind_looks_at_what_holds_and_not_at_what_is_seen_meanwhile() -> None:
    days = Days()
    days.rules = (("blind", Blind(kind="blind")), *days.rules)
    days.judge(seen(4, seconds=0))
    _, blind = days.judge(seen(4, seconds=60, known=False))
    assert blind.judgement is Judgement.OK
    _, blind = days.judge(seen(4, seconds=DAY, known=False))
    assert (blind.subject, blind.judgement) == ("chain:ethereum", Judgement.BREACH)


def test_a_look_without_a_past_judges_at_once() -> None:
    """`once` at six in the evening in Seoul judges what was due the evening before."""
    verdict = Days().see(6, seconds=-3 * 3600)
    assert verdict.judgement is Judgement.BREACH
    assert verdict.evidence["scheduled_for"] == "2026-11-22T21:00:00+09:00"


def test_a_rule_that_was_changed_is_judged_anew() -> None:
    days = Days()
    days.see(6, seconds=0)
    days.rules = (("daily", DAILY.model_copy(update={"limit": Decimal("0.10")})),)
    assert days.see(6, seconds=60).judgement is Judgement.OK


def test_a_clock_that_is_set_back_is_judged_by_the_time_that_it_shows() -> None:
    days = Days()
    days.see(6, seconds=0)
    assert days.see(4, seconds=-3600).judgement is Judgement.OK


def test_rules_without_a_schedule_are_judged_always_and_leave_nothing_standing() -> None:
    days = Days(HotShare(kind="hot_share", limit=Decimal("0.05")))
    assert days.see(4, seconds=0).judgement is Judgement.OK
    assert days.see(6, seconds=1).judgement is Judgement.BREACH
    assert days.standing == {}


def test_after_a_restart_the_verdict_of_the_day_stands_again() -> None:
    before = Days()
    first = before.see(4, seconds=0)
    after = Days(standing=restored({}, before.standing.values()))
    assert after.see(99, seconds=3600) == first


def check(*, judged_at: float, judgement: Judgement = Judgement.OK, rule: Rule = DAILY, due: datetime = NOON) -> Check:
    verdict = replace(Days().see(4, seconds=0), judgement=judgement)
    return Check(digest(rule), due, at(judged_at), verdict)


def test_what_an_earlier_run_judged_takes_the_place_of_what_was_judged_before_it_was_found() -> None:
    earlier, own = check(judged_at=0), check(judged_at=60, judgement=Judgement.BREACH)
    key = ("daily", "all")
    assert restored({key: own}, [earlier]) == {key: earlier}


@pytest.mark.parametrize("change", ["day", "rule"])
def test_what_an_earlier_run_judged_for_another_time_or_rule_does_not_come_back(change: str) -> None:
    own = check(judged_at=60)
    other = HotShare(kind="hot_share", limit=Decimal("0.07"))
    earlier = check(judged_at=0, due=at(-DAY)) if change == "day" else check(judged_at=0, rule=other)
    assert restored({("daily", "all"): own}, [earlier]) == {("daily", "all"): own}
