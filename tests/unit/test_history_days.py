"""Business days in time zones whose clocks jump, stand still, or are a half hour off."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.history.days import Days, floor

HOUR = timedelta(hours=1)
ZONES = ["UTC", "Asia/Tokyo", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Beirut"]


def days(timezone: str, cut_off: str = "00:00") -> Days:
    return Days(timezone, time.fromisoformat(cut_off))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_day_of_tokyo_begins_at_three_in_the_afternoon_of_utc() -> None:
    tokyo = days("Asia/Tokyo")
    assert tokyo.start(date(2026, 11, 23)) == utc("2026-11-22T15:00")
    assert tokyo.end(date(2026, 11, 23)) == utc("2026-11-23T15:00")


def test_a_cut_off_in_the_day_moves_its_beginning() -> None:
    tokyo = days("Asia/Tokyo", "09:00")
    assert tokyo.of(utc("2026-11-22T23:59:59")) == date(2026, 11, 22)
    assert tokyo.of(utc("2026-11-23T00:00")) == date(2026, 11, 23)


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-11-23", 24)])
def test_a_day_has_as_many_hours_as_its_clock_shows(day: str, hours: int) -> None:
    found = list(days("Europe/Berlin").hours(date.fromisoformat(day)))
    assert len(found) == hours
    assert all(end - start == HOUR for start, end in found)


def test_half_an_hour_more_is_an_hour_of_its_own() -> None:
    """Lord Howe sets its clocks by thirty minutes."""
    found = list(days("Australia/Lord_Howe").hours(date(2026, 4, 5)))
    assert [end - start for start, end in found] == [HOUR] * 24 + [HOUR / 2]


def test_a_midnight_that_the_clock_leaves_out_is_when_it_jumps() -> None:
    """Beirut's clocks jumped from midnight to one on 26 March 2022."""
    beirut = days("Asia/Beirut")
    jumped = date(2022, 3, 27)
    assert beirut.start(jumped) == utc("2022-03-26T22:00")
    assert beirut.end(jumped) - beirut.start(jumped) == 23 * HOUR


@given(st.sampled_from(ZONES), st.times().map(lambda t: t.replace(second=0, microsecond=0)), st.data())
def test_every_moment_belongs_to_one_day(zone: str, cut_off: time, data: st.DataObject) -> None:
    calendar = Days(zone, cut_off)
    moment = data.draw(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1))).replace(tzinfo=UTC)  # noqa: DTZ001
    day = calendar.of(moment)
    assert calendar.start(day) <= moment < calendar.end(day)


@given(st.sampled_from(ZONES), st.dates(date(2020, 1, 1), date(2030, 1, 1)))
def test_the_hours_of_a_day_fill_it(zone: str, day: date) -> None:
    calendar = days(zone)
    found = list(calendar.hours(day))
    assert found[0][0] == calendar.start(day)
    assert found[-1][1] == calendar.end(day)
    assert all(one[1] == other[0] for one, other in pairwise(found))


def test_a_moment_is_floored_to_its_grain() -> None:
    assert floor(utc("2026-11-23T09:59:59.9"), timedelta(minutes=10)) == utc("2026-11-23T09:50")
