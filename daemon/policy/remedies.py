"""What a breach obliges to, and how much time is left for it."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal

from pydantic import Field

from connectors.config import Strict
from daemon.model import Due
from daemon.policy.calendars import Calendar


class Remedy(Strict):
    """Something to be done within so many days of the beginning of a breach, whose own day does not count."""

    what: str = Field(min_length=1, max_length=200, description="what is to be done, such as plan")
    within: int = Field(ge=1, le=3650, description="days, the first of which is the one after the breach began")
    days: Literal["calendar", "business"] = Field(
        "calendar", description="business: without weekends and public holidays"
    )


def dues(remedies: Sequence[Remedy], *, calendar: Calendar, since: datetime, now: datetime) -> tuple[Due, ...]:
    """What a breach that began at `since` obliges to, as it stands at `now`; the next one first."""
    began, today = calendar.day(since), calendar.day(now)
    return tuple(sorted((_due(one, calendar, began=began, today=today) for one in remedies), key=lambda due: due.by))


def _due(remedy: Remedy, calendar: Calendar, *, began: date, today: date) -> Due:
    business = remedy.days == "business"
    by = calendar.after(began, days=remedy.within, business=business)
    left = calendar.left(today, until=by, business=business)
    return Due(remedy.what, by=by, days=remedy.days, left=left, overdue=today > by)
