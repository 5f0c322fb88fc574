"""The rule `drain`: what is gone of the most that was held, with bounds, and the life of its finding."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.base import Token, Update
from daemon.feeds.book import FeedBook
from daemon.interval import Interval
from daemon.ledger import Ledger
from daemon.levels import Of, Subject
from daemon.model import Finding, Inventory, Judgement, Notification, Owner, Report, State, Tier, Verdict
from daemon.pipeline import Pipeline
from daemon.policy import judge
from daemon.policy.blind import Blind
from daemon.policy.drain import Drain, _gone, windows_of
from daemon.policy.rule import Rule
from daemon.setup import Setup
from daemon.track import Highest
from daemon.windows import Window
from tests.build import (
    AGES,
    ETH,
    ETHER,
    NOON,
    USDT,
    address,
    at,
    complete,
    failed,
    inventory,
    picture,
    priced,
    wallet,
)

TEN = timedelta(minutes=10)
HERE, THERE = Interval.exactly, Decimal


def drain(**keys: object) -> Drain:
    return Drain.model_validate({"kind": "drain", "window": "10m", "max_share": "0.10", **keys})


def judged(
    now: Update, *, highest: str | None, rule: Drain | None = None, before: Sequence[Update] = (), seconds: float = 2000
) -> Verdict:
    """The verdict on a hot (1) and a cold (2) account of which so many coins were held together at most until noon."""
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))
    ledger = Ledger(inv)
    for update in (*before, now):
        ledger.apply(update)
    window = Window(Subject(Of.ASSET, "ETH"), TEN)
    known = {} if highest is None else {window: Highest(Decimal(highest), at(0), at(0))}
    seen = replace(picture(ledger, inv, seconds=100, prices={}), windows=known, at=at(seconds))
    (verdict,) = judge([("drain", rule or drain())], seen)
    return verdict


def read(hot: float, cold: float, *, height: int = 99) -> Update:
    return complete(height, {(1, ETH): int(hot * ETHER), (2, ETH): int(cold * ETHER)})


@pytest.mark.parametrize(
    ("left", "expected", "cleared"),
    [
        (100, Judgement.OK, True),
        (95, Judgement.OK, True),
        (94, Judgement.OK, False),
        (90, Judgement.OK, False),
        (89, Judgement.BREACH, False),
        (0, Judgement.BREACH, False),
    ],
)
def test_too_much_is_more_than_the_limit_and_over_is_at_most_half_of_it(
    left: int, expected: Judgement, cleared: bool
) -> None:
    verdict = judged(read(0, left), highest="100")
    assert (verdict.judgement, verdict.cleared) == (expected, cleared)


def test_one_wei_over_the_limit_is_over_it() -> None:
    assert judged(complete(99, {(1, ETH): 90 * ETHER, (2, ETH): 0}), highest="100").judgement is Judgement.OK
    assert judged(complete(99, {(1, ETH): 90 * ETHER - 1, (2, ETH): 0}), highest="100").judgement is Judgement.BREACH


def test_it_says_how_much_of_how_much_left_since_when() -> None:
    verdict = judged(read(2, 80), highest="100")
    assert verdict.summary == (
        "18 % of customers' ETH (18 of 100) has left since 12:00:00 UTC, over the limit of 10 % within 10m"
    )
    assert (verdict.alert, verdict.subject, verdict.measured) == ("PyrometerDrain", "ETH", HERE(THERE("0.18")))
    assert verdict.evidence["highest"] == "100"
    assert verdict.evidence["held_at_most"] == "82"
    assert verdict.evidence["highest_until"] == "2026-11-23T12:00:00+00:00"
    assert verdict.evidence["blocks"]["ethereum"]["height"] == 99


def test_when_nothing_left_it_says_so() -> None:
    verdict = judged(read(20, 80), highest="100")
    assert verdict.summary == "0 % of customers' ETH has left, within the limit of 10 % within 10m"


@pytest.mark.parametrize(
    ("hot", "cold_before", "expected"),
    [
        (50, 50, Judgement.UNKNOWN),  # between 50 and 150 are there
        (95, 5, Judgement.OK),  # at least 95
        (10, 20, Judgement.BREACH),  # at most 50
        (44, 22, Judgement.BREACH),  # at most 88
        (46, 22, Judgement.UNKNOWN),  # at most 90: just enough
    ],
)
def test_an_unread_account_is_judged_by_the_most_and_the_least_that_it_may_hold(
    hot: int, cold_before: int, expected: Judgement
) -> None:
    unread = complete(99, {(1, ETH): hot * ETHER}, unread=[(2, ETH)])
    verdict = judged(unread, highest="100", before=[read(50, cold_before, height=98)])
    assert verdict.judgement is expected
    assert verdict.causes == ("chain:ethereum",)


def test_what_may_be_gone_is_said_with_its_bounds() -> None:
    unread = complete(99, {(1, ETH): 46 * ETHER}, unread=[(2, ETH)])
    verdict = judged(unread, highest="100", before=[read(50, 22, height=98)])
    assert verdict.summary == (
        "between 10 % and 54 % of customers' ETH (10 to 54 of 100) has left since 12:00:00 UTC, "
        "unknown against the limit of 10 % within 10m"
    )


def test_an_account_that_was_never_read_may_hold_anything() -> None:
    verdict = judged(complete(99, {(1, ETH): 10 * ETHER}, unread=[(2, ETH)]), highest="100")
    assert verdict.judgement is Judgement.UNKNOWN
    assert "(up to 90 of 100)" in verdict.summary


def test_before_anything_was_read_it_is_unknown() -> None:
    verdict = judged(read(1, 1), highest=None)
    assert (verdict.judgement, verdict.cleared) == (Judgement.UNKNOWN, False)
    assert verdict.summary == "Nobody knows how much of customers' ETH has left within 10m: it was not read yet"


def test_nothing_can_leave_where_nothing_was() -> None:
    verdict = judged(read(0, 0), highest="0")
    assert (verdict.judgement, verdict.cleared) == (Judgement.OK, True)


def test_where_nothing_but_an_unread_account_is_it_is_unknown() -> None:
    verdict = judged(complete(99, {}, unread=[(1, ETH), (2, ETH)]), highest="0")
    assert (verdict.judgement, verdict.cleared) == (Judgement.UNKNOWN, False)
    assert verdict.summary.endswith("it was not read yet")


def test_it_is_over_only_when_a_whole_window_was_watched() -> None:
    """A start in the middle of a drain knows of no higher holdings, which proves nothing."""
    assert not judged(read(20, 80), highest="100", seconds=599).cleared
    assert judged(read(20, 80), highest="100", seconds=600).cleared


@given(
    peak=st.integers(0, 10**30),
    whole=st.none() | st.integers(0, 10**30),
    low=st.integers(0, 10**30),
    more=st.integers(0, 10**30),
    part=st.fractions(0, 1),
    limit=st.integers(1, 999),
)
def test_a_breach_and_an_ok_hold_for_whatever_is_really_there(
    *, peak: int, whole: int | None, low: int, more: int, part: Fraction, limit: int
) -> None:
    """Whichever number between the bounds is the true one, the verdict on it alone does not contradict."""
    known = Highest(Decimal(peak), at(0), at(0))
    compared = known if whole is None else Highest(Decimal(whole), at(0), at(0))
    bounds = _gone(Interval(Decimal(low), None, Decimal(low + more)), known, compared=compared)
    truth = _gone(HERE(Decimal(low + int(more * part))), known, compared=compared)
    share = Decimal(limit) / 1000
    assert not (bounds.above(share) and not truth.above(share))
    assert not (bounds.within(share) and not truth.within(share))


# Whose holdings.


@pytest.mark.parametrize(
    ("left", "hot", "expected"),
    [
        ("99", "10", Judgement.OK),  # a tenth of what was hot
        ("98", "20", Judgement.OK),
        ("98.999999", "10", Judgement.BREACH),
        ("97", "20", Judgement.BREACH),
        ("100", "0", Judgement.OK),
        ("99.999999", "0", Judgement.BREACH),  # nothing was hot, and something has left
        ("10", "10", Judgement.BREACH),
    ],
)
def test_against_hot_is_what_left_the_exchange_as_a_share_of_what_was_hot(
    left: str, hot: str, expected: Judgement
) -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))
    ledger = Ledger(inv)
    ledger.apply(complete(99, {(1, ETH): 0, (2, ETH): int(Decimal(left) * ETHER)}))
    windows = {
        Window(Subject(Of.ASSET, "ETH"), TEN): Highest(Decimal(100), at(0), at(0)),
        Window(Subject(Of.TIER, "ETH", "hot"), TEN): Highest(Decimal(hot), at(0), at(0)),
    }
    seen = replace(picture(ledger, inv, seconds=100, prices={}), windows=windows, at=at(2000))
    (verdict,) = judge([("hot-drain", drain(against="hot"))], seen)
    assert verdict.judgement is expected
    assert verdict.subject == "ETH"
    if left == "97":
        assert verdict.summary.startswith("15 % of what was hot of customers' ETH (3 lost, 20 was hot) has left since")
    if left == "10":
        assert verdict.summary.startswith(
            "100 % of what was hot of customers' ETH (90 lost, 10 was hot) has left since"
        )


def test_against_hot_before_the_hot_tier_was_read_is_unknown() -> None:
    verdict = judged(read(20, 80), highest="100", rule=drain(against="hot"))
    assert (verdict.judgement, verdict.cleared) == (Judgement.UNKNOWN, False)


def subjects(rule: Drain) -> list[str]:
    inv = inventory(
        wallet("eth-hot-1", Tier.HOT, 1),
        wallet("eth-cold-1", Tier.COLD, 2),
        wallet("eth-cold-2", Tier.COLD, 3),
        wallet("own", Tier.HOT, 4, owner=Owner.COMPANY),
        wallet("back", Tier.COLD, 5, owner=Owner.GUARANTEE),
        assets={"ETH": [ETH], "USDT": [USDT]},
    )
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(n, token): 1 for n in range(1, 6) for token in (ETH, USDT)}))
    return [verdict.subject for verdict in judge([("drain", rule)], picture(ledger, inv))]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ["ETH", "USDT"]),
        ({"assets": ["E*"]}, ["ETH"]),
        ({"of": "tier"}, ["cold/ETH", "hot/ETH", "cold/USDT", "hot/USDT"]),
        ({"of": "wallet", "assets": ["ETH"]}, ["eth-cold-1/ETH", "eth-cold-2/ETH", "eth-hot-1/ETH"]),
        ({"of": "wallet", "assets": ["ETH"], "wallets": ["*cold*"]}, ["eth-cold-1/ETH", "eth-cold-2/ETH"]),
        ({"of": "wallet", "assets": ["USDT"], "wallets": ["own", "back", "eth-hot-1"]}, ["eth-hot-1/USDT"]),
    ],
)
def test_it_judges_customers_assets_as_named(keys: Mapping[str, object], expected: list[str]) -> None:
    assert subjects(drain(**keys)) == expected


def test_the_windows_that_are_kept_are_those_of_the_rules() -> None:
    rules: list[Rule] = [drain(), drain(name="day", window="1d"), drain(name="again"), Blind(kind="blind")]
    assert windows_of(rules) == {(Of.ASSET, TEN), (Of.ASSET, timedelta(days=1))}
    assert windows_of([drain(against="hot")]) == {(Of.ASSET, TEN), (Of.TIER, TEN)}


@pytest.mark.parametrize(
    "keys",
    [{"window": "500ms"}, {"window": "32d"}, {"max_share": 0}, {"max_share": 1}, {"of": "all"}, {"wallets": ["hot"]}],
)
def test_what_makes_no_sense_is_refused(keys: Mapping[str, object]) -> None:
    with pytest.raises(ValidationError):
        drain(**keys)


# The life of a finding.


class Journal:
    problem: str | None = None

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None:
        self.told += [(one.event.value, one.finding.verdict.subject) for one in notifications]


class Watch:
    """A pipeline with the rule over 5 hot and 95 cold coins, and what its receiver is told."""

    def __init__(self, *rules: Rule, inv: Inventory | None = None) -> None:
        self.inv = inv or inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))
        named = tuple((f"{rule.name or 'drain'}", rule) for rule in rules or (drain(),))
        setup = Setup("E", "JPY", self.inv, named, priced(ETH="1"), Decimal(1), {"ethereum": AGES}, NOON)
        self.journal = Journal()
        self.pipeline = Pipeline(setup, Ledger(self.inv), FeedBook(setup.feeds), (), self.journal, ("am",), ())

    async def see(self, update: Update | None, *, seconds: float) -> Report:
        if update is not None:
            if update.tip is not None:
                update = replace(update, seen=at(seconds), tip=replace(update.tip, time=at(seconds)))
            self.pipeline.ledger.apply(update)
        return await self.pipeline.cycle(at(seconds))

    async def pass_by(self, *, hot: float, cold: float, height: int, seconds: range) -> Report:
        """The same holdings, block after block."""
        for number, second in enumerate(seconds):
            report = await self.see(read(hot, cold, height=height + number), seconds=second)
        return report

    @property
    def told(self) -> list[tuple[str, str]]:
        return self.journal.told


async def test_a_drain_is_told_at_the_reading_that_shows_it_and_over_when_a_whole_window_passed_without() -> None:
    watch = Watch()
    await watch.see(read(5, 95, height=1), seconds=0)
    assert watch.told == []
    await watch.see(read(5, 80, height=2), seconds=30)
    assert watch.told == [("firing", "ETH")]
    await watch.pass_by(hot=5, cold=80, height=3, seconds=range(60, 631, 30))
    report = await watch.pass_by(hot=5, cold=80, height=30, seconds=range(631, 690, 30))
    assert [item.state for item in report.findings] == [State.FIRING]
    await watch.see(read(5, 80, height=40), seconds=695)
    assert watch.told == [("firing", "ETH"), ("resolved", "ETH")]


async def test_a_drain_that_goes_on_is_one_finding_until_it_ends() -> None:
    """Six coins of a hundred every five minutes: the window slides, the loss goes on, and so does the finding."""
    watch = Watch()
    cold = 95.0
    for step in range(12):
        await watch.see(read(5, cold, height=1 + step), seconds=step * 300)
        cold -= 6
    assert watch.told == [("firing", "ETH")]


async def test_moves_between_tiers_are_no_drain_against_hot_and_what_leaves_the_exchange_is() -> None:
    watch = Watch(drain(against="hot"))
    await watch.see(read(10, 90, height=1), seconds=0)
    await watch.see(read(2, 98, height=2), seconds=30)
    await watch.see(read(10, 90, height=3), seconds=60)
    assert watch.told == []
    await watch.see(read(8.8, 90, height=4), seconds=90)
    assert watch.told == [("firing", "ETH")]


async def test_slow_withdrawals_are_no_drain_and_a_longer_window_sees_them() -> None:
    """One coin of a hundred every two minutes is 5 % in ten minutes, and 18 % in an hour."""
    watch = Watch(drain(), drain(name="hour", window="1h", max_share="0.15"))
    for step in range(30):
        await watch.see(read(5, 95 - step, height=1 + step), seconds=step * 120)
    (finding,) = watch.pipeline.findings
    assert (finding.verdict.policy, finding.since) == ("hour", at(16 * 120))


async def test_coins_that_come_back_end_it() -> None:
    watch = Watch()
    await watch.see(read(5, 95, height=1), seconds=0)
    await watch.pass_by(hot=5, cold=95, height=2, seconds=range(30, 601, 30))
    await watch.see(read(5, 45, height=50), seconds=610)
    await watch.see(read(5, 95, height=51), seconds=620)
    await watch.see(read(5, 95, height=52), seconds=680)
    assert watch.told == [("firing", "ETH"), ("resolved", "ETH")]


async def test_an_outage_fires_nothing_and_what_went_meanwhile_fires_at_its_end() -> None:
    for left, told in ((95, []), (80, [("firing", "ETH")])):
        watch = Watch()
        await watch.see(read(5, 95, height=1), seconds=0)
        for seconds in range(10, 3000, 50):
            report = await watch.see(failed(seconds), seconds=seconds)
            assert report.verdicts[0].judgement is not Judgement.BREACH
        assert report.verdicts[0].judgement is Judgement.UNKNOWN
        await watch.see(read(5, left, height=100), seconds=3000)
        assert watch.told == told


async def test_a_finding_of_an_earlier_run_stays_until_a_whole_window_was_watched_again() -> None:
    watch = Watch()
    await watch.see(read(5, 95, height=1), seconds=0)
    report = await watch.see(read(5, 45, height=2), seconds=30)
    again = Watch()
    again.pipeline.findings = report.findings
    await again.pass_by(hot=5, cold=45, height=3, seconds=range(100, 700, 30))
    assert [item.id for item in again.pipeline.findings] == [report.findings[0].id]
    await again.pass_by(hot=5, cold=45, height=30, seconds=range(700, 800, 30))
    assert again.told == [("resolved", "ETH")]


async def test_a_deposit_that_a_reorganisation_undoes_is_no_drain() -> None:
    watch = Watch()
    await watch.see(read(5, 95, height=1), seconds=0)
    await watch.see(read(5, 995, height=2), seconds=10)
    back = complete(2, {(1, ETH): 5 * ETHER, (2, ETH): 95 * ETHER}, branch="b")
    await watch.see(back, seconds=20)
    assert watch.told == []


async def test_a_refill_shows_in_its_tier_and_its_wallet_and_not_in_the_asset() -> None:
    watch = Watch(drain(), drain(name="tier", of="tier"), drain(name="wallet", of="wallet"))
    await watch.see(read(5, 95, height=1), seconds=0)
    await watch.see(read(45, 55, height=2), seconds=10)
    assert watch.told == [("firing", "cold/ETH"), ("firing", "cold/ETH")]


async def test_what_goes_to_the_company_has_left_the_customers() -> None:
    inv = inventory(
        wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2), wallet("own", Tier.HOT, 3, owner=Owner.COMPANY)
    )
    watch = Watch(inv=inv)
    for height, (cold, own) in enumerate(((95, 0), (45, 50)), start=1):
        coins = {(1, ETH): 5 * ETHER, (2, ETH): cold * ETHER, (3, ETH): own * ETHER}
        await watch.see(complete(height, coins), seconds=height)
    assert watch.told == [("firing", "ETH")]


async def test_an_asset_on_two_chains_is_one_sum() -> None:
    other = Token("bitcoin", None, 8)
    inv = inventory(
        wallet("hot", Tier.HOT, 1), wallet("far", Tier.COLD, 2, chain="bitcoin"), assets={"ETH": [ETH, other]}
    )
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): 5 * ETHER}))
    (verdict,) = judge([("drain", drain())], picture(ledger, inv))
    assert verdict.judgement is Judgement.UNKNOWN
    assert verdict.causes == ("chain:bitcoin",)
    assert inv.wallet_of["bitcoin", address(2)] == "far"
