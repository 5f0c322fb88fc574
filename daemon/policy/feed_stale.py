"""`feed_stale`: a source outside the chains has no current values."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from connectors.config import format_duration
from daemon.feeds.values import FeedReason, SourceState
from daemon.model import Severity, Verdict
from daemon.policy.rule import Picture, Rule, few, judgement

ALERT = "PyrometerFeedStale"


class FeedStale(Rule):
    """Breach, per source, while it has no current values: no answer for too long, or one that can't be right.

    A source whose first answer is still awaited is unknown: every start would be a breach otherwise.
    """

    kind: Literal["feed_stale"]
    concerns_wallets: ClassVar[bool] = False
    severity: Severity = Field(
        Severity.WARNING, description="critical pages, warning waits for the morning, info is kept"
    )


def judge(rule: FeedStale, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per source that can be late: what stands in the configuration can't."""
    for source in picture.feeds.sources:
        if source.max_age is None:
            continue
        late = source.reason not in (None, FeedReason.STARTING)
        yield Verdict(
            policy=policy,
            subject=source.label,
            alert=ALERT,
            severity=rule.severity,
            judgement=judgement(breach=late, ok=source.reason is None),
            summary=_summary(source),
            cleared=source.reason is None,
            evidence=_evidence(source) if source.reason else {},
        )


def _summary(source: SourceState) -> str:
    if source.reason is None:
        return f"{source.label} is current"
    if source.reason is FeedReason.STARTING:
        return f"{source.label} has not answered yet"
    unknown = f"; unknown are {few(source.leaves)}" if source.leaves else ""
    return f"{source.label} has no current values ({source.reason}): {source.detail}{unknown}"


def _evidence(source: SourceState) -> dict[str, Any]:
    return {
        "reason": None if source.reason is None else source.reason.value,
        "detail": source.detail,
        "values_of": None if source.at is None else source.at.isoformat(),
        "since": None if source.since is None else source.since.isoformat(),
        "max_age": format_duration(source.max_age) if source.max_age else None,
        "unknown": list(source.leaves),
    }
