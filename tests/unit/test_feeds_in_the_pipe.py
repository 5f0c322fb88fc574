"""Feeds in the pipe: what is unknown because of a source, who is named for it, and what a reload keeps."""

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from daemon.feeds.averages import Averages
from daemon.feeds.book import FeedBook
from daemon.feeds.plan import Plan
from daemon.feeds.values import FeedKind
from daemon.ledger import Ledger
from daemon.model import Judgement, Report, Tier
from daemon.once import Unrecorded
from daemon.pipeline import Pipeline
from daemon.policy.blind import Blind
from daemon.policy.hot_share import HotShare
from daemon.policy.price_deviation import PriceDeviation
from daemon.policy.rule import Rule
from daemon.setup import Setup
from tests.build import AGES, ETH, ETHER, NOON, at, complete, inventory, wallet
from tests.feeding import TIMEOUT, Told, source

PRICES, RATES, LIABILITIES = FeedKind.PRICES, FeedKind.RATES, FeedKind.LIABILITIES
INVENTORY = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))
RULES: tuple[tuple[str, Rule], ...] = (
    ("share", HotShare(kind="hot_share", limit=Decimal("0.05"))),
    ("deviation", PriceDeviation(kind="price_deviation")),
    ("blind", Blind(kind="blind")),
)


def piped(book: FeedBook, *, averages: Averages | None = None) -> Pipeline:
    setup = Setup("E", "JPY", INVENTORY, RULES, book.plan, Decimal(1), {"ethereum": AGES}, NOON)
    ledger = Ledger(INVENTORY)
    ledger.apply(complete(1, {(1, ETH): ETHER, (2, ETH): 99 * ETHER}))
    return Pipeline(setup, ledger, book, (), Unrecorded(), (), (), averages)


async def judged(book: FeedBook, *, seconds: float) -> Report:
    return await piped(book).cycle(at(seconds))


def verdicts(report: Report, policy: str) -> dict[str, Judgement]:
    return {verdict.subject: verdict.judgement for verdict in report.verdicts if verdict.policy == policy}


async def test_a_price_that_gets_old_leaves_the_share_unknown_and_its_source_is_named() -> None:
    told = Told(source(PRICES, "http"), assets="ETH")
    told.hear(0, PRICES, "http", ETH=500_000)
    assert (await judged(told.book, seconds=1)).problems == ()
    told.fail(2, PRICES, "http", TIMEOUT)
    report = await judged(told.book, seconds=61)
    assert report.problems == ("prices/http: timeout: no answer within 5s (unknown: price:ETH)",)
    assert report.exposure.value.value is None
    assert report.exposure.causes["all"] == ("price:ETH",)


async def test_a_source_that_another_one_makes_up_for_is_no_reason_not_to_be_ready() -> None:
    told = Told(source(PRICES, "a"), source(PRICES, "b"), assets="ETH")
    told.hear(0, PRICES, "b", ETH=500_000)
    told.fail(0, PRICES, "a", TIMEOUT)
    assert (await judged(told.book, seconds=1)).problems == ()


async def test_a_missing_rate_is_the_one_cause_of_all_that_it_leaves_unknown() -> None:
    told = Told(source(PRICES, "http", currency="USD"), source(RATES, "bank"), assets="ETH")
    told.hear(1, PRICES, "http", ETH=500)
    told.fail(1, RATES, "bank", TIMEOUT)
    report = await judged(told.book, seconds=1)
    assert report.exposure.causes["all"] == ("rate:USD",)
    assert (
        verdicts(report, "blind")
        == {
            "chain:ethereum": Judgement.OK,
            "price:ETH": Judgement.OK,
            "rate:USD": Judgement.BREACH,
        }
        or verdicts(report, "share")["all"] is Judgement.OK
    )
    assert report.problems == ("rates/bank: timeout: no answer within 5s (unknown: rate:USD)",)


async def test_a_withheld_price_stays_raised_while_its_source_is_silent() -> None:
    told = Told(source(PRICES, "http"), assets="ETH")
    pipeline = piped(told.book)
    told.hear(0, PRICES, "http", ETH=500)
    told.hear(1, PRICES, "http", ETH=5000)
    assert verdicts(await pipeline.cycle(at(1)), "deviation") == {"ETH": Judgement.BREACH}
    told.fail(2, PRICES, "http", TIMEOUT)
    assert verdicts(await pipeline.cycle(at(90)), "deviation") == {"ETH": Judgement.BREACH}


async def test_liabilities_that_nobody_tells_leave_the_backing_unknown() -> None:
    told = Told(source(LIABILITIES, "sql"), assets="ETH")
    report = await judged(told.book, seconds=1)
    assert report.coverage.backing["ETH"].causes == ("liabilities:ETH",)
    told.hear(1, LIABILITIES, "sql", ETH=100)
    ratio = (await judged(told.book, seconds=1)).coverage.backing["ETH"].ratio
    assert ratio is not None
    assert ratio.value == 1


async def test_averages_are_counted_where_they_are_wanted_and_missing_days_told() -> None:
    told = Told(source(PRICES, "http", max_age=timedelta(hours=1)), assets="ETH")
    told.hear(0, PRICES, "http", ETH=500)
    averages = Averages(ZoneInfo("UTC"), currency="JPY")
    pipeline = piped(told.book, averages=averages)
    for minute in range(3):
        report = await pipeline.cycle(at(60 * minute))
    assert [(key[0], day.count) for key, day in averages.changed().items()] == [("ETH", 2)]
    assert report.feeds.untrailed == {"ETH": 365}


async def test_without_sources_nothing_is_told_of_feeds() -> None:
    report = await judged(FeedBook(Plan(assets=frozenset({"ETH"}))), seconds=1)
    assert (report.feeds.sources, report.problems) == ((), ())
