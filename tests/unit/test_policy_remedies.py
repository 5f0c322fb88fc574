"""What a breach obliges to: by which day, and how many days of a country's calendar are left."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from pydantic import ValidationError

from daemon.findings import advance
from daemon.model import Due, Finding, Judgement, Severity, Verdict
from daemon.policy.calendars import Calendar
from daemon.policy.hot_share import HotShare
from daemon.policy.remedies import Remedy, dues
from tests.build import NOON, at

THAILAND = Calendar(country="TH", timezone="Asia/Bangkok")
JAPAN = Calendar(country="JP", timezone="Asia/Tokyo")


def utc(year: int, month: int, day: int, hour: int = 3) -> datetime:
    """Three in the morning in UTC is the same date in Bangkok and Tokyo."""
    return datetime(year, month, day, hour, tzinfo=UTC)


def one(remedy: Remedy, *, calendar: Calendar, since: datetime, now: datetime) -> Due:
    (due,) = dues([remedy], calendar=calendar, since=since, now=now)
    return due


def within(days: int, kind: str = "calendar") -> Remedy:
    return Remedy.model_validate({"what": "plan", "within": days, "days": kind})


def test_calendar_days_are_counted_from_the_day_after_the_breach_began() -> None:
    due = one(within(15), calendar=THAILAND, since=utc(2026, 11, 23), now=utc(2026, 11, 23))
    assert due == Due("plan", by=date(2026, 12, 8), days="calendar", left=15, overdue=False)


@pytest.mark.parametrize(
    ("today", "left", "overdue"),
    [
        (utc(2026, 11, 24), 14, False),
        (utc(2026, 12, 7), 1, False),
        (utc(2026, 12, 8), 0, False),
        (utc(2026, 12, 8, 16), 0, False),  # 23:00 in Bangkok
        (utc(2026, 12, 8, 17), -1, True),  # midnight there: the day is over
        (utc(2026, 12, 10), -2, True),
    ],
)
def test_the_days_left_count_down_and_the_last_day_counts_to_its_midnight(
    today: datetime, left: int, overdue: bool
) -> None:
    due = one(within(15), calendar=THAILAND, since=utc(2026, 11, 23), now=today)
    assert (due.left, due.overdue) == (left, overdue)


def test_the_day_that_a_breach_began_is_that_of_the_calendar() -> None:
    """18:00 in UTC is one in the morning of the next day in Bangkok."""
    assert one(within(1), calendar=THAILAND, since=utc(2026, 11, 23, 18), now=NOON).by == date(2026, 11, 25)


def test_business_days_leave_out_weekends_public_holidays_and_the_turn_of_the_year() -> None:
    """After Monday, 28 December 2026: 29, 30; New Year's Eve and Day; Saturday, Sunday; 4, 5 and 6 January."""
    due = one(within(5, "business"), calendar=THAILAND, since=utc(2026, 12, 28), now=utc(2026, 12, 30))
    assert due == Due("plan", by=date(2027, 1, 6), days="business", left=3, overdue=False)


def test_the_golden_week_of_japan_is_no_business() -> None:
    """After Friday, 1 May 2026: the weekend, two holidays, the substitute for that on the Sunday, then 7 May."""
    assert one(within(1, "business"), calendar=JAPAN, since=utc(2026, 5, 1), now=utc(2026, 5, 1)).by == date(2026, 5, 7)


def test_business_days_that_begin_on_a_weekend_begin_with_the_next_one() -> None:
    assert one(within(1, "business"), calendar=JAPAN, since=utc(2026, 11, 21), now=NOON).by == date(2026, 11, 24)


def test_on_the_weekend_behind_the_last_business_day_it_is_overdue_by_none() -> None:
    """Friday, 27 November was the last day; on Saturday no business day has passed since, on Monday one has."""
    remedy, since = within(3, "business"), utc(2026, 11, 24)
    found = [one(remedy, calendar=JAPAN, since=since, now=utc(2026, 11, day)) for day in (27, 28, 30)]
    assert [(due.left, due.overdue) for due in found] == [(0, False), (0, True), (-1, True)]


def test_the_week_ends_where_the_country_ends_it() -> None:
    """In Saudi Arabia Friday and Saturday are free: the business day after Thursday, 26 November, is Sunday."""
    riyadh = Calendar(country="SA", timezone="Asia/Riyadh")
    assert one(within(1, "business"), calendar=riyadh, since=utc(2026, 11, 26), now=NOON).by == date(2026, 11, 29)


def test_the_next_deadline_stands_first() -> None:
    remedies = [Remedy(what="cure", within=45), Remedy(what="plan", within=15)]
    assert [due.what for due in dues(remedies, calendar=THAILAND, since=NOON, now=NOON)] == ["plan", "cure"]


@pytest.mark.parametrize(
    ("country", "hint"),
    [("JPN", "; did you mean JP?"), ("Thailand", "; did you mean TH?"), ("south korea", "; did you mean KR?"),
     ("jp", "; did you mean JP?"), ("", ""), ("??", "")],
)  # fmt: skip
def test_a_country_without_known_holidays_is_refused_with_the_nearest(country: str, hint: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Calendar(country=country, timezone="Asia/Tokyo")
    expected = "its public holidays are not known; expected two capital letters, such as JP"
    assert str(caught.value.errors()[0]["ctx"]["error"]) == expected + hint


def test_remedies_without_a_calendar_are_refused() -> None:
    with pytest.raises(ValidationError, match="remedies need a calendar"):
        HotShare(kind="hot_share", limit=Decimal("0.1"), remedies=(within(15),))


# In findings.

RULE = HotShare(
    kind="hot_share",
    limit=Decimal("0.1"),
    remedies=(Remedy(what="plan", within=15), Remedy(what="cure", within=45)),
    calendar=THAILAND,
)
DAY = 86_400


def verdict(judgement: Judgement, *, cleared: bool = False) -> Verdict:
    return Verdict("th/hot", "all", "PyrometerHotShareHigh", Severity.CRITICAL, judgement, "text", cleared)


def seen(*judgements: tuple[float, Verdict], rule: HotShare = RULE) -> Finding:
    """The finding after these verdicts."""
    findings: tuple[Finding, ...] = ()
    for seconds, item in judgements:
        step = advance(findings, [item], rules={"th/hot": rule}, now=at(seconds))
        findings = step.open or step.closed
    (finding,) = findings
    return finding


def test_a_finding_carries_what_is_due_from_its_beginning() -> None:
    """It begins on 23 November: 15 days later is 8 December, 45 days later 7 January."""
    finding = seen((0, verdict(Judgement.BREACH)))
    assert [(due.what, due.by, due.left) for due in finding.due] == [
        ("plan", date(2026, 12, 8), 15),
        ("cure", date(2027, 1, 7), 45),
    ]


def test_the_days_count_down_while_the_finding_stands() -> None:
    finding = seen((0, verdict(Judgement.BREACH)), (20 * DAY, verdict(Judgement.BREACH)))
    assert [(due.left, due.overdue) for due in finding.due] == [(-5, True), (25, False)]


def test_the_days_count_down_while_nobody_knows() -> None:
    finding = seen((0, verdict(Judgement.BREACH)), (DAY, verdict(Judgement.UNKNOWN)))
    assert [due.left for due in finding.due] == [14, 44]


def test_a_resolved_finding_keeps_what_was_due_as_it_stood_then() -> None:
    over = verdict(Judgement.OK, cleared=True)
    finding = seen((0, verdict(Judgement.BREACH)), (DAY, over), (DAY + 60, over))
    assert finding.resolved == at(DAY + 60)
    assert [due.left for due in finding.due] == [14, 44]


def test_a_rule_that_obliges_to_nothing_any_more_leaves_nothing_due() -> None:
    (finding,) = (seen((0, verdict(Judgement.BREACH))),)
    bare = HotShare(kind="hot_share", limit=Decimal("0.1"))
    step = advance([finding], [verdict(Judgement.BREACH)], rules={"th/hot": bare}, now=at(1))
    assert step.open[0].due == ()
