"""Coverage: sums that merge in any order, bounds that hold the truth, and no `ok` where the worst case is a breach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.coverage import Cover, Coverage, Reserve, cover
from daemon.exposure import expose
from daemon.feeds.values import Feeds
from daemon.groups import Group, Groups
from daemon.interval import NOTHING, UNKNOWN, Interval
from daemon.ledger import Total
from daemon.model import Exposure, Judgement, Owner, Tier
from tests.build import ETHER, valuation
from tests.covered import PLACES, PRICED, TOKENS, Books, entrusted, eth, exchange, ledger_of, owing, stated

KEYS = [(name, asset) for name in PLACES for asset in TOKENS]
SLACK = Fraction(1, 10**200)


def exactly(value: int | str) -> Interval:
    return Interval.exactly(Decimal(value))


# By example.


def test_guarantee_and_backing_by_asset() -> None:
    units = eth(hot_1=2 * ETHER, cold=8 * ETHER, pledge=3 * ETHER, vault=50 * ETHER)
    feeds = replace(PRICED, liabilities=owing(ETH="12.5"), custody=(entrusted("ETH", "2.5"),))
    coverage = Books(units, feeds=feeds).picture().coverage
    assert coverage.guarantee["ETH"] == Cover(exactly(3), exactly(2))
    assert coverage.guarantee["ETH"].ratio == exactly("1.5")
    assert coverage.guarantee["USDT"].ratio is None
    assert coverage.backing == {"ETH": Cover(exactly("12.5"), exactly("12.5"))}


def test_what_is_set_aside_but_not_cold_backs_nothing() -> None:
    assert Books(eth(drawer=ETHER, hot_1=1)).picture().coverage.guarantee["ETH"].part == NOTHING


def test_an_unread_hot_wallet_that_was_empty_is_no_reason_to_call_it_covered() -> None:
    coverage = Books(eth(pledge=ETHER), unread=(("hot-1", "ETH"), ("hot-2", "ETH"))).picture().coverage
    ratio = coverage.guarantee["ETH"].ratio
    assert ratio == Interval(Decimal(0), None, None)


def test_causes_name_everything_that_is_missing() -> None:
    feeds = replace(PRICED, liabilities=owing(ETH=UNKNOWN), custody=(entrusted("ETH", UNKNOWN),))
    coverage = Books(eth(cold=1), feeds=feeds, unread=(("cold", "ETH"),)).picture().coverage
    assert coverage.backing["ETH"].causes == ("chain:ethereum", "custodian:Trust Bank", "liabilities:ETH")


# Merging.


@given(
    units=st.dictionaries(st.sampled_from(KEYS), st.integers(0, 2**100)),
    shards=st.lists(st.integers(0, 2), min_size=len(PLACES), max_size=len(PLACES)),
    order=st.permutations(range(3)),
    unread=st.sets(st.sampled_from(KEYS), max_size=3),
)
@settings(max_examples=40)
def test_any_sharding_added_up_in_any_order_gives_the_same_exposure_and_coverage(
    units: dict[tuple[str, str], int], shards: list[int], order: Sequence[int], unread: set[tuple[str, str]]
) -> None:
    whole = _groups(tuple(PLACES), units=units, unread=unread)
    merged: dict[Group, Total] = {}
    for shard in order:
        names = tuple(name for name, of in zip(PLACES, shards, strict=True) if of == shard)
        for group, part in _groups(names, units=units, unread=unread).items() if names else ():
            merged[group] = merged.get(group, Total()) + part
    assert _seen(merged) == _seen(whole)


def _groups(
    names: Sequence[str], *, units: Mapping[tuple[str, str], int], unread: set[tuple[str, str]]
) -> dict[Group, Total]:
    inv = exchange(names)
    ledger = ledger_of(inv, units, unread=[key for key in sorted(unread) if key[0] in names])
    return Groups().of(ledger.totals(), tiers={name: PLACES[name][0] for name in names}, inventory=inv)


def _seen(groups: Mapping[Group, Total]) -> tuple[Exposure, Coverage]:
    inv = exchange()
    value = valuation(ledger_of(inv, {}), inv, prices={"ETH": "500000", "USDT": "150"}, seconds=2)
    custody = (entrusted("USDT", Interval(Decimal(1), None, Decimal(2))),)
    exposure = expose(groups, valuation=value, custody=custody)
    return exposure, cover(exposure, liabilities=owing(ETH=5, USDT="7.5"), owed=TOKENS)


# Bounds.


@dataclass(frozen=True)
class Doubt:
    """What is known of a number, and what it turns out to be."""

    known: Interval
    truth: Decimal


numbers = st.decimals("0", "1000", places=6)


@st.composite
def doubts(draw: st.DrawFn, most: str = "1000") -> Doubt:
    low, truth, high = sorted(draw(st.lists(st.decimals("0", most, places=6), min_size=3, max_size=3)))
    kind = draw(st.sampled_from(["exact", "exact", "bounded", "open"]))
    if kind == "exact":
        return Doubt(Interval.exactly(truth), truth)
    return Doubt(Interval(low, None, high if kind == "bounded" else None), truth)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Books, Books]:
    """The exchange as it is seen, and as it turns out to be within what the bounds assume."""
    before = {key: draw(st.integers(0, 4)) * 10 ** (TOKENS[key[1]].decimals + 1) for key in KEYS}
    unread = draw(st.lists(st.sampled_from(KEYS), max_size=3, unique=True))
    after = before | {key: int(before[key] * draw(st.fractions(0, 2, max_denominator=4))) for key in unread}
    names = ["ETH", "USDT", "liabilities ETH", "liabilities USDT", "custody", "fund", "volume", "KRW", "average"]
    said = {name: draw(doubts()) for name in names}
    tier = draw(st.sampled_from(list(Tier)))
    insurance = draw(numbers)
    seen = _feeds({name: one.known for name, one in said.items()}, tier=tier, insurance=insurance)
    true = _feeds({name: Interval.exactly(one.truth) for name, one in said.items()}, tier=tier, insurance=insurance)
    return Books(before, feeds=seen, unread=tuple(unread)), Books(after, feeds=true)


def _feeds(said: Mapping[str, Interval], *, tier: Tier, insurance: Decimal) -> Feeds:
    return Feeds(
        prices={asset: stated(said[asset]) for asset in TOKENS},
        trailing={"ETH": stated(said["average"]), "USDT": stated(said["USDT"])},
        rates={"KRW": stated(said["KRW"])},
        liabilities={asset: stated(said[f"liabilities {asset}"]) for asset in TOKENS},
        custody=(entrusted("ETH", said["custody"], tier=tier),),
        fund=stated(said["fund"]),
        volume=stated(said["volume"]),
        insurance=Interval.exactly(insurance),
    )


SMALL = {"limit": "0.6", "until": "20_000 KRW"}
RULES: Sequence[Mapping[str, object]] = (
    {"kind": "hot_share", "limit": "0.4", "scope": "both"},
    {"kind": "hot_share", "limit": "0.4", "scope": "both", "of": "owed"},
    {"kind": "hot_share", "limit": "0.4", "scope": "both", "tiers": ["hot", "warm"], "valuation": "trailing-year"},
    {"kind": "hot_share", "limit": "0.3", "limit_when_small": SMALL},
    {"kind": "hot_share", "limit": "0.3", "limit_when_small": SMALL, "of": "owed", "scope": "both"},
    {"kind": "guarantee"},
    {"kind": "guarantee", "limit": "0.7", "tiers": ["hot", "warm"], "hysteresis": "0.1"},
    {"kind": "backing", "scope": "both"},
    {"kind": "backing", "limit": "0.8", "scope": "both", "hysteresis": "0.1"},
    {"kind": "reserve", "required": "1_000 KRW", "insurance_share": "0.5"},
    {"kind": "reserve", "hot_rate": "0.05", "cold_rate": "0.01", "insurance_share": "0.3", "limit": "0.2"},
    {"kind": "reserve", "volume_rate": "0.5", "floor": "10 KRW", "cap": "900 JPY", "insurance_share": "1"},
    {"kind": "reserve", "hot_rate": "0.05", "valuation": "trailing-year", "floor": "3_000 JPY"},
)


@given(world=worlds())
@settings(max_examples=150, deadline=None)
@pytest.mark.timeout(120)
def test_what_is_said_of_a_picture_with_gaps_holds_whatever_fills_them(world: tuple[Books, Books]) -> None:
    """So nothing is ok that may be a breach, nothing a breach that may be none, and every ratio is within bounds."""
    seen, true = (books.all_verdicts(RULES) for books in world)
    assert seen.keys() == true.keys()
    for key, verdict in seen.items():
        truth = true[key]
        assert truth.judgement is not Judgement.UNKNOWN
        assert verdict.judgement in (Judgement.UNKNOWN, truth.judgement), key
        assert truth.cleared or not verdict.cleared
        assert verdict.judgement is Judgement.OK or not verdict.cleared
        assert verdict.causes or verdict.judgement is not Judgement.UNKNOWN
        if verdict.measured is not None and truth.measured is not None:
            assert _holds(verdict.measured, truth.measured), key


def _holds(bounds: Interval, truth: Interval) -> bool:
    assert truth.value is not None
    value = Fraction(truth.value)
    high = bounds.high is None or value <= Fraction(bounds.high) + SLACK
    return Fraction(bounds.low) <= value + SLACK and high


@given(world=worlds())
@settings(max_examples=50, deadline=None)
@pytest.mark.timeout(60)
def test_moves_are_said_of_breaches_only_and_never_of_more_than_there_is(world: tuple[Books, Books]) -> None:
    for verdict in world[1].all_verdicts(RULES).values():
        assert not verdict.moves or verdict.judgement is Judgement.BREACH
        world[1].after([move for move in verdict.moves if move.asset in TOKENS])


# Segregation.


@given(world=worlds(), extra=st.integers(1, 10**24), place=st.sampled_from(["till", "vault", "pledge", "drawer"]))
@settings(max_examples=30, deadline=None)
def test_nothing_of_the_companys_ever_counts_as_the_customers(
    world: tuple[Books, Books], extra: int, place: str
) -> None:
    books = world[1]
    richer = replace(books, units={**books.units, (place, "ETH"): books.units[place, "ETH"] + extra})
    before, after = (each.picture() for each in (books, richer))
    assert after.exposure.hot_share == before.exposure.hot_share
    assert after.coverage.backing == before.coverage.backing
    gained = PLACES[place] == (Tier.COLD, Owner.GUARANTEE)
    parts = [each.coverage.guarantee["ETH"].part.low for each in (before, after)]
    assert parts[1] - parts[0] == (Decimal(extra).scaleb(-18) if gained else 0)


@given(world=worlds())
@settings(max_examples=30, deadline=None)
def test_every_coin_counts_once(world: tuple[Books, Books]) -> None:
    """On chain or with a custodian, in one tier, of one owner: the holdings add up to the readings and attestations."""
    books = world[1]
    found = books.picture().exposure.holdings
    for asset, token in TOKENS.items():
        held = sum((one.amount.low for (of, _, _), one in found.items() if of == asset), Decimal(0))
        read = sum(value for (_, of), value in books.units.items() if of == asset)
        attested = sum((one.amount.value.low for one in books.feeds.custody if one.asset == asset), Decimal(0))
        assert held == Decimal(read).scaleb(-token.decimals) + attested


# The reserve.


@given(fund=doubts(), insurance=doubts(), required=doubts(), share=st.sampled_from(["0", "0.25", "1"]))
def test_the_reserves_bounds_hold_whatever_fund_insurance_and_requirement_turn_out_to_be(
    fund: Doubt, insurance: Doubt, required: Doubt, share: str
) -> None:
    seen = Reserve(fund.known, insurance.known, required.known, Decimal(share))
    truths = (Interval.exactly(one.truth) for one in (fund, insurance, required))
    true = Reserve(next(truths), next(truths), next(truths), Decimal(share))
    assert _holds(seen.part, true.part)
    if seen.ratio is not None and true.ratio is not None:
        assert _holds(seen.ratio, true.ratio)


def test_more_insurance_may_count_where_more_is_required_and_still_the_ratio_falls() -> None:
    """Required 100 to 200, of which insurance may fill half: 50 + 50 of 100 at best, 50 + 100 of 200 at worst."""
    reserve = Reserve(exactly(50), exactly(100), Interval(Decimal(100), None, Decimal(200)), Decimal("0.5"))
    assert reserve.ratio == Interval(Decimal("0.75"), None, Decimal(1))
    assert reserve.lacking(limit=Decimal(1)) == (Decimal(50), Decimal(0))
