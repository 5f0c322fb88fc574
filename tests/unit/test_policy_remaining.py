"""What findings on payments, on control and on drains say is still there to be saved."""

from dataclasses import replace

import pytest

from daemon.ledger import Ledger
from daemon.model import Tier
from daemon.policy.cold_moved import ColdMoved
from daemon.policy.control_changed import ControlChanged, judge
from daemon.policy.probe import Probe
from daemon.policy.remaining import remaining
from daemon.policy.rule import Rule
from tests.build import ETH, ETHER, USDT, complete, inventory, movement, picture, wallet
from tests.unit.detected import Watched, of
from tests.unit.test_controls import OWNER, THIEF, safe, update

INVENTORY = inventory(wallet("vault", Tier.COLD, 2), assets={"ETH": [ETH], "USDT": [USDT]})
HELD = {(2, ETH): 1_000 * ETHER, (2, USDT): 0}


def held(*, unread: bool = False) -> dict[str, str | None]:
    """What a vault with 2.5 ETH and no USDT still holds; its ether is read or not."""
    ledger = Ledger(INVENTORY)
    ledger.apply(complete(1, {(2, ETH): 25 * ETHER // 10, (2, USDT): 0}))
    if unread:
        ledger.apply(complete(2, {(2, USDT): 0}, unread=[(2, ETH)]))
    return remaining(picture(ledger, INVENTORY).wallets["vault"])


def test_what_is_held_is_told_in_whole_coins_and_what_is_not_held_is_left_out() -> None:
    assert held() == {"ETH": "2.5"}


def test_what_is_not_read_is_unknown_and_neither_nothing_nor_the_last_value() -> None:
    assert held(unread=True) == {"ETH": None}


@pytest.mark.parametrize(
    "rule", [ColdMoved(kind="cold_moved"), Probe.model_validate({"kind": "probe", "large_share": "0.01"})]
)
async def test_a_finding_on_payments_names_what_its_wallet_still_holds(rule: Rule) -> None:
    watch = Watched(rule, inv=INVENTORY, held=HELD)
    for name, coins in (("test", 1), ("large", 400)):
        units = coins * ETHER // 10
        paid = movement(name, {2: -units}, destinations=[("0x" + "7" * 40, units)], fee=0)
        report = await watch.see(paid, seconds=5)
    found = of(report, "vault").evidence
    assert found["still_there"] == {"ETH": "1000"}  # what waits for a block has not left


def test_a_change_of_control_names_what_is_at_stake_as_it_is_now() -> None:
    vault = inventory(replace(wallet("vault", Tier.COLD, 3)))
    ledger = Ledger(vault)
    ledger.apply(complete(1, {(3, ETH): 7 * ETHER}))
    ledger.controls.take(update(1, safe(OWNER)))
    ledger.controls.take(update(5, safe(THIEF)))
    seen = picture(ledger, vault, seconds=10)
    (before,) = judge(ControlChanged(kind="control_changed"), seen, policy="p")
    ledger.apply(complete(6, {(3, ETH): 2 * ETHER}))
    later = replace(picture(ledger, vault, seconds=10), memory=seen.memory)
    (after,) = judge(ControlChanged(kind="control_changed"), later, policy="p")
    assert (before.evidence["still_there"], after.evidence["still_there"]) == ({"ETH": "7"}, {"ETH": "2"})
