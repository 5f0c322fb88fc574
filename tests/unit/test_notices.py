"""What the log says of payments and drift: what matters, in one line each, and no flood."""

from collections.abc import Mapping, Sequence
from typing import Any

from structlog.testing import capture_logs

from connectors.base import Drift, Movement, Stage, Token
from daemon import notices
from daemon.ledger import Ledger
from daemon.model import Inventory, Tier
from tests.build import ETH, ETHER, USDT, address, complete, inventory, movement, tip, told, wallet

INVENTORY = inventory(
    wallet("hot", Tier.HOT, 1, 2),
    wallet("cold", Tier.COLD, 3, 4),
    assets={"ETH": [ETH], "USDT": [USDT]},
)


def lines(*movements: Movement, inv: Inventory = INVENTORY) -> Sequence[Mapping[str, Any]]:
    ledger = Ledger(INVENTORY)
    ledger.apply(complete(1, {}))
    with capture_logs() as logs:
        notices.moved(ledger.apply(told(1, *movements)), inventory=inv)
    return logs


def test_a_cold_wallet_that_pays_is_a_warning_with_all_that_is_needed_to_look_it_up() -> None:
    (line,) = lines(movement("ab12", {3: -3 * ETHER // 2}, destinations=[("0xthief", ETHER)], block=tip(1)))
    assert line == {
        "log_level": "warning",
        "event": "a cold wallet pays",
        "chain": "ethereum",
        "transaction": "ab12",
        "stage": "mined",
        "direction": "debit",
        "asset": "ETH",
        "changes": {"cold": "-1.5"},
        "destinations": ["0xthief"],
        "height": 1,
        "hash": tip(1).hash,
    }


def test_any_other_payment_is_for_information() -> None:
    (line,) = lines(movement("a", {1: -7}, token=USDT))
    assert (line["log_level"], line["event"]) == ("info", "a wallet pays")
    assert line["changes"] == {"hot": "-0.000007"}


def test_a_deposit_is_not_logged_wherever_it_goes() -> None:
    assert lines(movement("a", {1: 7}), movement("b", {3: 7}, block=tip(1))) == []


def test_a_refill_out_of_cold_and_a_move_inside_cold_are_warnings_too() -> None:
    refill, inside = lines(
        movement("refill", {3: -5 * ETHER, 1: 4 * ETHER}, fee=ETHER),
        movement("inside", {3: -5 * ETHER, 4: 5 * ETHER}),
    )
    assert (refill["log_level"], refill["direction"], refill["changes"]) == (
        "warning",
        "internal",
        {"cold": "-5", "hot": "4"},
    )
    assert (inside["log_level"], inside["changes"]) == ("warning", {"cold": "0"})


def test_every_change_of_stage_is_a_line_and_a_repetition_is_none() -> None:
    ledger = Ledger(INVENTORY)
    ledger.apply(complete(1, {}))
    pending, replaced = movement("a", {3: -5}), movement("a", {3: -5}, stage=Stage.REPLACED, replaced_by="b")
    with capture_logs() as logs:
        for seconds, one in enumerate((pending, pending, replaced, pending, movement("a", {3: -5}, block=tip(1)))):
            notices.moved(ledger.apply(told(seconds, one)), inventory=INVENTORY)
    assert [line["stage"] for line in logs] == ["pending", "replaced", "pending", "mined"]
    assert logs[1]["replaced_by"] == "b"
    assert "replaced_by" not in logs[0]


def test_a_payout_to_a_hundred_names_a_few() -> None:
    (line,) = lines(movement("a", {1: -7}, destinations=[(f"0x{n}", 1) for n in range(100)]))
    assert line["destinations"] == ["0x0", "0x1", "0x2", "0x3", "0x4"]


def test_an_account_without_a_wallet_stands_for_itself() -> None:
    (line,) = lines(movement("a", {1: -ETHER}), inv=inventory(wallet("other", Tier.HOT, 9)))
    assert (line["log_level"], line["changes"]) == ("info", {address(1): "-1"})


def test_drift_is_one_line_with_the_first_accounts_and_how_many_more_there_are() -> None:
    ledger = Ledger(INVENTORY)
    ledger.apply(complete(1, {}))
    stranger = Token("ethereum", "0x" + "e" * 40, 2)
    drift = (Drift(address(3), ETH, 5, 4), Drift(address(9), stranger, 0, 1), *[Drift(address(1), ETH, 1, 2)] * 43)
    ledger.apply(told(1, drift=drift))
    with capture_logs() as logs:
        notices.drifted("ethereum", ledger.sweeps()["ethereum"])
    (line,) = logs
    assert (line["log_level"], line["event"], line["accounts"], line["more"]) == (
        "warning",
        "a sweep found drift",
        45,
        25,
    )
    assert (line["height"], line["hash"]) == (1, tip(1).hash)
    assert line["drift"][:2] == [
        {"account": address(3), "wallet": "cold", "asset": "ETH", "followed": 5, "found": 4},
        {"account": address(9), "wallet": None, "asset": None, "followed": 0, "found": 1},
    ]
    assert len(line["drift"]) == 20
