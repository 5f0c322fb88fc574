"""The `history:` and `report:` sections of the configuration."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import time, timedelta
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from connectors.config import Duration, Strict
from daemon.history.days import HOUR, Days

TEN_MINUTES = timedelta(minutes=10)
TWO_DAYS = timedelta(days=2)


class HistoryConfig(Strict):
    """How finely the past is kept, and for how long."""

    grain: Duration = Field(
        timedelta(minutes=1), ge=timedelta(seconds=1), le=TEN_MINUTES, description="time between snapshots; divides 10m"
    )
    keep: Duration = Field(timedelta(days=8), ge=TWO_DAYS, description="how long every snapshot is kept")
    keep_10m: Duration = Field(timedelta(days=62), ge=TWO_DAYS, description="how long one for every 10 minutes is kept")
    keep_1h: Duration = Field(timedelta(days=800), ge=TWO_DAYS, description="how long one for every hour is kept")

    @field_validator("grain")
    @classmethod
    def _divides(cls, value: timedelta) -> timedelta:
        if TEN_MINUTES % value or value % timedelta(seconds=1):
            raise ValueError("expected whole seconds that divide 10 minutes, such as 10s, 1m or 5m")
        return value

    @model_validator(mode="after")
    def _coarser_for_longer(self) -> HistoryConfig:
        if not self.keep <= self.keep_10m <= self.keep_1h:
            raise ValueError("expected keep ≤ keep_10m ≤ keep_1h: what is coarser is kept for longer")
        return self

    @property
    def ladder(self) -> tuple[tuple[timedelta, timedelta], ...]:
        """(grain, how long it is kept), the finest first."""
        return tuple(self._ladder())

    def _ladder(self) -> Iterator[tuple[timedelta, timedelta]]:
        if self.grain < TEN_MINUTES:
            yield self.grain, self.keep
        yield TEN_MINUTES, self.keep_10m
        yield HOUR, self.keep_1h


class ReportConfig(Strict):
    """When a day ends."""

    timezone: str = Field("UTC", description="time zone of the days of the daily report, such as Asia/Tokyo")
    cut_off: str = Field("00:00", description="the time at which a day begins and the one before it is closed")

    @field_validator("timezone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (KeyError, OSError, ValueError):  # no such file, a folder, or a name that leads out of the database
            raise ValueError("expected a time zone of the IANA database, such as Asia/Tokyo") from None
        return value

    @field_validator("cut_off", mode="before")
    @classmethod
    def _is_time(cls, value: object) -> object:
        if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]0", value):
            raise ValueError("expected a time in whole 10 minutes, such as 00:00 or 15:30")
        return value

    @property
    def days(self) -> Days:
        return Days(self.timezone, time.fromisoformat(self.cut_off))
