"""Whether the names in a configuration lead somewhere, and whether its parts agree with each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from connectors import CONNECTORS
from connectors.config import format_duration
from daemon.document import Keys
from daemon.emit.config import NAME as MQTT
from daemon.feeds.references import feed_problems, priced
from daemon.missing import Missing, Named, Problem
from daemon.model import Tier
from daemon.needs import unmet
from daemon.policy import RuleConfig
from daemon.policy.backing import Backing
from daemon.policy.cold_moved import ColdMoved
from daemon.policy.drain import Drain
from daemon.policy.guarantee import Guarantee
from daemon.policy.hot_share import HotShare
from daemon.policy.rule import Rule
from daemon.policy.unknown_destination import UnknownDestination
from daemon.policy.unmatched_outflow import UnmatchedOutflow
from daemon.policy.wallet_band import WalletBand

if TYPE_CHECKING:
    from daemon.settings import Settings


def problems(settings: Settings) -> list[Problem]:
    """Everything in the file that names what is not there, or contradicts another part."""
    return [
        *_asset_problems(settings),
        *_wallet_problems(settings),
        *_destination_problems(settings),
        *feed_problems(settings),
        *_mqtt_problems(settings),
        *(
            problem
            for place, policy in enumerate(settings.policies)
            if isinstance(policy, Rule)
            for problem in (
                *rule_problems(policy, settings=settings, at=("policies", place)),
                *unfed(policy, settings=settings, at=("policies", place)),
            )
        ),
    ]


def rule_problems(rule: RuleConfig, *, settings: Named, at: Keys) -> Iterator[Problem]:
    """What a rule that stands at `at` names that is not there."""
    missing = Missing(settings)
    if isinstance(rule, HotShare | Guarantee | Backing):
        for place, asset in enumerate(rule.assets):
            yield from missing.asset(asset, keys=(*at, "assets", place))
    if isinstance(rule, WalletBand):
        yield from missing.asset(rule.asset, keys=(*at, "asset"))
        yield from missing.wallets(rule.wallets, keys=(*at, "wallets"))
    if isinstance(rule, UnmatchedOutflow):
        for asset in rule.fees:
            yield from missing.asset(asset, keys=(*at, "fees", asset))
        yield from missing.wallets(rule.wallets, keys=(*at, "wallets"))
    if isinstance(rule, Drain):
        yield from missing.assets(rule.assets, keys=(*at, "assets"))
    if isinstance(rule, Drain | UnknownDestination):
        yield from missing.wallets(rule.wallets, keys=(*at, "wallets"))


def unfed(rule: RuleConfig, *, settings: Settings, at: Keys) -> Iterator[Problem]:
    """What a rule that stands at `at` needs and no source gives."""
    rated = priced(settings.feeds.rates)
    for keys, message in unmet(
        rule, feeds=settings.feeds, assets=settings.assets, currency=settings.currency, rated=rated
    ):
        yield (*at, *keys), message


def uncovered(settings: Settings) -> Iterator[str]:
    """Chains with cold wallets that a rule of the configuration is meant to watch and can't."""
    if not any(isinstance(rule, ColdMoved) for _, rule in settings.rules):
        return
    cold = {wallet.chain for wallet in settings.wallets.values() if wallet.tier is Tier.COLD}
    for name, chain in settings.chains.items():
        if name in cold and not CONNECTORS[chain.kind].movements:
            yield f"chains.{name}: movements of {chain.kind} chains are not told, cold_moved can't see its cold wallets"


def _mqtt_problems(settings: Settings) -> Iterator[Problem]:
    if settings.mqtt is None:
        return
    if settings.mqtt.expiry < 2 * settings.tick:
        yield ("mqtt", "expiry"), f"expected at least twice the tick of {format_duration(settings.tick)}"
    receivers = settings.alertmanager.endpoints if settings.alertmanager else ()
    for place, receiver in enumerate(receivers):
        if receiver.name == MQTT:
            yield ("alertmanager", "endpoints", place, "name"), "the broker is called mqtt; call it otherwise"


def _asset_problems(settings: Settings) -> Iterator[Problem]:
    missing = Missing(settings)
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
    missing = Missing(settings)
    living = {token.chain for asset in settings.assets.values() for token in asset.tokens}
    for wallet, config in settings.wallets.items():
        keys = ("wallets", wallet, "chain")
        yield from missing.chain(config.chain, keys=keys)
        if config.chain in settings.chains and config.chain not in living:
            yield keys, "no asset has a token on this chain, so there is nothing to read"
        chain = settings.chains.get(config.chain)
        if config.expected is not None and chain is not None and not CONNECTORS[chain.kind].tells_control(chain):
            yield ("wallets", wallet, "expected"), "on this chain nobody tells who controls accounts"


def _destination_problems(settings: Settings) -> Iterator[Problem]:
    missing = Missing(settings)
    for name, config in settings.destinations.items():
        yield from missing.chain(config.chain, keys=("destinations", name, "chain"))
        if name in settings.wallets:
            yield ("destinations", name), "a wallet is called so already"
