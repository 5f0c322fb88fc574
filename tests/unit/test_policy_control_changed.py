"""The rule `control_changed`: what is told of a change and of a difference, until when, and what is unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.base import UNREAD, Control
from daemon.ledger import Ledger
from daemon.model import Expected, Inventory, Judgement, Tier, Verdict
from daemon.policy.control_changed import ControlChanged, judge
from tests.build import ETH, ETHER, address, complete, failed, inventory, picture, wallet
from tests.unit.test_controls import OWNER, THIEF, safe, single, update

RULE = ControlChanged(kind="control_changed")
OWNERS: Expected = ((("owner",), (OWNER,)),)
THRESHOLD: Expected = ((("threshold", "minimum", "minApproval"), ("1",)),)
NO_MODULES: Expected = ((("module",), ()),)


class Scene:
    def __init__(self, *, expected: Expected = ()) -> None:
        vault = replace(wallet("vault", Tier.COLD, 3), expected=expected)
        self.inv: Inventory = inventory(vault)
        self.ledger = Ledger(self.inv)
        self.ledger.apply(complete(1, {(3, ETH): ETHER}))

    def tell(self, height: int, *controls: Control) -> Scene:
        self.ledger.controls.take(update(height, *controls))
        return self

    def verdict(self, *, seconds: float = 10, rule: ControlChanged = RULE) -> Verdict:
        (found,) = judge(rule, picture(self.ledger, self.inv, seconds=seconds), policy="p")
        return found


def test_what_is_as_it_was_told_first_is_no_breach() -> None:
    found = Scene().tell(1, safe(OWNER)).verdict()
    assert (found.judgement, found.cleared) == (Judgement.OK, True)


def test_a_change_names_what_it_was_and_is_with_account_block_and_transaction() -> None:
    after = replace(safe(OWNER, THIEF, threshold=2), transaction="0x77")
    found = Scene().tell(1, safe(OWNER, threshold=3)).tell(5, after).verdict()
    assert (found.alert, found.judgement, found.cleared) == ("PyrometerControlChanged", Judgement.BREACH, False)
    assert found.summary == (
        f"Control of vault has changed: threshold from 3 to 2, owner {THIEF} added; {address(3)}, block 5,"
        " transaction 0x77"
    )
    (change,) = found.evidence["changes"]
    assert change["facts"]["threshold"] == {"before": ["3"], "after": ["2"]}
    assert (change["height"], change["transaction"]) == (5, "0x77")


def test_a_change_stays_a_finding_for_as_long_as_the_rule_keeps_it() -> None:
    scene = Scene().tell(1, safe(OWNER)).tell(5, safe(THIEF))
    rule = RULE.model_copy(update={"keep": timedelta(seconds=40)})
    assert scene.verdict(seconds=44, rule=rule).judgement is Judgement.BREACH
    found = scene.verdict(seconds=46, rule=rule)
    assert (found.judgement, found.cleared) == (Judgement.OK, True)


def test_a_change_back_does_not_end_the_finding() -> None:
    """Who was in control for a block may have done what he wanted."""
    found = Scene().tell(1, safe(OWNER)).tell(5, safe(THIEF)).tell(6, safe(OWNER)).verdict()
    assert found.judgement is Judgement.BREACH
    assert len(found.evidence["changes"]) == 2


@pytest.mark.parametrize(
    ("expected", "judgement"),
    [(OWNERS, Judgement.OK), (OWNERS + THRESHOLD, Judgement.OK), (THRESHOLD, Judgement.BREACH)],
    ids=["what changed is stated", "more is stated", "something else is stated"],
)
def test_a_change_to_what_the_inventory_states_is_no_breach(expected: Expected, judgement: Judgement) -> None:
    assert Scene(expected=expected).tell(1, safe(THIEF)).tell(5, safe(OWNER)).verdict().judgement is judgement


def test_a_difference_from_what_is_expected_is_a_breach_from_the_first_reading_on_and_stays() -> None:
    scene = Scene(expected=OWNERS + NO_MODULES).tell(1, safe(OWNER, THIEF))
    found = scene.verdict(seconds=59, rule=RULE.model_copy(update={"keep": timedelta(seconds=1)}))
    assert found.judgement is Judgement.BREACH
    assert found.summary == (
        f"Control of vault is not what the inventory expects: owner is {OWNER}, {THIEF}, expected {OWNER}; {address(3)}"
    )


def test_a_plain_account_that_should_be_a_safe_is_a_breach() -> None:
    assert Scene(expected=OWNERS).tell(1, single(3)).verdict().judgement is Judgement.BREACH


def test_control_that_was_never_told_is_unknown_and_blinds_nobody() -> None:
    found = Scene().verdict()
    assert (found.judgement, found.cleared, found.causes) == (Judgement.UNKNOWN, False, ())


def test_control_that_can_not_be_read_is_unknown_and_says_why() -> None:
    gone = Control(address(3), UNREAD, (("reason", "timeout"),))
    found = Scene().tell(1, safe(OWNER)).tell(2, gone).verdict()
    assert (found.judgement, found.cleared, found.causes) == (Judgement.UNKNOWN, False, ("chain:ethereum",))
    assert found.summary == f"Nobody knows who controls vault: {address(3)}: timeout"


def test_a_chain_that_can_not_be_read_is_unknown() -> None:
    scene = Scene().tell(1, safe(OWNER))
    scene.ledger.apply(failed(2))
    assert scene.verdict(seconds=300).judgement is Judgement.UNKNOWN


def test_a_change_stays_a_breach_when_nothing_can_be_read_any_more() -> None:
    scene = Scene().tell(1, safe(OWNER)).tell(5, safe(THIEF))
    scene.ledger.apply(failed(6))
    found = scene.verdict(seconds=300)
    assert (found.judgement, found.causes) == (Judgement.BREACH, ())


def test_wallets_of_chains_that_do_not_tell_control_are_not_judged() -> None:
    scene = Scene()
    seen = replace(picture(scene.ledger, scene.inv, seconds=1), controls={})
    assert list(judge(RULE, seen, policy="p")) == []


def test_several_changes_are_counted_and_the_newest_is_told() -> None:
    found = Scene().tell(1, safe(OWNER)).tell(5, safe(THIEF)).tell(7, safe(THIEF, threshold=2)).verdict()
    assert "threshold from 1 to 2" in found.summary
    assert found.summary.endswith("(and 1 more changes)")


def test_members_that_come_and_go_are_told_one_by_one() -> None:
    found = Scene().tell(1, safe(OWNER)).tell(5, safe(THIEF)).verdict()
    assert f"owner {OWNER} removed, owner {THIEF} added" in found.summary
