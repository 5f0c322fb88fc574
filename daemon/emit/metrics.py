"""Prometheus: what the latest report says, rendered anew at each scrape, so that nothing removed or unknown lingers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import reduce

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from connectors.base import ProviderStats
from daemon.emit.process import Process
from daemon.exposure import ALL, Ages
from daemon.interval import Interval
from daemon.model import Judgement, Report, Severity, State

Families = Iterator[Metric]

STAGES = ("read", "judge", "emit")
STAGE_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
DETECTION_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60)

MOST_EXEMPLAR = 128
"""Characters of an exemplar's labels, names and values (OpenMetrics 1.0.0, section "Exemplars")."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """What the sinks count: by (sink, result) since start, and what waits by sink."""

    sent: Mapping[tuple[str, str], int]
    pending: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Reload:
    """The running configuration: its digest, when it was loaded, and whether the last attempt to load one succeeded."""

    sha256: str
    at: datetime
    success: bool


@dataclass(frozen=True, slots=True)
class Counts:
    """Where the counters come from: functions, because they are asked at each scrape."""

    providers: Callable[[], Mapping[str, tuple[ProviderStats, ...]]]
    reorgs: Callable[[], Mapping[str, int]]
    drifted: Callable[[], Mapping[str, int]]
    ages: Callable[[], Mapping[str, Ages]]
    delivery: Callable[[], Delivery]
    receivers: Callable[[], Mapping[str, str | None]]
    reload: Callable[[], Reload]
    store_problem: Callable[[], str | None]


class Metrics(Collector):
    """A collector over the latest report.

    When no report has come for `stale_after` (on the `monotonic` clock, in seconds) nobody judges any more: then its
    numbers are withheld and only ages and counters remain.
    """

    def __init__(
        self,
        *,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        stale_after: timedelta,
        counts: Counts,
    ) -> None:
        self._now = now
        self._monotonic = monotonic
        self._offered = monotonic()
        self._stale_after = stale_after
        self._counts = counts
        self._report: Report | None = None
        self.registry = CollectorRegistry()
        self._stages = Histogram(
            "pyrometer_stage_seconds",
            "Time spent in a stage of the pipe",
            ["stage"],
            buckets=STAGE_BUCKETS,
            registry=self.registry,
        )
        for stage in STAGES:
            self._stages.labels(stage)
        self._detection = Histogram(
            "pyrometer_detection_seconds",
            "From the moment a node reported a block to the moment the findings on it were handed to the sinks",
            buckets=DETECTION_BUCKETS,
            registry=self.registry,
        )
        Process(registry=self.registry)
        self.registry.register(self)

    def timed(self, stage: str) -> AbstractContextManager[object]:
        """Measures a stage of the pipe for as long as the context is open."""
        return self._stages.labels(stage).time()

    def read(self, took: timedelta, *, chain: str, block: str) -> None:
        """All accounts were read at a block so long after a node had reported it."""
        self._stages.labels("read").observe(max(0.0, took.total_seconds()), _exemplar(chain, block))

    def detected(self, took: timedelta, *, chain: str, block: str) -> None:
        """What a block has brought was handed to the sinks so long after a node had reported it."""
        self._detection.observe(max(0.0, took.total_seconds()), _exemplar(chain, block))

    def offer(self, report: Report) -> None:
        """A sink of the pipe: remembers the report for the next scrape."""
        self._report = report
        self._offered = self._monotonic()

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask for a report that is not there yet."""
        return []

    def collect(self) -> Families:
        report, silent = self._report, self._monotonic() - self._offered
        yield from self._counters()
        if report is None:
            return
        yield from _ages(report, now=self._now())
        yield _report_age(silent)
        if silent <= self._stale_after.total_seconds():
            yield from _reading(report)
            yield from _sources(report)
            yield from _holdings(report)
            yield from _shares(report)
            yield _coverage(report)
            yield _coverage_limits(report)
            yield from _judgements(report)
        yield _gates(report, judged=silent <= self._stale_after.total_seconds())

    def _counters(self) -> Families:
        yield from _providers(self._counts.providers())
        yield from _followed(reorgs=self._counts.reorgs(), drifted=self._counts.drifted())
        yield from _limits(self._counts.ages())
        yield from _delivery(self._counts.delivery(), receivers=self._counts.receivers())
        yield from _reload(self._counts.reload())
        store_up = GaugeMetricFamily("pyrometer_store_up", "1 while the database does what it is asked, else 0")
        store_up.add_metric([], self._counts.store_problem() is None)
        yield store_up


def _ages(report: Report, *, now: datetime) -> Families:
    tip_age = GaugeMetricFamily(
        "pyrometer_chain_tip_age_seconds", "Age of the block that was read, by its own clock", labels=["chain"]
    )
    reading_age = GaugeMetricFamily(
        "pyrometer_chain_reading_age_seconds", "Time since a node last reported that block as its tip", labels=["chain"]
    )
    for name, chain in report.chains.items():
        if chain.tip is not None and chain.seen is not None:
            tip_age.add_metric([name], (now - chain.tip.time).total_seconds())
            reading_age.add_metric([name], (now - chain.seen).total_seconds())
    feeds = GaugeMetricFamily("pyrometer_feed_age_seconds", "Age of the values of a source", labels=["feed", "source"])
    feed_limits = GaugeMetricFamily(
        "pyrometer_feed_max_age_seconds",
        "Age from which on the values of a source are no longer current; absent where they never age",
        labels=["feed", "source"],
    )
    for source in report.feeds.sources:
        if source.at is not None:
            feeds.add_metric([source.feed.value, source.name], (now - source.at).total_seconds())
        if source.max_age is not None:
            feed_limits.add_metric([source.feed.value, source.name], source.max_age.total_seconds())
    yield from (tip_age, reading_age, feeds, feed_limits)


def _sources(report: Report) -> Families:
    up = GaugeMetricFamily(
        "pyrometer_feed_up", "1 while the values of a source are current, else 0", labels=["feed", "source"]
    )
    for source in report.feeds.sources:
        up.add_metric([source.feed.value, source.name], source.reason is None)
    yield up


def _reading(report: Report) -> Families:
    height = GaugeMetricFamily("pyrometer_chain_height", "Height of the block that was read", labels=["chain"])
    unread = GaugeMetricFamily(
        "pyrometer_unread_accounts",
        "Accounts (times tokens) without a current reading",
        labels=["chain", "reason"],
    )
    for name, chain in report.chains.items():
        if chain.tip is not None and chain.reason is None:
            height.add_metric([name], chain.tip.height)
        for reason, count in chain.unread.items():
            unread.add_metric([name, reason.value], count)
    yield from (height, unread)


def _report_age(seconds: float) -> GaugeMetricFamily:
    age = GaugeMetricFamily(
        "pyrometer_report_age_seconds", "Time since the picture was last judged; numbers are withheld when it is large"
    )
    age.add_metric([], seconds)
    return age


def _holdings(report: Report) -> Families:
    units = GaugeMetricFamily(
        "pyrometer_holdings", "Holdings in whole coins of the asset", labels=["asset", "tier", "owner"]
    )
    value = GaugeMetricFamily(
        "pyrometer_holdings_value", "Value of the holdings", labels=["asset", "tier", "owner", "currency"]
    )
    for (asset, tier, owner), held in report.exposure.holdings.items():
        _add(units, [asset, tier.value, owner.value], held.amount.value)
        _add(value, [asset, tier.value, owner.value, report.currency], held.value.value)
    balance = GaugeMetricFamily(
        "pyrometer_wallet_balance", "What a wallet holds, in whole coins", labels=["wallet", "asset", "tier"]
    )
    unread = GaugeMetricFamily(
        "pyrometer_wallet_unread_accounts",
        "Accounts (times tokens) of a wallet without a current reading",
        labels=["wallet"],
    )
    for name, state in report.wallets.items():
        unread.add_metric([name], state.unread)
        for asset, held in state.holdings.items():
            _add(balance, [name, asset, state.tier.value], held.amount.value)
    exposure = GaugeMetricFamily(
        "pyrometer_exposure_value", "Value of customers' assets in the hot tier", labels=["currency"]
    )
    _add(exposure, [report.currency], report.exposure.value.value)
    yield from (units, value, balance, unread, exposure)


def _shares(report: Report) -> Families:
    share = GaugeMetricFamily(
        "pyrometer_hot_share_ratio", "Share of customers' assets in the hot tier", labels=["scope", "bound"]
    )
    for scope, measured in report.exposure.hot_share.items():
        _add_bounds(share, [scope], measured)
    limit = GaugeMetricFamily(
        "pyrometer_hot_share_limit_ratio", "The limit that a hot share is judged by", labels=["scope", "policy"]
    )
    for verdict in report.verdicts:
        if verdict.alert == "PyrometerHotShareHigh":
            _add(limit, [verdict.subject, verdict.policy], verdict.limit)
    yield from (share, limit)


def _coverage(report: Report) -> GaugeMetricFamily:
    """Of several reserve rules the one that is covered least: the series carry no policy."""
    ratios = GaugeMetricFamily(
        "pyrometer_coverage_ratio",
        "What stands behind, over what must be covered; absent where nothing must be",
        labels=["kind", "asset", "bound"],
    )
    covers = {"guarantee": report.coverage.guarantee, "backing": report.coverage.backing}
    for kind, by_asset in covers.items():
        for asset, cover in by_asset.items():
            if cover.ratio is not None:
                _add_bounds(ratios, [kind, asset], cover.ratio)
    reserves = [one.ratio for one in report.coverage.reserve.values() if one.ratio is not None]
    if reserves:
        _add_bounds(ratios, ["reserve", ALL], reduce(Interval.at_most, reserves))
    return ratios


COVERED = {
    "PyrometerGuaranteeShort": "guarantee",
    "PyrometerBackingShort": "backing",
    "PyrometerReserveShort": "reserve",
}
"""Alert of a rule → the kind of coverage that it judges."""


def _coverage_limits(report: Report) -> GaugeMetricFamily:
    limits = GaugeMetricFamily(
        "pyrometer_coverage_limit_ratio",
        "The limit that a coverage is judged by",
        labels=["kind", "asset", "policy"],
    )
    for verdict in report.verdicts:
        if verdict.alert in COVERED:
            _add(limits, [COVERED[verdict.alert], verdict.subject, verdict.policy], verdict.limit)
    return limits


def _gates(report: Report, *, judged: bool) -> GaugeMetricFamily:
    """Told also when nobody judges any more: then all are closed."""
    gates = GaugeMetricFamily(
        "pyrometer_gate_open", "1 while the signers of a wallet may go on, else 0", labels=["wallet"]
    )
    for name, state in report.gates.items():
        gates.add_metric([name], judged and state.open)
    return gates


def _judgements(report: Report) -> Families:
    verdicts = GaugeMetricFamily(
        "pyrometer_verdict",
        "1 for the verdict that holds, else 0",
        labels=["policy", "subject", "severity", "verdict"],
    )
    for verdict in report.verdicts:
        for judgement in Judgement:
            labels = [verdict.policy, verdict.subject, verdict.severity.value, judgement.value]
            verdicts.add_metric(labels, verdict.judgement is judgement)
    findings = GaugeMetricFamily("pyrometer_findings", "Open findings", labels=["state", "severity"])
    for state in (State.PENDING, State.FIRING):
        for severity in Severity:
            count = sum(item.state is state and item.verdict.severity is severity for item in report.findings)
            findings.add_metric([state.value, severity.value], count)
    yield from (verdicts, findings)


def _providers(stats: Mapping[str, tuple[ProviderStats, ...]]) -> Families:
    labels = ["chain", "provider"]
    requests = CounterMetricFamily("pyrometer_provider_requests", "Requests to a node", labels=labels)
    errors = CounterMetricFamily("pyrometer_provider_errors", "Requests that failed", labels=[*labels, "reason"])
    disagreements = CounterMetricFamily(
        "pyrometer_provider_disagreements", "Readings in which a node contradicted others", labels=labels
    )
    for chain, providers in stats.items():
        for provider in providers:
            requests.add_metric([chain, provider.provider], provider.requests)
            disagreements.add_metric([chain, provider.provider], provider.disagreements)
            for reason, count in provider.errors.items():
                errors.add_metric([chain, provider.provider, reason.value], count)
    yield from (requests, errors, disagreements)


def _followed(*, reorgs: Mapping[str, int], drifted: Mapping[str, int]) -> Families:
    followed = CounterMetricFamily("pyrometer_reorgs", "Reorganisations that were followed", labels=["chain"])
    drift = CounterMetricFamily(
        "pyrometer_drift_accounts",
        "Accounts (times tokens) that sweeps found to hold something else than was followed",
        labels=["chain"],
    )
    for family, counts in ((followed, reorgs), (drift, drifted)):
        for chain, count in counts.items():
            family.add_metric([chain], count)
    yield from (followed, drift)


def _limits(ages: Mapping[str, Ages]) -> Families:
    """Of every chain that is configured, also of one that was never read: so it is seen that its age is missing."""
    reading = GaugeMetricFamily(
        "pyrometer_chain_max_age_seconds", "Age from which on a reading is no longer current", labels=["chain"]
    )
    tip = GaugeMetricFamily(
        "pyrometer_chain_max_tip_age_seconds",
        "Age of the newest block from which on a chain's nodes stand still",
        labels=["chain"],
    )
    for name, limit in ages.items():
        reading.add_metric([name], limit.reading.total_seconds())
        tip.add_metric([name], limit.tip.total_seconds())
    yield from (reading, tip)


def _delivery(delivery: Delivery, *, receivers: Mapping[str, str | None]) -> Families:
    sent = CounterMetricFamily("pyrometer_notifications", "Notifications by sink and result", labels=["sink", "result"])
    for (sink, result), count in delivery.sent.items():
        sent.add_metric([sink, result], count)
    pending = GaugeMetricFamily("pyrometer_notifications_pending", "Notifications not delivered yet", labels=["sink"])
    for sink, count in delivery.pending.items():
        pending.add_metric([sink], count)
    up = GaugeMetricFamily("pyrometer_sink_up", "1 while a sink takes what it is sent, else 0", labels=["sink"])
    for sink, problem in receivers.items():
        up.add_metric([sink], problem is None)
    yield from (sent, pending, up)


def _reload(reload: Reload) -> Families:
    success = GaugeMetricFamily("pyrometer_config_reload_success", "1 when the last reload succeeded, else 0")
    success.add_metric([], reload.success)
    at = GaugeMetricFamily("pyrometer_config_reload_timestamp_seconds", "When the running configuration was loaded")
    at.add_metric([], reload.at.timestamp())
    info = GaugeMetricFamily("pyrometer_config_info", "1, with the digest of the configuration", labels=["sha256"])
    info.add_metric([reload.sha256], 1)
    yield from (success, at, info)


def _exemplar(chain: str, block: str) -> dict[str, str] | None:
    """Which block it was, for whoever follows a slow one; None where that is more than an exemplar may hold."""
    labels = {"chain": chain, "block": block}
    return labels if sum(map(len, (*labels, *labels.values()))) <= MOST_EXEMPLAR else None


def _add_bounds(family: GaugeMetricFamily, labels: list[str], measured: Interval) -> None:
    for bound in ("value", "low", "high"):
        _add(family, [*labels, bound], getattr(measured, bound))


def _add(family: GaugeMetricFamily, labels: list[str], value: Decimal | None) -> None:
    """An unknown number has no series: 0 and the value before would both be lies."""
    if value is not None:
        family.add_metric(labels, float(value))
