"""A small exchange for tests of coverage: wallets of every owner and tier, two assets, and what feeds say of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from pydantic import TypeAdapter

from connectors.base import Token
from daemon.feeds.values import Custody, Feeds, Stated
from daemon.interval import Interval
from daemon.ledger import Ledger
from daemon.model import Inventory, Move, Owner, Tier, Verdict
from daemon.policy import RuleConfig, judge
from daemon.policy.rule import Picture
from tests.build import ETH, NOON, USDT, complete, inventory, picture, wallet

TOKENS: Mapping[str, Token] = {"ETH": ETH, "USDT": USDT}
PLACES: Mapping[str, tuple[Tier, Owner]] = {
    "hot-1": (Tier.HOT, Owner.CUSTOMER),
    "hot-2": (Tier.HOT, Owner.CUSTOMER),
    "warm": (Tier.WARM, Owner.CUSTOMER),
    "cold": (Tier.COLD, Owner.CUSTOMER),
    "till": (Tier.HOT, Owner.COMPANY),
    "vault": (Tier.COLD, Owner.COMPANY),
    "pledge": (Tier.COLD, Owner.GUARANTEE),
    "drawer": (Tier.WARM, Owner.GUARANTEE),
}
"""Every wallet has one account, numbered from 1 in this order."""

NUMBERS = {name: number for number, name in enumerate(PLACES, start=1)}
TARGETS = {
    "tier cold": "cold",
    "owner customer, tier cold": "cold",
    "owner guarantee, tier cold": "pledge",
}

Units = Mapping[tuple[str, str], int]
"""Smallest units by wallet and asset."""

RULES: TypeAdapter[RuleConfig] = TypeAdapter(RuleConfig)


def exchange(names: Sequence[str] = tuple(PLACES)) -> Inventory:
    """The exchange, or a part of it."""
    wallets = [wallet(name, PLACES[name][0], NUMBERS[name], owner=PLACES[name][1]) for name in names]
    return inventory(*wallets, assets={asset: [token] for asset, token in TOKENS.items()})


def ledger_of(inv: Inventory, units: Units, *, unread: Sequence[tuple[str, str]] = ()) -> Ledger:
    """Everything is read at block 1; then what is unread can't be read any more at block 2."""
    ledger = Ledger(inv)
    held = {(NUMBERS[name], TOKENS[asset]): units.get((name, asset), 0) for name in inv.wallets for asset in TOKENS}
    ledger.apply(complete(1, held))
    lost = [(NUMBERS[name], TOKENS[asset]) for name, asset in unread]
    ledger.apply(complete(2, {key: value for key, value in held.items() if key not in lost}, unread=lost))
    return ledger


def stated(value: Interval | Decimal | int | str) -> Stated:
    known = value if isinstance(value, Interval) else Interval.exactly(Decimal(value))
    return Stated(known, "bookkeeping", NOON)


def owing(**coins: Interval | Decimal | int | str) -> dict[str, Stated]:
    """What customers are owed, in whole coins."""
    return {asset: stated(value) for asset, value in coins.items()}


def entrusted(asset: str, value: Interval | Decimal | int | str, *, tier: Tier = Tier.COLD) -> Custody:
    return Custody("Trust Bank", asset, tier, stated(value))


def eth(**units: int) -> dict[tuple[str, str], int]:
    """Smallest units of ETH by wallet."""
    return {(name.replace("_", "-"), "ETH"): value for name, value in units.items()}


PRICED = Feeds(prices={"ETH": stated("500000.37"), "USDT": stated("150.01")})


@dataclass(frozen=True)
class Books:
    """The exchange at one moment: what its wallets hold, what can't be read, and what the feeds say."""

    units: Units
    feeds: Feeds = PRICED
    unread: tuple[tuple[str, str], ...] = ()

    def picture(self) -> Picture:
        inv = exchange()
        return picture(ledger_of(inv, self.units, unread=self.unread), inv, prices={}, feeds=self.feeds, seconds=2)

    def verdicts(self, **keys: object) -> dict[str, Verdict]:
        """By subject, of one rule."""
        return {subject: verdict for (_, subject), verdict in self.all_verdicts([keys]).items()}

    def all_verdicts(self, rules: Sequence[Mapping[str, object]]) -> dict[tuple[str, str], Verdict]:
        """By policy and subject; the policies are called by their kinds and numbered, one alone `rule`."""
        named = [("rule" if len(rules) == 1 else f"{rule['kind']}-{n}", rule) for n, rule in enumerate(rules)]
        policies = [(policy, RULES.validate_python(rule)) for policy, rule in named]
        return {(verdict.policy, verdict.subject): verdict for verdict in judge(policies, self.picture())}

    def after(self, moves: Sequence[Move]) -> "Books":
        """The same when exactly these transfers are made."""
        units, feeds = dict(self.units), self.feeds
        for move in moves:
            if move.counterpart == "reserve fund":
                assert feeds.fund is not None
                feeds = replace(feeds, fund=replace(feeds.fund, value=_more(feeds.fund.value, move.amount)))
                continue
            exact = move.amount.scaleb(TOKENS[move.asset].decimals)
            assert exact == int(exact), "an amount that no transaction can carry"
            if move.wallet.startswith("custodian "):
                feeds = replace(feeds, custody=tuple(_less(each, move.amount) for each in feeds.custody))
            elif move.wallet:
                units[move.wallet, move.asset] = units.get((move.wallet, move.asset), 0) - int(exact)
                assert units[move.wallet, move.asset] >= 0, "more than there is"
            target = TARGETS[move.counterpart]
            units[target, move.asset] = units.get((target, move.asset), 0) + int(exact)
        return replace(self, units=units, feeds=feeds)


def _more(value: Interval, by: Decimal) -> Interval:
    return value + Interval.exactly(by)


def _less(custody: Custody, by: Decimal) -> Custody:
    if custody.tier is not Tier.HOT:
        return custody
    value = custody.amount.value.low - by
    return replace(custody, amount=replace(custody.amount, value=Interval.exactly(value)))
