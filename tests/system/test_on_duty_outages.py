"""The whole stack while parts of it are away: nothing is lost, nothing is doubled, and what waits is told as it is."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest

from tests.integration.postgres import Postgres, started
from tests.integration.subscriber import Subscriber
from tests.system.daemon import until
from tests.system.stack import BREACH, INCIDENTS, Stack, running_stack

pytestmark = [pytest.mark.real, pytest.mark.timeout(600)]

HASTY = {
    "prometheus.yml": {r"\b(scrape_interval|scrape_timeout|evaluation_interval): \w+": r"\1: 500ms"},
    "pyrometer.yaml": {
        r"^  - jp-psa\b": "  - {preset: jp-psa, rules: {hot-share: {clear_after: 0s, closes: wallets}}}",
        # A vault that pays every few seconds, as in these tests, is none.
        r"^  - theft\b": "  - {preset: theft, without: [tier-mismatch]}",
        r"^    poll: 500ms": "    poll: 100ms",
    },
}
REMINDING = HASTY | {"pyrometer.yaml": HASTY["pyrometer.yaml"] | {r"^alertmanager:$": "alertmanager:\n  resend: 5s"}}
BROKER, ALERTMANAGER, PROMETHEUS = PARTS = ("broker", "alertmanager", "prometheus")
ORDERS = tuple(permutations(PARTS))
Order = Sequence[str]
EVERY = os.environ.get("PYROMETER_EVERY_PAIR") == "true"
WALLETS = 3
UNSETTLED = "select count(*) from pyrometer_notifications where settled is null"
PENDING = 'pyrometer_notifications_pending{{sink="{}"}}'


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    yield from started()


@dataclass
class Books:
    """What has happened, against what everybody was told: whatever the assertions are made of."""

    stack: Stack
    away: set[str] = field(default_factory=set)
    waiting: int = 0
    """Events that Alertmanager has not been there for."""
    shown: set[str] = field(default_factory=set)
    """Findings that the broker kept when it was last there."""
    episodes: list[str] = field(default_factory=list)
    unheard: set[str] = field(default_factory=set)
    """Episodes that began and ended while Alertmanager was away. It pages for nothing that is over when it comes back,
    or for both, its own way: what is over before a group's first message is told to nobody."""
    _began_away: bool = False

    async def stop(self, part: str) -> None:
        if part == BROKER:
            await asyncio.to_thread(self.stack.broker.stop, kill=False)
        elif part == ALERTMANAGER:
            await self.stack.alertmanager_is_idle()
            await self.stack.alertmanager.stop()
        else:
            await self.stack.prometheus.stop()
        self.away.add(part)
        await self.truth()

    async def start(self, part: str) -> None:
        self.away.remove(part)
        if part == BROKER:
            await asyncio.to_thread(self.stack.broker.start)
            await self.stack.say_what_is_owed(ETH=980, USDT=0)
        elif part == ALERTMANAGER:
            await self.stack.alertmanager.start()
            self.waiting = 0
        else:
            await self.stack.prometheus.start()
        await self.truth()

    async def begin(self) -> None:
        await self.stack.breach()
        (found,) = await self.stack.daemon.becomes("/api/v1/findings", lambda body: body)
        self.episodes.append(found["id"])
        self._began_away = ALERTMANAGER in self.away
        self.waiting += self._began_away
        await self.truth()

    async def end(self) -> None:
        await self.stack.cure()
        await self.stack.daemon.becomes("/api/v1/findings", lambda body: body == [])
        if ALERTMANAGER in self.away:
            self.waiting += 1
            self.unheard |= {self.episodes[-1]} if self._began_away and self.waiting == 2 else set()
        await self.truth()

    async def truth(self) -> None:
        """What the daemon says that it owes a receiver is what that has not got: its metric against its database, what
        is retained, what people were told, and what Prometheus has scraped."""
        stack = self.stack
        findings = {item["id"] for item in await stack.daemon.get("/api/v1/findings")}
        if BROKER not in self.away:
            async with stack.listening("reader") as house:
                await house.until(lambda: _state(house) == ("online", findings))
            self.shown = findings
        topics = 2 * WALLETS + len(("status", "exposure", "asset/ETH", "asset/USDT")) + len(findings | self.shown)
        owed = {"mqtt": topics if BROKER in self.away else 0, stack.alertmanager_sink: self.waiting}
        for sink, count in owed.items():
            await _becomes(stack, PENDING.format(sink), count)
            if PROMETHEUS not in self.away:
                await stack.prometheus.becomes(PENDING.format(sink), count)
        await _rows_become(stack, UNSETTLED, [(self.waiting,)])
        if ALERTMANAGER not in self.away and self.episodes and self.episodes[-1] not in self.unheard:
            status = "firing" if findings else "resolved"
            await until(lambda: self.pages(self.episodes[-1], status) == 1, what=(status, self.episodes))

    def pages(self, finding: str, status: str) -> int:
        """How often people were told of it."""
        every = [told for message in self.stack.pager.of(INCIDENTS) for told in message["alerts"]]
        return sum(told["status"] == status and told["annotations"]["finding"] == finding for told in every)

    async def settle(self) -> None:
        """All are there again: signers still stand, until a person says otherwise; nothing fires."""
        stack = self.stack
        async with stack.listening("signer") as signer:
            await signer.until(lambda: b'"gate":"closed"' in signer.holds.get("gate/eth-hot-1", b""))
            await stack.open_gates("eth-hot-1", "eth-cold-1", reason="OPS-1: moved back")
            await signer.until(lambda: b'"gate":"open"' in signer.holds["gate/eth-hot-1"])
        await stack.prometheus.becomes('pyrometer_verdict{policy="jp-psa/hot-share",subject="all",verdict="ok"}', 1)
        assert not [one for one in await stack.alertmanager.alerts() if BREACH.items() <= one["labels"].items()]

    def balance(self) -> None:
        """Nobody was told anything twice, and nobody of an end without a beginning."""
        for finding in self.episodes:
            told = self.pages(finding, "firing"), self.pages(finding, "resolved")
            assert told in ({(1, 1), (0, 0)} if finding in self.unheard else {(1, 1)}), (finding, told)


async def _becomes(stack: Stack, series: str, value: float) -> None:
    last: float | None = None
    try:
        async with asyncio.timeout(60):
            while (last := (await stack.series()).get(series)) != value:  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{series} stayed {last} instead of {value}") from None


async def _rows_become(stack: Stack, statement: str, expected: list[tuple[Any, ...]]) -> None:
    last: list[tuple[Any, ...]] = []
    try:
        async with asyncio.timeout(60):
            while (last := await stack.rows(statement)) != expected:  # noqa: ASYNC110 - in another process
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"{statement}: stayed {last} instead of {expected}") from None


def _state(house: Subscriber) -> tuple[str, set[str]]:
    kept = {name.removeprefix("finding/") for name in house.holds if name.startswith("finding/")}
    return house.holds.get("status", b"").decode(), kept


async def played(books: Books, *, stops: Order, starts: Order, begins: int, ends: int) -> None:
    """One breach, beginning before so many stops and ending before so many starts; 3 of them is after all."""
    for place, part in enumerate((*stops, None)):
        if place == begins:
            await books.begin()
        if part is not None:
            await books.stop(part)
    for place, part in enumerate((*starts, None)):
        if place == ends:
            await books.end()
        if part is not None:
            await books.start(part)
    await books.settle()


@pytest.mark.timeout(1800 if EVERY else 600)
async def test_stopped_and_started_in_every_order_nothing_is_lost_or_doubled_and_what_waits_is_told_as_it_is(
    tmp_path: Path, postgres: Postgres
) -> None:
    """Every order of stopping and every order of starting, on one daemon that lives through all of them.

    Not every pair of them, unless PYROMETER_EVERY_PAIR is true: once all three are away, what there is to tell is the
    same whichever went first, and `truth` holds the daemon to that; so how they come back does not depend on how they
    went. The breach begins and ends at another place of each order.
    """
    async with running_stack(tmp_path, postgres=postgres, hurry=HASTY) as stack:
        books = Books(stack)
        await books.truth()
        pairs = product(ORDERS, ORDERS) if EVERY else zip(ORDERS, reversed(ORDERS), strict=True)
        for number, (stops, starts) in enumerate(pairs):
            await played(books, stops=stops, starts=starts, begins=number % 4, ends=number * 3 // 4 % 4)
        books.balance()


async def test_without_its_database_people_are_paged_and_signers_stopped_and_it_learns_all_of_it_later(
    tmp_path: Path, postgres: Postgres
) -> None:
    async with running_stack(tmp_path, postgres=postgres, hurry=HASTY) as stack:
        books = Books(stack)
        await asyncio.to_thread(postgres.kill)
        await stack.breach()
        (found,) = await stack.daemon.becomes("/api/v1/findings", lambda body: body)
        finding = found["id"]
        await until(lambda: books.pages(finding, "firing"))
        async with stack.listening("signer") as signer:
            await signer.until(lambda: b'"gate":"closed"' in signer.holds.get("gate/eth-hot-1", b""))
        await stack.prometheus.becomes("pyrometer_store_up", 0)
        # Alertmanager has it, so it waits for nobody, whatever the database knows.
        await _becomes(stack, PENDING.format(stack.alertmanager_sink), 0)

        await asyncio.to_thread(postgres.start)
        await _rows_become(stack, "select id, state from pyrometer_findings", [(finding, "firing")])
        await _rows_become(stack, UNSETTLED, [(0,)])
        await stack.prometheus.becomes("pyrometer_store_up", 1)

        # Then the daemon is killed, and the breach outlives it.
        await stack.daemon.stop(kill=True)
        async with stack.listening("signer") as signer:
            await signer.until(lambda: signer.holds.get("status") == b"offline")
        await stack.prometheus.becomes('up{job="pyrometer"}', 0)
        await stack.run_daemon()
        (again,) = await stack.daemon.becomes("/api/v1/findings", lambda body: body)
        assert (again["id"], again["since"]) == (finding, found["since"])

        # Killed again, it finds out by itself that the breach is over.
        await stack.daemon.stop(kill=True)
        await stack.cure()
        await stack.run_daemon()
        await until(lambda: books.pages(finding, "resolved"))
        async with stack.listening("reader") as house:
            await house.until(lambda: _state(house) == ("online", set()))
        books.episodes.append(finding)
        await books.settle()
        books.balance()


async def test_an_alertmanager_that_is_killed_forgets_whom_it_told_and_is_told_again(
    tmp_path: Path, postgres: Postgres
) -> None:
    """The one repeat: ended in good order, as `docker compose stop` does, it would have written that down."""
    async with running_stack(tmp_path, postgres=postgres, hurry=REMINDING) as stack:
        books = Books(stack)
        await books.begin()
        await stack.alertmanager.kill()
        await stack.alertmanager.start()
        await until(lambda: books.pages(books.episodes[0], "firing") == 2)
        await books.end()
        assert books.pages(books.episodes[0], "firing") == 2
