"""The rules `feed_stale` and `price_deviation`, and what `blind` says of sources."""

from decimal import Decimal

import pytest

from daemon.exposure import Valuation, expose
from daemon.feeds.values import FeedKind, FeedReason, Feeds, SourceState, Spread
from daemon.model import Judgement, Severity, Tier, Verdict
from daemon.policy import blind, judge
from daemon.policy.blind import Blind
from daemon.policy.feed_stale import FeedStale
from daemon.policy.price_deviation import PriceDeviation
from daemon.policy.rule import Picture, Rule
from tests.build import at, inventory, wallet
from tests.feeding import MINUTE

PRICES, LIABILITIES = FeedKind.PRICES, FeedKind.LIABILITIES


def picture(feeds: Feeds, *, earlier: tuple[Verdict, ...] = ()) -> Picture:
    inv = inventory(wallet("hot", Tier.HOT, 1))
    exposure = expose({}, valuation=Valuation(inv, {}, {}, Decimal(1)))
    return Picture("JPY", {}, {}, exposure, feeds=feeds, earlier=earlier, at=at(0))


def state(
    reason: FeedReason | None,
    *,
    feed: FeedKind = LIABILITIES,
    leaves: tuple[str, ...] = (),
    causes: tuple[str, ...] = (),
    detail: str = "",
) -> SourceState:
    return SourceState(feed, "sql", at(-90), reason, detail, at(-30), MINUTE, leaves=leaves, causes=causes)


def judged(rule: Rule, feeds: Feeds) -> list[Verdict]:
    return list(judge([("p", rule)], picture(feeds)))


STALE = FeedStale(kind="feed_stale")
DEVIATION = PriceDeviation(kind="price_deviation")


@pytest.mark.parametrize(
    ("reason", "expected", "cleared"),
    [
        (None, Judgement.OK, True),
        (FeedReason.STARTING, Judgement.UNKNOWN, False),
        (FeedReason.STALE, Judgement.BREACH, False),
        (FeedReason.BAD_ANSWER, Judgement.BREACH, False),
        (FeedReason.MISCONFIGURED, Judgement.BREACH, False),
    ],
)
def test_a_source_is_stale_while_it_has_no_current_values(
    reason: FeedReason | None, expected: Judgement, cleared: bool
) -> None:
    (verdict,) = judged(STALE, Feeds(sources=(state(reason),)))
    assert (verdict.judgement, verdict.cleared, verdict.subject) == (expected, cleared, "liabilities/sql")
    assert verdict.severity is Severity.WARNING


def test_a_stale_source_says_why_and_what_nobody_knows_because_of_it() -> None:
    unknown = tuple(f"liabilities:{asset}" for asset in "ABCDE")
    (verdict,) = judged(STALE, Feeds(sources=(state(FeedReason.BAD_ANSWER, leaves=unknown, detail="B stands twice"),)))
    assert verdict.summary == (
        "liabilities/sql has no current values (bad_answer): B stands twice; "
        "unknown are liabilities:A, liabilities:B, liabilities:C and 2 more"
    )
    assert verdict.evidence == {
        "reason": "bad_answer",
        "detail": "B stands twice",
        "values_of": at(-90).isoformat(),
        "since": at(-30).isoformat(),
        "max_age": "1m",
        "unknown": list(unknown),
    }


def test_what_stands_in_the_configuration_is_never_stale() -> None:
    fixed = SourceState(PRICES, "fixed", at(0), None, "", None, None)
    assert judged(STALE, Feeds(sources=(fixed,))) == []


def quotes(**values: str) -> dict[str, Decimal]:
    return {source: Decimal(value) for source, value in values.items()}


@pytest.mark.parametrize(
    ("spread", "expected"),
    [
        (Spread(quotes(a="100", b="105")), Judgement.OK),
        (Spread(quotes(a="100", b="105.0000000000000000001")), Judgement.BREACH),
        (Spread(quotes(a="100")), Judgement.OK),
        (Spread({}), Judgement.OK),
        (Spread(quotes(a="100"), silent=("b",)), Judgement.UNKNOWN),
        (Spread(quotes(a="100", b="106"), silent=("c",)), Judgement.BREACH),
        (Spread(quotes(a="100"), {"b": "0 is no price"}), Judgement.BREACH),
    ],
)
def test_quotes_deviate_past_the_limit_or_when_one_is_withheld(spread: Spread, expected: Judgement) -> None:
    (verdict,) = judged(DEVIATION, Feeds(spreads={"BTC": spread}))
    assert verdict.judgement is expected
    assert verdict.cleared == (expected is Judgement.OK)
    assert verdict.limit == Decimal("0.05")


def test_a_deviation_says_who_says_what() -> None:
    (verdict,) = judged(DEVIATION, Feeds(spreads={"BTC": Spread(quotes(a="100", b="110"))}))
    assert verdict.summary == "Quotes of BTC are 10 % apart: a says 100, b says 110"
    assert verdict.evidence["quotes"] == {"a": "100", "b": "110"}


def test_a_withheld_quote_says_why() -> None:
    spread = Spread({}, {"b": "0 is no price"})
    (verdict,) = judged(DEVIATION, Feeds(spreads={"rate:USD": spread}))
    assert (verdict.subject, verdict.summary) == (
        "rate:USD",
        "A quote of rate:USD is withheld: b: 0 is no price",
    )


# What `blind` says of sources.


def unknown_because_of(cause: str) -> Verdict:
    return Verdict("share", "all", "X", Severity.CRITICAL, Judgement.UNKNOWN, "", cleared=False, causes=(cause,))


def blinded(cause: str, feeds: Feeds) -> Verdict:
    found = blind.judge(Blind(kind="blind"), picture(feeds, earlier=(unknown_because_of(cause),)), policy="blind")
    (verdict,) = [verdict for verdict in found if verdict.subject == cause]
    return verdict


@pytest.mark.parametrize(
    ("cause", "called"),
    [
        ("price:BTC", "price BTC"),
        ("rate:USD", "rate USD"),
        ("liabilities:BTC", "liabilities BTC"),
        ("custodian:Trust Bank", "custodian Trust Bank"),
        ("reserve:fund", "reserve fund"),
        ("volume", "volume"),
    ],
)
def test_a_verdict_that_a_source_leaves_unknown_is_told_with_that_source(cause: str, called: str) -> None:
    late = state(FeedReason.TIMEOUT, leaves=(cause,), causes=(cause,), detail="no answer in 5s")
    verdict = blinded(cause, Feeds(sources=(late, state(None, causes=(cause,)))))
    assert verdict.judgement is Judgement.BREACH
    assert verdict.summary == f"Unknown because of {called}: share on all (liabilities/sql: no answer in 5s)"
    assert verdict.evidence["sources"] == [
        {"source": "liabilities/sql", "reason": "timeout", "detail": "no answer in 5s", "withheld": {}}
    ]


def test_a_source_whose_first_answer_is_awaited_makes_nobody_blind_yet() -> None:
    awaited = state(FeedReason.STARTING, leaves=("volume",), causes=("volume",))
    assert blinded("volume", Feeds(sources=(awaited,))).judgement is Judgement.UNKNOWN
    late = state(FeedReason.STALE, leaves=("volume",), causes=("volume",))
    assert blinded("volume", Feeds(sources=(awaited, late))).judgement is Judgement.BREACH


def test_a_price_that_nobody_is_asked_for_blinds() -> None:
    assert blinded("price:BTC", Feeds()).judgement is Judgement.BREACH


def test_what_a_source_says_again_is_judged_so_that_the_finding_ends_in_its_time() -> None:
    (verdict,) = judged(Blind(kind="blind"), Feeds(sources=(state(None, causes=("liabilities:BTC",)),)))
    assert (verdict.subject, verdict.judgement, verdict.cleared) == ("liabilities:BTC", Judgement.OK, True)


def test_averages_that_lack_days_say_how_many() -> None:
    verdict = blinded("trailing:BTC", Feeds(untrailed={"BTC": 12}))
    assert (
        verdict.summary == "Unknown because of trailing BTC: share on all (12 days of the year have no average price)"
    )
