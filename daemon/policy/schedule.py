"""The time of day at which a rule is judged, where it is judged once a day."""

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from connectors.config import Strict
from daemon.policy.zone import ZoneName

A_DAY = timedelta(days=1)
TIME = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")


def _parse(value: object) -> time:
    if isinstance(value, time):
        return value
    match = TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise ValueError("expected a time of day from 00:00 to 23:59, such as 09:00")
    return time(int(match[1]), int(match[2]))


TimeOfDay = Annotated[
    time,
    BeforeValidator(_parse),
    PlainSerializer(lambda value: f"{value:%H:%M}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^({TIME.pattern})$", "examples": ["09:00"]}),
]


class Schedule(Strict):
    """Judged once a day."""

    at: TimeOfDay = Field(description="the time of day, such as 09:00")
    timezone: ZoneName = Field(description="where it is that time, such as Asia/Seoul")

    def latest(self, now: datetime) -> datetime:
        """The last time that it was due, at `now` or before, in its own time zone."""
        zone = ZoneInfo(self.timezone)
        today = now.astimezone(zone).date()
        # A clock that is set back over midnight may leave the date of the last time ahead of today's.
        moments = (_moment(day, self.at, zone=zone) for day in (today - A_DAY, today, today + A_DAY))
        return max(moment for moment in moments if moment <= now).astimezone(zone)


def _moment(day: date, at: time, *, zone: ZoneInfo) -> datetime:
    """That time of that day in UTC: the first of two, and for one that is skipped the instant at which that happens."""
    first, second = (datetime.combine(day, at.replace(fold=fold), tzinfo=zone).astimezone(UTC) for fold in (0, 1))
    # PEP 495: a time that is skipped is read by the offset before the change, and with fold by the one after it.
    return _change(second, first, zone=zone) if second < first else first


def _change(before: datetime, after: datetime, *, zone: ZoneInfo) -> datetime:
    """The instant between the two at which the clock changes, to the second."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (middle, after) if middle.astimezone(zone).utcoffset() == offset else (before, middle)
    return after
