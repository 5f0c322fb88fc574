"""Judged by the warmer tier: what counts where, and that a wallet which looks another tier drains none."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Literal

import pytest

from connectors.base import Movement
from daemon.classify import Classification
from daemon.feeds.book import FeedBook
from daemon.ledger import Ledger
from daemon.model import Finding, Judgement, Notification, Report, Tier
from daemon.pipeline import Pipeline
from daemon.policy.cold_moved import ColdMoved
from daemon.policy.drain import Drain
from daemon.policy.tier_mismatch import TierMismatch
from daemon.setup import Setup
from tests.build import AGES, ETH, NOON, at, complete, inventory, movement, priced, tip, told, wallet

INVENTORY = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))
HALF_A_DAY = 43_200
OVER = 27 * HALF_A_DAY
"""The midnight after which nobody holds the busy day against the wallet any more: 14 days after it began."""

RULES = (
    ("drain", Drain.model_validate({"kind": "drain", "window": "10m", "max_share": "0.1", "of": "tier"})),
    ("cold-moved", ColdMoved.model_validate({"kind": "cold_moved"})),
    ("tier-mismatch", TierMismatch.model_validate({"kind": "tier_mismatch"})),
)


class Journal:
    problem: str | None = None

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None:
        pass


class Bench:
    """1,000 wei in a hot wallet and 99,000 in a cold one; three spends a day are hot."""

    def __init__(self, judge_by: Literal["declared", "warmer"]) -> None:
        setup = Setup(
            entity="E",
            currency="JPY",
            inventory=INVENTORY,
            policies=RULES,
            feeds=priced(ETH="500000"),
            growth=Decimal(1),
            ages={"ethereum": AGES},
            began=NOON,
            telling=frozenset({"ethereum"}),
            classification=Classification(hot_spends_per_day=Decimal(3), judge_by=judge_by),
        )
        self.pipeline = Pipeline(setup, Ledger(INVENTORY), FeedBook(setup.feeds), (), Journal(), (), ())

    async def read(self, seconds: int, *movements: Movement) -> Report:
        ledger = self.pipeline.ledger
        ledger.apply(complete(seconds, {(1, ETH): 1000, (2, ETH): 99_000}))
        if movements:
            ledger.apply(told(seconds, *movements, here=tip(seconds)))
        return await self.pipeline.cycle(at(seconds))

    async def refilled(self) -> Report:
        """The cold wallet has paid the hot one 21 times today."""
        await self.read(1)
        here = tip(2)
        return await self.read(2, *(movement(f"t{n}", {2: -1, 1: 1}, block=here, fee=0) for n in range(21)))


def drains(report: Report) -> set[Judgement]:
    return {one.judgement for one in report.verdicts if one.policy == "drain"}


async def test_a_wallet_that_looks_hot_counts_as_hot_where_the_warmer_tier_is_judged_by() -> None:
    report = await Bench("warmer").refilled()
    assert (report.wallets["cold"].tier, report.wallets["cold"].wallet.tier) == (Tier.HOT, Tier.COLD)
    assert report.exposure.hot_share["all"].value == 1


async def test_where_the_declared_tier_is_judged_by_it_is_a_finding_and_no_more() -> None:
    report = await Bench("declared").refilled()
    assert report.wallets["cold"].tier is Tier.COLD
    assert report.exposure.hot_share["all"].value == Decimal("0.01")
    mismatch = {one.subject: one.judgement for one in report.verdicts if one.policy == "tier-mismatch"}
    assert mismatch == {"cold": Judgement.BREACH}


async def test_neither_on_its_way_to_another_tier_nor_back_does_it_drain_one() -> None:
    bench = Bench("warmer")
    reports = [await bench.refilled(), await bench.read(3)]
    for seconds in (OVER - 2, OVER - 1):
        reports.append(await bench.read(seconds))
        assert reports[-1].wallets["cold"].tier is Tier.HOT
    for seconds in (OVER + 1, OVER + 2):
        reports.append(await bench.read(seconds))
        assert reports[-1].wallets["cold"].tier is Tier.COLD
    assert all(Judgement.BREACH not in drains(report) for report in reports)


@pytest.mark.parametrize("judge_by", ["declared", "warmer"])
async def test_a_vault_that_looks_hot_is_still_told_when_it_pays(judge_by: Literal["declared", "warmer"]) -> None:
    bench = Bench(judge_by)
    await bench.refilled()
    report = await bench.read(3, movement("theft", {2: -9}, block=tip(3), destinations=[("0xbad", 9)], fee=0))
    [found] = [one for one in report.verdicts if one.policy == "cold-moved" and one.subject == "cold"]
    assert found.judgement is Judgement.BREACH
