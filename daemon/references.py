"""Whether the names in a configuration lead somewhere, and whether its parts agree with each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from daemon.diagnosis import nearest
from daemon.document import Keys
from daemon.policy import RuleConfig
from daemon.policy.hot_share import HotShare
from daemon.policy.wallet_band import WalletBand

if TYPE_CHECKING:
    from daemon.settings import Settings

Problem = tuple[Keys, str]
"""Where, and what is wrong with it."""


def problems(settings: Settings) -> list[Problem]:
    """Everything in the file that names what is not there, or contradicts another part."""
    return [
        *_asset_problems(settings),
        *_wallet_problems(settings),
        *_price_problems(settings),
        *(
            (("policies", place, *keys), message)
            for place, policy in enumerate(settings.policies)
            if not isinstance(policy, str)
            for keys, message in rule_problems(policy, settings=settings)
        ),
    ]


def rule_problems(rule: RuleConfig, *, settings: Settings) -> Iterator[Problem]:
    """What a rule names that is not there; the keys count from the rule."""
    if isinstance(rule, HotShare):
        for place, asset in enumerate(rule.assets):
            yield from _unknown(("assets", place), asset, sort="asset", names=settings.assets)
    if isinstance(rule, WalletBand):
        yield from _unknown(("asset",), rule.asset, sort="asset", names=settings.assets)
        for place, pattern in enumerate(rule.wallets):
            if "*" not in pattern:
                yield from _unknown(("wallets", place), pattern, sort="wallet", names=settings.wallets)
            elif not any(fnmatchcase(wallet, pattern.replace("[", "[[]")) for wallet in settings.wallets):
                yield ("wallets", place), "matches no wallet"


def _unknown(keys: Keys, name: str, *, sort: str, names: Iterable[str]) -> Iterator[Problem]:
    if name not in names:
        yield keys, f"no {sort} of this name{nearest(name, names)}"


def _asset_problems(settings: Settings) -> Iterator[Problem]:
    owners: dict[tuple[str, str], str] = {}
    for asset, config in settings.assets.items():
        if asset == "all":
            yield ("assets", asset), "no asset can have this name: it stands for the sum of all"
        for place, token in enumerate(config.tokens):
            keys = ("assets", asset, "tokens", place)
            yield from _unknown((*keys, "chain"), token.chain, sort="chain", names=settings.chains)
            owner = owners.setdefault((token.chain, (token.contract or "").casefold()), key := f"{asset}[{place}]")
            if owner != key:
                yield keys, f"this token belongs to {owner.partition('[')[0]} already"


def _wallet_problems(settings: Settings) -> Iterator[Problem]:
    living = {token.chain for asset in settings.assets.values() for token in asset.tokens}
    for wallet, config in settings.wallets.items():
        keys = ("wallets", wallet, "chain")
        yield from _unknown(keys, config.chain, sort="chain", names=settings.chains)
        if config.chain in settings.chains and config.chain not in living:
            yield keys, "no asset has a token on this chain, so there is nothing to read"


def _price_problems(settings: Settings) -> Iterator[Problem]:
    priced: dict[str, int] = {}
    for place, feed in enumerate(settings.feeds.prices):
        for asset, money in feed.values.items():
            keys = ("feeds", "prices", place, "values", asset)
            yield from _unknown(keys, asset, sort="asset", names=settings.assets)
            if money.currency not in (None, settings.currency):
                yield keys, f"expected a price in {settings.currency}, the entity's currency"
            if priced.setdefault(asset, place) != place:
                yield keys, f"has a price in feeds.prices[{priced[asset]}] already"
