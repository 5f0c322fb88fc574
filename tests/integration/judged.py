"""Rules on a real chain: a pipeline that a connector feeds, and what its receiver is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from connectors.base import Address, Connector, Update
from daemon.detection.approval import Approval, Approved
from daemon.detection.approvals import Grounds
from daemon.detection.destinations import Destinations
from daemon.exposure import Ages
from daemon.feeds.book import FeedBook
from daemon.feeds.plan import Plan, SourceKey
from daemon.feeds.values import FeedKind
from daemon.ledger import Ledger
from daemon.model import Finding, Inventory, Judgement, Notification, Report, Verdict
from daemon.pipeline import Pipeline
from daemon.policy.rule import Rule
from daemon.setup import Setup
from tests.integration.evm_chain import following

BOOKS: SourceKey = (FeedKind.APPROVALS, "books")


def now() -> datetime:
    return datetime.now(UTC)


def grounds(inv: Inventory) -> Grounds:
    """Books that write addresses as the chain does."""
    chains = dict.fromkeys(inv.watches, Address)
    return Grounds({BOOKS: None}, inv.assets, chains, {name: name for name in inv.watches})


class Journal:
    problem: str | None = None

    def __init__(self) -> None:
        self.told: list[str] = []

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None:
        self.told += [f"{one.event.value} {one.finding.verdict.subject}" for one in notifications]


class Miner(Protocol):
    """A node that makes a block when it is told to."""

    async def mine(self) -> None: ...

    async def head(self) -> tuple[int, str]: ...


class Judged:
    """Every update is judged at once, with one rule; `told` is what became a notification."""

    def __init__(
        self,
        updates: AsyncGenerator[Update, None],
        *,
        inv: Inventory,
        rule: Rule,
        telling: bool,
        max_age: timedelta,
        destinations: Destinations | None = None,
    ) -> None:
        (chain,) = inv.watches
        ages = {chain: Ages(max_age, timedelta(days=30), "test")}
        chains = frozenset({chain} if telling else ())
        setup = Setup(
            "E",
            "JPY",
            inv,
            (("rule", rule),),
            Plan(),
            Decimal(1),
            ages,
            now(),
            chains,
            frozenset({chain}),
            destinations=destinations,
            grounds=grounds(inv),
        )
        self.approved: list[Approval] = []
        """What the books say; they are asked before each judgement."""
        self._journal = Journal()
        self._pipeline = Pipeline(setup, Ledger(inv), FeedBook(setup.feeds), (), self._journal, ("am",), ())
        self._updates = updates

    @property
    def told(self) -> list[str]:
        return self._journal.told

    async def until(self, wanted: Callable[[Report], object], *, within: float = 30) -> Report:
        """Follows the chain until a report is as wanted; that report."""
        async with asyncio.timeout(within):
            async for update in self._updates:
                self._pipeline.ledger.apply(update)
                said = Approved(BOOKS, tuple(self.approved), complete=True, asked=now())
                self._pipeline.detecting.approvals.take(said, now=now())
                report = await self._pipeline.cycle(now())
                if wanted(report):
                    return report
        raise AssertionError("the updates ended")

    async def verdict(self, subject: str, wanted: Judgement) -> Verdict:
        """Follows the chain until a subject is judged so."""
        report = await self.until(lambda report: of(report, subject).judgement is wanted)
        return of(report, subject)

    async def at(self, block: str) -> Report:
        """Follows the chain until this block is read."""
        return await self.until(lambda report: any(one.tip and one.tip.hash == block for one in report.chains.values()))

    async def mined(self, node: Miner) -> Report:
        """The report on one more block."""
        await node.mine()
        return await self.at((await node.head())[1])

    async def mining(self, node: Miner, wanted: Callable[[Report], object]) -> Report:
        """Block after block, until a report is as wanted: a payment is given up when blocks have come without it."""
        async with asyncio.timeout(30):
            while not wanted(report := await self.mined(node)):
                pass
        return report


def of(report: Report, subject: str) -> Verdict:
    return next(verdict for verdict in report.verdicts if verdict.subject == subject)


@asynccontextmanager
async def judging(
    connector: Connector,
    *,
    inv: Inventory,
    rule: Rule,
    telling: bool = True,
    max_age: timedelta = timedelta(seconds=60),
    destinations: Destinations | None = None,
) -> AsyncIterator[Judged]:
    (watch,) = inv.watches.values()
    async with following(connector, watch) as updates:
        yield Judged(updates, inv=inv, rule=rule, telling=telling, max_age=max_age, destinations=destinations)
