"""Whether the names in `feeds:` lead somewhere, and whether its parts agree with each other and with the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from connectors import CONNECTORS
from connectors.config import format_duration
from connectors.errors import BadAddress
from daemon.document import Keys, shown
from daemon.feeds.chainlink import ChainlinkPrices
from daemon.feeds.coingecko import CoinGeckoPrices
from daemon.feeds.custodians import Attestation
from daemon.feeds.fixed import FixedPrices
from daemon.feeds.liabilities import Ledger
from daemon.feeds.money import Money
from daemon.feeds.prices import HttpPrices, PriceFeed
from daemon.missing import Missing, Problem
from daemon.model import Tier
from daemon.needs import currencies
from daemon.policy.overrides import PresetUse

if TYPE_CHECKING:
    from daemon.settings import Settings

LONG_SILENCE = timedelta(minutes=10)
"""A source of approvals that may be silent for longer is warned of."""


def feed_problems(settings: Settings) -> Iterator[Problem]:
    """Everything in `feeds:` that names what is not there, or contradicts another part."""
    yield from _price_problems(settings)
    yield from _rate_problems(settings)
    yield from _ledger_problems(settings)
    yield from _custodian_problems(settings)
    yield from _approval_problems(settings)
    yield from _money_problems(settings)


def priced(feeds: Sequence[PriceFeed]) -> frozenset[str] | None:
    """The names that some source is asked the price of; None when one answers for whatever it knows."""
    named = [named_by(feed) for feed in feeds]
    if any(names is None for names in named):
        return None
    return frozenset(asset for names in named if names is not None for asset in names)


def named_by(feed: PriceFeed) -> Mapping[str, object] | None:
    """The names that a source of prices is asked for, each with how; None where it answers for whatever it knows."""
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


def _price_problems(settings: Settings) -> Iterator[Problem]:
    missing = Missing(settings)
    fixed: dict[str, int] = {}
    for place, feed in enumerate(settings.feeds.prices):
        at = ("feeds", "prices", place)
        for asset in named_by(feed) or ():
            yield from missing.asset(asset, keys=(*at, _key_of_names(feed), asset))
        if feed.currency not in (None, settings.currency) and not settings.feeds.rates:
            yield (
                (*at, "currency"),
                f"feeds.rates has no source of what {feed.currency} is worth",
            )
        if isinstance(feed, FixedPrices):
            yield from _fixed_problems(feed, at=at, currency=feed.currency or settings.currency)
            for asset in feed.values:
                if fixed.setdefault(asset, place) != place:
                    yield (*at, "values", asset), f"has a price in feeds.prices[{fixed[asset]}] already"
        if isinstance(feed, ChainlinkPrices):
            yield from _contract_problems(feed, at=at, settings=settings)


def _rate_problems(settings: Settings) -> Iterator[Problem]:
    rules = [policy for policy in settings.policies if not isinstance(policy, str | PresetUse)]
    wanted = settings.feeds.currencies | currencies(rules)
    presets = len(rules) < len(settings.policies)  # whose amounts nobody has read yet
    for place, feed in enumerate(settings.feeds.rates):
        at = ("feeds", "rates", place)
        if feed.currency not in (None, settings.currency):
            yield (*at, "currency"), f"expected rates in {settings.currency}, the entity's currency"
        for name in named_by(feed) or ():
            if name not in wanted and not presets:
                yield (*at, _key_of_names(feed), name), f"no source in feeds.prices has {shown(name)} as its currency"
        if isinstance(feed, FixedPrices):
            yield from _fixed_problems(feed, at=at, currency=settings.currency)
        if isinstance(feed, ChainlinkPrices):
            yield from _contract_problems(feed, at=at, settings=settings)


def _key_of_names(feed: PriceFeed) -> str:
    return {"coingecko": "ids", "chainlink": "contracts"}.get(feed.kind, "values")


def _fixed_problems(feed: FixedPrices, *, at: Keys, currency: str) -> Iterator[Problem]:
    of = "the source's" if feed.currency is not None else "the entity's"
    for name, money in feed.values.items():
        if money.currency not in (None, currency):
            yield (*at, "values", name), f"expected a price in {currency}, {of} currency"


def _contract_problems(feed: ChainlinkPrices, *, at: Keys, settings: Settings) -> Iterator[Problem]:
    chain_config = settings.chains.get(feed.chain)
    if chain_config is None:
        yield from Missing(settings).chain(feed.chain, keys=(*at, "chain"))
        return
    kind = CONNECTORS[chain_config.kind]
    if not kind.prices:
        yield (*at, "chain"), f"expected an EVM chain; {shown(feed.chain)} is of kind {chain_config.kind}"
        return
    canonical = kind.contract(chain_config)
    for name, contract in feed.contracts.items():
        try:
            canonical(contract)
        except BadAddress as error:
            yield (*at, "contracts", name), str(error)


def _ledger_problems(settings: Settings) -> Iterator[Problem]:
    for source in settings.feeds.sources:
        if isinstance(source.config, Ledger | Attestation):
            yield from _name_problems(source.config, at=source.keys, settings=settings)


def _name_problems(config: Ledger | Attestation, *, at: Keys, settings: Settings) -> Iterator[Problem]:
    for place, asset in enumerate(config.assets):
        yield from Missing(settings).asset(asset, keys=(*at, "assets", place))
    speaks_of = config.assets or settings.assets
    for place, name in enumerate(config.ignore):
        if name in speaks_of:
            yield (*at, "ignore", place), f"{shown(name)} is one of the assets that it is to speak of"


def _custodian_problems(settings: Settings) -> Iterator[Problem]:
    """Counted twice would be what a wallet names its custodian for, and that custodian attests as well; and what two
    sources attest of one custodian, if only its name is written in two ways."""
    on_chain = {
        _spoken(wallet.custodian): name for name, wallet in settings.wallets.items() if wallet.custodian is not None
    }
    tiers: dict[str, Tier] = {}
    names: dict[str, str] = {}
    for place, config in enumerate(settings.feeds.custodians):
        at = ("feeds", "custodians", place)
        wallet = on_chain.get(_spoken(config.custodian))
        if wallet is not None and not config.beside_wallets:
            yield (
                (*at, "custodian"),
                f"wallets.{wallet} names this custodian, what it holds would count twice; "
                "beside_wallets: true says that the attested figure leaves it out",
            )
        written = names.setdefault(_spoken(config.custodian), config.custodian)
        if written != config.custodian:
            yield (*at, "custodian"), f"another source calls it {shown(written)}, what it holds would count twice"
        if tiers.setdefault(config.custodian, config.tier) is not config.tier:
            yield (*at, "tier"), f"another source of this custodian says {tiers[config.custodian]}"


def _approval_problems(settings: Settings) -> Iterator[Problem]:
    """Names of chains mean chains that there are; nothing that there is can be ignored."""
    for place, config in enumerate(settings.feeds.approvals):
        at = ("feeds", "approvals", place)
        for name, chain in config.chains.items():
            if chain not in settings.chains:
                yield from Missing(settings).chain(chain, keys=(*at, "chains", name))
        for number, name in enumerate(config.ignore):
            if name in settings.assets or name in settings.chains or name in config.chains:
                yield (*at, "ignore", number), f"{shown(name)} is one of the assets or chains of the configuration"


def _spoken(name: str) -> str:
    """A name as one says it, without capitals and however many spaces."""
    return " ".join(name.casefold().split())


def _money_problems(settings: Settings) -> Iterator[Problem]:
    reserves = settings.feeds.reserves
    sums: list[tuple[Keys, Money]] = []
    for name, value in (("fund", reserves.fund), ("insurance", reserves.insurance)):
        if isinstance(value, Money):
            sums.append((("feeds", "reserves", name), value))
    if isinstance(settings.feeds.volume, Money):
        sums.append((("feeds", "volume"), settings.feeds.volume))
    if isinstance(reserves.insurance, tuple):
        for place, insurance in enumerate(reserves.insurance):
            sums.append((("feeds", "reserves", "insurance", place, "limit"), insurance.limit))
    for keys, money in sums:
        if money.currency not in (None, settings.currency):
            yield keys, f"expected a sum in {settings.currency}, the entity's currency"


def feed_warnings(settings: Settings) -> Iterator[str]:
    """What is allowed but makes the daemon know less, one line each."""
    feeds = settings.feeds
    names = priced(feeds.prices)
    for asset in settings.assets:
        if names is not None and asset not in names:
            yield f"assets.{asset}: has no price, so that every sum of values is unknown while customers hold any"
    rated = priced(feeds.rates)
    for currency in sorted(feeds.currencies - {settings.currency}):
        if rated is not None and currency not in rated:
            yield f"feeds.rates: no source is asked for {currency}, so that prices in it are unknown"
    least = feeds.quotes.at_least
    if 0 < len(feeds.prices) < least:
        yield f"feeds.quotes: at_least: {least} sources are wanted for a price, found {len(feeds.prices)}"
    for place, config in enumerate(feeds.approvals):
        if config.max_age > LONG_SILENCE:
            yield (
                f"feeds.approvals[{place}]: max_age: while this source is silent, a payment that nobody approved goes "
                f"unnoticed for {format_duration(config.max_age)}; the default is 2m"
            )
