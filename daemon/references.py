"""Whether the names in a configuration lead somewhere, and whether its parts agree with each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Protocol

from connectors import CONNECTORS
from daemon.diagnosis import nearest
from daemon.document import Keys, shown
from daemon.feeds.chainlink import ChainlinkPrices
from daemon.feeds.coingecko import CoinGeckoPrices
from daemon.feeds.fixed import FixedPrices
from daemon.feeds.prices import HttpPrices, PriceFeed
from daemon.model import Tier
from daemon.needs import unmet
from daemon.policy import RuleConfig
from daemon.policy.backing import Backing
from daemon.policy.cold_moved import ColdMoved
from daemon.policy.drain import Drain
from daemon.policy.guarantee import Guarantee
from daemon.policy.hot_share import HotShare
from daemon.policy.wallet_band import WalletBand

if TYPE_CHECKING:
    from daemon.settings import Settings

Problem = tuple[Keys, str]
"""Where, and what is wrong with it."""


class Named(Protocol):
    """The names that rules may use. `variable` are the places whose values came from the environment."""

    @property
    def chains(self) -> Mapping[str, object]: ...
    @property
    def assets(self) -> Mapping[str, object]: ...
    @property
    def wallets(self) -> Mapping[str, object]: ...
    @property
    def variable(self) -> frozenset[Keys]: ...


def problems(settings: Settings) -> list[Problem]:
    """Everything in the file that names what is not there, or contradicts another part."""
    return [
        *_asset_problems(settings),
        *_wallet_problems(settings),
        *_price_problems(settings),
        *(
            problem
            for place, policy in enumerate(settings.policies)
            if not isinstance(policy, str)
            for problem in (
                *rule_problems(policy, settings=settings, at=("policies", place)),
                *feed_problems(policy, settings=settings, at=("policies", place)),
            )
        ),
    ]


def rule_problems(rule: RuleConfig, *, settings: Named, at: Keys) -> Iterator[Problem]:
    """What a rule that stands at `at` names that is not there."""
    missing = _Missing(settings)
    if isinstance(rule, HotShare | Guarantee | Backing):
        for place, asset in enumerate(rule.assets):
            yield from missing.asset(asset, keys=(*at, "assets", place))
    if isinstance(rule, WalletBand):
        yield from missing.asset(rule.asset, keys=(*at, "asset"))
        yield from missing.wallets(rule.wallets, keys=(*at, "wallets"))
    if isinstance(rule, Drain):
        yield from missing.assets(rule.assets, keys=(*at, "assets"))
        yield from missing.wallets(rule.wallets, keys=(*at, "wallets"))


def uncovered(settings: Settings) -> Iterator[str]:
    """Chains with cold wallets that a rule of the configuration is meant to watch and can't."""
    if not any(isinstance(rule, ColdMoved) for _, rule in settings.rules):
        return
    cold = {wallet.chain for wallet in settings.wallets.values() if wallet.tier is Tier.COLD}
    for name, chain in settings.chains.items():
        if name in cold and not CONNECTORS[chain.kind].movements:
            yield f"chains.{name}: movements of {chain.kind} chains are not told, cold_moved can't see its cold wallets"


class _Missing:
    """Problems with a name, none when it is known; a name that came from the environment is not repeated."""

    def __init__(self, settings: Named) -> None:
        self._settings = settings

    def chain(self, name: str, *, keys: Keys) -> Iterator[Problem]:
        return self._unless(name, keys=keys, sort="chain", known=self._settings.chains)

    def asset(self, name: str, *, keys: Keys) -> Iterator[Problem]:
        return self._unless(name, keys=keys, sort="asset", known=self._settings.assets)

    def assets(self, patterns: Sequence[str], *, keys: Keys) -> Iterator[Problem]:
        return self._patterns(patterns, keys=keys, sort="asset", known=self._settings.assets)

    def wallets(self, patterns: Sequence[str], *, keys: Keys) -> Iterator[Problem]:
        return self._patterns(patterns, keys=keys, sort="wallet", known=self._settings.wallets)

    def _patterns(
        self, patterns: Sequence[str], *, keys: Keys, sort: str, known: Mapping[str, object]
    ) -> Iterator[Problem]:
        for place, pattern in enumerate(patterns):
            if "*" not in pattern:
                yield from self._unless(pattern, keys=(*keys, place), sort=sort, known=known)
            elif not any(fnmatchcase(name, pattern.replace("[", "[[]")) for name in known):
                yield (*keys, place), f"matches no {sort}"

    def _unless(self, name: str, *, keys: Keys, sort: str, known: Mapping[str, object]) -> Iterator[Problem]:
        if name not in known:
            called = "called so" if keys in self._settings.variable else f"called {shown(name)}"
            yield keys, f"no {sort} is {called}{nearest(name, known)}"


def feed_problems(rule: RuleConfig, *, settings: Settings, at: Keys) -> Iterator[Problem]:
    """What a rule that stands at `at` needs and no source gives."""
    rated = asked_of(settings.feeds.rates)
    for keys, message in unmet(
        rule, feeds=settings.feeds, assets=settings.assets, currency=settings.currency, rated=rated
    ):
        yield (*at, *keys), message


def asked_of(feeds: Sequence[PriceFeed]) -> frozenset[str] | None:
    """The names that some source is asked of; None when one answers for whatever it knows."""
    named = [_named_by(feed) for feed in feeds]
    if any(names is None for names in named):
        return None
    return frozenset(asset for names in named if names is not None for asset in names)


def _named_by(feed: PriceFeed) -> Iterable[str] | None:
    match feed:
        case FixedPrices():
            return feed.values
        case CoinGeckoPrices():
            return feed.ids
        case ChainlinkPrices():
            return feed.contracts
        case HttpPrices(values=values) if not isinstance(values, str):
            return values
        case _:
            return None


def _asset_problems(settings: Settings) -> Iterator[Problem]:
    missing = _Missing(settings)
    owners: dict[tuple[str, str], str] = {}
    for asset, config in settings.assets.items():
        if asset == "all":
            yield ("assets", asset), "no asset can have this name: it stands for the sum of all"
        for place, token in enumerate(config.tokens):
            keys = ("assets", asset, "tokens", place)
            yield from missing.chain(token.chain, keys=(*keys, "chain"))
            owner = owners.setdefault((token.chain, (token.contract or "").casefold()), key := f"{asset}[{place}]")
            if owner != key:
                yield keys, f"this token belongs to {owner.partition('[')[0]} already"


def _wallet_problems(settings: Settings) -> Iterator[Problem]:
    missing = _Missing(settings)
    living = {token.chain for asset in settings.assets.values() for token in asset.tokens}
    for wallet, config in settings.wallets.items():
        keys = ("wallets", wallet, "chain")
        yield from missing.chain(config.chain, keys=keys)
        if config.chain in settings.chains and config.chain not in living:
            yield keys, "no asset has a token on this chain, so there is nothing to read"


def _price_problems(settings: Settings) -> Iterator[Problem]:
    missing = _Missing(settings)
    priced: dict[str, int] = {}
    for place, feed in enumerate(settings.feeds.prices):
        if not isinstance(feed, FixedPrices):
            continue
        for asset, money in feed.values.items():
            keys = ("feeds", "prices", place, "values", asset)
            yield from missing.asset(asset, keys=keys)
            if money.currency not in (None, settings.currency):
                yield keys, f"expected a price in {settings.currency}, the entity's currency"
            if priced.setdefault(asset, place) != place:
                yield keys, f"has a price in feeds.prices[{priced[asset]}] already"
