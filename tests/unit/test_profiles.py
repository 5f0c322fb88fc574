"""How wallets have paid: sums that equal a recomputation, whatever is taken back, told again or restarted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Movement, Stage, Tip
from daemon.detection.outflow import Key, Outflow, debits_of, outflow
from daemon.detection.profile import (
    CROWDED_BLOCKS,
    DAYS,
    MOST_FRESH,
    MOST_PENDING,
    SETTLED_BLOCKS,
    OfAsset,
    Profile,
    Tally,
)
from daemon.detection.profiles import MOST_FORMER, Profiles, counterparty, paid_at
from daemon.detection.usual_fees import SAMPLES, UsualFees, rate
from daemon.model import Inventory, Moved, Step, Tier
from tests.build import ETH, ETHER, NOON, USDT, at, inventory, movement, tip, wallet

INVENTORY = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2), assets={"ETH": [ETH], "USDT": [USDT]})
THIEF = "0x" + "be" * 20
BLOCK = timedelta(minutes=1)


def block(height: int) -> Tip:
    return Tip(height, f"0x{height:064x}", NOON + BLOCK * height)


def moved(told: Movement, *, first_seen: datetime) -> Moved:
    return Moved(1, told, first_seen, (Step(told.stage, first_seen, told.tip),))


def payment(
    transaction: str, units: int, *, here: Tip | None = None, stage: Stage | None = None, first_seen: datetime = NOON
) -> Moved:
    """The hot wallet pays a stranger."""
    told = movement(
        transaction, {1: -units - 1}, block=here, stage=stage, destinations=[(THIEF, units)], fee=1, size=100
    )
    return moved(told, first_seen=first_seen)


def refill(transaction: str, units: int, *, here: Tip | None = None, first_seen: datetime = NOON) -> Moved:
    """The hot wallet pays the cold one."""
    return moved(movement(transaction, {1: -units - 1, 2: units}, block=here, fee=1), first_seen=first_seen)


def tell(profiles: Profiles, one: Moved, *, inv: Inventory = INVENTORY) -> Outflow | None:
    found = outflow(one, inventory=inv)
    profiles.take(one, found, payers=debits_of(one.movement, inventory=inv))
    return found


def hot(profiles: Profiles) -> Profile:
    found = profiles.of("hot")
    assert found is not None
    return found


def watching() -> Profiles:
    profiles = Profiles()
    profiles.watch(INVENTORY.wallets, now=NOON)
    return profiles


# ── the oracle ──────────────────────────────────────────────────────────────────────────────────────────────────────


def recomputed(told: Sequence[Moved]) -> Tally:
    """The same out of all payments of the hot wallet that stand."""
    tally = Tally()
    spends: dict[str, datetime] = {}
    for one in told:
        when = paid_at(one.movement.tip, first_seen=one.first_seen)
        spends[one.movement.transaction] = when
        found = outflow(one, inventory=INVENTORY)
        if found is None or not found.units:
            continue
        tally.payments += 1
        tally.hours[when.hour] += 1
        tally.with_change += found.change > 0
        whom = counterparty(found)
        tally.counterparties[whom] = tally.counterparties.get(whom, 0) + 1
        of_asset = tally.assets.setdefault(found.asset, OfAsset())
        of_asset.payments += 1
        of_asset.largest = max(of_asset.largest, found.units)
    tally.spends = len(spends)
    tally.last = max(spends.values(), default=None)
    for when in spends.values():
        tally.days[when.toordinal()] = tally.days.get(when.toordinal(), 0) + 1
    return tally


@dataclass(frozen=True)
class Act:
    kind: str
    which: int
    units: int
    blocks: int


ACTS = st.builds(
    Act,
    kind=st.sampled_from(
        ("pay", "pay", "pay", "wait", "mine", "undo", "evict", "replace", "refill", "again", "restart")
    ),
    which=st.integers(0, 30),
    units=st.integers(1, 9),
    blocks=st.sampled_from((0, 0, 1, 1, 5, 150)),
)


class Life:
    """A wallet's life: what the chain tells, and what a recomputation makes of it."""

    def __init__(self) -> None:
        self.profiles = watching()
        self.height = 10
        self.stored: dict[str, str] = {}
        self.standing: dict[str, Moved] = {}
        """In the order in which they were told first."""
        self.order: list[str] = []
        self.highest = 0
        self.names = (f"t{number}" for number in count())

    @property
    def now(self) -> datetime:
        return NOON + BLOCK * self.height

    def tell(self, one: Moved) -> None:
        name, tip_ = one.movement.transaction, one.movement.tip
        if one.movement.stage is not Stage.REPLACED:
            found = outflow(one, inventory=INVENTORY)
            before = hot(self.profiles).before(Key(name, ETH), tip=tip_)
            fresh = hot(self.profiles).mined.keys() | hot(self.profiles).pending.keys()
            later = self.order[self.order.index(name) :] if name in self.order else []
            earlier = [other for other in self.order if other not in later or other not in fresh]
            if before is not None and found is not None:
                expected = recomputed([self.standing[other] for other in earlier])
                assert judged_by(before) == judged_by(expected)
                assert hot(self.profiles).last_before(Key(name, ETH)) == expected.last
            self.standing[name] = one
            if name not in self.order:
                self.order.append(name)
        else:
            del self.standing[name]
            self.order.remove(name)
        tell(self.profiles, one)
        self.highest = max(self.highest, tip_.height if tip_ else 0)

    def fresh(self) -> list[Moved]:
        """What a reorganisation can still take back: what is fresher than what was told of settles it."""
        return [
            one
            for one in self.standing.values()
            if one.movement.tip is None or one.movement.tip.height + SETTLED_BLOCKS > self.highest
        ]

    def act(self, act: Act) -> None:
        self.height += act.blocks
        fresh = self.fresh()
        one = fresh[act.which % len(fresh)] if fresh else None
        match act.kind:
            case "pay":
                self.tell(payment(next(self.names), act.units, here=block(self.height), first_seen=self.now))
            case "wait":
                self.tell(payment(next(self.names), act.units, first_seen=self.now))
            case "refill":
                self.tell(refill(next(self.names), act.units, here=block(self.height), first_seen=self.now))
            case "mine" if one is not None:
                self.tell(stage(one, Stage.MINED, here=block(self.height)))
            case "undo" if one is not None:
                self.tell(stage(one, Stage.PENDING))
            case "evict" if one is not None:
                self.tell(stage(one, Stage.EVICTED))
            case "replace" if one is not None:
                self.tell(stage(one, Stage.REPLACED))
            case "again":
                for known in list(self.standing.values()):
                    tell(self.profiles, known)
            case "restart":
                self.restart()

    def restart(self) -> None:
        for key, row in self.profiles.changed().items():
            assert row is not None
            self.stored[key] = row
        self.profiles = Profiles()
        self.profiles.restore(dict(self.stored))
        self.profiles.watch(INVENTORY.wallets, now=self.now)
        for known in list(self.standing.values()):
            tell(self.profiles, known)
        assert self.profiles.changed() == {}


def stage(one: Moved, wanted: Stage, *, here: Tip | None = None) -> Moved:
    told = replace(one.movement, stage=wanted, tip=here)
    return replace(one, movement=told, history=(*one.history, Step(wanted, one.first_seen, here)))


def judged_by(tally: Tally) -> tuple[object, ...]:
    """What `before` vouches for."""
    return tally.payments, tally.with_change, tally.hours, tally.counterparties, tally.assets


@settings(max_examples=60, deadline=None)
@given(st.lists(ACTS, max_size=30))
def test_after_whatever_is_told_and_taken_back_and_restarted_the_sums_are_those_of_what_stands(
    acts: list[Act],
) -> None:
    life = Life()
    for act in acts:
        life.act(act)
        assert hot(life.profiles).tally == recomputed(list(life.standing.values()))


# ── case by case ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_payment_that_has_settled_is_not_counted_again_when_a_later_run_is_told_of_it() -> None:
    profiles = watching()
    old = payment("old", 5, here=block(1))
    tell(profiles, old)
    tell(profiles, payment("new", 6, here=block(1 + SETTLED_BLOCKS)))
    again = Profiles()
    again.restore({key: row for key, row in profiles.changed().items() if row is not None})
    assert not hot(again).mined.keys() & {"old"}
    tell(again, old)
    assert hot(again).tally.payments == 2
    assert hot(again).before(Key("old", ETH), tip=block(1)) is None


def test_the_largest_that_is_taken_back_is_the_largest_no_longer() -> None:
    profiles = watching()
    tell(profiles, payment("small", 5))
    tell(profiles, payment("large", 50))
    tell(profiles, payment("large", 50, stage=Stage.REPLACED))
    assert hot(profiles).tally.assets == {"ETH": OfAsset(1, 5)}


def test_what_has_settled_stays_the_largest() -> None:
    profiles = watching()
    tell(profiles, payment("large", 50, here=block(1)))
    tell(profiles, payment("small", 5, here=block(200)))
    tell(profiles, payment("large", 50, stage=Stage.REPLACED))
    assert hot(profiles).tally.assets == {"ETH": OfAsset(2, 50)}


def test_one_whose_block_is_undone_counts_on_and_once_when_it_comes_back() -> None:
    profiles = watching()
    tell(profiles, payment("t", 50, here=block(1)))
    tell(profiles, payment("t", 50, stage=Stage.EVICTED))
    assert hot(profiles).tally.assets == {"ETH": OfAsset(1, 50)}
    tell(profiles, payment("t", 50, here=block(3)))
    assert (hot(profiles).tally.spends, hot(profiles).tally.payments) == (1, 1)


def test_what_never_comes_into_a_block_is_bounded() -> None:
    profiles = watching()
    for number in range(MOST_PENDING + 5):
        tell(profiles, payment(f"t{number}", 5))
    assert len(hot(profiles).pending) == MOST_PENDING
    assert hot(profiles).tally.payments == MOST_PENDING + 5


def test_a_token_and_its_fee_are_one_spend_and_one_payment() -> None:
    profiles = watching()
    fee = movement("t", {1: -3}, block=block(1), fee=3)
    token = movement("t", {1: -7}, block=block(1), token=USDT, destinations=[(THIEF, 7)], fee=0)
    for told in (fee, token):
        tell(profiles, moved(told, first_seen=NOON))
    assert (hot(profiles).tally.spends, hot(profiles).tally.payments) == (1, 1)
    assert hot(profiles).tally.assets == {"USDT": OfAsset(1, 7 * 10**12)}


def test_a_refill_is_a_spend_and_no_payment() -> None:
    profiles = watching()
    tell(profiles, refill("t", 9))
    assert (hot(profiles).tally.spends, hot(profiles).tally.payments) == (1, 0)
    cold = profiles.of("cold")
    assert cold is not None
    assert cold.tally.spends == 0


def test_a_deposit_is_nothing() -> None:
    profiles = watching()
    number = profiles.number
    tell(profiles, moved(movement("t", {1: 5}, sources=[(THIEF, 5)]), first_seen=NOON))
    assert profiles.number == number


def test_of_two_wallets_that_pay_together_both_spend_and_the_larger_payer_pays() -> None:
    profiles = watching()
    told = movement("t", {1: -9, 2: -2}, destinations=[(THIEF, 11)], fee=0)
    tell(profiles, moved(told, first_seen=NOON))
    cold = profiles.of("cold")
    assert cold is not None
    assert (hot(profiles).tally.spends, hot(profiles).tally.payments) == (1, 1)
    assert (cold.tally.spends, cold.tally.payments) == (1, 0)


def test_a_profile_keeps_no_more_than_its_bound_of_what_can_be_taken_back() -> None:
    profiles = watching()
    for number in range(3 * MOST_FRESH):
        tell(profiles, payment(f"t{number}", 5, here=block(number // 4)))
    assert len(hot(profiles).mined) <= MOST_FRESH + 4 * CROWDED_BLOCKS
    assert hot(profiles).tally.payments == 3 * MOST_FRESH


def test_days_that_are_long_past_are_forgotten() -> None:
    profiles = watching()
    for day in range(3 * DAYS):
        tell(profiles, payment(f"t{day}", 5, here=block(1440 * day), first_seen=NOON + timedelta(days=day)))
    assert DAYS <= len(hot(profiles).tally.days) <= DAYS + 2
    assert hot(profiles).tally.spends == 3 * DAYS


def test_only_wallets_that_have_changed_are_written_and_looked_at() -> None:
    profiles = watching()
    assert profiles.changed().keys() == {"hot", "cold"}
    number = profiles.number
    tell(profiles, payment("t", 5))
    assert list(profiles.changed_after(number)) == ["hot"]
    assert profiles.changed().keys() == {"hot", "fees:ethereum:"}
    tell(profiles, payment("t", 5))
    assert profiles.changed() == {}


def test_a_wallet_that_is_configured_no_longer_keeps_its_profile_for_when_it_comes_back() -> None:
    profiles = watching()
    tell(profiles, payment("t", 5))
    profiles.watch(["cold"], now=at(60))
    profiles.watch(["cold", "hot"], now=at(120))
    assert hot(profiles).began == NOON
    assert hot(profiles).tally.payments == 1


def test_profiles_of_former_wallets_are_bounded_and_their_rows_forgotten() -> None:
    profiles = Profiles()
    names = [f"w{number}" for number in range(MOST_FORMER + 3)]
    profiles.watch(names, now=NOON)
    profiles.changed()
    profiles.watch(["hot"], now=NOON)
    assert {key for key, row in profiles.changed().items() if row is None} == {"w0", "w1", "w2"}
    assert profiles.of("w0") is None


@pytest.mark.parametrize("row", ["", "{}", "[]", '{"began": "yesterday"}'])
def test_a_row_that_can_not_be_read_is_named(row: str) -> None:
    with pytest.raises(ValueError, match="the profile hot can't be read"):
        Profiles().restore({"hot": row})


def test_a_row_of_a_quiet_wallet_is_small() -> None:
    profiles = watching()
    for number in range(50):
        tell(profiles, payment(f"{number:064x}", 10**20 + number, here=block(200 * number)))
    row = profiles.changed()["hot"]
    assert row is not None
    assert len(row) < 2000
    assert json.loads(row)["payments"] == 50


# ── fees ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_fees_of_all_wallets_on_a_chain_are_what_is_usual_there() -> None:
    profiles = watching()
    for number, (account, fee) in enumerate(((1, 100), (2, 300), (1, 200))):
        told = movement(f"t{number}", {account: -fee - 5}, destinations=[(THIEF, 5)], fee=fee, size=100)
        tell(profiles, moved(told, first_seen=NOON))
    assert profiles.fees(ETH).median() == rate(200, size=100) == 2000
    assert profiles.fees(USDT).median() is None


def test_the_fee_of_a_replaced_transaction_counts_no_more() -> None:
    profiles = watching()
    tell(profiles, payment("t", 5))
    tell(profiles, payment("t", 5, stage=Stage.REPLACED))
    assert len(profiles.fees(ETH)) == 0


def test_where_a_chain_counts_no_size_the_fee_itself_is_the_rate() -> None:
    assert rate(21_000, size=0) == 21_000


RATES = st.lists(st.tuples(st.sampled_from(["take", "take", "drop"]), st.integers(0, 90), st.integers(0, 5)))


@given(RATES)
def test_the_median_is_that_of_the_newest_that_were_not_withdrawn(acts: list[tuple[str, int, int]]) -> None:
    fees = UsualFees()
    known: dict[str, int] = {}
    for kind, number, paid in acts:
        if kind == "take":
            fees.take(str(number), paid)
            if str(number) not in known and len(known) >= SAMPLES:
                del known[next(iter(known))]
            known[str(number)] = paid
        else:
            fees.withdraw(str(number))
            known.pop(str(number), None)
        assert median(known) == fees.median()


def median(rates: Mapping[str, int]) -> int | None:
    return sorted(rates.values())[(len(rates) - 1) // 2] if rates else None


def test_a_whole_coin_is_not_rounded_on_its_way_through_a_row() -> None:
    profiles = watching()
    tell(profiles, payment("t", 10**30 * ETHER + 1, here=tip(1)))
    again = Profiles()
    again.restore({key: row for key, row in profiles.changed().items() if row is not None})
    assert hot(again).tally == hot(profiles).tally
