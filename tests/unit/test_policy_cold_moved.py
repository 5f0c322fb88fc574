"""The rule `cold_moved`: a cold wallet that pays somebody outside, from the mempool on, one finding for each wallet."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from connectors.base import Movement, Stage, Update
from daemon.feeds.book import FeedBook
from daemon.ledger import Ledger
from daemon.model import Event, Finding, Inventory, Judgement, Notification, Owner, Report, State, Tier, Verdict
from daemon.movements import MOST
from daemon.pipeline import Pipeline
from daemon.policy.cold_moved import MOST_SHOWN, ColdMoved
from daemon.setup import Setup
from tests.build import (
    AGES,
    ETH,
    ETHER,
    USDT,
    at,
    complete,
    failed,
    inventory,
    movement,
    priced,
    tip,
    told,
    wallet,
)

INVENTORY = inventory(
    wallet("hot", Tier.HOT, 1),
    wallet("vault", Tier.COLD, 2, 3),
    wallet("reserve", Tier.COLD, 4, owner=Owner.GUARANTEE),
    wallet("warm", Tier.WARM, 5),
    assets={"ETH": [ETH], "USDT": [USDT]},
)
THIEF = "0xthief"


class Journal:
    problem: str | None = None

    def __init__(self) -> None:
        self.told: list[tuple[Event, Finding]] = []

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None:
        self.told += [(one.event, one.finding) for one in notifications]


class Watch:
    """A pipeline with the rule on a chain that tells movements, and what its receiver is told."""

    def __init__(self, *, telling: bool = True, inv: Inventory = INVENTORY, began: float = -7200) -> None:
        rule = ColdMoved(kind="cold_moved")
        self.setup = Setup(
            entity="E",
            currency="JPY",
            inventory=inv,
            policies=(("cold", rule),),
            feeds=priced(ETH="1"),
            growth=Decimal(1),
            ages={"ethereum": AGES},
            began=at(began),
            telling=frozenset({"ethereum"} if telling else ()),
        )
        self.journal = Journal()
        self.pipeline = Pipeline(self.setup, Ledger(inv), FeedBook(self.setup.feeds), (), self.journal, ("am",), ())
        self.pipeline.ledger.apply(complete(1, {(n, token): ETHER for n in range(1, 6) for token in (ETH, USDT)}))

    async def see(self, *movements: Movement, seconds: float) -> Report:
        here = replace(tip(1), time=at(seconds))  # the chain goes on
        self.pipeline.ledger.books["ethereum"].tip = here
        return await self.take(told(seconds, *movements, here=here), seconds=seconds)

    async def take(self, update: Update, *, seconds: float) -> Report:
        self.pipeline.ledger.apply(update)
        return await self.pipeline.cycle(at(seconds))

    @property
    def told(self) -> list[str]:
        return [f"{event.value} {finding.verdict.subject}" for event, finding in self.journal.told]


def theft(name: str = "a", *, units: int = 7 * ETHER, **keys: object) -> Movement:
    paid = movement(name, {2: -units}, destinations=[(THIEF, units - 10**16)], fee=10**16)
    return replace(paid, **keys)  # type: ignore[arg-type]


def of(report: Report, subject: str = "vault") -> Verdict:
    return next(verdict for verdict in report.verdicts if verdict.subject == subject)


async def test_a_pending_payment_is_told_at_once_with_all_that_is_known_of_it() -> None:
    watch = Watch()
    found = of(await watch.see(theft(), seconds=5))
    assert watch.told == ["firing vault"]
    assert (found.alert, found.judgement) == ("PyrometerColdMoved", Judgement.BREACH)
    assert found.summary == (
        "vault pays out 7 ETH: 6.99 to 0xthief, fee 0.01; transaction a, pending since 12:00:05 UTC"
    )
    assert found.evidence["transactions"] == [
        {
            "transaction": "a",
            "stage": "pending",
            "asset": "ETH",
            "amount": "7",
            "destinations": {"0xthief": "6.99"},
            "fee": "0.01",
            "first_seen": "2026-11-23T12:00:05+00:00",
            "since": "2026-11-23T12:00:05+00:00",
        }
    ]


async def test_pending_and_then_mined_is_one_finding_that_names_the_block() -> None:
    watch = Watch()
    before = await watch.see(theft(), seconds=5)
    after = await watch.see(theft(stage=Stage.MINED, tip=tip(2)), seconds=30)
    assert watch.told == ["firing vault"]
    assert [item.id for item in after.findings] == [item.id for item in before.findings]
    assert of(after).summary.endswith("transaction a, in block 2")
    assert of(after).evidence["transactions"][0]["hash"] == tip(2).hash


async def test_what_is_mined_stays_a_finding_for_an_hour() -> None:
    watch = Watch()
    await watch.see(theft(stage=Stage.MINED, tip=tip(2)), seconds=10)
    await watch.see(seconds=3609)
    await watch.see(seconds=3610)
    assert watch.told == ["firing vault"]
    report = await watch.see(seconds=3670)
    assert watch.told == ["firing vault", "resolved vault"]
    assert of(report).summary == (
        "vault pays nobody outside the inventory (any more): its last payment, a, was mined more than 1h ago"
    )


async def test_one_that_is_replaced_by_another_payment_goes_on_as_the_same_finding() -> None:
    watch = Watch()
    await watch.see(theft(), seconds=5)
    report = await watch.see(theft(stage=Stage.REPLACED, replaced_by="b"), theft("b", units=8 * ETHER), seconds=100)
    await watch.see(seconds=1000)
    assert watch.told == ["firing vault"]
    assert "pays out 8 ETH" in of(report).summary
    shown = [(one["transaction"], one["stage"]) for one in of(report).evidence["transactions"]]
    assert shown == [("b", "pending"), ("a", "replaced")]
    assert of(report).evidence["transactions"][1]["replaced_by"] == "b"


async def test_one_that_is_replaced_by_a_payment_to_ourselves_is_over() -> None:
    watch = Watch()
    await watch.see(theft(), seconds=5)
    rescue = movement("b", {2: -7 * ETHER, 1: 6 * ETHER}, fee=ETHER)
    await watch.see(theft(stage=Stage.REPLACED, replaced_by="b"), rescue, seconds=20)
    report = await watch.see(seconds=80)
    assert watch.told == ["firing vault", "resolved vault"]
    assert of(report).summary.endswith("its last payment, a, was replaced by b at 12:00:20 UTC")


async def test_one_that_is_evicted_is_over_after_a_minute_and_says_so() -> None:
    watch = Watch()
    await watch.see(theft(), seconds=5)
    await watch.see(theft(stage=Stage.EVICTED), seconds=20)
    await watch.see(seconds=79)
    assert watch.told == ["firing vault"]
    report = await watch.see(seconds=80)
    assert watch.told == ["firing vault", "resolved vault"]
    assert of(report).summary.endswith("its last payment, a, left the mempool at 12:00:20 UTC, and is in no block")


async def test_while_the_chain_is_not_read_nothing_is_over() -> None:
    watch = Watch()
    await watch.see(theft(), seconds=5)
    await watch.see(theft(stage=Stage.EVICTED), seconds=20)
    for seconds in (81, 200):
        await watch.take(failed(seconds), seconds=seconds)
    assert watch.told == ["firing vault"]
    await watch.see(seconds=210)
    await watch.see(seconds=270)
    assert watch.told == ["firing vault", "resolved vault"]


async def test_one_that_comes_back_within_the_minute_was_never_over() -> None:
    watch = Watch()
    await watch.see(theft(), seconds=5)
    await watch.see(theft(stage=Stage.EVICTED), seconds=20)
    await watch.see(theft(), seconds=60)
    await watch.see(seconds=300)
    assert watch.told == ["firing vault"]


async def test_a_reorganisation_makes_it_pending_again_and_the_finding_stays() -> None:
    watch = Watch()
    await watch.see(theft(stage=Stage.MINED, tip=tip(2)), seconds=5)
    report = await watch.see(theft(), seconds=20)
    await watch.see(seconds=5000)  # pending for as long as it is
    assert watch.told == ["firing vault"]
    assert of(report).summary.endswith("pending since 12:00:20 UTC")


async def test_a_reorganisation_that_drops_it_withdraws_the_finding() -> None:
    watch = Watch()
    await watch.see(theft(stage=Stage.MINED, tip=tip(2)), seconds=5)
    await watch.see(theft(stage=Stage.EVICTED), seconds=20)
    await watch.see(seconds=80)
    assert watch.told == ["firing vault", "resolved vault"]


async def test_several_payments_of_a_wallet_are_one_finding_and_of_two_wallets_two() -> None:
    watch = Watch()
    report = await watch.see(
        theft("a"), theft("b"), movement("c", {4: -5, 3: -1}, destinations=[(THIEF, 5)], fee=1), seconds=5
    )
    assert watch.told == ["firing vault", "firing reserve"]
    assert of(report).summary.endswith("(and 2 more)")
    assert of(report).evidence["payments"] == 3
    assert [one["transaction"] for one in of(report).evidence["transactions"]] == ["c", "b", "a"]
    assert of(report, "reserve").evidence["payments"] == 1


async def test_who_empties_a_vault_in_many_transactions_is_told_by_the_newest() -> None:
    watch = Watch()
    report = await watch.see(*(theft(f"a{n}") for n in range(50)), seconds=5)
    assert of(report).evidence["payments"] == 50
    assert [one["transaction"] for one in of(report).evidence["transactions"]] == [
        f"a{49 - n}" for n in range(MOST_SHOWN)
    ]


@pytest.mark.parametrize(
    ("one", "fires"),
    [
        (movement("to a stranger", {2: -9}, destinations=[(THIEF, 8)], fee=1), True),
        (movement("to a stranger, with change", {2: -9}, destinations=[(THIEF, 8)], change=50, fee=1), True),
        (movement("half refill, half theft", {2: -9, 1: 4}, destinations=[(THIEF, 4)], fee=1), True),
        (movement("together with a hot wallet", {2: -9, 1: -9}, destinations=[(THIEF, 17)], fee=1), True),
        (movement("nobody knows the fee", {2: -9}, destinations=[(THIEF, 8)]), True),
        (movement("all of it is fee", {2: -9}, fee=9), True),
        (movement("refill", {2: -9, 1: 8}, fee=1), False),
        (movement("refill whose fee nobody knows", {2: -9, 1: 8}), False),
        (movement("into the other vault", {2: -9, 4: 8}, fee=1), False),
        (movement("between its own accounts", {2: -9, 3: 8}, fee=1), False),
        (movement("consolidation", {2: -1}, change=50, fee=1), False),
        (movement("refill with a note", {2: -9, 1: 8}, destinations=[("6a0548656c6c6f", 0)], fee=1), False),
        (movement("deposit", {2: 9}, sources=[(THIEF, 9)]), False),
        (movement("a hot wallet pays", {1: -9}, destinations=[(THIEF, 8)], fee=1), False),
        (movement("a warm wallet pays", {5: -9}, destinations=[(THIEF, 8)], fee=1), False),
        (movement("a hot wallet pays, and the vault too", {1: -9, 2: 5}, destinations=[(THIEF, 3)], fee=1), False),
    ],
    ids=lambda value: value.transaction if isinstance(value, Movement) else "",
)
async def test_a_payment_to_somebody_outside_is_told_and_its_near_twins_are_not(one: Movement, fires: bool) -> None:
    watch = Watch()
    report = await watch.see(one, seconds=5)
    assert watch.told == (["firing vault"] if fires else [])
    assert of(report).judgement is (Judgement.BREACH if fires else Judgement.OK)


async def test_the_fee_for_moving_a_token_inside_the_inventory_is_no_payment() -> None:
    watch = Watch()
    fee, token = movement("a", {2: -1}, fee=1), movement("a", {2: -9, 1: 9}, token=USDT)
    await watch.see(fee, token, seconds=5)
    assert watch.told == []


async def test_a_cold_wallet_of_whatever_owner_is_watched_and_no_other() -> None:
    report = await Watch().see(seconds=5)
    assert [verdict.subject for verdict in report.verdicts] == ["vault", "reserve"]
    assert of(report).summary == "vault pays nobody outside the inventory"


async def test_a_chain_that_tells_no_movements_is_not_judged() -> None:
    report = await Watch(telling=False).see(seconds=5)
    assert report.verdicts == ()


async def test_of_a_chain_that_is_not_read_it_is_unknown_and_what_was_told_stays() -> None:
    watch = Watch()
    report = await watch.take(failed(100), seconds=100)
    assert (of(report).judgement, of(report).causes) == (Judgement.UNKNOWN, ("chain:ethereum",))
    watch = Watch()
    await watch.see(theft(), seconds=5)
    report = await watch.take(failed(100), seconds=100)
    assert of(report).judgement is Judgement.BREACH


async def test_a_mined_payment_of_an_earlier_run_stays_a_finding_although_nobody_knows_it_any_more() -> None:
    watch = Watch()
    report = await watch.see(theft(stage=Stage.MINED, tip=tip(2)), seconds=5)
    again = Watch(began=20)
    again.pipeline.findings = report.findings
    for seconds in range(30, 3620, 30):
        later = await again.see(seconds=seconds)
    assert [(item.id, item.state) for item in later.findings] == [(report.findings[0].id, State.FIRING)]
    await again.see(seconds=3620)
    await again.see(seconds=3680)
    assert again.told == ["resolved vault"]


async def test_no_number_of_payouts_pushes_a_payment_out_of_a_vault_out_of_sight() -> None:
    watch = Watch()
    await watch.see(theft(stage=Stage.MINED, tip=tip(2)), seconds=5)
    payouts = (movement(f"p{n}", {1: -9}, destinations=[("x", 8)], block=tip(3), fee=1) for n in range(MOST + 50))
    report = await watch.see(*payouts, seconds=20)
    assert of(report).judgement is Judgement.BREACH
    assert "a" in {moved.movement.transaction for moved in watch.pipeline.ledger.movements.recent(cold=True)}


async def test_a_wallet_that_a_reload_calls_cold_is_watched_from_then_on() -> None:
    """What it paid before was no payment of a cold wallet; what a wallet paid that is cold no more is none now."""
    inv = inventory(wallet("hot", Tier.COLD, 1), wallet("vault", Tier.HOT, 2), assets={"ETH": [ETH]})
    watch = Watch()
    await watch.see(theft(), movement("b", {1: -9}, destinations=[(THIEF, 8)], fee=1), seconds=5)
    ledger = Ledger(inv)
    ledger.carry_over(watch.pipeline.ledger, chains=["ethereum"])
    watch.pipeline.ledger, watch.pipeline.setup = ledger, replace(watch.setup, inventory=inv)
    report = await watch.see(seconds=20)
    assert of(report, "hot").judgement is Judgement.OK
    report = await watch.see(movement("c", {1: -9}, destinations=[(THIEF, 8)], fee=1), seconds=30)
    assert [(verdict.subject, verdict.judgement) for verdict in report.verdicts] == [("hot", Judgement.BREACH)]


def test_it_is_kept_for_an_hour_unless_it_is_said() -> None:
    assert ColdMoved(kind="cold_moved").keep == timedelta(hours=1)
    assert ColdMoved.model_validate({"kind": "cold_moved", "keep": "1d"}).keep == timedelta(days=1)
