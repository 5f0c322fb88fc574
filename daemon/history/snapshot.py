"""What of a report goes into the history: totals, shares, coverage, limits and verdicts. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from daemon.coverage import Cover
from daemon.exposure import ALL
from daemon.history.figure import Figure, Judged, Key, Snapshot
from daemon.interval import EXACT, Interval
from daemon.model import Judgement, Report

PLACES = Decimal(1).scaleb(-18)
"""Ratios are kept to 18 places, half-even, as they are shown; amounts and money are exact."""

METRICS = (
    "hot_share",
    "exposure",
    "holdings",
    "price",
    "liabilities",
    "guarantee",
    "backing",
    "fund",
    "insurance",
    "limit",
    "verdicts",
)


def snapshot_of(report: Report, *, at: datetime, grain: timedelta) -> Snapshot:
    """The picture that the report gives, taken for the `grain` that begins `at`."""
    seconds = round(grain.total_seconds())
    figures = {key: _figure(interval, seconds=seconds) for key, interval in _intervals(report)}
    judged = {(item.policy, item.subject): _judged(item.judgement, seconds=seconds) for item in report.verdicts}
    return Snapshot(at, grain, figures, judged)


def rounded(ratio: Interval) -> Interval:
    """A ratio as it is kept."""
    low = ratio.low.quantize(PLACES, context=EXACT)
    value, high = (None if one is None else one.quantize(PLACES, context=EXACT) for one in (ratio.value, ratio.high))
    return Interval(low, value, high)


def _intervals(report: Report) -> Iterator[tuple[Key, Interval]]:
    exposure, feeds = report.exposure, report.feeds
    yield ("exposure", ALL), exposure.value
    for scope, share in exposure.hot_share.items():
        yield ("hot_share", scope), rounded(share)
    for (asset, tier, owner), held in exposure.holdings.items():
        yield ("holdings", f"{asset}/{tier.value}/{owner.value}"), held.amount
    for metric, stated in (("price", feeds.prices), ("liabilities", feeds.liabilities)):
        for asset, one in stated.items():
            yield (metric, asset), one.value
    yield from _ratios(report)
    if feeds.fund is not None:
        yield ("fund", ALL), feeds.fund.value
    yield ("insurance", ALL), feeds.insurance
    for item in report.verdicts:
        if item.limit is not None:
            yield ("limit", f"{item.policy} {item.subject}"), Interval.exactly(item.limit)
    counts = Counter(item.judgement for item in report.verdicts)
    for kind in Judgement:
        yield ("verdicts", kind.value), Interval.exactly(Decimal(counts[kind]))


def _ratios(report: Report) -> Iterator[tuple[Key, Interval]]:
    covers: dict[str, Mapping[str, Cover]] = {
        "guarantee": report.coverage.guarantee,
        "backing": report.coverage.backing,
    }
    for metric, by_asset in covers.items():
        for asset, cover in by_asset.items():
            ratio = cover.ratio
            if ratio is not None:
                yield (metric, asset), rounded(ratio)


def _figure(interval: Interval, *, seconds: int) -> Figure:
    known = interval.value is not None
    return Figure(
        interval.low, interval.value, interval.high, known=seconds if known else 0, unknown=0 if known else seconds
    )


def _judged(judgement: Judgement, *, seconds: int) -> Judged:
    return Judged(**{judgement.value: seconds})
