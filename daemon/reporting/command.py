"""`pyrometer report`: one day of the store, printed."""

from __future__ import annotations

from datetime import date

from daemon.errors import Fatal, StoreError
from daemon.reload import Loaded
from daemon.reporting.reporter import Reporter
from daemon.store import ReportRow
from daemon.store.repository import open_store

READ_SECONDS = 60.0
"""Deadline of one operation: nobody's judging waits for a report."""


async def made(loaded: Loaded, *, day: date) -> ReportRow:
    """The report of the day. ConfigError for a day without one; Fatal when the store can't tell, or was changed."""
    settings = loaded.settings
    async with open_store(settings.store_url, deadline=READ_SECONDS) as store:
        reporter = Reporter(
            store.archive,
            days=settings.report.days,
            grain=settings.history.ladder[0][0],
            entity=settings.entity,
            currency=settings.currency,
        )
        try:
            return await reporter.report(day)
        except StoreError as error:
            raise Fatal(str(error)) from error
