"""What is remembered of earlier judgements changes what a judgement costs, never what it says."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from connectors.base import Held, Tip, Token, Unread, Update
from connectors.errors import Reason
from daemon.coverage import Covers
from daemon.emit import rendering
from daemon.exposure import Exposures
from daemon.feeds.averages import Averages, year_before
from daemon.feeds.book import FeedBook
from daemon.feeds.plan import Plan
from daemon.feeds.source import SUM
from daemon.feeds.values import FeedKind
from daemon.groups import Groups
from daemon.interval import Interval, total
from daemon.ledger import Ledger
from daemon.levels import Levels
from daemon.model import Inventory, Judgement, Owner, Report, State, Tier
from daemon.once import Unrecorded
from daemon.pipeline import Pipeline
from daemon.policy import RuleConfig
from daemon.policy.memory import Memory
from daemon.policy.rule import Rule
from daemon.remembered import Remembered, Sums
from daemon.setup import Setup
from daemon.wallet_states import WalletStates
from tests.build import AGES, ETH, ETHER, NOON, USDT, address, at, failed, inventory, wallet
from tests.feeding import BAD, TIMEOUT, says, source

UNITS = {ETH: ETHER, USDT: 10**6}
ACCOUNTS = range(1, 7)

NOON_AND_A_MINUTE = {"at": "12:01", "timezone": "UTC"}
KINDS: list[dict[str, Any]] = [
    {"kind": "hot_share", "limit": "0.2", "scope": "both"},
    {"kind": "hot_share", "name": "owed", "of": "owed", "tiers": ["hot", "warm"], "limit": "0.3", "scope": "both"},
    {
        "kind": "hot_share",
        "name": "small",
        "limit": "0.2",
        "scope": "both",
        "limit_when_small": {"limit": "0.5", "until": "400"},
    },
    {"kind": "hot_share", "name": "year", "valuation": "trailing-year", "limit": "0.3"},
    {
        "kind": "hot_share",
        "name": "noon",
        "limit": "0.2",
        "scope": "both",
        "schedule": {"at": "12:01", "timezone": "UTC"},
    },
    {"kind": "guarantee"},
    {"kind": "guarantee", "name": "warm", "tiers": ["hot", "warm"], "limit": "0.5", "assets": ["ETH"]},
    {"kind": "backing", "scope": "both"},
    {"kind": "backing", "name": "some", "scope": "both", "assets": ["USDT", "ETH"], "limit": "0.9"},
    {"kind": "reserve", "hot_rate": "0.5", "cold_rate": "0.01", "floor": "10", "insurance_share": "0.5"},
    {"kind": "wallet_band", "wallets": ["*-hot"], "asset": "ETH", "floor": "1", "ceiling": "50"},
    {"kind": "drain", "window": "10m", "max_share": "0.1"},
    {"kind": "drain", "name": "hot", "window": "10m", "max_share": "0.25", "against": "hot"},
    {"kind": "drain", "name": "tier", "window": "2m", "max_share": "0.2", "of": "tier"},
    {"kind": "drain", "name": "wallet", "window": "1h", "max_share": "0.3", "of": "wallet"},
    {"kind": "unknown_destination"},
    {"kind": "probe"},
    {"kind": "unusual"},
    {"kind": "dormant"},
    {"kind": "tier_mismatch"},
    {"kind": "control_changed"},
    {"kind": "price_deviation"},
    {"kind": "feed_stale"},
    {"kind": "disagreement"},
    {"kind": "blind", "hold": "10s"},
]

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["change"] * 6
            + ["complete", "unread", "failed", "fork", "prices", "other prices", "owed", "custody", "fund"]
            + ["silent", "bad", "reload", "retier", "reprice", "nothing"]
        ),
        st.sampled_from(ACCOUNTS),
        st.sampled_from([ETH, USDT]),
        st.one_of(st.sampled_from([0, 1, 20, 100]), st.integers(0, 200)),
        st.sampled_from([1] * 8 + [0, 30, 61, 130, 700, 100_000, -5, -400]),
    ),
    min_size=1,
    max_size=25,
)


def watched(other: Tier) -> Inventory:
    return inventory(
        wallet("a-hot", Tier.HOT, 1),
        wallet("b-hot", other, 2),
        wallet("warm", Tier.WARM, 3),
        wallet("cold", Tier.COLD, 4),
        wallet("own", Tier.COLD, 5, owner=Owner.COMPANY),
        wallet("aside", Tier.COLD, 6, owner=Owner.GUARANTEE),
        assets={"ETH": [ETH], "USDT": [USDT]},
    )


def rules(limit: str) -> tuple[tuple[str, Rule], ...]:
    found: list[RuleConfig] = TypeAdapter(list[RuleConfig]).validate_python(KINDS)
    named = [(rule.name or rule.kind, rule.model_copy(update={"clear_after": timedelta(seconds=2)})) for rule in found]
    policy, share = named[0]
    return ((policy, share.model_copy(update={"limit": Decimal(limit)})), *named[1:])


PLAN = Plan(
    (
        source(FeedKind.PRICES, "one", tolerance="0.1"),
        source(FeedKind.PRICES, "other"),
        source(FeedKind.LIABILITIES, "books", tolerance="0.05"),
        source(FeedKind.CUSTODIANS, "vault", custodian="vault", assets=frozenset({"ETH"})),
        source(FeedKind.FUND, "bank"),
    ),
    assets=frozenset({"ETH", "USDT"}),
)
FIRST, LAST = year_before(NOON.date())
YEAR = [FIRST + timedelta(days=n) for n in range((LAST - FIRST).days + 1)]


def averages() -> Averages:
    found = Averages(ZoneInfo("UTC"), currency="JPY")
    found.bring_in({(asset, day): Decimal(3) for asset in ("ETH", "USDT") for day in YEAR})
    return found


class Forgetful(Pipeline):
    """Nothing of what it only remembers outlasts a pass, and it looks at every window in every pass."""

    def forget(self) -> None:
        self._windows._levels = Levels()
        self._memory, self._groups, self._exposures = Memory(), Groups(), Exposures()
        self._covers, self._states = Covers(), WalletStates()


class Both:
    """A pipeline and one that remembers nothing, over the same ledger and the same book, at the same times."""

    def __init__(self) -> None:
        self.seconds, self.height = 0.0, 1
        self.limit, self.other = "0.2", Tier.HOT
        told = frozenset({"ethereum"})
        setup = Setup(
            entity="E",
            currency="JPY",
            inventory=watched(self.other),
            policies=rules(self.limit),
            feeds=PLAN,
            growth=Decimal(1),
            ages={"ethereum": AGES},
            began=NOON,
            telling=told,
            controlling=told,
        )
        ledger, book = Ledger(setup.inventory), FeedBook(PLAN)
        self.pipeline = Pipeline(setup, ledger, book, (), Unrecorded(), (), (), averages())
        self.forgetful = Forgetful(setup, ledger, book, (), Unrecorded(), (), (), averages())
        self.units = {(number, token): 10 for number in ACCOUNTS for token in UNITS}

    @property
    def now(self) -> datetime:
        return at(self.seconds)

    def tip(self, height: int, branch: str = "a") -> Tip:
        return Tip(height, f"0x{branch}{height:063x}", self.now)

    def begin(self) -> None:
        self.complete()
        for kind, name in ((FeedKind.PRICES, "one"), (FeedKind.LIABILITIES, "books"), (FeedKind.CUSTODIANS, "vault")):
            self.hear(kind, name, 4)
        self.hear(FeedKind.FUND, "bank", 500)

    def held(self, number: int, token: Token) -> Held:
        return Held(address(number), token, self.units[number, token] * UNITS[token])

    def complete(self, *unread: tuple[int, Token]) -> None:
        held = tuple(self.held(*key) for key in self.units if key not in unread)
        lost = tuple(Unread(address(number), token, Reason.NODE_ERROR, "refused") for number, token in unread)
        self.pipeline.ledger.apply(
            Update("ethereum", self.now, self.tip(self.height), complete=True, held=held, unread=lost)
        )

    def changed(self, number: int, token: Token, *, depth: int = 0) -> None:
        before = self.pipeline.ledger.books["ethereum"].tip
        if before is None:
            return self.complete()
        here = self.tip(self.height, "b" if depth else "a")
        held = (self.held(number, token),)
        self.pipeline.ledger.apply(Update("ethereum", self.now, here, before, held=held, reorg_depth=depth))
        return None

    def hear(self, kind: FeedKind, name: str, value: int) -> None:
        names = {FeedKind.FUND: [SUM], FeedKind.CUSTODIANS: ["ETH"]}.get(kind, ["ETH", "USDT"])
        self.pipeline.feeds.take((kind, name), says(self.seconds, **dict.fromkeys(names, value)), now=self.now)

    def reload(self) -> None:
        setup = replace(self.pipeline.setup, inventory=watched(self.other), policies=rules(self.limit))
        ledger, book = Ledger(setup.inventory), FeedBook(PLAN)
        ledger.carry_over(self.pipeline.ledger, chains=["ethereum"])
        book.carry_over(self.pipeline.feeds)
        for pipeline in (self.pipeline, self.forgetful):
            pipeline.setup, pipeline.ledger, pipeline.feeds = setup, ledger, book

    def step(self, what: str, number: int, token: Token, value: int) -> None:
        self.height += 1
        self.units[number, token] = value
        match what:
            case "change":
                self.changed(number, token)
            case "fork":
                self.changed(number, token, depth=min(3, self.height - 1))
            case "complete":
                self.complete()
            case "unread":
                self.complete((number, token))
            case "failed":
                self.pipeline.ledger.apply(failed(self.seconds))
            case "prices" | "other prices" | "owed" | "custody" | "fund":
                self.hear(*SAID[what], value + (what.endswith("prices")))
            case "silent" | "bad":
                key = list(SAID.values())[number % 5]
                self.pipeline.feeds.take(key, TIMEOUT if what == "silent" else BAD, now=self.now)
            case "reload" | "retier" | "reprice":
                self.limit = {"0.2": "0.4", "0.4": "0.2"}[self.limit] if what == "reprice" else self.limit
                self.other = (Tier.HOT, Tier.WARM)[number % 2] if what == "retier" else self.other
                self.reload()

    async def judge(self) -> Report:
        self.forgetful.forget()
        report, again = await self.pipeline.cycle(self.now), await self.forgetful.cycle(self.now)
        assert report == again
        assert rendering.report(report, now=self.now) == rendering.report(again, now=self.now)
        assert self.pipeline.standing == self.forgetful.standing
        return report


SAID = {
    "prices": (FeedKind.PRICES, "one"),
    "other prices": (FeedKind.PRICES, "other"),
    "owed": (FeedKind.LIABILITIES, "books"),
    "custody": (FeedKind.CUSTODIANS, "vault"),
    "fund": (FeedKind.FUND, "bank"),
}


@pytest.mark.timeout(120)
@given(steps=STEPS)
async def test_a_pipeline_that_remembers_says_what_one_says_that_sees_everything_for_the_first_time(
    steps: list[tuple[str, int, Token, int, int]],
) -> None:
    """Over changes, failures, reorganisations, answers of sources, reloads, and a clock that jumps both ways."""
    both = Both()
    await both.judge()
    both.begin()
    await both.judge()
    for what, number, token, value, seconds in steps:
        both.seconds = max(0.0, both.seconds + seconds)
        both.step(what, number, token, value)
        await both.judge()


async def test_the_walk_through_the_rules_opens_and_closes_findings() -> None:
    """So that what is compared above is not one quiet picture over and over."""
    both, states, judgements = Both(), set[State](), set[Judgement]()
    both.begin()
    for seconds, (what, value) in enumerate([("change", 10), ("change", 1), ("change", 10), ("failed", 10)] * 3):
        both.seconds = seconds * 40
        both.step(what, 1, ETH, value)
        report = await both.judge()
        states |= {finding.state for finding in report.findings}
        judgements |= {verdict.judgement for verdict in report.verdicts}
    assert judgements == set(Judgement)
    assert State.FIRING in states


async def test_a_verdict_that_nothing_has_changed_of_is_the_same_object_and_one_that_is_not_fine_is_not() -> None:
    both = Both()
    both.begin()
    both.units[2, USDT] = 10
    first, again = [await both.pipeline.cycle(at(second)) for second in (1, 2)]
    pairs = zip(first.verdicts, again.verdicts, strict=True)
    kept = [one for one, other in pairs if one is other and "scheduled_for" not in one.evidence]
    assert "ETH" in {verdict.subject for verdict in kept if verdict.policy == "backing"}
    assert {verdict.judgement for verdict in kept} == {Judgement.OK}
    assert {verdict.judgement for verdict in again.verdicts} > {Judgement.OK}


def test_what_is_remembered_is_made_anew_where_something_is_another_object_and_where_it_does_not_stay() -> None:
    made: list[str] = []

    def make(name: str) -> str:
        made.append(name)
        return name.upper()

    remembered = Remembered[str, str](stays=lambda value: value != "C")
    one, two, three = object(), object(), object()
    names = ["a", "b", "c"]
    assert remembered.of(names, make, each=[({"a": one, "b": two, "c": three}, names)]) == ["A", "B", "C"]
    assert remembered.of(names, make, each=[({"a": one, "b": one, "c": three}, names)]) == ["A", "B", "C"]
    assert made == ["a", "b", "c", "b", "c"]
    assert remembered.of(names, make, each=[({"a": one, "b": one, "c": three}, names)], all_rest_on=[one]) == [
        "A",
        "B",
        "C",
    ]
    assert remembered.of(["b"], make, each=[({"b": one}, ["b"])], all_rest_on=[one]) == ["B"]
    assert made[5:] == ["a", "b", "c", "b"]


def test_a_make_that_breaks_leaves_nothing_half_remembered() -> None:
    remembered = Remembered[str, int]()
    one, two = object(), object()
    assert remembered.of(["a", "b"], len, each=[({"a": one, "b": one}, ["a", "b"])]) == [1, 1]

    def broken(_: str) -> int:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        remembered.of(["a", "b"], broken, each=[({"a": two, "b": one}, ["a", "b"])])
    assert remembered.of(["a", "b"], lambda _: 2, each=[({"a": two, "b": one}, ["a", "b"])]) == [2, 1]


@given(
    parts=st.lists(st.integers(0, 10**30), max_size=60),
    changes=st.lists(st.tuples(st.integers(0, 59), st.integers(0, 10**30)), max_size=10),
)
def test_a_sum_that_follows_changes_is_the_sum_of_all(parts: list[int], changes: list[tuple[int, int]]) -> None:
    sums, now = Sums(), [Interval.exactly(Decimal(part)) for part in parts]
    assert sums.of(now) == total(now)
    for place, value in changes:
        if place < len(now):
            now = [*now[:place], Interval(Decimal(value), None, None), *now[place + 1 :]]
        else:
            now = now[:place]
        assert sums.of(now) == Sums().of(now) == total(now)


def test_another_basis_makes_a_memory_forget() -> None:
    memory, basis = Memory(), object()
    assert memory.under(basis).value("key", lambda: 1, rests_on=()) == 1
    assert memory.under(basis).value("key", lambda: 2, rests_on=()) == 1
    assert memory.under(object()).value("key", lambda: 2, rests_on=()) == 2


async def test_what_left_is_forgotten_when_its_window_is_over_though_nothing_changes() -> None:
    """By the clock alone: whatever the sources have said is too old already to become older."""
    both = Both()
    both.begin()
    gone = []
    for second, coins in ((300, 200), (301, 190), (350, 190), (400, 190), (450, 190)):
        both.seconds = second
        both.step("change" if coins != both.units[1, ETH] else "nothing", 1, ETH, coins)
        both.changed(5, USDT)
        report = await both.judge()
        gone += [one.summary[:5] for one in report.verdicts if (one.policy, one.subject) == ("tier", "hot/ETH")]
    assert [text.startswith("0 %") for text in gone] == [True, False, False, False, True]
