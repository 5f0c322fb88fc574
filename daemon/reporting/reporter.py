"""Makes reports out of the store, each bound to the one of the day before, and never makes one twice."""

from __future__ import annotations

import json
from datetime import date, timedelta

from daemon.errors import ConfigError, Fatal, StoreError
from daemon.history.closing import JSON, canonical, sha256
from daemon.history.days import ONE_DAY, Days
from daemon.reporting.evidence import gather
from daemon.reporting.sections import report_of
from daemon.store import Archive, ReportRow

ASKED = "--date"


class Reporter:
    """`entity` and `currency` stand in the header; `grain` is the finest of the snapshots."""

    def __init__(self, archive: Archive, *, days: Days, grain: timedelta, entity: str, currency: str) -> None:
        self._archive = archive
        self._days = days
        self._grain = grain
        self._entity = entity
        self._currency = currency

    async def report(self, day: date) -> ReportRow:
        """The report of a closed day: the stored one, or else made now, after those of the days before it.

        ConfigError for a day that has none: it is before the history or is not closed. Fatal when a stored report is
        not the one whose hash was stored, or not the one that the next was bound to. StoreError.
        """
        closed = await self._archive.closing_days()
        if not closed:
            raise ConfigError(ASKED, "the store has no closed day yet; the first is closed at the next cut-off")
        if day < closed[0]:
            raise ConfigError(ASKED, f"the store knows nothing of {day}; the first day that it knows is {closed[0]}")
        if day > closed[-1]:
            raise ConfigError(ASKED, f"{day} is not closed; the last day that is closed is {closed[-1]}")
        known, missing = await self._last_known(day, first=closed[0])
        for one in missing:
            known = await self._make(one, previous=known)
        assert known is not None
        return known

    async def _last_known(self, day: date, *, first: date) -> tuple[ReportRow | None, list[date]]:
        """The newest stored report up to the day, and the days after it that have none."""
        missing: list[date] = []
        row = await self._archive.report(day)
        while row is None and day > first:
            missing.append(day)
            day -= ONE_DAY
            row = await self._archive.report(day)
        if row is None:
            missing.append(day)
        else:
            await self._verify(row)
        return row, missing[::-1]

    async def _verify(self, row: ReportRow) -> None:
        """That neither this report nor the one before it was changed since it was made."""
        if sha256(row.body) != row.sha256:
            raise Fatal(f"the stored report of {row.day} was changed: its hash is not {row.sha256}")
        said = json.loads(row.body)["header"]["previous_sha256"]
        before = await self._archive.report(row.day - ONE_DAY)
        found = None if before is None else sha256(before.body)
        if not said == row.previous == found:
            raise Fatal(
                f"the chain of reports is broken: that of {row.day} follows {said}, "
                f"but the stored one of the day before is {found}"
            )

    async def _make(self, day: date, *, previous: ReportRow | None) -> ReportRow:
        try:
            evidence = await gather(self._archive, day, days=self._days, grain=self._grain)
        except ValueError as error:
            raise StoreError(f"the history of {day} can't be made out: {error}") from error
        before = None if previous is None else previous.sha256
        whole = report_of(evidence, entity=self._entity, currency=self._currency, previous=before)
        body = canonical(whole)
        row = ReportRow(day, sha256(body), before, body)
        await self._archive.keep_report(row)
        return row


def gaps(row: ReportRow) -> list[str]:
    """In words, why the day is not wholly known."""
    body: JSON = json.loads(row.body)
    return list(body["header"]["gaps"])
