"""What each wallet holds: what it can vouch for, what it can't, and what was read last; anew only where it changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from connectors.base import Tip, Token
from daemon.classify import NOTHING as UNOBSERVED
from daemon.classify import Observed
from daemon.exposure import Valuation
from daemon.feeds.values import Stated
from daemon.interval import NOTHING, Interval, amount
from daemon.ledger import Total, Totals, WalletKey
from daemon.model import Holding, Inventory, LastKnown, Tier, Wallet, WalletState

Parts = Sequence[tuple[Token, Total]]
"""What a wallet holds of each token."""


@dataclass(slots=True)
class _Kept:
    """A wallet's newest state and what it rests on, and the same of each of its assets."""

    own: Sequence[Total] | None = None
    unread: bool = False
    rests_on: tuple[object, ...] = ()
    state: WalletState | None = None
    holdings: dict[str, tuple[tuple[object, ...], Holding]] = field(default_factory=dict)


class WalletStates:
    """Remembers the states of the last judgement: of many wallets few change from one to the next, and few assets of
    those. Mutable, and pure of effects."""

    def __init__(self) -> None:
        self._inventory: Inventory | None = None
        self._growth: Decimal | None = None
        self._order: list[WalletKey] = []
        self._places: dict[str, list[int]] = {}
        self._stated: Mapping[str, Stated] | None = None
        self._prices: Mapping[str, Interval] = {}
        self._kept: dict[str, _Kept] = {}

    def of(
        self,
        totals: Totals,
        *,
        tiers: Mapping[str, Tier],
        valuation: Valuation,
        observed: Mapping[str, Observed] | None = None,
    ) -> dict[str, WalletState]:
        """The state of every wallet of the inventory; `observed` is what speaks for another tier."""
        seen = observed or {}
        self._lay_out(totals, valuation=valuation)
        parts = list(totals.wallets.values())
        prices = self._priced(valuation)
        states: dict[str, WalletState] = {}
        for name, wallet in valuation.inventory.wallets.items():
            kept = self._kept[name]
            own = [parts[place] for place in self._places[name]]
            if own != kept.own:
                kept.own, kept.unread = own, any(part.unread for part in own)
            chain = valuation.chains[wallet.chain]
            when = (chain.tip, totals.lost_at) if chain.reason or kept.unread else None
            speaks = seen.get(name, UNOBSERVED)
            rests_on = (tiers[name], own, prices, chain.reason, when, speaks)
            if kept.state is None or kept.rests_on != rests_on:
                tokens = [self._order[place][1] for place in self._places[name]]
                kept.state = _state(
                    wallet,
                    tier=tiers[name],
                    observed=speaks,
                    parts=list(zip(tokens, own, strict=True)),
                    lost_at=totals.lost_at,
                    valuation=valuation,
                    known=kept.holdings,
                )
                kept.rests_on = rests_on
            states[name] = kept.state
        return states

    def _priced(self, valuation: Valuation) -> Mapping[str, Interval]:
        """The price of every asset; the same object as before, which is quick to compare, where it is the same."""
        if valuation.prices is not self._stated:
            prices = {asset: valuation.price(asset) for asset in valuation.inventory.assets}
            self._stated = valuation.prices
            self._prices = self._prices if prices == self._prices else prices
        return self._prices

    def _lay_out(self, totals: Totals, *, valuation: Valuation) -> None:
        """Where in the totals each wallet's own stand; anew when the configuration has changed."""
        order = list(totals.wallets)
        if valuation.inventory is self._inventory and (valuation.growth, order) == (self._growth, self._order):
            return
        self._inventory, self._growth, self._order = valuation.inventory, valuation.growth, order
        self._places = {name: [] for name in valuation.inventory.wallets}
        for place, (name, _) in enumerate(order):
            self._places[name].append(place)
        self._kept = {name: _Kept() for name in valuation.inventory.wallets}
        self._stated = None


def _state(
    wallet: Wallet,
    *,
    tier: Tier,
    observed: Observed,
    parts: Parts,
    lost_at: Mapping[WalletKey, datetime],
    valuation: Valuation,
    known: dict[str, tuple[tuple[object, ...], Holding]],
) -> WalletState:
    by_asset: dict[str, list[tuple[Token, Total]]] = defaultdict(list)
    for token, part in parts:
        by_asset[valuation.inventory.asset_of[token]].append((token, part))
    chain = valuation.chains[wallet.chain]
    sure, doubtful, last = {}, {}, {}
    unread = 0
    for asset, tokens in by_asset.items():
        holding = _holding(asset, tokens, valuation=valuation, known=known)
        if holding.amount.value is not None:
            sure[asset] = holding
            continue
        doubtful[asset] = holding
        unread += sum(part.pairs if chain.reason else part.unread for _, part in tokens)
        read_last = _last_known(wallet, tokens=tokens, lost_at=lost_at, tip=chain.tip)
        if read_last is not None:
            last[asset] = read_last
    return WalletState(wallet, tier, sure, doubtful, last, unread, observed.tier, observed.evidence)


def _holding(
    asset: str, tokens: Parts, *, valuation: Valuation, known: dict[str, tuple[tuple[object, ...], Holding]]
) -> Holding:
    """The one before where it rests on the same."""
    stale = [valuation.chains[token.chain].reason is not None for token, _ in tokens]
    rests_on = (tokens, valuation.price(asset), stale)
    if asset not in known or known[asset][0] != rests_on:
        known[asset] = (rests_on, valuation.holding(asset, tokens))
    return known[asset][1]


def _last_known(
    wallet: Wallet, *, tokens: Parts, lost_at: Mapping[WalletKey, datetime], tip: Tip | None
) -> LastKnown | None:
    """The sum of the newest readings and the block time of the oldest of them; None when a part was never read."""
    if tip is None or any(part.never for _, part in tokens):
        return None
    coins = NOTHING
    for token, part in tokens:
        coins = coins + Interval.exactly(amount(part.known + part.lost, decimals=token.decimals))
    return LastKnown(coins.low, min(lost_at.get((wallet.name, token), tip.time) for token, _ in tokens))
