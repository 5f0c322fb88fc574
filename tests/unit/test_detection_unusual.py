"""How unlike earlier payments a payment is: each part of the score, and a near-identical payment without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from types import MappingProxyType

import pytest

from connectors.base import Movement, Stage, Token
from daemon.detection.case import Case
from daemon.detection.detection import Around, Detection
from daemon.detection.outflow import Key, Outflow
from daemon.detection.profiles import Profiles
from daemon.model import Judgement, Moved, Step, Tier
from daemon.policy.rule import Picture
from daemon.policy.unusual import ALERT, Unusual, judge
from tests.build import ETH, NOON, USDT, at, inventory, movement, picture, tip, two_tiers, wallet

INVENTORY = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2), assets={"ETH": [ETH], "USDT": [USDT]})
CUSTOMER = "0x" + "cc" * 20


def moved(told: Movement, *, first_seen: datetime) -> Moved:
    return Moved(1, told, first_seen, (Step(told.stage, first_seen, told.tip),))


class Announced:
    """So much of one transaction is announced."""

    def __init__(self, transaction: str, units: int) -> None:
        self.number = 0
        self._transaction, self._units = transaction, units

    def take(self, one: Outflow) -> int:
        return self._units if one.key.transaction == self._transaction else 0

    def parts(self, key: Key) -> Mapping[str, int]:
        return {}

    def withdraw(self, key: Key) -> None:
        pass


class Desk:
    """The hot wallet, whose payments are told one by one; `history` of them are 100 units at noon, with change."""

    def __init__(
        self, *, history: int = 0, explains: Announced | None = None, keys: Mapping[str, object] = MappingProxyType({})
    ) -> None:
        self.rule = Unusual.model_validate({"kind": "unusual", **keys})
        self.profiles = Profiles()
        self.profiles.watch(INVENTORY.wallets, now=NOON - timedelta(days=60))
        self.detection = Detection(
            Around(INVENTORY, self.profiles), policies=[("unusual", self.rule)], explains=explains
        )
        for number in range(history):
            self.pay(f"h{number}", 100, days=number - history)

    def pay(
        self,
        transaction: str,
        units: int,
        *,
        fee: int = 10,
        change: int = 5,
        token: Token = ETH,
        destinations: Sequence[str] = (CUSTOMER,),
        days: float = 0,
        size: int = 100,
        stage: Stage = Stage.PENDING,
    ) -> dict[str, int]:
        """Points by part; {} where it is no case."""
        told = movement(
            transaction,
            {1: -units - fee},
            token=token,
            destinations=[(name, units // len(destinations)) for name in destinations],
            change=change,
            fee=fee,
            size=size,
            stage=stage,
        )
        self.detection.take([moved(told, first_seen=NOON + timedelta(days=days))])
        return self.parts(transaction)

    def cases(self, *, seconds: float = 0) -> Mapping[str, Case]:
        found = self.detection.look(at(seconds))["unusual"].by_wallet.get("hot", ())
        return {case.outflow.key.transaction: case for case in found}

    def parts(self, transaction: str) -> dict[str, int]:
        case = self.cases().get(transaction)
        return {} if case is None else {name: part["points"] for name, part in case.facts["parts"].items()}


ANY = {"threshold": 1}


def test_without_history_only_what_needs_none_counts() -> None:
    assert Desk(keys=ANY).pay("t", 10**9, change=0, token=ETH) == {}


def test_the_largest_ever_counts_once_there_is_history() -> None:
    assert Desk(history=20, keys=ANY).pay("t", 101) == {"largest": 2}
    assert Desk(history=19, keys=ANY).pay("t", 101) == {}
    assert Desk(history=20, keys=ANY).pay("t", 100) == {}


def test_far_larger_counts_from_one_payment_on() -> None:
    assert Desk(history=1, keys=ANY).pay("t", 1000) == {"far_larger": 2}
    assert Desk(history=1, keys=ANY).pay("t", 999) == {}
    assert Desk(history=20, keys=ANY).pay("t", 1000) == {"largest": 2, "far_larger": 2}


def test_a_test_payment_before_a_large_one_is_no_finding_by_itself() -> None:
    desk = Desk()
    desk.pay("test", 1)
    assert desk.pay("t", 10**9) == {}


def test_nothing_that_comes_back_counts_where_there_is_change_as_a_rule() -> None:
    assert Desk(history=20, keys=ANY).pay("t", 50, change=0) == {"no_change": 2}
    assert Desk(history=20, keys=ANY).pay("t", 50, change=1) == {}


def test_nothing_that_comes_back_is_usual_for_a_wallet_that_has_seldom_change() -> None:
    desk = Desk(keys=ANY)
    for number in range(20):
        desk.pay(f"h{number}", 100, change=number % 2)
    assert desk.pay("t", 50, change=0) == {}


def test_change_may_also_go_to_another_of_our_accounts() -> None:
    desk = Desk(history=20, keys=ANY)
    told = movement("t", {1: -60, 2: 5}, destinations=[(CUSTOMER, 50)], fee=5, size=100)
    desk.detection.take([moved(told, first_seen=NOON)])
    assert desk.parts("t") == {}


def test_a_fee_of_twenty_times_the_median_is_absurd() -> None:
    assert Desk(history=10, keys=ANY).pay("t", 500, fee=200) == {"fee": 3}
    assert Desk(history=10, keys=ANY).pay("t", 500, fee=199) == {}


def test_a_fee_is_compared_by_size_where_the_chain_counts_it() -> None:
    assert Desk(history=10, keys=ANY).pay("t", 500, fee=200, size=101) == {}


def test_without_enough_fees_to_compare_with_only_the_share_counts() -> None:
    assert Desk(history=9, keys=ANY).pay("t", 500, fee=200) == {}
    assert Desk(keys=ANY).pay("t", 500, fee=250) == {"fee": 3}


def test_where_no_size_is_counted_a_fee_below_a_thousandth_is_never_absurd() -> None:
    desk = Desk(keys={"far_larger": 0, **ANY})
    for number in range(20):
        desk.pay(f"h{number}", 300_000, size=0)
    assert desk.pay("t", 200_001, fee=200, size=0) == {}
    assert desk.pay("u", 200_000, fee=200, size=0) == {"fee": 3}


def test_a_class_of_counterparties_that_was_never_paid_counts() -> None:
    desk = Desk(history=20, keys=ANY)
    assert desk.pay("t", 90, destinations=["a", "b", "c"]) == {"counterparty": 1}
    assert desk.pay("u", 90, destinations=["d", "e"]) == {}
    assert desk.pay("v", 90, destinations=[str(number) for number in range(10)]) == {"counterparty": 1}


def test_an_hour_in_which_it_never_paid_counts_when_it_was_watched_long_enough() -> None:
    assert Desk(history=20, keys=ANY).pay("t", 90, days=0.5) == {"hour": 1}
    assert Desk(history=20, keys={"history_for": "61d", **ANY}).pay("t", 90, days=0.5) == {}
    assert Desk(history=20, keys=ANY).pay("t", 90, days=1.01) == {}


def test_the_first_payment_of_an_asset_counts_once_there_is_history_of_others() -> None:
    assert Desk(history=20, keys=ANY).pay("t", 90, token=USDT, fee=0) == {"new_asset": 1}
    assert Desk(history=19, keys=ANY).pay("t", 90, token=USDT, fee=0) == {}


def test_below_the_threshold_is_no_finding_and_at_it_is_one() -> None:
    assert Desk(history=20, keys={"threshold": 4}).pay("t", 101, change=0) == {"largest": 2, "no_change": 2}
    assert Desk(history=20, keys={"threshold": 5}).pay("t", 101, change=0) == {}


@pytest.mark.parametrize("part", ["largest", "far_larger", "no_change", "fee", "counterparty", "hour"])
def test_a_part_of_no_points_is_switched_off(part: str) -> None:
    def told(**keys: int) -> dict[str, int]:
        desk = Desk(history=20, keys={"threshold": 1, **keys})
        return desk.pay("t", 2000, change=0, fee=1000, destinations=["a", "b"], days=0.5)

    assert part in told()
    assert told(**{part: 0}) == {name: points for name, points in told().items() if name != part}


def test_the_parts_stand_in_words_in_the_summary_and_in_the_facts() -> None:
    desk = Desk(history=20)
    desk.pay("t", 2000, change=0)
    case = desk.cases()["t"]
    assert case.says == (
        "hot pays 0.000000000000002 ETH, which scores 6 of 4: the largest ever, 20 times the largest before (+2); "
        "20 times the largest of 0.0000000000000001 ETH before (+2); "
        "nothing comes back, where 20 of 20 payments had change (+2)"
    )
    assert (case.facts["score"], case.facts["threshold"]) == (6, 4)


def test_what_is_announced_scores_nothing_and_of_the_rest_only_the_rest() -> None:
    assert Desk(history=20, explains=Announced("t", 2000), keys=ANY).pay("t", 2000, change=0) == {}
    assert Desk(history=20, explains=Announced("t", 1900), keys=ANY).pay("t", 2000) == {}
    assert Desk(history=20, explains=Announced("t", 1899), keys=ANY).pay("t", 2000) == {"largest": 2}


def test_told_again_at_another_stage_it_is_the_same_case() -> None:
    desk = Desk(history=20)
    before = desk.pay("t", 2000)
    told = movement("t", {1: -2010}, destinations=[(CUSTOMER, 2000)], change=5, fee=10, size=100, block=tip(9))
    desk.detection.take([moved(told, first_seen=NOON)])
    assert desk.parts("t") == before
    assert desk.cases()["t"].outflow.stage is Stage.MINED


@pytest.mark.parametrize("replaced_first", [True, False])
def test_one_that_replaces_another_is_not_compared_with_it(replaced_first: bool) -> None:
    desk = Desk(history=20)
    desk.pay("first", 2000)

    def replaced() -> None:
        desk.pay("first", 2000, stage=Stage.REPLACED)

    if replaced_first:
        replaced()
    desk.pay("second", 2000, fee=11)
    if not replaced_first:
        replaced()
    assert desk.cases().keys() == {"second"}


def test_one_that_was_evicted_is_no_case_any_more() -> None:
    desk = Desk(history=20)
    desk.pay("t", 2000)
    desk.pay("t", 2000, stage=Stage.EVICTED)
    assert desk.cases() == {}


def test_it_is_over_when_it_was_mined_long_enough_ago() -> None:
    desk = Desk(history=20, keys={"keep": "1h"})
    told = movement("t", {1: -2010}, destinations=[(CUSTOMER, 2000)], fee=10, size=100, block=tip(9))
    desk.detection.take([moved(told, first_seen=NOON)])
    assert desk.cases(seconds=3599).keys() == {"t"}
    assert desk.cases(seconds=3600) == {}


def test_a_reload_that_brings_the_rule_finds_what_it_would_have_found() -> None:
    desk = Desk(history=20, keys={"threshold": 1000})
    told = movement("t", {1: -2010}, destinations=[(CUSTOMER, 2000)], change=5, fee=10, size=100)
    one = moved(told, first_seen=NOON)
    desk.detection.take([one])
    rule = Unusual.model_validate({"kind": "unusual"})
    after = Detection(Around(INVENTORY, desk.profiles), policies=[("unusual", rule)])
    after.taking_over(desk.detection, recent=[one])
    assert after.look(NOON)["unusual"].by_wallet["hot"][0].facts["score"] == 4
    assert desk.profiles.of("hot").tally.payments == 21  # type: ignore[union-attr]


def test_a_movement_between_the_last_look_and_a_reload_is_counted() -> None:
    desk = Desk(history=3)
    between = moved(movement("b", {1: -110}, destinations=[(CUSTOMER, 100)], fee=10), first_seen=NOON)
    after = Detection(Around(INVENTORY, desk.profiles), policies=[("unusual", desk.rule)])
    after.taking_over(desk.detection, recent=[between])
    assert desk.profiles.of("hot").tally.payments == 4  # type: ignore[union-attr]


def test_the_verdict_of_a_wallet_names_the_payment_and_stands_for_its_signers() -> None:
    desk = Desk(history=20)
    desk.pay("t", 2000)
    inv, ledger = two_tiers(1, 1)
    seen: Picture = replace(
        picture(ledger, inv), telling={"ethereum": NOON}, cases={"unusual": desk.detection.look(NOON)["unusual"]}
    )
    found = {verdict.subject: verdict for verdict in judge(desk.rule, seen, policy="unusual")}
    assert (found["hot"].alert, found["hot"].judgement) == (ALERT, Judgement.BREACH)
    assert (found["hot"].wallets, found["hot"].grounds) == (("hot",), ("t",))
    assert found["hot"].evidence["transactions"][0]["parts"].keys() == {"largest", "far_larger"}
    assert (found["cold"].judgement, found["cold"].summary) == (Judgement.OK, "cold pays nothing unusual")
