"""What was held within a window: equal to a naive recomputation, over outages, reorganisations, reloads and clocks."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Held, Token, Update
from daemon.classify import classify
from daemon.groups import Groups
from daemon.ledger import Ledger
from daemon.levels import Level, Of, Subject
from daemon.model import ChainState, Inventory, Owner, Tier
from daemon.track import FRESH, GRAIN, Highest, Track
from daemon.windows import Window, Windows
from tests.build import ETH, ETHER, address, at, complete, failed, inventory, tip, valuation, wallet

TEN = timedelta(minutes=10)
BTC = Token("bitcoin", None, 8)
WANTED = [(Of.ASSET, TEN), (Of.TIER, TEN), (Of.WALLET, TEN)]
NO_FORKS: Mapping[str, int] = {}


# One window.


def held(coins: int, *, lost: int = 0, heard: bool = True) -> Level:
    return Level(Decimal(coins), Decimal(lost), whole=not lost, heard=heard)


def looked(*readings: tuple[float, int], length: timedelta = TEN) -> Track:
    """(seconds, coins) of readings one after the other, each at a height of as many as the seconds."""
    track = Track(length)
    for seconds, coins in readings:
        track.look(held(coins), heights={"ethereum": int(seconds)}, forks=NO_FORKS, now=at(seconds))
    return track


def highest(track: Track) -> tuple[int, datetime | None] | None:
    found = track.highest()
    return (int(found.coins), found.until) if found else None


def test_before_the_first_reading_nothing_is_known() -> None:
    track = Track(TEN)
    assert track.highest() is None
    track.look(held(0, heard=False), heights={}, forks=NO_FORKS, now=at(0))
    assert track.highest() is None


def test_the_highest_was_held_until_the_reading_that_shows_less() -> None:
    assert highest(looked((0, 100), (60, 100), (90, 40), (120, 30))) == (100, at(90))


def test_what_was_held_before_the_window_only_is_let_go() -> None:
    readings = ((0, 100), (90, 40), (120, 30))
    assert highest(looked(*readings, (690, 20))) == (100, at(90))
    assert highest(looked(*readings, (691, 20))) == (40, at(120))


def test_a_rise_is_the_highest_from_then_on() -> None:
    assert highest(looked((0, 100), (60, 50), (120, 200))) == (200, at(120))


def test_it_says_since_when_it_is_watched() -> None:
    found = looked((5, 100), (60, 50), (900, 20)).highest()
    assert found == Highest(Decimal(50), at(900), at(5))


@dataclass(frozen=True)
class Seen:
    """One look: seconds after noon, coins, and the height it was read at."""

    seconds: int
    coins: int
    height: int


def naive(seen: Sequence[Seen], *, length: timedelta) -> int:
    """The oracle: a reading holds until the next one, the newest until now; the highest of those that reach in."""
    now = seen[-1].seconds
    ends = [*(later.seconds for later in seen[1:]), now]
    reaching = zip(seen, ends, strict=True)
    horizon = now - length.total_seconds()
    return max(one.coins for one, end in reaching if end >= horizon or one is seen[-1])


steps = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 30)), min_size=1, max_size=150)


@given(steps)
def test_the_highest_is_what_a_recomputation_of_all_readings_finds(steps: list[tuple[int, int]]) -> None:
    track, seen, seconds = Track(TEN), list[Seen](), 0
    for wait, coins in steps:
        seconds += wait
        seen.append(Seen(seconds, coins, len(seen)))
        track.look(held(coins), heights={"ethereum": len(seen)}, forks=NO_FORKS, now=at(seconds))
        found = highest(track)
        assert found is not None
        # What is older than the last changes is told apart to a grain, so it may be held a grain too long.
        exact, later = naive(seen, length=TEN), naive(seen, length=TEN + TEN / GRAIN)
        assert exact <= found[0] <= later
        if len(seen) <= FRESH:
            assert found[0] == exact


@pytest.mark.parametrize("seed", range(5))
def test_also_over_many_more_changes_than_are_kept_in_order(seed: int) -> None:
    chance = random.Random(seed)
    track, seen, seconds = Track(TEN), list[Seen](), 0
    for number in range(1500):
        seconds += chance.choice((0, 1, 1, 2, 5))
        seen.append(Seen(seconds, chance.randrange(1000), number))
        track.look(held(seen[-1].coins), heights={"ethereum": number}, forks=NO_FORKS, now=at(seconds))
        found = highest(track)
        assert found is not None
        assert naive(seen, length=TEN) <= found[0] <= naive(seen, length=TEN + TEN / GRAIN)


forked = st.lists(st.tuples(st.integers(1, 200), st.integers(0, 30), st.integers(0, 5)), min_size=1, max_size=50)


@given(forked)
def test_readings_of_an_undone_branch_are_as_if_they_had_never_been(steps: list[tuple[int, int, int]]) -> None:
    """Each step undoes so many blocks (mostly none) before it reads the next one."""
    track, seen, seconds, height = Track(TEN), list[Seen](), 0, 0
    for wait, coins, depth in steps:
        seconds += wait
        undone = depth if depth < 4 else 0
        fork = max(0, height - undone)
        forks = {"ethereum": fork} if undone else NO_FORKS
        seen = [one for one in seen if one.height <= fork]
        height = fork + 1
        if not seen or seen[-1].coins != coins:  # an equal reading goes on from where it was read first
            seen.append(Seen(seconds, coins, height))
        track.look(held(coins), heights={"ethereum": height}, forks=forks, now=at(seconds))
        found = highest(track)
        assert found is not None
        assert found[0] == naive([*seen, Seen(seconds, coins, height)], length=TEN)


def test_a_deposit_that_a_reorganisation_undoes_is_no_drain_and_what_it_hid_comes_back() -> None:
    track = looked((1, 100), (2, 1000))
    track.look(held(60), heights={"ethereum": 3}, forks={"ethereum": 1}, now=at(3))
    assert highest(track) == (100, at(3))


def test_a_reorganisation_below_all_that_is_known_leaves_what_is_read_now() -> None:
    track = looked((5, 100), (6, 90))
    track.look(held(60), heights={"ethereum": 6}, forks={"ethereum": 1}, now=at(7))
    assert highest(track) == (60, at(7))


def test_memory_is_bounded_however_often_holdings_fall() -> None:
    readings = [(n / 10, 1_000_000 - n) for n in range(20_000)]
    day = looked(*readings, length=timedelta(days=1))
    assert day.size <= FRESH + GRAIN + 1
    short = looked(*readings, length=timedelta(seconds=100))
    assert GRAIN - 10 <= short.size <= FRESH + GRAIN + 1


def test_a_grain_never_holds_anything_longer_than_itself() -> None:
    """Many small falls within one grain do not carry the first of them on and on."""
    track = looked(*((n / 100, 100_000 - n) for n in range(70_000)))
    found = track.highest()
    assert found is not None
    assert found.until is not None
    assert timedelta(0) <= at(699.99) - TEN - found.until <= TEN / GRAIN or found.until >= at(99.99)
    assert found.coins <= 100_000 - 9_900


def test_what_can_not_be_read_counts_as_it_was_read_last() -> None:
    track = looked((0, 100))
    for seconds in (60, 3600, 86_400):
        track.look(held(0, lost=100), heights={"ethereum": 1}, forks=NO_FORKS, now=at(seconds))
        assert highest(track) == (100, at(seconds))


def test_an_outage_of_any_length_does_not_make_the_highest_forgotten() -> None:
    track = looked((0, 100))
    track.look(held(0, lost=100), heights={"ethereum": 1}, forks=NO_FORKS, now=at(90_000))
    track.look(held(30), heights={"ethereum": 2}, forks=NO_FORKS, now=at(90_010))
    assert highest(track) == (100, at(90_010))


def test_also_one_without_a_single_look_in_between() -> None:
    assert highest(looked((0, 100), (90_000, 30))) == (100, at(90_000))


def test_coins_that_go_from_an_unread_account_to_a_read_one_do_not_count_twice() -> None:
    """A: 50, unread from then on; B: 50, gets the 50 of A; then A is read with nothing on it."""
    track = looked((0, 100))
    track.look(held(50, lost=50), heights={"ethereum": 1}, forks=NO_FORKS, now=at(10))
    track.look(held(100, lost=50), heights={"ethereum": 2}, forks=NO_FORKS, now=at(20))
    track.look(held(100), heights={"ethereum": 3}, forks=NO_FORKS, now=at(30))
    assert highest(track) == (100, at(30))


def test_an_account_that_is_never_read_again_does_not_hold_up_the_window() -> None:
    track = looked((0, 100))
    for seconds in range(1, 50):
        level = held(99 - seconds, lost=1)
        track.look(level, heights={"ethereum": seconds}, forks=NO_FORKS, now=at(seconds * 100))
    found = highest(track)
    assert found is not None
    assert found[0] <= 60


def test_a_clock_that_is_set_back_does_not_keep_what_is_gone() -> None:
    track = looked((5000, 100), (5010, 40), (0, 40), (601, 40))
    assert highest(track) == (40, at(601))


# All of them.


def two_wallets(*more: int, hot: Tier = Tier.HOT) -> Inventory:
    return inventory(
        wallet("eth-hot", hot, 1, *more),
        wallet("eth-cold", Tier.COLD, 2),
        wallet("own", Tier.HOT, 9, owner=Owner.COMPANY),
        wallet("back", Tier.COLD, 8, owner=Owner.GUARANTEE),
    )


@dataclass
class Watched:
    """Windows fed from a ledger, as the pipeline feeds them."""

    inv: Inventory
    ledger: Ledger
    windows: Windows

    @classmethod
    def over(cls, inv: Inventory) -> "Watched":
        return cls(inv, Ledger(inv), Windows())

    def see(self, update: Update | None, *, seconds: float) -> dict[str, int]:
        if update is not None:
            self.ledger.apply(update)
        chains: Mapping[str, ChainState] = valuation(self.ledger, self.inv, seconds=seconds).chains
        totals, tiers = self.ledger.totals(), classify(self.inv.wallets)
        found = self.windows.look(
            totals,
            groups=Groups().of(totals, tiers=tiers, inventory=self.inv),
            inventory=self.inv,
            tiers=tiers,
            chains=chains,
            books=self.ledger.books,
            wanted=WANTED,
            now=at(seconds),
        )
        assert all(window.length == TEN for window in found)
        return {str(window.subject): int(one.coins) for window, one in found.items()}

    def reload(self, inv: Inventory) -> None:
        ledger = Ledger(inv)
        ledger.carry_over(self.ledger, chains=inv.watches.keys())
        self.inv, self.ledger = inv, ledger


def read(height: int, *coins: int, branch: str = "a") -> Update:
    accounts = {0: 1, 1: 2, 2: 9, 3: 8, 4: 3}
    return complete(height, {(accounts[n], ETH): value * ETHER for n, value in enumerate(coins)}, branch=branch)


def test_customers_holdings_are_summed_by_asset_by_tier_and_by_wallet_and_nobody_elses() -> None:
    found = Watched.over(two_wallets()).see(read(1, 5, 95, 1000, 2000), seconds=1)
    assert found == {"ETH": 100, "hot/ETH": 5, "cold/ETH": 95, "eth-hot/ETH": 5, "eth-cold/ETH": 95}


def test_a_move_inside_the_inventory_lowers_no_sum_over_all() -> None:
    watched = Watched.over(two_wallets())
    watched.see(read(1, 5, 95, 0, 0), seconds=1)
    found = watched.see(read(2, 95, 5, 0, 0), seconds=2)
    assert found == {"ETH": 100, "hot/ETH": 95, "cold/ETH": 95, "eth-hot/ETH": 95, "eth-cold/ETH": 95}


def test_a_chain_that_was_not_heard_of_yet_gives_nothing_to_compare_with() -> None:
    watched = Watched.over(two_wallets())
    assert watched.see(None, seconds=1) == {}
    assert watched.see(failed(2), seconds=2) == {}


def test_an_outage_is_no_fall_and_a_fall_during_it_shows_after_it() -> None:
    watched = Watched.over(two_wallets())
    watched.see(read(1, 5, 95, 0, 0), seconds=1)
    for seconds in (30, 100, 5000):
        assert watched.see(failed(seconds), seconds=seconds)["ETH"] == 100
    late = replace(read(2, 5, 45, 0, 0), seen=at(5001))
    assert watched.see(late, seconds=5001)["ETH"] == 100
    assert watched.see(None, seconds=5000 + 600)["ETH"] == 100


def test_a_reorganisation_that_the_connector_tells_takes_its_readings_back() -> None:
    watched = Watched.over(two_wallets())
    watched.see(read(1, 5, 95, 0, 0), seconds=1)
    watched.see(read(2, 5, 995, 0, 0), seconds=2)
    there, back = tip(2), tip(3, branch="b")
    undone = Held(address(2), ETH, 95 * ETHER)
    update = Update("ethereum", at(3), back, there, held=(undone,), reorg_depth=1)
    assert watched.see(update, seconds=3)["ETH"] == 100


def test_a_reorganisation_that_only_the_tip_shows_takes_the_readings_of_that_height_back() -> None:
    watched = Watched.over(two_wallets())
    watched.see(read(1, 5, 95, 0, 0), seconds=1)
    watched.see(read(2, 5, 995, 0, 0), seconds=2)
    assert watched.see(read(2, 5, 95, 0, 0, branch="b"), seconds=3)["ETH"] == 100


def test_reorganisations_between_two_looks_count_by_the_deepest() -> None:
    watched = Watched.over(two_wallets())
    for height in range(1, 5):
        watched.see(read(height, 5, 95 if height < 3 else 995, 0, 0), seconds=height)
    back = [Held(address(2), ETH, 95 * ETHER)]
    deep = Update("ethereum", at(6), tip(5, branch="b"), tip(4), held=tuple(back), reorg_depth=2)
    flat = Update("ethereum", at(7), tip(5, branch="c"), tip(5, branch="b"), reorg_depth=1)
    watched.ledger.apply(deep)
    assert watched.see(flat, seconds=7)["ETH"] == 100


def test_a_reorganisation_counts_once() -> None:
    watched = Watched.over(two_wallets())
    watched.see(read(2, 5, 95, 0, 0), seconds=2)
    watched.see(read(2, 5, 95, 0, 0, branch="b"), seconds=3)
    watched.see(read(3, 5, 195, 0, 0, branch="b"), seconds=4)
    assert watched.see(read(4, 5, 95, 0, 0, branch="b"), seconds=5)["ETH"] == 200


def test_a_reorganisation_of_another_chain_takes_nothing_back() -> None:
    inv = inventory(
        wallet("eth-hot", Tier.HOT, 1),
        wallet("btc-hot", Tier.HOT, 7, chain="bitcoin"),
        assets={"ETH": [ETH], "BTC": [BTC]},
    )
    watched = Watched.over(inv)
    coins = Held(address(7), BTC, 10**8)
    watched.ledger.apply(Update("bitcoin", at(1), tip(5), complete=True, held=(coins,)))
    watched.see(complete(5, {(1, ETH): 100 * ETHER}), seconds=1)
    watched.ledger.apply(Update("bitcoin", at(2), tip(5, branch="b"), tip(5), reorg_depth=5))
    found = watched.see(complete(6, {(1, ETH): 10 * ETHER}), seconds=2)
    assert (found["ETH"], found["BTC"]) == (100, 1)


# Reloads.


def test_accounts_that_a_reload_adds_let_the_window_go_on() -> None:
    watched = Watched.over(two_wallets())
    watched.see(read(1, 5, 95, 0, 0), seconds=1)
    watched.reload(two_wallets(3))
    assert watched.see(None, seconds=2)["ETH"] == 100
    assert watched.see(read(2, 5, 20, 0, 0, 10), seconds=3)["ETH"] == 100


def test_accounts_that_a_reload_takes_away_are_no_drain() -> None:
    watched = Watched.over(two_wallets(3))
    watched.see(read(1, 5, 20, 0, 0, 75), seconds=1)
    watched.reload(two_wallets())
    found = watched.see(None, seconds=2)
    assert found == {"ETH": 25, "hot/ETH": 5, "cold/ETH": 20, "eth-hot/ETH": 5, "eth-cold/ETH": 20}


def test_a_wallet_that_changes_its_tier_is_a_drain_of_neither() -> None:
    watched = Watched.over(two_wallets())
    watched.see(read(1, 50, 50, 0, 0), seconds=1)
    watched.reload(two_wallets(hot=Tier.WARM))
    watched.see(None, seconds=2)
    found = watched.see(read(2, 40, 40, 0, 0), seconds=3)
    assert found == {"ETH": 100, "warm/ETH": 50, "cold/ETH": 50, "eth-hot/ETH": 50, "eth-cold/ETH": 50}


def test_reorganisations_are_counted_on_over_a_reload() -> None:
    watched = Watched.over(two_wallets())
    watched.see(read(1, 5, 95, 0, 0), seconds=1)
    watched.see(read(1, 5, 95, 0, 0, branch="b"), seconds=2)
    watched.reload(two_wallets())
    watched.see(read(2, 5, 995, 0, 0, branch="b"), seconds=3)
    assert watched.see(read(2, 5, 95, 0, 0, branch="c"), seconds=4)["ETH"] == 100


def test_a_reload_that_changes_nothing_of_the_inventory_loses_nothing() -> None:
    watched = Watched.over(two_wallets())
    watched.see(read(1, 50, 50, 0, 0), seconds=1)
    watched.reload(two_wallets())
    assert watched.see(read(2, 1, 1, 0, 0), seconds=2)["ETH"] == 100


def test_a_reload_to_other_nodes_waits_for_their_first_reading() -> None:
    """The ledger knows nothing of the chain then; what was held before is what the first reading is compared with."""
    watched = Watched.over(two_wallets())
    watched.see(read(1, 50, 50, 0, 0), seconds=1)
    watched.ledger = Ledger(watched.inv)
    assert watched.see(None, seconds=2000)["ETH"] == 100
    assert watched.see(read(2, 1, 1, 0, 0), seconds=2001)["ETH"] == 100


def test_a_subject_is_named_after_what_it_sums() -> None:
    assert Window(Subject(Of.TIER, "ETH", "hot"), TEN).subject != Subject(Of.WALLET, "ETH", "hot")
    assert [str(Subject(Of.ASSET, "ETH")), str(Subject(Of.TIER, "ETH", "hot"))] == ["ETH", "hot/ETH"]
