"""What a year of daily reports costs, from a store that a year has filled."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from connectors.base import Token
from daemon.history.closing import Captured, Stand, body_of, stand_of
from daemon.history.config import HistoryConfig, ReportConfig
from daemon.history.days import ONE_DAY
from daemon.history.figure import encode
from daemon.history.snapshot import snapshot_of
from daemon.ledger import Ledger
from daemon.model import Inventory, Report, Tier
from daemon.policy.hot_share import HotShare
from daemon.policy.wallet_band import WalletBand
from daemon.reporting.reporter import Reporter
from daemon.setup import Setup
from daemon.store import ClosingRow, SnapshotRow
from daemon.store.repository import SqlStore, open_store
from tests.build import NOON, address, complete, inventory, priced, wallet
from tests.delivery_cases import firing, resolved, told
from tests.reported import report

ASSETS = 20
WALLETS = 60
FINDINGS = 400
FIRST = date(2025, 11, 1)
DAYS = ReportConfig(timezone="Asia/Tokyo").days
CONFIG = HistoryConfig()
VARIANTS = 24
RULES = (
    ("share", HotShare.model_validate({"kind": "hot_share", "limit": "0.05", "scope": "both"})),
    ("band", WalletBand.model_validate({"kind": "wallet_band", "wallets": ["*"], "asset": "A0", "floor": 1})),
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """Twenty assets in sixty wallets."""

    inventory: Inventory
    setup: Setup
    prices: dict[str, str]

    def look(self, number: int) -> tuple[Report, Stand]:
        """Its picture when so much has moved."""
        ledger = Ledger(self.inventory)
        tokens = [token for found in self.inventory.assets.values() for token in found]
        units = {
            (account, token): (10**18 if account < 6 else 10**20) + number * 10**9 + account
            for account in range(WALLETS)
            for token in tokens
        }
        ledger.apply(complete(number + 1, units))
        owed = dict.fromkeys(self.prices, "5000")
        seconds = (ledger.books["ethereum"].tip or complete(1, {}).tip).time.timestamp() - NOON.timestamp()  # type: ignore[union-attr]
        found = report(ledger, self.inventory, seconds=seconds, prices=self.prices, owed=owed, rules=RULES)
        return found, stand_of(ledger, setup=self.setup, config_sha256="c" * 64)


def exchange() -> Exchange:
    assets = {f"A{n}": [Token("ethereum", None if n == 0 else str(address(1000 + n)), 18)] for n in range(ASSETS)}
    wallets = [wallet(f"w{n}", Tier.HOT if n < 6 else Tier.COLD, n) for n in range(WALLETS)]
    inv = inventory(*wallets, assets=assets)
    prices = {asset: f"{1000 + number}.25" for number, asset in enumerate(assets)}
    return Exchange(inv, Setup("Example KK", "JPY", inv, RULES, priced(**prices), Decimal(1), {}, NOON), prices)


async def report_year() -> dict[str, object]:
    """CPU seconds for the 365 reports of a year (`ours`), against those to unpack the rows behind them (`peer`)."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pyrometer.db"
        async with open_store(f"sqlite+aiosqlite:///{file}", deadline=60) as store:
            last = await _fill(store)
            reporter = Reporter(store.archive, days=DAYS, grain=CONFIG.grain, entity="Example KK", currency="JPY")
            started = time.process_time()
            await reporter.report(last)
            ours = time.process_time() - started
            if (await store.archive.report(FIRST)) is None:
                raise RuntimeError("the chain of reports does not go back to the first day")
        peer, rows = _unpacked(file)
        size = file.stat().st_size
    return {
        "bench": "report_year",
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "ratio": round(peer / ours, 2),
        "unit": "seconds of CPU for 365 reports",
        "snapshots": rows,
        "store_megabytes": round(size / 1e6, 1),
    }


async def _fill(store: SqlStore) -> date:
    """A year at the default retention: hours of all of it, tens of minutes and minutes of its end."""
    of = exchange()
    looks = [of.look(number) for number in range(VARIANTS)]
    last = FIRST + timedelta(days=364)
    end = DAYS.end(last)
    for grain, kept in CONFIG.ladder:
        texts = [encode(snapshot_of(found, at=NOON, grain=grain)) for found, _ in looks]
        await _snapshots(store, texts, grain=grain, since=max(DAYS.start(FIRST), end - kept), until=end)
    for number in range(365):
        day = FIRST + number * ONE_DAY
        found, stand = looks[number % VARIANTS]
        at = DAYS.end(day)
        captured = Captured(day, DAYS, replace(found, at=at), stand, complete=True, program="pyrometer")
        await store.archive.keep_closing(ClosingRow(day, at, body_of(captured)))
    for number in range(FINDINGS):
        since = DAYS.start(FIRST) + number * timedelta(hours=21)
        one = firing(f"f{number}", since=since)
        await store.record([resolved(one, at=since + timedelta(hours=2))], [told(one, at=since)])
    return last


async def _snapshots(
    store: SqlStore, texts: Sequence[str], *, grain: timedelta, since: datetime, until: datetime
) -> None:
    rows: list[SnapshotRow] = []
    while since < until:
        rows.append(SnapshotRow(since, grain, texts[len(rows) % len(texts)]))
        since += grain
    for start in range(0, len(rows), 1000):
        await store.archive.keep_snapshots(rows[start : start + 1000])


def _unpacked(file: Path) -> tuple[float, int]:
    """How long the bare reading of the same rows takes: each snapshot and each closing once."""
    started, rows = time.process_time(), 0
    with sqlite3.connect(file) as database:
        for table in ("pyrometer_snapshots", "pyrometer_closings"):
            for (body,) in database.execute(f"select body from {table}"):
                json.loads(zlib.decompress(body))
                rows += 1
    return time.process_time() - started, rows - 365
