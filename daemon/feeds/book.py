"""What every source has said last, and what of it is known at a moment."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import chain

from daemon.detection.approval import Approved
from daemon.feeds import tally
from daemon.feeds.ageing import INSTANT
from daemon.feeds.plan import Plan, SourceKey
from daemon.feeds.record import Record
from daemon.feeds.source import SUM
from daemon.feeds.values import Answer, Fault, Feeds
from daemon.interval import ZERO

Heard = Answer | Approved | Fault
"""What comes of a question to a source: numbers, approvals, or why there are none."""


class FeedBook:
    """Mutable, and pure of effects: workers bring answers, the pipe looks, and both say what time it is."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._records: dict[SourceKey, Record] = {}
        self._began: datetime | None = None
        self._known = Feeds()
        self._holds: tuple[datetime, datetime] | None = None
        """After when and until when `_known` is what is known; None when it has to be looked at anew."""

    @property
    def owed(self) -> frozenset[str]:
        """The assets that a source of liabilities is to speak of."""
        return self.plan.owed

    def carry_over(self, older: FeedBook) -> None:
        """Goes on with what sources that have not changed have said; what was withheld as a jump is believed now."""
        kept = {source.key: source for source in self.plan.sources}
        for key, record in older._records.items():
            if record.plan == kept.get(key):
                record.believe(tuple(record.leaps))
                self._records[key] = record
        self._holds = None

    def take(self, source: SourceKey, said: Heard, *, now: datetime) -> None:
        """What a source has just said; of approvals only that it spoke. KeyError when the plan has no such source."""
        self._begin(now)
        record = self._records[source]
        if isinstance(said, Fault):
            record.fail(said, now=now)
        elif isinstance(said, Approved):
            record.answer(Answer({SUM: ZERO}, said.asked), quoting=self.plan.quoting)
        else:
            record.answer(said, quoting=self.plan.quoting)
            self._confirm(record, now=now)
        self._holds = None

    def look(self, now: datetime) -> Feeds:
        """Everything that is known at `now`; the very objects of the look before where nothing has changed."""
        self._begin(now)
        if self._holds is None or not self._holds[0] < now <= self._holds[1]:
            found = tally.feeds(self.plan, self._ordered(), began=self._began or now, now=now)
            self._known = tally.kept(found, before=self._known)
            self._holds = _between(self._edges(), now=now)
        return tally.fixed_until(self._known, now=now)

    def _begin(self, now: datetime) -> None:
        """From the first word or look on, sources are waited for."""
        if self._began is None:
            self._began = now
            for plan in self.plan.sources:
                self._records.setdefault(plan.key, Record(plan, began=now))

    def _ordered(self) -> list[Record]:
        """In the order of trust."""
        return [self._records[plan.key] for plan in self.plan.sources]

    def _confirm(self, heard: Record, *, now: datetime) -> None:
        """Believes jumps that two sources of a price have seen."""
        rivals = [record for record in self._ordered() if record.plan.feed is heard.plan.feed]
        if any(record.leaps for record in rivals):
            rates = tally.rates(self.plan, self._ordered(), now=now)
            for record in rivals:
                record.believe(tally.seconded(record, rivals, rates=rates, by=self.plan.quoting, now=now))

    def _edges(self) -> Iterable[datetime]:
        insured = (cover.ends - INSTANT for cover in self.plan.insured if cover.ends is not None)
        return chain(insured, chain.from_iterable(record.edges() for record in self._records.values()))


def _between(edges: Iterable[datetime], *, now: datetime) -> tuple[datetime, datetime]:
    """The last edge before `now`, and the first that is not."""
    before, after = datetime.min.replace(tzinfo=now.tzinfo), datetime.max.replace(tzinfo=now.tzinfo)
    for edge in edges:
        if edge < now:
            before = max(before, edge)
        else:
            after = min(after, edge)
    return before, after
