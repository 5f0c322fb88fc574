"""Reports of a few accounts, and a day of them kept by the real keeper in a real store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from daemon.coverage import cover
from daemon.exposure import Valuation, expose
from daemon.feeds.values import Feeds, Stated
from daemon.groups import Groups
from daemon.interval import Interval
from daemon.ledger import Ledger
from daemon.model import Inventory, Report, Verdict
from daemon.policy import judge
from daemon.policy.rule import Picture, Rule
from daemon.wallet_states import WalletStates
from tests.build import NOON, valuation


def stated(amounts: Mapping[str, str], *, source: str = "books") -> dict[str, Stated]:
    return {name: Stated(Interval.exactly(Decimal(text)), source, NOON) for name, text in amounts.items()}


def report(
    ledger: Ledger,
    inv: Inventory,
    *,
    seconds: float = 0,
    prices: Mapping[str, str] | None = None,
    owed: Mapping[str, str] | None = None,
    rules: Sequence[tuple[str, Rule]] = (),
    feeds: Feeds | None = None,
) -> Report:
    """What the pipe would report of a ledger so many seconds after noon; `owed` is what customers are owed."""
    value: Valuation = valuation(ledger, inv, prices=prices, seconds=seconds)
    tiers = {name: item.tier for name, item in inv.wallets.items()}
    feeds = feeds or Feeds(prices=value.prices, liabilities=stated(owed or {}))
    totals = ledger.totals()
    wallets = WalletStates().of(totals, tiers=tiers, valuation=value)
    exposure = expose(Groups().of(totals, tiers=tiers, inventory=inv), valuation=value, custody=feeds.custody)
    coverage = cover(exposure, liabilities=feeds.liabilities, owed=owed or ())
    now = NOON.fromtimestamp(NOON.timestamp() + seconds, tz=NOON.tzinfo)
    picture = Picture("JPY", value.chains, wallets, exposure, feeds, coverage, sweeps=ledger.sweeps(), at=now)
    verdicts: tuple[Verdict, ...] = judge(rules, picture)
    return Report("Example KK", "JPY", now, value.chains, wallets, exposure, verdicts, (), feeds, coverage, (), ())
