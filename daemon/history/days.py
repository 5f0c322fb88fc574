"""Business days: where each begins and ends in UTC, whatever the clocks of its time zone do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

ONE_DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Days:
    """A day begins at `cut_off` on its date, in `timezone`, and ends where the next one begins.

    Where the clock jumps over the cut-off, the day begins when it jumps; where it shows it twice, the first time.
    """

    timezone: str
    cut_off: time

    def start(self, day: date) -> datetime:
        """In UTC. For a time that the clock leaves out, fold 0 reckons with the offset before the jump (PEP 495)."""
        return datetime.combine(day, self.cut_off, ZoneInfo(self.timezone)).astimezone(UTC)

    def end(self, day: date) -> datetime:
        return self.start(day + ONE_DAY)

    def of(self, moment: datetime) -> date:
        """The day that the moment belongs to."""
        day = moment.astimezone(ZoneInfo(self.timezone)).date()
        return day if self.start(day) <= moment else day - ONE_DAY

    def hours(self, day: date) -> Iterator[tuple[datetime, datetime]]:
        """The day in parts of an hour from its beginning; 23 to 25 of them, the last one maybe shorter."""
        start, end = self.start(day), self.end(day)
        while start < end:
            after = min(start + HOUR, end)
            yield start, after
            start = after


def floor(moment: datetime, grain: timedelta) -> datetime:
    """The beginning of the part of UTC's day that the moment belongs to; `grain` divides a day."""
    midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (moment - midnight) // grain * grain
