"""The register of movements: nothing lost, nothing doubled, nothing pushed out of sight."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Movement, Stage, Tip, Token, Update
from daemon.classify import classify
from daemon.model import Counterparty, Direction, Inventory, Leg, Moved, Step, Tier, Transfer
from daemon.movements import (
    KEPT,
    MOST,
    MOST_STEPS,
    PENDING_KEPT,
    SHOWN,
    Movements,
    direction,
    named,
    shortlist,
)
from tests.build import ETH, USDT, address, at, complete, inventory, movement, tip, told, wallet

BTC = Token("bitcoin", None, 8)
INVENTORY = inventory(
    wallet("hot", Tier.HOT, 1, 2),
    wallet("cold", Tier.COLD, 3),
    wallet("warm", Tier.WARM, 4),
    assets={"ETH": [ETH], "USDT": [USDT]},
)


def register(*updates: Update) -> Movements:
    found = Movements()
    for update in updates:
        found.take(update)
    return found


def stages(moved: Moved) -> list[Stage]:
    return [step.stage for step in moved.history]


def transactions(found: Movements) -> list[str]:
    return [moved.movement.transaction for moved in found.recent()]


def only(found: Movements) -> Moved:
    (moved,) = found.recent()
    return moved


# Stages.


def test_a_movement_is_known_by_its_newest_stage_and_remembers_the_others() -> None:
    found = register(told(5, movement("a", {1: -7})), told(9, movement("a", {1: -7}, block=tip(2))))
    moved = only(found)
    assert moved.movement.stage is Stage.MINED
    assert (moved.first_seen, moved.since) == (at(5), at(9))
    assert moved.history == (Step(Stage.PENDING, at(5), None), Step(Stage.MINED, at(9), tip(2)))


def test_what_is_told_again_as_it_is_known_changes_neither_time_nor_history() -> None:
    """A connector that begins anew tells what it finds pending, and the blocks that it reads again."""
    found = register(told(5, movement("a", {1: -7})), told(6, movement("b", {1: 7}, block=tip(1))))
    again = complete(3, {})
    first, second = movement("b", {1: 7}, block=tip(1)), movement("a", {1: -7})
    assert found.take(Update(again.chain, at(30), again.tip, complete=True, movements=(first, second))) == ()
    assert transactions(found) == ["b", "a"]
    assert [(moved.since, len(moved.history)) for moved in found.recent()] == [(at(6), 1), (at(5), 1)]


def test_what_is_told_again_may_know_more_than_before() -> None:
    found = register(told(5, movement("a", {1: -7})), told(6, movement("a", {1: -7}, fee=3)))
    assert (only(found).movement.fee, only(found).since) == (3, at(5))


def test_an_update_without_movements_takes_none_away_also_when_it_is_complete() -> None:
    found = register(told(5, movement("a", {1: -7})), complete(6, {}), told(7))
    assert transactions(found) == ["a"]


def test_a_reorg_makes_a_mined_one_pending_and_mined_again_in_one_update_or_in_several() -> None:
    there, back, again = (
        movement("a", {1: -7}, block=tip(2)),
        movement("a", {1: -7}),
        movement("a", {1: -7}, block=tip(2, branch="b")),
    )
    slowly = register(told(1, there), told(2, back), told(3, again))
    at_once = register(told(1, there), told(3, back, again))
    wanted = [(Stage.MINED, tip(2)), (Stage.PENDING, None), (Stage.MINED, tip(2, branch="b"))]
    for found in (slowly, at_once):
        assert [(step.stage, step.tip) for step in only(found).history] == wanted


def test_another_block_is_news_even_when_nobody_told_that_the_first_was_undone() -> None:
    found = register(told(1, movement("a", {1: -7}, block=tip(2))))
    (moved,) = found.take(told(3, movement("a", {1: -7}, block=tip(3, branch="b"))))
    assert [step.tip for step in moved.history] == [tip(2), tip(3, branch="b")]
    assert transactions(found) == ["a"]


def test_a_replaced_one_stands_beside_the_one_that_replaced_it() -> None:
    found = register(
        told(1, movement("a", {1: -7})),
        told(2, movement("a", {1: -7}, stage=Stage.REPLACED, replaced_by="b"), movement("b", {1: -9})),
    )
    newest, older = found.recent()
    assert (newest.movement.transaction, newest.movement.stage) == ("b", Stage.PENDING)
    assert (older.movement.stage, older.movement.replaced_by) == (Stage.REPLACED, "b")
    assert stages(older) == [Stage.PENDING, Stage.REPLACED]


def test_one_transaction_that_moves_two_tokens_is_two_movements() -> None:
    found = register(told(1, movement("a", {1: -7}), movement("a", {1: -5}, token=USDT)))
    assert {moved.movement.token for moved in found.recent()} == {ETH, USDT}


def test_the_same_name_on_two_chains_is_two_transactions() -> None:
    found = register(
        told(1, movement("a", {1: -7})), told(2, movement("a", {1: 7}, token=BTC), chain="bitcoin", here=tip(1))
    )
    assert [moved.movement.token.chain for moved in found.recent()] == ["bitcoin", "ethereum"]


def test_the_newest_change_of_stage_comes_first_over_all_chains() -> None:
    found = register(
        told(1, movement("a", {1: -1}), movement("b", {1: 2})),
        told(2, movement("c", {1: -1}, token=BTC), chain="bitcoin"),
        told(3, movement("d", {1: 5}, block=tip(1))),
        told(4, movement("a", {1: -1}, block=tip(2))),
    )
    assert transactions(found) == ["a", "d", "c", "b"]


def test_a_clock_that_was_set_back_does_not_shuffle_the_order() -> None:
    found = register(told(9, movement("a", {1: -1})), told(2, movement("b", {1: -1})))
    assert transactions(found) == ["b", "a"]


class Naive:
    """The oracle: everything that was ever told, by transaction."""

    def __init__(self) -> None:
        self.steps: dict[str, list[tuple[Stage, Tip | None]]] = {}

    def take(self, told: Sequence[Movement]) -> list[str]:
        news = []
        for one in told:
            steps = self.steps.setdefault(one.transaction, [])
            if steps[-1:] != [(one.stage, one.tip)]:
                steps.append((one.stage, one.tip))
                news.append(one.transaction)
        return news


blocks = st.sampled_from([tip(1), tip(2), tip(2, branch="b")])
said = st.builds(
    lambda name, block, stage, paid: movement(
        name, {1: -1 if paid else 1}, block=block if stage is Stage.MINED else None, stage=stage
    ),
    st.sampled_from("abcde"),
    blocks,
    st.sampled_from(Stage),
    st.booleans(),
)


@given(st.lists(st.lists(said, max_size=4), max_size=12))
def test_whatever_is_told_in_whatever_order_nothing_is_lost_or_doubled(updates: list[list[Movement]]) -> None:
    found, naive = Movements(), Naive()
    order: list[str] = []
    for seconds, movements in enumerate(updates):
        news = [moved.movement.transaction for moved in found.take(told(seconds, *movements))]
        assert news == naive.take(movements)
        for name in news:
            order = [name, *(other for other in order if other != name)]
    assert transactions(found) == order
    for moved in found.recent():
        steps = [(step.stage, step.tip) for step in moved.history]
        assert steps == naive.steps[moved.movement.transaction][-MOST_STEPS:]


# Bounds.


def crowd(name: str, units: int, *, size: int = MOST + 50, block: Tip | None = None) -> tuple[Movement, ...]:
    return tuple(movement(f"{name}-{n}", {1: units}, block=block) for n in range(size))


def test_deposits_in_any_number_push_out_neither_a_payment_nor_what_is_pending() -> None:
    found = register(
        told(1, movement("vault, pending", {3: -9})),
        told(2, movement("vault, mined", {3: -9}, block=tip(1))),
        told(3, movement("deposit, pending", {1: 1})),
        told(4, *crowd("dust", 1, block=tip(2))),
    )
    assert {"vault, pending", "vault, mined", "deposit, pending"} < set(transactions(found))
    assert len(transactions(found)) == MOST + 3
    found.take(told(5, *crowd("dust in the mempool", 1)))
    assert {"vault, pending", "vault, mined"} < set(transactions(found))
    assert "deposit, pending" not in transactions(found)
    assert len(transactions(found)) == 2 * MOST + 2


def test_of_too_many_the_oldest_go() -> None:
    found = register(told(1, *crowd("a", -1, block=tip(1))))
    assert transactions(found) == [f"a-{n}" for n in range(MOST + 49, 49, -1)]


def test_mined_payments_in_any_number_push_out_no_pending_one() -> None:
    found = register(told(1, movement("waiting", {1: -1})), told(2, *crowd("a", -1, block=tip(1))))
    assert transactions(found)[-1] == "waiting"


def test_what_is_settled_is_kept_for_days_and_what_is_pending_until_no_node_has_it_any_more() -> None:
    movements = movement("mined", {1: -1}, block=tip(1)), movement("pending", {1: -1})
    for later, left in ((KEPT, 2), (KEPT + timedelta(seconds=1), 1), (PENDING_KEPT, 1)):
        found = register(told(0, *movements), told(later.total_seconds()))
        assert len(transactions(found)) == left
    assert transactions(found) == ["pending"]
    found.take(told(PENDING_KEPT.total_seconds() + 1))
    assert transactions(found) == []


def test_the_age_of_one_chain_does_not_depend_on_the_others() -> None:
    found = register(
        told(0, movement("a", {1: -1}, block=tip(1))), told(KEPT.total_seconds() + 1, chain="bitcoin", here=tip(1))
    )
    assert transactions(found) == ["a"]


def test_a_movement_that_goes_back_and_forth_for_ever_has_a_history_that_ends() -> None:
    found = Movements()
    for seconds in range(100):
        found.take(told(seconds, movement("a", {1: -1}, block=tip(1) if seconds % 2 else None)))
    moved = only(found)
    assert (len(moved.history), moved.first_seen, moved.since) == (MOST_STEPS, at(0), at(99))


def test_other_chains_are_left_behind_and_the_old_register_is_not_touched() -> None:
    old = register(told(1, movement("a", {1: -1})), told(1, movement("b", {1: -1}, token=BTC), chain="bitcoin"))
    new = old.on(["bitcoin"])
    assert transactions(new) == ["b"]
    new.take(told(2, movement("c", {1: 1}, token=BTC), chain="bitcoin"))
    assert transactions(new) == ["c", "b"]
    assert transactions(old) == ["b", "a"]


# In the inventory's words.


def words(one: Movement, inv: Inventory = INVENTORY) -> Transfer:
    return named(only(register(told(1, one))), inventory=inv, tiers=classify(inv.wallets))


def test_a_movement_names_wallets_tiers_and_whose_the_counterparties_are() -> None:
    transfer = words(
        movement("a", {1: -7, 3: 5}, destinations=[("0xothers", 1), (address(3), 5)], sources=[(address(2), 7)])
    )
    assert transfer.asset == "ETH"
    assert transfer.legs == (Leg(address(1), "hot", Tier.HOT, -7), Leg(address(3), "cold", Tier.COLD, 5))
    assert transfer.destinations == (Counterparty("0xothers", 1, None), Counterparty(address(3), 5, "cold"))
    assert transfer.sources == (Counterparty(address(2), 7, "hot"),)


def test_accounts_and_tokens_that_are_not_configured_any_more_stay_as_they_are() -> None:
    transfer = words(movement("a", {9: -7}, token=BTC))
    assert (transfer.asset, transfer.legs) == (None, (Leg(address(9), None, None, -7),))
    assert not any(transfer.debits(tier) for tier in Tier)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (movement("comes in", {1: 5}), Direction.CREDIT),
        (movement("comes in, in two places", {1: 5, 3: 1}), Direction.CREDIT),
        (movement("touches us", {1: 0}), Direction.CREDIT),
        (movement("leaves", {1: -5}, destinations=[("x", 4)], fee=1), Direction.DEBIT),
        (movement("leaves to nobody knows whom", {1: -5}, fee=1), Direction.DEBIT),
        (movement("leaves, and nobody knows the fee", {1: -5}), Direction.DEBIT),
        (movement("half of it leaves", {1: -5, 3: 2}, destinations=[("x", 2)], fee=1), Direction.DEBIT),
        (movement("pays together with others", {1: -5, 3: 9}), Direction.DEBIT),
        (movement("refill", {3: -5, 1: 4}, fee=1), Direction.INTERNAL),
        (movement("refill in a token", {3: -5, 1: 5}, token=USDT), Direction.INTERNAL),
        (movement("consolidation", {3: -1}, change=4, fee=1), Direction.INTERNAL),
        (movement("swap with others", {1: -5, 3: 5}, destinations=[("x", 2)]), Direction.DEBIT),
    ],
    ids=lambda value: value.transaction if isinstance(value, Movement) else "",
)
def test_only_what_certainly_stays_ours_is_internal(one: Movement, expected: Direction) -> None:
    assert direction(one) is expected


def test_a_cold_wallet_is_debited_also_by_what_stays_ours() -> None:
    refill = words(movement("refill", {3: -5, 1: 4}, fee=1))
    assert (refill.debits(Tier.COLD), refill.debits(Tier.HOT)) == (True, False)
    sweep = words(movement("sweep", {1: -5, 3: 4}, fee=1))
    assert (sweep.debits(Tier.COLD), sweep.debits(Tier.HOT)) == (False, True)


# The few that are shown.


def shown(*updates: Update) -> list[str]:
    found = shortlist(register(*updates), inventory=INVENTORY, tiers=classify(INVENTORY.wallets))
    return [transfer.moved.movement.transaction for transfer in found]


def names(prefix: str, count: int) -> Iterator[str]:
    return (f"{prefix}{n}" for n in range(count))


def test_nothing_moved_shows_nothing() -> None:
    assert shown(told(1)) == []


def test_what_is_pending_comes_first_and_the_newest_before_the_older() -> None:
    assert shown(
        told(1, movement("pending", {1: -1})),
        told(2, movement("mined", {1: -1}, block=tip(1))),
        told(3, movement("evicted", {1: -1}, stage=Stage.EVICTED)),
    ) == ["pending", "evicted", "mined"]


def test_a_cold_wallet_that_pays_is_in_sight_however_much_else_goes_on() -> None:
    found = shown(
        told(1, movement("cold, mined", {3: -1}, block=tip(1)), movement("cold, pending", {3: -1})),
        told(2, *(movement(name, {1: -1}) for name in names("payout ", 20))),
        told(3, *(movement(name, {1: 1}) for name in names("deposit ", 20))),
        told(4, *(movement(name, {1: 1}, block=tip(1)) for name in names("arrived ", 20))),
    )
    assert found == [
        *("cold, pending", "payout 19", "payout 18", "payout 17", "payout 16"),
        *("cold, mined", "arrived 19", "arrived 18"),
    ]
    assert len(found) == SHOWN


def test_a_payment_into_a_cold_wallet_is_like_any_other() -> None:
    found = shown(
        told(1, movement("sweep into cold", {1: -2, 3: 1}, fee=1, block=tip(1))),
        told(2, *(movement(name, {1: 1}, block=tip(1)) for name in names("arrived ", 20))),
    )
    assert found == [f"arrived {n}" for n in range(19, 11, -1)]


def test_many_payments_out_of_cold_wallets_leave_room_for_the_newest() -> None:
    found = shown(
        told(1, *(movement(name, {3: -1}, block=tip(1)) for name in names("cold ", 9))),
        told(2, *(movement(name, {4: -1}, block=tip(1)) for name in names("warm ", 9))),
    )
    assert found == ["cold 8", "cold 7", "warm 8", "warm 7", "warm 6", "warm 5", "warm 4", "warm 3"]


def test_a_payment_is_shown_once() -> None:
    assert shown(told(1, movement("cold", {3: -1}, block=tip(1)))) == ["cold"]
