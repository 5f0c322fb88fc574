"""What a thief, or bad luck, could hide from the rules on payments: each test tries one way, and fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from connectors.base import Movement, Stage, Token
from daemon.detection.approval import Approved
from daemon.detection.detection import Around, Detection
from daemon.detection.outflow import Key, Outflow
from daemon.detection.profiles import Profiles
from daemon.model import Judgement, Tier
from daemon.policy.unknown_destination import UnknownDestination
from daemon.policy.unusual import Unusual
from tests.build import ETH, ETHER, USDT, at, inventory, movement, told, wallet
from tests.matched import BOOKS, COIN, POLICY, approval, grounds, payment
from tests.matched import Desk as Books
from tests.unit.detected import Watched, of
from tests.unit.test_announcements import plan
from tests.unit.test_detection_unusual import ANY, moved
from tests.unit.test_detection_unusual import Desk as Habits

INVENTORY = inventory(wallet("hot", Tier.HOT, 1), wallet("vault", Tier.COLD, 2), assets={"ETH": [ETH], "USDT": [USDT]})
HELD = {(number, token): 100 * ETHER for number in (1, 2) for token in (ETH, USDT)}
FINE = Token("ethereum", "0x" + "f" * 40, 18)
STRANGER, PARTNER, BROKER = ("0x" + digit * 40 for digit in "978")


def watched(*allowed: str) -> Watched:
    rule = UnknownDestination(kind="unknown_destination")
    return Watched(rule, inv=INVENTORY, held=HELD, allowed=dict.fromkeys(allowed, "known"))


def stolen(stage: Stage = Stage.PENDING) -> Movement:
    return movement("a", {2: -ETHER}, destinations=[(STRANGER, ETHER)], fee=0, stage=stage)


async def test_a_theft_that_comes_just_before_a_reload_is_told_after_it() -> None:
    watch = watched()
    await watch.pipeline.cycle(at(1))
    watch.pipeline.ledger.apply(told(5, stolen()))
    watch.reload()
    await watch.pipeline.cycle(at(6))
    assert watch.told == ["firing vault"]


@pytest.mark.parametrize("allowed", [None, {"0x" + "8" * 40: "broker"}], ids=["the same", "another allowlist"])
async def test_a_payment_that_is_replaced_just_before_a_reload_is_none_after_it(
    allowed: dict[str, str] | None,
) -> None:
    watch = watched()
    watch.pipeline.ledger.apply(told(5, stolen()))
    await watch.pipeline.cycle(at(5))
    watch.pipeline.ledger.apply(told(6, stolen(Stage.REPLACED)))
    watch.reload(allowed=allowed)
    report = await watch.pipeline.cycle(at(7))
    assert of(report, "vault").judgement is Judgement.OK


def test_a_large_payment_stays_unusual_when_its_fee_is_raised_whichever_is_told_first() -> None:
    desk = Habits(history=20, keys=ANY)
    assert desk.pay("first", 500) == {"largest": 2}
    desk.pay("raised", 500)
    desk.pay("first", 500, stage=Stage.REPLACED)
    assert desk.parts("raised") == {"largest": 2}


def test_a_payment_of_an_asset_is_compared_with_those_of_its_tokens_of_other_decimals() -> None:
    """Two tokens of one asset, of 18 and of 6 decimals; the wallet pays small change in the finer one as a rule."""
    inv = inventory(wallet("hot", Tier.HOT, 1), assets={"USD": [FINE, USDT]})
    profiles = Profiles()
    profiles.watch(inv.wallets, now=at(-10_000_000))
    rule = Unusual.model_validate({"kind": "unusual", **ANY})
    detection = Detection(Around(inv, profiles), policies=[("unusual", rule)])

    def pay(name: str, coins: int, token: Token) -> list[str]:
        units = coins * 10**token.decimals
        one = movement(name, {1: -units}, token=token, destinations=[(STRANGER, units)], fee=0, change=5)
        detection.take([moved(one, first_seen=at(0))])
        cases = detection.look(at(0))["unusual"].by_wallet.get("hot", ())
        return [part for case in cases if case.outflow.key.transaction == name for part in case.facts["parts"]]

    for number in range(20):
        pay(f"h{number}", 100, FINE)
    assert pay("usual", 100, USDT) == []
    assert pay("theft", 5_000, USDT) == ["largest", "far_larger"]
    assert pay("fine", 4_000, FINE) == []


def test_a_clock_that_ran_ahead_for_a_moment_hides_no_payment_after_it_was_set_right() -> None:
    desk = Books()
    desk.ask(seconds=0)
    desk.cases(3 * 86_400)
    desk.cases(59)
    desk.tell(payment("t1", [("thief", COIN)], seconds=60))
    assert desk.unmatched(100) == ["t1"]


def test_a_run_that_began_with_a_clock_ahead_judges_once_it_is_set_right() -> None:
    desk = Books()
    desk.book.clock = at(3 * 86_400)
    desk = desk.restarted([], rows={}, seconds=3 * 86_400)
    desk.ask(seconds=3 * 86_400)
    desk.cases(3 * 86_400)
    desk.cases(59)
    desk.tell(payment("t1", [("thief", COIN)], seconds=60))
    assert desk.unmatched(100) == ["t1"]


def test_a_payment_that_waited_for_days_and_was_dropped_is_unmatched_when_it_is_mined_after_all() -> None:
    desk = Books()
    desk.tell(payment("t1", [("thief", COIN)], seconds=0))
    assert desk.unmatched(60) == ["t1"]
    desk.tell(payment("t1", [("thief", COIN)], seconds=0, stage=Stage.EVICTED, since=90_000))
    assert desk.unmatched(90_001) == []
    desk.tell(payment("t1", [("thief", COIN)], seconds=0, stage=Stage.MINED, since=90_100))
    assert desk.unmatched(90_200) == ["t1"]


def test_a_source_that_spoke_while_the_clock_was_ahead_is_not_current_once_it_is_set_right() -> None:
    desk = Books()
    desk.ask(seconds=3 * 86_400)
    desk.cases(59)
    assert desk.book.silent(at(59)) == ("approvals:books",)
    desk.ask(seconds=60)
    assert (desk.book.silent(at(61)), desk.book.spoken) == ((), at(60))


class ToPartner:
    """Announcements explain every unit that goes to the partner."""

    number = 0

    def __init__(self) -> None:
        self._parts: dict[Key, dict[str, int]] = {}

    def take(self, one: Outflow) -> int:
        self._parts[one.key] = {name: units for name, units in one.destinations if name == "partner"}
        return sum(self._parts[one.key].values())

    def parts(self, key: Key) -> Mapping[str, int]:
        return self._parts[key]

    def withdraw(self, key: Key) -> None:
        del self._parts[key]


@pytest.mark.parametrize(
    ("to", "unmatched"),
    [([("partner", 5), ("thief", 5)], ["t1"]), ([("partner", 5), ("alice", 5)], [])],
    ids=["a theft", "a customer"],
)
def test_what_is_announced_and_approved_both_excuses_nobody_else_in_the_transaction(
    to: list[tuple[str, int]], unmatched: list[str]
) -> None:
    desk = Books()
    desk.detection = Detection(
        Around(desk.inventory, approvals=desk.book), policies=[(POLICY, desk.rule)], explains=ToPartner()
    )
    desk.approve(approval("W-1", 5, "partner"), approval("W-2", 5, "alice"))
    desk.tell(payment("t1", to, seconds=5))
    assert desk.unmatched(100) == unmatched


@pytest.mark.parametrize("other", [BROKER, STRANGER])
async def test_an_announced_destination_is_not_held_against_a_payment_that_goes_elsewhere_too(other: str) -> None:
    watch = watched(BROKER)
    watch.pipeline.detecting.announced.put([plan(wallet="vault", destinations=(PARTNER,))])
    pays = movement("a", {2: -2 * ETHER}, destinations=[(PARTNER, ETHER), (other, ETHER)], fee=0)
    await watch.see(pays, seconds=5)
    assert watch.told == ([] if other == BROKER else ["firing vault"])


def test_approvals_of_an_asset_that_a_reload_adds_are_read_though_the_source_says_nothing_new() -> None:
    desk = Books()
    desk.book.configured(replace(grounds(desk.inventory), assets={}))
    said = Approved(BOOKS, (approval("W-1", "1", "alice"),), complete=True, asked=at(0))
    desk.book.take(said, now=at(0))
    desk.book.configured(grounds(desk.inventory))
    desk.tell(payment("t1", [("alice", COIN)], seconds=5))
    desk.book.take(replace(said, asked=at(20)), now=at(20))
    assert desk.cases(20).by_wallet == {}


def test_approvals_that_a_clock_ahead_made_too_old_are_read_again_once_it_is_set_right() -> None:
    desk = Books()
    said = Approved(BOOKS, (approval("W-1", "1", "alice"),), complete=True, asked=at(0))
    desk.book.take(said, now=at(0))
    desk.book.take(replace(said, asked=at(9 * 86_400)), now=at(9 * 86_400))
    desk.cases(9 * 86_400)
    desk.cases(4)
    desk.tell(payment("t1", [("alice", COIN)], seconds=5))
    desk.book.take(replace(said, asked=at(20)), now=at(20))
    assert desk.cases(20).by_wallet == {}
