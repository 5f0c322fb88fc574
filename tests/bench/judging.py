"""What judging costs: the same pass of the pipe after one change, over a thousand accounts and over a million."""

import time
from collections.abc import Iterator, Sequence
from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter

from connectors.base import Held, Token, Update
from daemon.exposure import Ages
from daemon.feeds.averages import Averages, year_before
from daemon.feeds.book import FeedBook
from daemon.feeds.plan import Plan
from daemon.feeds.source import SUM
from daemon.feeds.values import Answer, FeedKind
from daemon.ledger import Ledger
from daemon.model import Inventory, Judgement, Owner, Tier, Wallet
from daemon.once import Unrecorded
from daemon.pipeline import Pipeline
from daemon.policy import RuleConfig
from daemon.policy.overrides import PresetUse
from daemon.policy.presets import CHECKOUT, resolve
from daemon.policy.rule import Rule
from daemon.setup import Setup
from tests.build import NOON, address, at, inventory, tip, wallet
from tests.feeding import source

ROUNDS = 200
ASSETS = 300
DAY = timedelta(days=1)
COIN = Token("bitcoin", None, 8)


async def judge_cost() -> dict[str, object]:
    """CPU milliseconds of one pass after one changed balance, with 1,000,000 accounts (`ours`) and with 1,000 (`peer`).

    300 assets, 28 wallets of all tiers and owners, prices of two sources, liabilities, a fund and a year of averages.
    40 rules, all of them kept: the presets jp-psa, kr-vaupa and theft with the built-in rules (14); per asset the hot
    share of holdings (hot, and hot or warm) and of what is owed, the backing with a margin, and the guarantee for what
    is hot or warm (5); drains of an hour and of a day, of every tier and of every hot wallet (4); and floors and
    ceilings of the hot wallets (17). That is a judgement on some 6,000 subjects.
    """
    many, few = await _pass_after_one_change(1_000_000), await _pass_after_one_change(1_000)
    return {"bench": "judge_cost", "ours": many, "peer": few, "ratio": round(few / many, 2), "unit": "ms of CPU a pass"}


async def _pass_after_one_change(accounts: int) -> float:
    pipeline = exchange(accounts)
    for update in complete(pipeline.setup.inventory):
        pipeline.ledger.apply(update)
    for seconds in (1, 2):  # what is seen for the first time, and for the first time again
        report = await pipeline.cycle(at(seconds))
    subjects = len(report.verdicts)
    spent = 0.0
    for update in changes(pipeline.setup.inventory):
        pipeline.ledger.apply(update)
        started = time.process_time()
        report = await pipeline.cycle(update.seen)
        spent += time.process_time() - started
        assert [one.judgement for one in report.verdicts] == [Judgement.OK] * subjects
    return round(spent * 1000 / ROUNDS, 3)


def exchange(accounts: int) -> Pipeline:
    """An exchange with so many accounts, nearly all of them on one chain, and nearly all assets on the other."""
    tokens = {f"T{n:03}": [Token("ethereum", f"0x{n:040x}", 18)] for n in range(1, ASSETS)}
    few = [*_wallets("ethereum", {Tier.HOT: 4, Tier.WARM: 2, Tier.COLD: 10}, each=1)]
    many = [*_wallets("bitcoin", {Tier.HOT: 2, Tier.COLD: 2}, each=(accounts - len(few)) // 8)]
    inv = inventory(*few, *many, assets={"BTC": [COIN], **tokens})
    setup = Setup(
        entity="Example Exchange",
        currency="KRW",
        inventory=inv,
        policies=_rules(),
        feeds=_plan(inv),
        growth=Decimal(1),
        ages={chain: Ages(DAY, DAY, "batch") for chain in inv.watches},
        began=NOON,
        telling=frozenset(inv.watches),
    )
    assert (len(setup.policies), len(inv.wallets), len(inv.assets)) == (40, 28, ASSETS)
    averages = Averages(ZoneInfo("Asia/Seoul"), currency="KRW")
    first, last = year_before(NOON.date())
    days = [first + n * DAY for n in range((last - first).days + 1)]
    averages.bring_in({(asset, day): Decimal(1000) for asset in inv.assets for day in days})
    return Pipeline(setup, Ledger(inv), _told(setup.feeds), (), Unrecorded(), (), (), averages)


def _wallets(chain: str, customers: dict[Tier, int], *, each: int) -> Iterator[Wallet]:
    """Customers' wallets by tier, two of the company and two for the guarantee."""
    kinds = [(tier, Owner.CUSTOMER) for tier, count in customers.items() for _ in range(count)]
    kinds += [(Tier.COLD, owner) for owner in (Owner.COMPANY, Owner.GUARANTEE) for _ in range(2)]
    for n, (tier, owner) in enumerate(kinds):
        accounts = range(n * each, (n + 1) * each)
        yield wallet(f"{chain}-{tier}-{owner}-{n}", tier, *accounts, owner=owner, chain=chain)


def complete(inv: Inventory) -> Iterator[Update]:
    """Everything is read: every account of customers has as much, and what is cold a thousand times that."""
    for chain, watch in inv.watches.items():
        held = []
        for (on, account), name in inv.wallet_of.items():
            coins = 1 if inv.wallets[name].tier is Tier.HOT else 1000
            held += [Held(account, token, coins * 10**token.decimals) for token in watch.tokens if on == chain]
        yield Update(chain, at(1), tip(1), complete=True, held=tuple(held))


def changes(inv: Inventory) -> Iterator[Update]:
    """One balance changes in each, on the one chain and the other by turns."""
    tips = dict.fromkeys(inv.watches, tip(1))
    for height in range(3, 3 + ROUNDS):
        chain = ("bitcoin", "ethereum")[height % 2]
        tokens = inv.watches[chain].tokens
        token = tokens[height % len(tokens)]
        held = Held(address(0), token, 10**token.decimals + height)
        yield Update(chain, at(height), tip(height), tips[chain], held=(held,))
        tips[chain] = tip(height)


def _plan(inv: Inventory) -> Plan:
    feeds = [(FeedKind.PRICES, "one"), (FeedKind.PRICES, "other"), (FeedKind.LIABILITIES, "books")]
    sources = [source(feed, name, max_age=DAY) for feed, name in [*feeds, (FeedKind.FUND, "bank")]]
    return Plan(tuple(sources), assets=frozenset(inv.assets))


def _told(plan: Plan) -> FeedBook:
    """A book in which every source has answered once."""
    book = FeedBook(plan)
    value = {FeedKind.PRICES: Decimal(1000), FeedKind.LIABILITIES: Decimal(1), FeedKind.FUND: Decimal(10) ** 15}
    for one in plan.sources:
        names = [SUM] if one.feed is FeedKind.FUND else plan.assets
        book.take(one.key, Answer(dict.fromkeys(names, value[one.feed]), at(0)), now=at(0))
    return book


def _rules() -> tuple[tuple[str, Rule], ...]:
    own: list[dict[str, object]] = [
        {"kind": "hot_share", "name": "each", "limit": "0.5", "scope": "asset"},
        {"kind": "hot_share", "name": "each-warm", "limit": "0.9", "scope": "asset", "tiers": ["hot", "warm"]},
        {"kind": "hot_share", "name": "each-owed", "limit": "0.999", "scope": "asset"},
        {"kind": "backing", "name": "margin", "limit": "1.05", "scope": "both", "severity": "warning"},
        {"kind": "guarantee", "name": "warm", "limit": "0.5", "tiers": ["hot", "warm"]},
        {"kind": "drain", "name": "hour", "window": "1h", "max_share": "0.3"},
        {"kind": "drain", "name": "day", "window": "1d", "max_share": "0.5"},
        {"kind": "drain", "name": "tiers", "window": "1h", "max_share": "0.5", "of": "tier"},
        {
            "kind": "drain",
            "name": "hot-wallets",
            "window": "1h",
            "max_share": "0.6",
            "of": "wallet",
            "wallets": ["*-hot-*"],
        },
    ]
    for n in range(17):
        asset = f"T{n:03}" if n else "BTC"
        band = {"kind": "wallet_band", "wallets": ["*-hot-*"], "asset": asset, "floor": "0.01", "ceiling": "1e9"}
        own.append({**band, "name": f"band-{n}"})
    korea = PresetUse(preset="kr-vaupa", rules={"reserve": {"floor": "500_000_000 KRW"}})
    rules: Sequence[RuleConfig] = TypeAdapter(list[RuleConfig]).validate_python(own)
    return resolve(["jp-psa", korea, "theft", *rules], folders=[CHECKOUT])
