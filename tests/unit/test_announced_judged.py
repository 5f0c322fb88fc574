"""Announcements in the whole pipe: what they explain rings neither `cold_moved` nor `drain`, and hides nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Held, Movement, Stage, Update
from daemon.announcement import Act, Announcement
from daemon.feeds.book import FeedBook
from daemon.interval import EXACT
from daemon.ledger import Ledger
from daemon.model import Judgement, Owner, Report, Tier, Verdict
from daemon.pipeline import Pipeline
from daemon.policy.cold_moved import ColdMoved
from daemon.policy.drain import Drain
from daemon.setup import Setup
from tests.build import AGES, ETH, ETHER, address, at, complete, inventory, movement, priced, tip, wallet
from tests.unit.test_announcements import OUT, plan
from tests.unit.test_policy_cold_moved import Journal

THIEF = "0x" + "66" * 20
HOT, COLD, OWN, WARM = 1, 2, 3, 4
NAMES = {HOT: "hot", COLD: "cold", OWN: "own", WARM: "warm"}
INVENTORY = inventory(
    wallet("hot", Tier.HOT, HOT),
    wallet("cold", Tier.COLD, COLD),
    wallet("own", Tier.HOT, OWN, owner=Owner.COMPANY),
    wallet("warm", Tier.HOT, WARM),
)
STEP = 10
"""Seconds from block to block; block `n` is judged right after it was read."""


def drain(of: str, window: str) -> Drain:
    return Drain.model_validate({"kind": "drain", "window": window, "max_share": "0.10", "of": of})


class Exchange:
    """A chain on which payments and deposits are made, and the pipe that is told them block by block."""

    def __init__(self, *plans: Announcement, window: str = "10m", coins: int = 100) -> None:
        policies = (
            ("cold", ColdMoved.model_validate({"kind": "cold_moved"})),
            *((f"drain-{of}", drain(of, window)) for of in ("asset", "tier", "wallet")),
        )
        setup = Setup(
            entity="E",
            currency="JPY",
            inventory=INVENTORY,
            policies=policies,
            feeds=priced(ETH="1"),
            growth=Decimal(1),
            ages={"ethereum": replace(AGES, reading=timedelta(days=1), tip=timedelta(days=1))},
            began=at(-7200),
            telling=frozenset({"ethereum"}),
        )
        self.journal = Journal()
        self.pipeline = Pipeline(setup, Ledger(INVENTORY), FeedBook(setup.feeds), (), self.journal, ("am",), ())
        self.pipeline.detecting.announced.put(plans)
        self.units = dict.fromkeys(NAMES, coins * ETHER)
        self.height = 0
        self.pipeline.ledger.apply(complete(0, {(n, ETH): units for n, units in self.units.items()}))

    async def begun(self) -> Exchange:
        await self.pipeline.cycle(at(0))
        return self

    def pay(self, account: int, coins: float, *, to: str, name: str) -> Movement:
        """As it lies in the next block."""
        units = int(coins * ETHER)
        self.units[account] -= units
        return movement(name, {account: -units}, block=tip(self.height + 1), destinations=[(to, units)], fee=0)

    def deposit(self, account: int, coins: float) -> None:
        self.units[account] += int(coins * ETHER)

    async def block(self, *movements: Movement) -> Report:
        """The next block, with these movements and whatever balances have become."""
        before, self.height = tip(self.height), self.height + 1
        held = tuple(Held(address(number), ETH, units) for number, units in self.units.items())
        seen = at(self.height * STEP - 1)
        here = replace(tip(self.height), time=seen)
        movements = tuple(replace(one, tip=here) if one.tip else one for one in movements)
        previous = self.pipeline.ledger.books["ethereum"].tip or before
        self.pipeline.ledger.apply(Update("ethereum", seen, here, previous, held=held, movements=movements))
        return await self.pipeline.cycle(at(self.height * STEP))

    @property
    def told(self) -> list[str]:
        return [
            f"{event.value} {finding.verdict.alert} {finding.verdict.subject}" for event, finding in self.journal.told
        ]


def of(report: Report, subject: str, *, policy: str) -> Verdict:
    return next(one for one in report.verdicts if (one.policy, one.subject) == (policy, subject))


def gone(report: Report, subject: str = "ETH", *, policy: str = "drain-asset") -> Decimal | None:
    found = of(report, subject, policy=policy).measured
    assert found is not None
    return found.value


def share(coins: Decimal | int, *, of: Decimal | int) -> Decimal:
    return EXACT.divide(Decimal(coins), Decimal(of))


async def test_an_announced_sweep_rings_nothing_and_a_theft_beside_it_does() -> None:
    """Hot and cold wallets are swept to a fresh address, as an exchange's staff does during a theft."""
    sweeps = [plan("hot", at_most="100", ends=900), plan("cold", at_most="100", ends=900, wallet="cold")]
    exchange = await Exchange(*sweeps).begun()
    await exchange.block(
        exchange.pay(HOT, 100, to=OUT, name="sweep-hot"), exchange.pay(COLD, 100, to=OUT, name="sweep-cold")
    )
    assert exchange.told == []
    report = await exchange.block(exchange.pay(WARM, 50, to=THIEF, name="theft"))
    assert exchange.told == [
        "firing PyrometerDrain ETH",
        "firing PyrometerDrain hot/ETH",
        "firing PyrometerDrain warm/ETH",
    ]
    verdict = of(report, "ETH", policy="drain-asset")
    assert verdict.evidence["announced"] == "200"
    assert verdict.evidence["announcements"] == ["hot", "cold"]
    assert "(50 of 300) has left beyond the 200 that was announced since" in verdict.summary


async def test_one_unit_more_than_was_announced_rings_and_says_how_much_exceeds() -> None:
    exchange = await Exchange(plan(at_most="5", wallet="cold", ends=900)).begun()
    units = 5 * ETHER + 1
    exchange.units[COLD] -= units
    paid = movement("a", {COLD: -units}, block=tip(1), destinations=[(OUT, units)], fee=0)
    report = await exchange.block(paid)
    assert exchange.told == ["firing PyrometerColdMoved cold"]
    verdict = of(report, "cold", policy="cold")
    assert "5.000000000000000001 ETH, 0.000000000000000001 more than was announced: " in verdict.summary
    (told,) = verdict.evidence["transactions"]
    assert (told["announced"], told["announcements"]) == ("5", ["a"])


async def test_one_unit_less_to_another_address_than_was_announced_rings() -> None:
    exchange = await Exchange(plan(at_most="50", wallet="cold", ends=900)).begun()
    await exchange.block(exchange.pay(COLD, 5, to=THIEF, name="a"))
    assert exchange.told == ["firing PyrometerColdMoved cold"]


async def test_an_approval_that_comes_after_the_payment_ends_what_it_explains() -> None:
    waiting = plan(at_most="50", wallet="cold", ends=900, approved=False)
    exchange = await Exchange(waiting).begun()
    report = await exchange.block(exchange.pay(COLD, 50, to=OUT, name="a"))
    assert of(report, "cold", policy="cold").judgement is Judgement.BREACH
    assert gone(report) == share(50, of=300)
    exchange.pipeline.detecting.announced.put([replace(waiting, approved=Act("ben", at(15)))])
    report = await exchange.block()
    assert of(report, "cold", policy="cold").judgement is Judgement.OK
    assert "but as announced: its last payment is a" in of(report, "cold", policy="cold").summary
    assert gone(report) == 0


async def test_what_is_pending_has_not_left_yet_and_excuses_no_loss() -> None:
    exchange = await Exchange(plan(at_most="50", ends=900)).begun()
    pending = movement("a", {HOT: -50 * ETHER}, destinations=[(OUT, 50 * ETHER)], fee=0)
    exchange.units[HOT] -= 50 * ETHER  # stolen in a way that no movement tells
    report = await exchange.block(pending)
    assert of(report, "ETH", policy="drain-asset").judgement is Judgement.BREACH
    assert gone(report) == share(50, of=300)


async def test_an_announcement_of_a_wallet_excuses_no_other_wallet_and_no_other_tier() -> None:
    exchange = await Exchange(plan(at_most="50", ends=900)).begun()
    report = await exchange.block(
        exchange.pay(HOT, 50, to=OUT, name="planned"), exchange.pay(COLD, 50, to=THIEF, name="theft")
    )
    assert gone(report, "hot/ETH", policy="drain-tier") == gone(report, "hot/ETH", policy="drain-wallet") == 0
    for policy in ("drain-tier", "drain-wallet"):
        assert gone(report, "cold/ETH", policy=policy) == Decimal("0.5")
    assert gone(report) == share(50, of=300)


async def test_what_the_company_pays_out_of_its_own_excuses_nothing_of_the_customers() -> None:
    exchange = await Exchange(plan(at_most="50", wallet="own", ends=900)).begun()
    report = await exchange.block(
        exchange.pay(OWN, 50, to=OUT, name="planned"), exchange.pay(HOT, 50, to=THIEF, name="theft")
    )
    assert gone(report) == share(50, of=300)


async def test_a_deposit_after_an_announced_payment_makes_no_room_for_a_theft() -> None:
    exchange = await Exchange(plan(at_most="50", ends=900)).begun()
    await exchange.block(exchange.pay(HOT, 50, to=OUT, name="planned"))
    exchange.deposit(HOT, 30)
    assert gone(await exchange.block()) == 0
    report = await exchange.block(exchange.pay(HOT, 30, to=THIEF, name="theft"))
    assert gone(report) == share(30, of=300)


async def test_a_deposit_in_the_same_block_as_an_announced_payment_makes_no_room_for_a_theft() -> None:
    """The balance has not changed by the two: nothing but the heights tells that the payment is over."""
    exchange = await Exchange(plan(at_most="50", ends=900)).begun()
    exchange.deposit(HOT, 50)
    assert gone(await exchange.block(exchange.pay(HOT, 50, to=OUT, name="planned"))) == 0
    report = await exchange.block(exchange.pay(HOT, 50, to=THIEF, name="theft"))
    assert gone(report) == share(50, of=300)


async def test_a_payment_that_a_reorganisation_undoes_excuses_no_loss() -> None:
    exchange = await Exchange(plan(at_most="50", ends=900)).begun()
    paid = exchange.pay(HOT, 50, to=OUT, name="planned")
    assert gone(await exchange.block(paid)) == 0
    here = replace(tip(1, branch="b"), time=at(15))
    was = exchange.pipeline.ledger.books["ethereum"].tip
    again = replace(paid, stage=Stage.PENDING, tip=None)
    stolen = movement("theft", {HOT: -50 * ETHER}, block=here, destinations=[(THIEF, 50 * ETHER)], fee=0)
    held = (Held(address(HOT), ETH, 50 * ETHER),)
    exchange.pipeline.ledger.apply(
        Update("ethereum", at(15), here, was, held=held, reorg_depth=1, movements=(again, stolen))
    )
    report = await exchange.pipeline.cycle(at(16))
    assert gone(report) == share(50, of=300)


async def test_what_left_as_announced_before_the_window_excuses_nothing_in_it() -> None:
    exchange = await Exchange(plan(at_most="50", ends=900), window="30s").begun()
    await exchange.block(exchange.pay(HOT, 50, to=OUT, name="planned"))
    for _ in range(4):
        report = await exchange.block()
    report = await exchange.block(exchange.pay(HOT, 50, to=THIEF, name="theft"))
    verdict = of(report, "ETH", policy="drain-asset")
    assert verdict.measured is not None
    assert verdict.measured.value == share(50, of=250)
    assert "announced" not in verdict.evidence


async def test_while_a_part_is_unread_an_announcement_gives_no_certainty_either_way() -> None:
    """The swept account can't be read: what is missing may be what was announced, or something else."""
    exchange = await Exchange(plan(at_most="50", ends=900)).begun()
    await exchange.block()
    planned = exchange.pay(HOT, 50, to=OUT, name="planned")
    exchange.pay(WARM, 50, to=THIEF, name="theft")
    here = replace(tip(2), time=at(19))
    unread = complete(2, {(n, ETH): exchange.units[n] for n in (COLD, OWN, WARM)}, unread=[(HOT, ETH)])
    update = replace(unread, seen=at(19), tip=here, movements=(replace(planned, tip=here),))
    exchange.pipeline.ledger.apply(update)
    report = await exchange.pipeline.cycle(at(20))
    verdict = of(report, "ETH", policy="drain-asset")
    assert verdict.judgement is Judgement.UNKNOWN


EVENTS = st.sampled_from(["deposit", "planned", "theft", "approve"])
STEPS = st.lists(
    st.lists(st.tuples(EVENTS, st.sampled_from([HOT, COLD, WARM]), st.sampled_from([1, 2, 5])), max_size=3), max_size=9
)


@given(steps=STEPS, window=st.sampled_from([30, 60, 600]))
async def test_drain_misses_what_left_but_for_what_was_announced_since_each_reading(
    steps: list[list[tuple[str, int, int]]], window: int
) -> None:
    """Said naively: of every reading in the window, what is held now and what was explained after it is taken off."""
    waiting = [plan(name, at_most="7", ends=900, wallet=name, approved=False) for name in ("hot", "cold", "warm")]
    exchange = await Exchange(*waiting, window=f"{window}s", coins=30).begun()
    history = [90]
    for number, step in enumerate(steps):
        movements = []
        for place, (event, account, coins) in enumerate(step):
            if event == "deposit":
                exchange.deposit(account, coins)
            elif event == "approve":
                waiting = [
                    replace(one, approved=Act("ben", at(1))) if one.id == NAMES[account] else one for one in waiting
                ]
                exchange.pipeline.detecting.announced.put(waiting)
            elif exchange.units[account] >= coins * ETHER:
                to = OUT if event == "planned" else THIEF
                movements.append(exchange.pay(account, coins, to=to, name=f"{number}-{place}"))
        report = await exchange.block(*movements)
        held = sum(exchange.units[account] for account in (HOT, COLD, WARM)) // ETHER
        history.append(held)
        now = len(history) - 1
        seen = [place for place in range(now + 1) if place == now or (place + 1) * STEP >= now * STEP - window]
        left = exchange.pipeline.detecting.announced.departed.values()
        explained = [
            sum((one.coins for found in left for one in found if one.height > place), Decimal(0))
            for place in range(now + 1)
        ]
        missing = max(history[place] - explained[place] for place in seen) - held
        assert gone(report) == share(missing, of=max(history[place] for place in seen))


@pytest.mark.parametrize("coins", [11, 50])
async def test_more_changes_than_are_told_apart_keep_an_announced_payment_apart(coins: int) -> None:
    """Readings older than the newest 64 are merged where they are near in time: not over what was announced."""
    exchange = await Exchange(plan(at_most="50", ends=9000), window="1d").begun()
    await exchange.block(exchange.pay(HOT, coins, to=OUT, name="planned"))
    for number in range(70):
        exchange.deposit(HOT, 0.001 if number % 2 else -0.001)
        report = await exchange.block()
    assert gone(report) == 0
    report = await exchange.block(exchange.pay(HOT, 31, to=THIEF, name="theft"))
    assert gone(report) == share(31, of=300)
