"""Days as a country's authorities count them: its date, its weekends and its public holidays."""

import difflib
from datetime import date, datetime, timedelta
from functools import cache
from typing import Annotated
from zoneinfo import ZoneInfo

from holidays import HolidayBase, country_holidays, list_supported_countries
from holidays.registry import COUNTRIES
from pydantic import AfterValidator, Field

from connectors.config import Strict
from daemon.policy.zone import ZoneName

A_DAY = timedelta(days=1)
ALIKE = 0.5
"""One letter of two."""


@cache
def _codes() -> frozenset[str]:
    return frozenset(list_supported_countries(include_aliases=False))


def _country(text: str) -> str:
    if text in _codes():
        return text
    near = _nearest(text)
    hint = f"; did you mean {near}?" if near else ""
    raise ValueError(f"its public holidays are not known; expected two capital letters, such as JP{hint}")


def _nearest(text: str) -> str | None:
    """The code of the country whose code or name resembles the text."""
    names = {name.casefold(): row[1] for row in COUNTRIES.values() for name in row if row[1] in _codes()}
    found = difflib.get_close_matches(text.casefold().replace(" ", ""), names, n=1, cutoff=ALIKE)
    return names[found[0]] if found else None


Country = Annotated[str, AfterValidator(_country)]
"""ISO 3166-1 alpha-2 code of a country whose public holidays the package `holidays` knows."""


class Calendar(Strict):
    """Whose days are counted."""

    country: Country = Field(description="whose weekends and public holidays, such as JP")
    timezone: ZoneName = Field(description="whose midnight ends a day, such as Asia/Tokyo")

    def day(self, moment: datetime) -> date:
        """The date there at that moment."""
        return moment.astimezone(ZoneInfo(self.timezone)).date()

    def after(self, start: date, *, days: int, business: bool) -> date:
        """The last of so many days, of which the first is the one after `start`."""
        return _public(self.country).get_nth_working_day(start, days) if business else start + days * A_DAY

    def left(self, today: date, *, until: date, business: bool) -> int:
        """How many days come after `today` up to and with `until`; below zero when that is past."""
        if until < today:
            return -self.left(until, until=today, business=business)
        if not business:
            return (until - today).days
        return _public(self.country).get_working_days_count(today + A_DAY, until) if until > today else 0


@cache
def _public(country: str) -> HolidayBase:
    """Public holidays; years are added as they are asked for."""
    return country_holidays(country)
