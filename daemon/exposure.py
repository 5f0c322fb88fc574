"""From running totals to amounts, values and shares with bounds: pure, and at a cost that no account count enters."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.base import Token
from connectors.errors import Reason
from daemon.feeds.values import Custody, Stated
from daemon.groups import Group
from daemon.interval import EXACT, NOTHING, ONE, UNKNOWN, Interval, amount, total
from daemon.ledger import Book, Total
from daemon.model import (
    AssetExposure,
    ChainState,
    Exposure,
    Holding,
    Inventory,
    Owner,
    Tier,
)
from daemon.remembered import Sums, others, same

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


_LookedAt = tuple[Sequence[object], ...]


class Exposures:
    """Exposures one after the other. Of an asset that nothing has changed of, the same AssetExposure goes on.

    Mutable, and pure of effects: what it has seen before changes what an exposure costs, never what it is.
    """

    def __init__(self) -> None:
        self._inventory: Inventory | None = None
        self._growth: Decimal | None = None
        self._order: list[Group] = []
        self._groups: dict[str, tuple[Group, ...]] = {}
        self._asset_of: list[str] = []
        self._known: dict[str, tuple[tuple[object, ...], AssetExposure]] = {}
        self._looked_at: _LookedAt = ((), (), (), (), ())
        self._sums = Summed()

    def of(self, groups: Mapping[Group, Total], *, valuation: Valuation, custody: Iterable[Custody] = ()) -> Exposure:
        """Holdings by asset, tier and owner; what customers have in the hot tier; and its share of all they have.

        What custodians attest is the customers', in the tier that its configuration names.
        """
        self._lay_out(groups, valuation=valuation)
        entrusted: dict[str, list[Custody]] = defaultdict(list)
        for one in custody:
            entrusted[one.asset].append(one)
        stale = tuple(sorted(name for name, chain in valuation.chains.items() if chain.reason is not None))
        for asset in self._suspect(groups, entrusted, stale=stale, valuation=valuation):
            of_asset = self._groups.get(asset, ())
            kept = tuple(entrusted[asset]) if asset in entrusted else ()
            rests_on = (
                tuple(map(groups.get, of_asset)),
                kept,
                valuation.price(asset),
                valuation.unpriced.get(asset),
                stale,
            )
            known = self._known.get(asset)
            if known is None or known[0] != rests_on:
                parts = [(group, groups[group]) for group in of_asset]
                known = (rests_on, _of_asset(asset, parts, custody=kept, valuation=valuation))
                self._known[asset] = known
        return self._sums.of({asset: self._known[asset][1] for asset in dict.fromkeys((*self._groups, *entrusted))})

    def _suspect(
        self,
        groups: Mapping[Group, Total],
        entrusted: Mapping[str, Sequence[Custody]],
        *,
        stale: Sequence[str],
        valuation: Valuation,
    ) -> Collection[str]:
        """The assets of which something may have changed."""
        assets = list(dict.fromkeys((*self._groups, *entrusted)))
        custody = [one for kept in entrusted.values() for one in kept]
        prices = [list(map(found.get, assets)) for found in (valuation.prices, valuation.unpriced)]
        before = self._looked_at
        parts = list(groups.values())
        self._looked_at = (stale, custody, parts, *prices)
        if not self._known or stale != before[0] or not same(custody, before[1]):
            return assets
        suspects = {
            assets[place] for now, known in zip(prices, before[3:], strict=True) for place in others(now, known)
        }
        return suspects | {self._asset_of[place] for place in others(parts, before[2])}

    def _lay_out(self, groups: Mapping[Group, Total], *, valuation: Valuation) -> None:
        """The groups of each asset; anew when the configuration or a tier has changed."""
        order = list(groups)
        if valuation.inventory is self._inventory and (valuation.growth, order) == (self._growth, self._order):
            return
        by_asset: dict[str, list[Group]] = defaultdict(list)
        for group in groups:
            by_asset[valuation.inventory.asset_of[group[0]]].append(group)
        self._inventory, self._growth, self._order, self._known = valuation.inventory, valuation.growth, order, {}
        self._groups = {asset: tuple(of_asset) for asset, of_asset in by_asset.items()}
        self._asset_of = [valuation.inventory.asset_of[group[0]] for group in groups]


def expose(groups: Mapping[Group, Total], *, valuation: Valuation, custody: Iterable[Custody] = ()) -> Exposure:
    """A single exposure, as `Exposures.of`."""
    return Exposures().of(groups, valuation=valuation, custody=custody)


def _of_asset(
    asset: str, parts: Sequence[tuple[Group, Total]], *, custody: Sequence[Custody], valuation: Valuation
) -> AssetExposure:
    tokens: dict[tuple[str, Tier, Owner], list[tuple[Token, Total]]] = defaultdict(list)
    for (token, tier, owner), part in parts:
        tokens[(asset, tier, owner)].append((token, part))
    holdings = {key: valuation.holding(asset, found) for key, found in tokens.items()}
    for one in custody:
        key = (asset, one.tier, Owner.CUSTOMER)
        entrusted = valuation.entrusted(one)
        holdings[key] = _merged(holdings[key], entrusted) if key in holdings else entrusted
    customers = {tier: held for (_, tier, owner), held in holdings.items() if owner is Owner.CUSTOMER}
    hot = [held for tier, held in customers.items() if tier is Tier.HOT]
    rest = [held for tier, held in customers.items() if tier is not Tier.HOT]
    share = total(held.amount for held in hot).share_with(total(held.amount for held in rest)) if customers else None
    unpriced = valuation.price(asset).value is None and any(held.value.value is None for held in customers.values())
    return AssetExposure(
        holdings=holdings,
        hot=total(held.value for held in hot),
        rest=total(held.value for held in rest),
        share=share,
        causes=tuple(sorted({cause for held in customers.values() for cause in held.causes})),
        unpriced=(valuation.unpriced.get(asset, f"price:{asset}"),) if unpriced else (),
    )


class Summed:
    """Exposures out of their parts. Mutable, and pure of effects: what has not changed is not put together again."""

    def __init__(self) -> None:
        self._hot, self._rest = Sums(), Sums()
        self._parts: Mapping[str, AssetExposure] = {}
        self._holdings: dict[tuple[str, Tier, Owner], Holding] = {}

    def of(self, assets: Mapping[str, AssetExposure]) -> Exposure:
        """What all of these assets are together."""
        holdings = self._held(assets)
        self._parts, self._holdings = assets, holdings
        hot = self._hot.of([one.hot for one in assets.values()])
        rest = self._rest.of([one.rest for one in assets.values()])
        return _together(assets, holdings=holdings, hot=hot, rest=rest)

    def _held(self, assets: Mapping[str, AssetExposure]) -> dict[tuple[str, Tier, Owner], Holding]:
        if list(assets) == list(self._parts):
            changed = [
                (one, before)
                for one, before in zip(assets.values(), self._parts.values(), strict=True)
                if one is not before
            ]
            if all(one.holdings.keys() == before.holdings.keys() for one, before in changed):
                return {**self._holdings, **{key: held for one, _ in changed for key, held in one.holdings.items()}}
        return {key: held for one in assets.values() for key, held in one.holdings.items()}


def _together(
    assets: Mapping[str, AssetExposure],
    *,
    holdings: Mapping[tuple[str, Tier, Owner], Holding],
    hot: Interval,
    rest: Interval,
) -> Exposure:
    everything = sorted({cause for one in assets.values() for cause in (*one.causes, *one.unpriced)})
    customers = {asset: one for asset, one in sorted(assets.items()) if one.share is not None}
    return Exposure(
        holdings=holdings,
        value=hot,
        hot_share={
            ALL: hot.share_with(rest),
            **{asset: one.share for asset, one in customers.items() if one.share is not None},
        },
        causes={ALL: tuple(everything), **{asset: one.causes for asset, one in customers.items()}},
        by_asset=assets,
    )


def _merged(one: Holding, other: Holding) -> Holding:
    causes = tuple(sorted({*one.causes, *other.causes}))
    return Holding(one.amount + other.amount, one.value + other.value, None, causes)
