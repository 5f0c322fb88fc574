"""One look: every chain read once, judged without history, nobody told."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from connectors import CONNECTORS
from connectors.base import Address, Update, Watch
from daemon.feeds.book import FeedBook
from daemon.feeds.worker import ask_all
from daemon.ledger import Ledger
from daemon.model import Report
from daemon.pipeline import Pipeline
from daemon.reload import Loaded


class Unrecorded:
    """A recorder for a look without a store: there is nothing to survive."""

    problem: str | None = None

    async def record(self, findings: object, notifications: object) -> None:
        """A breach in a single look is in the report itself."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look gave: the report, and per wallet every account's units by asset."""

    report: Report
    accounts: Mapping[str, Mapping[Address, Mapping[str, str]]]


async def look(loaded: Loaded, *, now: Callable[[], datetime]) -> Look:
    """Reads every watched chain at one block each and asks every source, all at the same time."""
    watches = loaded.setup.inventory.watches
    updates, said = await asyncio.gather(
        asyncio.gather(*(_read(loaded, watch=watch, now=now) for watch in watches.values())),
        ask_all(loaded.asked, around=loaded.around(now=now)),
    )
    ledger = Ledger(loaded.setup.inventory)
    for update in updates:
        ledger.apply(update)
    feeds = FeedBook(loaded.setup.feeds)
    pipeline = Pipeline(loaded.setup, ledger, feeds, (), Unrecorded(), (), (), loaded.averages())
    for source, answer in said:
        pipeline.hear(source, answer, now=now())
    report = await pipeline.cycle(now())
    return Look(report, {wallet: ledger.readings(wallet).units for wallet in loaded.setup.inventory.wallets})


async def _read(loaded: Loaded, *, watch: Watch, now: Callable[[], datetime]) -> Update:
    config = loaded.settings.chains[watch.chain]
    async with CONNECTORS[config.kind].connect(config, chain=watch.chain, now=now) as connector:
        return await connector.read(watch)
