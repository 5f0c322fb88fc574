"""Rules on payments in a pipeline that is told movements, and what its receiver hears of them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from connectors.base import Address, Movement, Token, Update
from daemon.detection.destinations import Destinations
from daemon.feeds.book import FeedBook
from daemon.ledger import Ledger
from daemon.model import Finding, Inventory, Notification, Report, Verdict
from daemon.pipeline import Pipeline
from daemon.policy.rule import Rule
from daemon.setup import Setup
from tests.build import AGES, ETH, at, complete, priced, tip, told


class Journal:
    problem: str | None = None

    def __init__(self) -> None:
        self.told: list[str] = []

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None:
        self.told += [f"{one.event.value} {one.finding.verdict.subject}" for one in notifications]


class Watched:
    """A pipeline with one rule on the chain `ethereum`, whose accounts hold `held` at block 1, if it is said."""

    def __init__(
        self,
        rule: Rule,
        *,
        inv: Inventory,
        allowed: Mapping[str, str] | None = None,
        held: Mapping[tuple[int, Token], int] | None = None,
    ) -> None:
        self.setup = Setup(
            entity="E",
            currency="JPY",
            inventory=inv,
            policies=(("rule", rule),),
            feeds=priced(ETH="1"),
            growth=Decimal(1),
            ages={"ethereum": AGES},
            began=at(-7200),
            telling=frozenset({"ethereum"}),
            destinations=allowing(inv, allowed or {}),
        )
        self.journal = Journal()
        self.pipeline = Pipeline(self.setup, Ledger(inv), FeedBook(self.setup.feeds), (), self.journal, ("am",), ())
        if held is not None:
            self.pipeline.ledger.apply(complete(1, held))

    @property
    def told(self) -> list[str]:
        return self.journal.told

    async def see(self, *movements: Movement, seconds: float) -> Report:
        """What the chain tells so many seconds after noon, in a block of no matter that comes then."""
        here = replace(tip(1), time=at(seconds))
        book = self.pipeline.ledger.books["ethereum"]
        if book.tip is not None:
            book.tip = here
            return await self.take(told(seconds, *movements, here=here), seconds=seconds)
        self.pipeline.ledger.movements.take(told(seconds, *movements))
        return await self.pipeline.cycle(at(seconds))

    async def take(self, update: Update, *, seconds: float) -> Report:
        self.pipeline.ledger.apply(update)
        return await self.pipeline.cycle(at(seconds))

    def reload(self, *, rule: Rule | None = None, allowed: Mapping[str, str] | None = None) -> None:
        """Goes on with another rule or other destinations."""
        policies = self.setup.policies if rule is None else (("rule", rule),)
        destinations = self.setup.destinations if allowed is None else allowing(self.setup.inventory, allowed)
        self.setup = replace(self.setup, policies=policies, destinations=destinations)
        older = self.pipeline.ledger
        self.pipeline.setup, self.pipeline.ledger = self.setup, Ledger(self.setup.inventory)
        self.pipeline.ledger.carry_over(older, chains=["ethereum"])


def allowing(inv: Inventory, allowed: Mapping[str, str]) -> Destinations:
    return Destinations(inv, {("ethereum", Address(address)): name for address, name in allowed.items()})


def of(report: Report, subject: str) -> Verdict:
    return next(verdict for verdict in report.verdicts if verdict.subject == subject)


def stages(report: Report, subject: str) -> dict[str, str]:
    """Transaction to stage, as the finding's evidence has them."""
    return {one["transaction"]: one["stage"] for one in of(report, subject).evidence.get("transactions", [])}


def whole(coins: str, *, token: Token = ETH) -> int:
    """Units of so many whole coins."""
    return int(Decimal(coins).scaleb(token.decimals))
