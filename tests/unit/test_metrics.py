"""The metrics: what is not known has no series, and nothing is ever frozen."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from prometheus_client import generate_latest
from prometheus_client.exposition import choose_encoder
from prometheus_client.parser import text_string_to_metric_families

from connectors.base import ProviderStats, Update
from connectors.errors import Reason
from daemon.emit.metrics import STAGES, Counts, Delivery, Metrics, Reload
from daemon.exposure import Ages
from daemon.feeds.values import FeedKind, FeedReason, SourceState
from daemon.ledger import Ledger
from daemon.model import Report, Tier
from tests.build import AGES, ETH, ETHER, NOON, at, complete, failed, inventory, wallet
from tests.documented import parsed
from tests.unit.test_pipeline import Bench

Series = dict[tuple[str, tuple[tuple[str, str], ...]], float]


class Clock:
    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - NOON).total_seconds()


def metrics(clock: Clock) -> Metrics:
    counts = Counts(
        providers=lambda: {"ethereum": (ProviderStats("node-1", 9, {Reason.TIMEOUT: 2}, 1),)},
        reorgs=lambda: {"ethereum": 3},
        drifted=lambda: {"ethereum": 5},
        ages=lambda: {"ethereum": AGES, "bitcoin": Ages(timedelta(hours=1), timedelta(hours=2), "scan")},
        delivery=lambda: Delivery({("am-1", "ok"): 4}, {"am-1": 1}),
        receivers=lambda: {"am-1": None, "mqtt": "mqtt: not connected yet"},
        reload=lambda: Reload("abc", NOON, success=True),
        store_problem=lambda: None,
    )
    return Metrics(now=clock, monotonic=clock.monotonic, stale_after=timedelta(seconds=10), counts=counts)


def scrape(subject: Metrics) -> Series:
    text = generate_latest(subject.registry).decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def value(series: Series, name: str, **labels: str) -> float | None:
    return series.get((f"pyrometer_{name}", tuple(sorted(labels.items()))))


async def report(*updates: Update, seconds: float = 1) -> Report:
    bench = Bench()
    for update in updates:
        bench.pipeline.ledger.apply(update)
    return await bench.pipeline.cycle(at(seconds))


async def scraped(*updates: Update, seconds: float = 1, later: float = 0) -> Series:
    clock = Clock()
    clock.time = at(seconds)
    subject = metrics(clock)
    subject.offer(await report(*updates, seconds=seconds))
    clock.time = at(seconds + later)
    return scrape(subject)


READ = complete(1, {(1, ETH): 6 * ETHER, (2, ETH): 94 * ETHER})


async def test_a_read_picture_is_shown_in_full() -> None:
    series = await scraped(READ)
    assert value(series, "holdings", asset="ETH", tier="hot", owner="customer") == 6
    assert value(series, "holdings_value", asset="ETH", tier="hot", owner="customer", currency="JPY") == 3_000_000
    assert value(series, "wallet_balance", wallet="cold", asset="ETH", tier="cold") == 94
    assert value(series, "exposure_value", currency="JPY") == 3_000_000
    for bound in ("value", "low", "high"):
        assert value(series, "hot_share_ratio", scope="all", bound=bound) == 0.06
    assert value(series, "hot_share_limit_ratio", scope="all", policy="jp-psa/hot-share") == 0.05
    labels = {"policy": "jp-psa/hot-share", "subject": "all", "severity": "critical"}
    assert [value(series, "verdict", verdict=v, **labels) for v in ("ok", "breach", "unknown")] == [0, 1, 0]
    assert value(series, "findings", state="firing", severity="critical") == 1
    assert value(series, "chain_height", chain="ethereum") == 1
    assert value(series, "feed_age_seconds", feed="prices", source="fixed") == 0


async def test_a_source_is_up_while_its_values_are_current_and_its_age_grows_on() -> None:
    state = SourceState(FeedKind.LIABILITIES, "sql", at(0), FeedReason.STALE, "no values", at(60), timedelta(minutes=1))
    whole = await report(READ)
    clock = Clock()
    clock.time = at(90)
    subject = metrics(clock)
    subject.offer(replace(whole, feeds=replace(whole.feeds, sources=(*whole.feeds.sources, state))))
    series = scrape(subject)
    assert value(series, "feed_up", feed="prices", source="fixed") == 1
    assert value(series, "feed_up", feed="liabilities", source="sql") == 0
    assert value(series, "feed_age_seconds", feed="liabilities", source="sql") == 90
    assert value(series, "feed_max_age_seconds", feed="liabilities", source="sql") == 60
    assert value(series, "feed_max_age_seconds", feed="prices", source="fixed") is None


async def test_a_coverage_is_told_with_the_limit_that_it_is_judged_by() -> None:
    whole = await report(READ)
    guarantee, backing, reserve = (
        replace(whole.verdicts[0], policy=f"own/{kind}", subject=subject, alert=alert, limit=Decimal(limit))
        for kind, subject, alert, limit in (
            ("guarantee", "ETH", "PyrometerGuaranteeShort", "1.05"),
            ("backing", "ETH", "PyrometerBackingShort", "1"),
            ("reserve", "all", "PyrometerReserveShort", "1.5"),
        )
    )
    clock = Clock()
    subject = metrics(clock)
    subject.offer(replace(whole, verdicts=(guarantee, backing, reserve)))
    series = scrape(subject)
    assert value(series, "coverage_limit_ratio", kind="guarantee", asset="ETH", policy="own/guarantee") == 1.05
    assert value(series, "coverage_limit_ratio", kind="backing", asset="ETH", policy="own/backing") == 1
    assert value(series, "coverage_limit_ratio", kind="reserve", asset="all", policy="own/reserve") == 1.5


async def test_an_unread_account_takes_its_series_away_and_leaves_bounds_and_a_count() -> None:
    unread = complete(2, {(2, ETH): 94 * ETHER}, unread=[(1, ETH)])
    series = await scraped(READ, unread)
    assert value(series, "holdings", asset="ETH", tier="hot", owner="customer") is None
    assert value(series, "wallet_balance", wallet="hot", asset="ETH", tier="hot") is None
    assert value(series, "exposure_value", currency="JPY") is None
    assert value(series, "hot_share_ratio", scope="all", bound="value") is None
    assert value(series, "hot_share_ratio", scope="all", bound="low") == 0
    assert value(series, "hot_share_ratio", scope="all", bound="high") == float(Decimal(12) / Decimal(106))
    assert value(series, "unread_accounts", chain="ethereum", reason="node_error") == 1
    assert [value(series, "wallet_unread_accounts", wallet=name) for name in ("hot", "cold")] == [1, 0]
    assert value(series, "wallet_balance", wallet="cold", asset="ETH", tier="cold") == 94


async def test_a_wallet_that_was_never_read_is_told_though_it_has_no_balance() -> None:
    series = await scraped(failed(1))
    assert not [name for name, _ in series if name == "pyrometer_wallet_balance"]
    assert [value(series, "wallet_unread_accounts", wallet=name) for name in ("hot", "cold")] == [1, 1]


async def test_a_dead_chain_leaves_ages_that_grow_and_no_number() -> None:
    series = await scraped(READ, failed(2), seconds=100, later=5)
    assert value(series, "chain_reading_age_seconds", chain="ethereum") == 104
    assert value(series, "chain_tip_age_seconds", chain="ethereum") == 104
    assert value(series, "unread_accounts", chain="ethereum", reason="unavailable") == 2
    assert [value(series, "wallet_unread_accounts", wallet=name) for name in ("hot", "cold")] == [1, 1]
    gone = ("holdings", "holdings_value", "wallet_balance", "exposure_value", "chain_height")
    assert not [name for name, _ in series if name.removeprefix("pyrometer_") in gone]


async def test_a_picture_that_nobody_renews_is_withheld() -> None:
    unread = complete(2, {(2, ETH): 94 * ETHER}, unread=[(1, ETH)])
    series = await scraped(READ, unread, later=10)
    names = {name for name, _ in await scraped(READ, unread, later=11)}
    withheld = {"hot_share_ratio", "verdict", "findings", "holdings", "chain_height", "unread_accounts"}
    withheld.add("wallet_unread_accounts")
    assert withheld <= {name.removeprefix("pyrometer_") for name, _ in series}
    assert not withheld & {name.removeprefix("pyrometer_") for name in names}


async def test_the_ages_of_a_picture_that_nobody_renews_grow() -> None:
    series = await scraped(READ, later=11)
    assert value(series, "report_age_seconds") == 11
    assert value(series, "chain_reading_age_seconds", chain="ethereum") == 11


def test_before_the_first_report_there_are_only_counters() -> None:
    series = scrape(metrics(Clock()))
    assert value(series, "provider_requests_total", chain="ethereum", provider="node-1") == 9
    assert value(series, "provider_errors_total", chain="ethereum", provider="node-1", reason="timeout") == 2
    assert value(series, "provider_disagreements_total", chain="ethereum", provider="node-1") == 1
    assert value(series, "reorgs_total", chain="ethereum") == 3
    assert value(series, "drift_accounts_total", chain="ethereum") == 5
    assert value(series, "notifications_total", sink="am-1", result="ok") == 4
    assert value(series, "notifications_pending", sink="am-1") == 1
    assert value(series, "config_info", sha256="abc") == 1
    assert value(series, "store_up") == 1
    assert [value(series, "sink_up", sink=sink) for sink in ("am-1", "mqtt")] == [1, 0]
    assert [value(series, "stage_seconds_count", stage=stage) for stage in STAGES] == [0, 0, 0]
    assert "pyrometer_holdings" not in {name for name, _ in series}


def test_a_chain_that_was_never_read_has_limits_and_no_age() -> None:
    series = scrape(metrics(Clock()))
    assert value(series, "chain_max_age_seconds", chain="bitcoin") == 3600
    assert value(series, "chain_max_tip_age_seconds", chain="bitcoin") == 7200
    assert not [
        name for name, _ in series if name in ("pyrometer_chain_tip_age_seconds", "pyrometer_chain_reading_age_seconds")
    ]


def test_stages_and_detection_are_histograms_with_base_units() -> None:
    subject = metrics(Clock())
    with subject.timed("judge"):
        pass
    subject.read(timedelta(milliseconds=200), chain="ethereum", block="0xb1")
    subject.detected(timedelta(milliseconds=300), chain="ethereum", block="0xb1")
    series = scrape(subject)
    assert [value(series, "stage_seconds_count", stage=stage) for stage in STAGES] == [1, 1, 0]
    assert value(series, "stage_seconds_sum", stage="read") == 0.2
    assert value(series, "detection_seconds_sum") == 0.3


def test_a_clock_that_was_set_back_makes_nothing_faster_than_at_once() -> None:
    subject = metrics(Clock())
    subject.read(timedelta(seconds=-5), chain="ethereum", block="0xb1")
    subject.detected(timedelta(seconds=-5), chain="ethereum", block="0xb1")
    series = scrape(subject)
    assert value(series, "stage_seconds_sum", stage="read") == value(series, "detection_seconds_sum") == 0
    assert value(series, "detection_seconds_count") == 1


def exemplars(subject: Metrics) -> dict[tuple[str, str], dict[str, str]]:
    """By series and bucket, as a scraper that speaks OpenMetrics finds them."""
    encode, _ = choose_encoder("application/openmetrics-text;version=1.0.0")
    return {
        (sample.name, sample.labels["le"]): sample.exemplar.labels
        for family in parsed(encode(subject.registry).decode())
        for sample in family.samples
        if sample.exemplar is not None
    }


def test_the_block_that_was_slow_stands_beside_its_bucket() -> None:
    subject = metrics(Clock())
    subject.detected(timedelta(seconds=0.2), chain="ethereum", block="0x" + "b" * 64)
    subject.detected(timedelta(seconds=4), chain="bitcoin", block="f" * 64)
    subject.read(timedelta(seconds=0.2), chain="ethereum", block="0x" + "b" * 64)
    assert exemplars(subject) == {
        ("pyrometer_detection_seconds_bucket", "0.25"): {"chain": "ethereum", "block": "0x" + "b" * 64},
        ("pyrometer_detection_seconds_bucket", "5.0"): {"chain": "bitcoin", "block": "f" * 64},
        ("pyrometer_stage_seconds_bucket", "0.25"): {"chain": "ethereum", "block": "0x" + "b" * 64},
    }


@pytest.mark.parametrize(
    ("letters", "shown"), [(128 - len("chainblock") - 66, True), (129 - len("chainblock") - 66, False)]
)
def test_a_chain_with_a_name_too_long_for_an_exemplar_is_measured_without(letters: int, shown: bool) -> None:
    subject = metrics(Clock())
    subject.detected(timedelta(seconds=1), chain="x" * letters, block="0x" + "b" * 64)
    assert value(scrape(subject), "detection_seconds_count") == 1
    assert bool(exemplars(subject)) is shown


async def test_no_label_ever_holds_an_address() -> None:
    series = await scraped(READ)
    texts = {text for _, labels in series for _, text in labels}
    assert "hot" in texts
    assert not [text for text in texts if text.startswith("0x")]


async def scraped_with(accounts: int) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """The series of a hot and a cold wallet with so many accounts each, of which every fifth can't be read."""
    hot, cold = range(1, accounts + 1), range(accounts + 1, 2 * accounts + 1)
    inv = inventory(wallet("hot", Tier.HOT, *hot), wallet("cold", Tier.COLD, *cold))
    bench = Bench()
    bench.pipeline.setup = replace(bench.setup, inventory=inv)
    bench.pipeline.ledger = Ledger(inv)
    unread = [(number, ETH) for number in hot if number % 5 == 0]
    bench.pipeline.ledger.apply(complete(1, {(number, ETH): ETHER for number in (*hot, *cold)}))
    bench.pipeline.ledger.apply(complete(2, {(number, ETH): 2 * ETHER for number in cold}, unread=unread))
    subject = metrics(Clock())
    subject.offer(await bench.pipeline.cycle(at(2)))
    return set(scrape(subject))


async def test_ten_thousand_accounts_have_the_series_of_ten() -> None:
    few, many = await scraped_with(10), await scraped_with(10_000)
    assert few == many
    assert len(few) > 100
