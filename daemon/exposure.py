"""From running totals to amounts, values and shares with bounds: pure, and at a cost that no account count enters."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.base import Tip, Token
from connectors.errors import Reason
from daemon.feeds.values import Custody, Stated
from daemon.groups import Group
from daemon.interval import EXACT, NOTHING, ONE, UNKNOWN, Interval, amount, total
from daemon.ledger import Book, Total, Totals
from daemon.model import (
    ChainState,
    Exposure,
    Holding,
    Inventory,
    LastKnown,
    Owner,
    Tier,
    Wallet,
    WalletState,
)

ALL = "all"


@dataclass(frozen=True, slots=True)
class Ages:
    """How long a chain's reading counts as current, and how old its newest block may be."""

    reading: timedelta
    tip: timedelta
    reader: str


@dataclass(frozen=True, slots=True)
class Valuation:
    """What turns units into bounds: prices, chains without a current reading, and how much unread accounts may grow.

    An unread account holds between 0 and its last value × (1 + growth), whatever its tier: a narrower guess would
    let an outage look like a certainty, and a floor like one that is kept. `unpriced` says of assets what keeps their
    price from being known, where that is not the price itself.
    """

    inventory: Inventory
    prices: Mapping[str, Stated]
    chains: Mapping[str, ChainState]
    growth: Decimal
    unpriced: Mapping[str, str] = field(default_factory=dict)

    def price(self, asset: str) -> Interval:
        return self.prices[asset].value if asset in self.prices else UNKNOWN

    def amount(self, token: Token, sum_of: Total) -> Interval:
        """Whole coins of one token."""
        stale = self.chains[token.chain].reason is not None
        known, lost = (0, sum_of.known + sum_of.lost) if stale else (sum_of.known, sum_of.lost)
        unread = sum_of.pairs if stale else sum_of.unread
        low = amount(known, decimals=token.decimals)
        grown = EXACT.multiply(amount(lost, decimals=token.decimals), EXACT.add(ONE, self.growth))
        return Interval(low, None if unread else low, None if sum_of.never else EXACT.add(low, grown))

    def holding(self, asset: str, parts: Iterable[tuple[Token, Total]]) -> Holding:
        """An asset's amount and value, summed over its tokens."""
        amounts = NOTHING
        causes: set[str] = set()
        for token, part in parts:
            one = self.amount(token, part)
            amounts = amounts + one
            if one.value is None:
                causes.add(f"chain:{token.chain}")
        units = None if amounts.value is None else int(amounts.value.scaleb(self.finest(asset), EXACT))
        return Holding(amounts, amounts.times(self.price(asset)), units, tuple(sorted(causes)))

    def entrusted(self, custody: Custody) -> Holding:
        """What a third party attests; its `units` are None, because no chain counts them."""
        held = custody.amount.value
        causes = (f"custodian:{custody.custodian}",) if held.value is None else ()
        return Holding(held, held.times(self.price(custody.asset)), None, causes)

    def finest(self, asset: str) -> int:
        """Decimals of the asset's finest token, in which its `units` are counted."""
        return max(token.decimals for token in self.inventory.assets[asset])


def chain_state(chain: str, *, book: Book, ages: Ages, began: datetime, now: datetime) -> ChainState:
    """Whether the chain's reading is current, and if not, why. `began` is when we first asked for one."""
    reason, detail, since = _why_not_current(book, ages=ages, began=began, now=now)
    unread = {reason: book.pairs} if reason else {why: n for why, n in book.reasons.items() if n}
    return ChainState(chain, ages.reader, book.tip, book.seen, unread, reason, detail, since)


def _why_not_current(
    book: Book, *, ages: Ages, began: datetime, now: datetime
) -> tuple[Reason | None, str, datetime | None]:
    failed = book.failed
    last_error = f"{failed[0].detail}, since {failed[1]:%H:%M:%S}" if failed else ""
    if book.tip is None or book.seen is None:
        if failed:
            return failed[0].reason, last_error, failed[1]
        if now - began > ages.reading:
            return Reason.UNAVAILABLE, "not a word from any node", began
        return Reason.STARTING, "no reading yet", None
    # A time that lies ahead says that our clock was set back: then nobody knows the age either.
    if abs(now - book.seen) > ages.reading:
        return (failed[0].reason if failed else Reason.STALE), last_error or "no reading since", book.seen
    if now - book.tip.time > ages.tip:
        return Reason.STALLED, f"no block newer than {book.tip.height}", book.tip.time
    return None, "; ".join(filter(None, (last_error, book.said))), None


class WalletStates:
    """Per wallet: what it can vouch for, what it can't, and what was read last.

    Remembers the states of the last judgement: of many wallets few change from one to the next.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[tuple[object, ...], WalletState]] = {}
        self._inventory: Inventory | None = None

    def of(self, totals: Totals, *, tiers: Mapping[str, Tier], valuation: Valuation) -> dict[str, WalletState]:
        tokens: dict[str, list[tuple[Token, Total]]] = defaultdict(list)
        for (name, token), part in totals.wallets.items():
            tokens[name].append((token, part))
        known, self._known = self._known if valuation.inventory is self._inventory else {}, {}
        self._inventory = valuation.inventory
        return {
            name: self._state(
                wallet, tier=tiers[name], parts=tokens[name], totals=totals, valuation=valuation, known=known.get(name)
            )
            for name, wallet in valuation.inventory.wallets.items()
        }

    def _state(
        self,
        wallet: Wallet,
        *,
        tier: Tier,
        parts: Sequence[tuple[Token, Total]],
        totals: Totals,
        valuation: Valuation,
        known: tuple[tuple[object, ...], WalletState] | None,
    ) -> WalletState:
        chain = valuation.chains[wallet.chain]
        if chain.reason is not None or any(part.unread for _, part in parts):  # how old it is changes all the time
            return _wallet_state(wallet, tier=tier, parts=parts, lost_at=totals.lost_at, valuation=valuation)
        prices = (valuation.prices.get(valuation.inventory.asset_of[token]) for token, _ in parts)
        rests_on = (wallet, tier, *parts, *prices)
        if known is None or known[0] != rests_on:
            state = _wallet_state(wallet, tier=tier, parts=parts, lost_at=totals.lost_at, valuation=valuation)
            known = (rests_on, state)
        self._known[wallet.name] = known
        return known[1]


def _wallet_state(
    wallet: Wallet,
    *,
    tier: Tier,
    parts: Iterable[tuple[Token, Total]],
    lost_at: Mapping[tuple[str, Token], datetime],
    valuation: Valuation,
) -> WalletState:
    by_asset: dict[str, list[tuple[Token, Total]]] = defaultdict(list)
    for token, part in parts:
        by_asset[valuation.inventory.asset_of[token]].append((token, part))
    chain = valuation.chains[wallet.chain]
    sure, doubtful, last = {}, {}, {}
    unread = 0
    for asset, tokens in by_asset.items():
        holding = valuation.holding(asset, tokens)
        if holding.amount.value is not None:
            sure[asset] = holding
            continue
        doubtful[asset] = holding
        unread += sum(part.pairs if chain.reason else part.unread for _, part in tokens)
        known = _last_known(wallet, tokens=tokens, lost_at=lost_at, tip=chain.tip)
        if known is not None:
            last[asset] = known
    return WalletState(wallet, tier, sure, doubtful, last, unread)


def _last_known(
    wallet: Wallet,
    *,
    tokens: Iterable[tuple[Token, Total]],
    lost_at: Mapping[tuple[str, Token], datetime],
    tip: Tip | None,
) -> LastKnown | None:
    """The sum of the newest readings and the block time of the oldest of them; None when a part was never read."""
    read = [(token, part) for token, part in tokens]
    if tip is None or any(part.never for _, part in read):
        return None
    coins = NOTHING
    for token, part in read:
        coins = coins + Interval.exactly(amount(part.known + part.lost, decimals=token.decimals))
    return LastKnown(coins.low, min(lost_at.get((wallet.name, token), tip.time) for token, _ in read))


def expose(groups: Mapping[Group, Total], *, valuation: Valuation, custody: Iterable[Custody] = ()) -> Exposure:
    """Holdings by asset, tier and owner; what customers have in the hot tier; and its share of all they have.

    What custodians attest is the customers', in the tier that its configuration names.
    """
    holdings = _holdings(groups, valuation=valuation)
    for one in custody:
        key = (one.asset, one.tier, Owner.CUSTOMER)
        entrusted = valuation.entrusted(one)
        holdings[key] = _merged(holdings[key], entrusted) if key in holdings else entrusted
    customers = {(asset, tier): held for (asset, tier, owner), held in holdings.items() if owner is Owner.CUSTOMER}
    hot_value = total(held.value for (_, tier), held in customers.items() if tier is Tier.HOT)
    rest_value = total(held.value for (_, tier), held in customers.items() if tier is not Tier.HOT)
    shares = {ALL: hot_value.share_with(rest_value)}
    causes = {ALL: _causes(customers, valuation=valuation, priced=True)}
    for asset in sorted({asset for asset, _ in customers}):
        of_asset = {key: held for key, held in customers.items() if key[0] == asset}
        hot = total(held.amount for (_, tier), held in of_asset.items() if tier is Tier.HOT)
        rest = total(held.amount for (_, tier), held in of_asset.items() if tier is not Tier.HOT)
        shares[asset] = hot.share_with(rest)
        causes[asset] = _causes(of_asset, valuation=valuation, priced=False)
    return Exposure(holdings, hot_value, shares, causes)


def _holdings(groups: Mapping[Group, Total], *, valuation: Valuation) -> dict[tuple[str, Tier, Owner], Holding]:
    parts: dict[tuple[str, Tier, Owner], list[tuple[Token, Total]]] = defaultdict(list)
    for (token, tier, owner), part in groups.items():
        parts[(valuation.inventory.asset_of[token], tier, owner)].append((token, part))
    return {group: valuation.holding(group[0], tokens) for group, tokens in parts.items()}


def _merged(one: Holding, other: Holding) -> Holding:
    causes = tuple(sorted({*one.causes, *other.causes}))
    return Holding(one.amount + other.amount, one.value + other.value, None, causes)


def _causes(holdings: Mapping[tuple[str, Tier], Holding], *, valuation: Valuation, priced: bool) -> tuple[str, ...]:
    """What stands between us and the value of these holdings: what was not read, and prices that are missing."""
    found: set[str] = set()
    for (asset, _), held in holdings.items():
        found.update(held.causes)
        if priced and held.value.value is None and valuation.price(asset).value is None:
            found.add(valuation.unpriced.get(asset, f"price:{asset}"))
    return tuple(sorted(found))
