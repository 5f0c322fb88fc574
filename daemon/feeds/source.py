"""The port to a source outside the chains, and what all of them are configured by."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Protocol

from pydantic import Field

from connectors.config import AN_INSTANT, Duration, Strict
from connectors.errors import ConnectorError, Reason
from daemon.errors import DaemonError
from daemon.feeds.values import FeedReason


class FeedError(DaemonError):
    """A source gave no answer, or one that can't be used: `reason` and, in one line without secrets, `detail`."""

    def __init__(self, reason: FeedReason, detail: str) -> None:
        super().__init__(f"{reason.value}: {detail}")
        self.reason = reason
        self.detail = detail


def bad(detail: str) -> FeedError:
    """An answer that can't be used, and why."""
    return FeedError(FeedReason.BAD_ANSWER, detail)


REASONS = {
    Reason.TIMEOUT: FeedReason.TIMEOUT,
    Reason.BAD_ANSWER: FeedReason.BAD_ANSWER,
    Reason.MISCONFIGURED: FeedReason.MISCONFIGURED,
}


@contextmanager
def ours() -> Iterator[None]:
    """What a connector raises becomes a FeedError; whatever is no word against an answer means that none came."""
    try:
        yield
    except ConnectorError as error:
        raise FeedError(REASONS.get(error.reason, FeedReason.UNAVAILABLE), str(error)) from error


class Measure(StrEnum):
    """What a number counts: whole coins or money, or smallest units of the asset's finest token."""

    AMOUNT = "amount"
    UNITS = "units"


@dataclass(frozen=True, slots=True)
class Unstated:
    """Stands in the place of a number that the source did not give: why, in one line without secrets."""

    why: str


SUM = "all"
"""The one name in an answer about a sum of money: a fund, a volume."""


@dataclass(frozen=True, slots=True)
class Row:
    """One number as the source wrote it, not checked yet: an int, a Decimal, a text, or whatever else it may be.

    `at` where the source tells of each number as of when it is. Money that stands alone has the name SUM.
    """

    name: object
    number: object
    measure: Measure = Measure.AMOUNT
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """One whole answer, not checked yet. `at` is the source's own word for as of when it is, None without one."""

    rows: Sequence[Row]
    at: datetime | None = None
    merkle_root: str | None = None


class Reader(Protocol):
    """An open source. One that is `pushed` gives an answer when there is a new one, every other when it is asked."""

    pushed: bool

    async def read(self) -> Raw:
        """The newest answer. FeedError when there is none or it can't be made out."""
        ...


SourceName = Annotated[
    str,
    Field(
        pattern=r"^[A-Za-z0-9._:\[\]-]{0,100}$",
        description="how metrics, logs and alerts call it; default: its kind, with a number where there are several",
    ),
]


class SourceConfig(Strict):
    """What every source outside the chains is configured by."""

    name: SourceName = ""
    every: Duration = Field(timedelta(seconds=10), gt=AN_INSTANT, description="how often it is asked")
    timeout: Duration = Field(timedelta(seconds=5), gt=AN_INSTANT, description="deadline of one answer")
    max_age: Duration = Field(
        timedelta(minutes=2), gt=AN_INSTANT, description="values older than this are no longer current"
    )
    tolerance: Decimal | None = Field(
        None,
        ge=0,
        le=1,
        description="from max_age to twice that, values count as known to this share; default: as unknown at once",
    )
