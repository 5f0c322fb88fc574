"""The ledger: running totals equal a naive recomputation, whatever updates come."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Drift, Failure, Held, Token, Unread, Update
from connectors.errors import Reason
from daemon.ledger import MOST_NAMED, GapError, Ledger, Sweep, Total
from daemon.model import Tier
from daemon.sweeps import Drifted, SweepState
from tests.build import (
    ETH,
    USDT,
    address,
    at,
    complete,
    failed,
    inventory,
    movement,
    tip,
    told,
    two_tiers,
    wallet,
)

ASSETS = {"ETH": [ETH], "USDT": [USDT]}
INVENTORY = inventory(wallet("hot", Tier.HOT, 1, 2), wallet("cold", Tier.COLD, 3, 4), assets=ASSETS)
KEYS = [(account, token) for account in (1, 2, 3, 4) for token in (ETH, USDT)]

Found = dict[tuple[int, Token], int | None]

readings = st.dictionaries(st.sampled_from(KEYS), st.one_of(st.none(), st.integers(0, 2**256 - 1)))
steps = st.lists(st.tuples(st.booleans(), readings), min_size=1, max_size=12)


class Naive:
    """The oracle: remembers what was read, adds it all up at the end."""

    def __init__(self) -> None:
        self.last: dict[tuple[int, Token], int] = {}
        self.unread = set(KEYS)

    def take(self, found: Found, *, whole: bool) -> None:
        if whole:
            self.unread |= set(KEYS) - set(found)
        for key, units in found.items():
            if units is None:
                self.unread.add(key)
            else:
                self.last[key] = units
                self.unread.discard(key)

    def total(self, accounts: tuple[int, ...], token: Token) -> Total:
        keys = [(account, token) for account in accounts]
        return Total(
            known=sum(self.last[key] for key in keys if key not in self.unread),
            lost=sum(self.last.get(key, 0) for key in keys if key in self.unread),
            pairs=len(keys),
            unread=sum(key in self.unread for key in keys),
            never=sum(key not in self.last for key in keys),
        )


@given(steps)
def test_running_totals_equal_a_naive_recomputation(
    updates: list[tuple[bool, Found]],
) -> None:
    ledger, naive = Ledger(INVENTORY), Naive()
    for height, (complete_again, found) in enumerate(updates):
        whole = complete_again or height == 0
        ledger.apply(_update(height, found, whole=whole))
        naive.take(found, whole=whole)
    totals = ledger.totals().wallets
    for name, accounts in (("hot", (1, 2)), ("cold", (3, 4))):
        for token in (ETH, USDT):
            assert totals[(name, token)] == naive.total(accounts, token)
    book = ledger.books["ethereum"]
    assert sum(book.reasons.values()) == len(book.unread) == len(naive.unread)


def _update(height: int, found: Found, *, whole: bool) -> Update:
    return Update(
        chain="ethereum",
        seen=at(height),
        tip=tip(height),
        previous=None if height == 0 else tip(height - 1),
        complete=whole,
        held=tuple(Held(address(a), t, units) for (a, t), units in found.items() if units is not None),
        unread=tuple(Unread(address(a), t, Reason.TIMEOUT, "") for (a, t), units in found.items() if units is None),
    )


@given(st.lists(st.builds(Total, *[st.integers(0, 10**30)] * 5), max_size=8), st.randoms())
def test_totals_merge_in_any_order_and_grouping(parts: list[Total], random: object) -> None:
    middle = len(parts) // 2
    left, right = sum(parts[:middle], Total()), sum(parts[middle:], Total())
    assert left + right == right + left == sum(reversed(parts), Total())
    assert (left + right) - right == left


def test_before_the_first_reading_everything_is_never_read() -> None:
    ledger = Ledger(INVENTORY)
    assert ledger.totals().wallets[("hot", ETH)] == Total(pairs=2, unread=2, never=2)
    assert ledger.books["ethereum"].reasons == {Reason.STARTING: 8}


def test_an_update_that_does_not_continue_the_tip_is_a_gap() -> None:
    _, ledger = two_tiers(1, 2)
    with pytest.raises(GapError, match="ethereum"):
        ledger.apply(Update(chain="ethereum", seen=at(9), tip=tip(9), previous=tip(8)))


def test_the_same_height_on_another_branch_is_a_gap_too() -> None:
    _, ledger = two_tiers(1, 2)
    with pytest.raises(GapError):
        ledger.apply(Update(chain="ethereum", seen=at(2), tip=tip(2), previous=tip(1, branch="b")))


def test_a_failed_chain_keeps_its_picture_and_remembers_the_first_failure_in_a_row() -> None:
    _, ledger = two_tiers(1, 2)
    ledger.apply(failed(5))
    ledger.apply(failed(6, reason=Reason.TIMEOUT))
    book = ledger.books["ethereum"]
    assert book.failed is not None
    assert (book.failed[0].reason, book.failed[1]) == (Reason.TIMEOUT, at(5))
    assert book.tip == tip(1)
    assert ledger.totals().wallets[("hot", ETH)] == Total(known=1, pairs=1)


def test_a_good_update_ends_the_failure() -> None:
    _, ledger = two_tiers(1, 2)
    ledger.apply(failed(5))
    ledger.apply(Update(chain="ethereum", seen=at(7), tip=tip(1), previous=tip(1)))
    assert ledger.books["ethereum"].failed is None
    assert ledger.books["ethereum"].seen == at(7)


def test_one_unread_account_is_unread_at_once_and_its_wallet_knows_since_which_block() -> None:
    _, ledger = two_tiers(1, 2)
    ledger.apply(complete(2, {(2, ETH): 2}, unread=[(1, ETH)]))
    assert ledger.totals().wallets[("hot", ETH)] == Total(lost=1, pairs=1, unread=1)
    assert ledger.totals().lost_at == {("hot", ETH): tip(1).time}


def test_the_time_of_the_loss_is_that_of_the_first_loss_until_all_is_read_again() -> None:
    _, ledger = two_tiers(1, 2)
    ledger.apply(complete(2, {(2, ETH): 2}, unread=[(1, ETH)]))
    ledger.apply(complete(3, {(2, ETH): 2}, unread=[(1, ETH)]))
    lost: datetime = ledger.totals().lost_at[("hot", ETH)]
    assert lost == tip(1).time
    ledger.apply(complete(4, {(1, ETH): 5, (2, ETH): 2}))
    assert ledger.totals().lost_at == {}


def test_a_complete_update_that_forgets_an_account_leaves_it_unread() -> None:
    _, ledger = two_tiers(1, 2)
    ledger.apply(complete(2, {(1, ETH): 1}))
    assert ledger.totals().wallets[("cold", ETH)] == Total(lost=2, pairs=1, unread=1)
    assert ledger.books["ethereum"].reasons[Reason.BAD_ANSWER] == 1


def test_an_update_without_a_tip_and_without_a_failure_is_a_bad_answer() -> None:
    _, ledger = two_tiers(1, 2)
    ledger.apply(Update(chain="ethereum", seen=at(3)))
    failure = ledger.books["ethereum"].failed
    assert failure is not None
    assert failure[0].reason is Reason.BAD_ANSWER


def test_a_new_inventory_carries_over_what_both_watch_and_nothing_else() -> None:
    _, older = two_tiers(7, 9)
    older.apply(complete(2, {(1, ETH): 7}, unread=[(2, ETH)]))
    newer = Ledger(inventory(wallet("hot", Tier.HOT, 1, 5), wallet("vault", Tier.COLD, 2)))
    newer.carry_over(older, chains=["ethereum"])
    totals = newer.totals().wallets
    assert totals[("hot", ETH)] == Total(known=7, pairs=2, unread=1, never=1)
    assert totals[("vault", ETH)] == Total(lost=9, pairs=1, unread=1)
    assert newer.books["ethereum"].tip == tip(2)


def test_what_was_lost_before_a_reload_does_not_become_younger_by_it_nor_lose_its_reason() -> None:
    inv, older = two_tiers(7, 9)
    for height in (2, 3):
        older.apply(complete(height, {(1, ETH): 7}, unread=[(2, ETH)]))
    newer = Ledger(inv)
    newer.carry_over(older, chains=["ethereum"])
    assert newer.totals() == older.totals()
    assert newer.books == older.books


def test_what_was_never_read_keeps_its_reason_too() -> None:
    """The connector tells it once; a worker that goes on would never tell it again."""
    inv = inventory(wallet("hot", Tier.HOT, 1))
    older, newer = Ledger(inv), Ledger(inv)
    older.apply(complete(1, {}, unread=[(1, ETH)]))
    newer.carry_over(older, chains=["ethereum"])
    assert +newer.books["ethereum"].reasons == {Reason.NODE_ERROR: 1}


ONE = Drift(address(1), ETH, followed=1, found=7)
TWO = Drift(address(2), ETH, followed=2, found=0)


def test_a_book_keeps_the_result_of_the_last_sweep_and_counts_over_all_of_them() -> None:
    _, ledger = two_tiers(1, 2)
    book = ledger.books["ethereum"]
    assert (book.sweep, book.drifted, ledger.sweeps()) == (None, 0, {})
    ledger.apply(told(5, drift=(ONE, TWO)))
    assert (book.sweep, book.drifted) == (Sweep(at(5), tip(1), (ONE, TWO)), 2)
    ledger.apply(told(6))
    assert book.sweep == Sweep(at(5), tip(1), (ONE, TWO))
    ledger.apply(told(7, drift=()))
    assert (book.sweep, book.drifted) == (Sweep(at(7), tip(1), ()), 2)
    ledger.apply(told(8, drift=(ONE,)))
    assert book.drifted == 3


def test_a_sweep_names_wallets_and_assets_and_no_more_than_a_few_accounts() -> None:
    _, ledger = two_tiers(1, 2)
    strangers = tuple(Drift(address(n), USDT, followed=0, found=n) for n in range(100, 200))
    ledger.apply(told(5, drift=(ONE, TWO, *strangers)))
    sweep = ledger.sweeps()["ethereum"]
    assert (sweep.at, sweep.tip, sweep.accounts, len(sweep.drifted)) == (at(5), tip(1), 102, MOST_NAMED)
    assert sweep.drifted[:3] == (
        Drifted("hot", "ETH", ONE),
        Drifted("cold", "ETH", TWO),
        Drifted(None, None, strangers[0]),
    )


def test_a_reload_carries_the_last_sweep_in_the_words_of_the_new_inventory() -> None:
    _, older = two_tiers(1, 2)
    older.apply(told(5, drift=(ONE,)))
    newer = Ledger(inventory(wallet("renamed", Tier.HOT, 1)))
    newer.carry_over(older, chains=["ethereum"])
    assert newer.sweeps() == {"ethereum": SweepState(at(5), tip(1), 1, (Drifted("renamed", "ETH", ONE),))}
    assert newer.books["ethereum"].drifted == 1
    asked_anew = Ledger(inventory(wallet("renamed", Tier.HOT, 1)))
    asked_anew.carry_over(older, chains=[])
    assert asked_anew.sweeps() == {}


def test_an_update_that_is_a_gap_enters_neither_drift_nor_movements() -> None:
    _, ledger = two_tiers(1, 2)
    with pytest.raises(GapError):
        ledger.apply(told(9, movement("a", {1: -5}), here=tip(9), previous=tip(8), drift=(ONE,)))
    assert ledger.sweeps() == {}
    assert list(ledger.movements.recent()) == []


def test_a_failure_says_nothing_else_whatever_stands_in_it() -> None:
    _, ledger = two_tiers(1, 2)
    failure = Failure(Reason.TIMEOUT, "no answer")
    said = Update("ethereum", at(5), failure=failure, movements=(movement("a", {1: -5}),), drift=(ONE,))
    assert ledger.apply(said) == ()
    assert ledger.sweeps() == {}
    assert list(ledger.movements.recent()) == []


def test_an_update_gives_the_movements_that_changed_their_stage_by_it() -> None:
    _, ledger = two_tiers(1, 2)
    (pending,) = ledger.apply(told(5, movement("a", {1: -5})))
    assert (pending.movement.transaction, pending.since) == ("a", at(5))
    assert ledger.apply(told(6, movement("a", {1: -5}))) == ()
    (mined,) = ledger.apply(told(7, movement("a", {1: -5}, block=tip(2)), here=tip(2), previous=tip(1)))
    assert [step.tip for step in mined.history] == [None, tip(2)]


def test_a_reload_keeps_movements_of_what_is_watched_no_longer_but_not_of_chains_that_are_gone() -> None:
    inv = inventory(
        wallet("hot", Tier.HOT, 1),
        wallet("btc", Tier.COLD, 2, chain="bitcoin"),
        assets={"ETH": [ETH], "BTC": [Token("bitcoin", None, 8)]},
    )
    older = Ledger(inv)
    older.apply(complete(1, {(1, ETH): 5}))
    older.apply(told(5, movement("a", {1: -5})))
    on_bitcoin = movement("b", {2: -5}, token=Token("bitcoin", None, 8))
    older.apply(Update("bitcoin", at(5), tip(1), complete=True, movements=(on_bitcoin,)))
    newer = Ledger(inventory(wallet("other", Tier.HOT, 9)))
    newer.carry_over(older, chains=[])
    assert [moved.movement.transaction for moved in newer.movements.recent()] == ["a"]
    newer.apply(complete(1, {(9, ETH): 5}))
    newer.apply(told(6, movement("a", {1: -5}, block=tip(1))))
    (moved,) = newer.movements.recent()
    assert moved.first_seen == at(5)
