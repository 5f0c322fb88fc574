"""What several nodes tell of the same blocks: what is accepted, and who is named for what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from connectors.errors import Reason, Unavailable
from connectors.evm.agreement import NOTHING, Settled, Way, settle
from connectors.evm.mined import Mined
from connectors.evm.transfers import Deed, Flow
from tests.unit.evm.crafted import COIN, COLD, HOT, THIEF, USDT, name_of, teller, tip

PAID = Deed("0x1", COIN, (Flow(HOT, THIEF, 5),), payer=HOT, fee=2)
TOKEN = Deed("0x2", USDT, (Flow(COLD, THIEF, 9),))


def way(*deeds: Deed, height: int = 7, begins: str | None = None) -> Way:
    block = Mined(tip(height), name_of(height - 1), deeds, tuple((deed.transaction, (HOT, 0)) for deed in deeds))
    return Way(begins or name_of(6), (block,))


def settled(*ways: Way, need: int) -> Settled:
    return settle(dict(zip("abcd", ways, strict=False)), need=need, teller=teller())


def deeds(found: Settled) -> tuple[Deed, ...]:
    return found.way.blocks[0].deeds


def test_nodes_that_tell_alike_agree() -> None:
    found = settled(way(PAID, TOKEN), way(PAID, TOKEN), need=2)
    assert (deeds(found), found.disputes, found.dissenters) == ((PAID, TOKEN), (), frozenset())


def test_what_two_of_three_tell_is_told_and_the_third_is_named() -> None:
    found = settled(way(PAID), way(PAID, TOKEN), way(PAID, TOKEN), need=2)
    assert deeds(found) == (PAID, TOKEN)
    assert found.dissenters == {"a"}
    (dispute,) = found.disputes
    assert (dispute.account, dispute.token, dispute.tip) == (COLD, USDT, tip(7))
    assert dispute.answers == (("a", NOTHING), ("b", "-9 by 0x2"), ("c", "-9 by 0x2"))


def test_what_one_of_three_invents_is_not_told() -> None:
    found = settled(way(PAID), way(PAID, TOKEN), way(PAID), need=2)
    assert (deeds(found), found.dissenters) == ((PAID,), frozenset({"b"}))


def test_one_word_against_another_is_not_settled_and_not_told() -> None:
    found = settled(way(PAID), way(PAID, TOKEN), need=2)
    assert (deeds(found), len(found.disputes)) == ((PAID,), 1)


def test_two_against_two_are_not_settled_and_who_tells_it_is_named() -> None:
    found = settled(way(PAID), way(PAID), way(PAID, TOKEN), way(PAID, TOKEN), need=2)
    assert (deeds(found), len(found.disputes)) == ((PAID,), 1)


def test_another_amount_is_another_statement() -> None:
    less = replace(TOKEN, flows=(Flow(COLD, THIEF, 1),))
    found = settled(way(TOKEN), way(less), way(TOKEN), need=2)
    assert (deeds(found), found.dissenters) == ((TOKEN,), frozenset({"b"}))
    assert found.disputes[0].answers[1] == ("b", "-1 by 0x2")


def test_an_invented_movement_of_nobody_we_watch_is_named_all_the_same() -> None:
    strange = Deed("0x3", COIN, (Flow(THIEF, THIEF, 1),))
    found = settled(way(), way(strange), way(), need=2)
    assert (found.dissenters, found.disputes[0].answers[1]) == (frozenset({"b"}), ("b", NOTHING))


def test_nodes_on_other_branches_settle_nothing() -> None:
    with pytest.raises(Unavailable) as caught:
        settled(way(PAID), way(PAID, height=8), need=2)
    assert caught.value.reason is Reason.NO_QUORUM


def test_a_node_on_another_branch_does_not_keep_the_others_from_agreeing() -> None:
    found = settled(way(PAID, height=8), way(PAID), way(PAID), need=2)
    assert (deeds(found), found.disputes) == ((PAID,), ())
