"""What we watch: the wallets' accounts from the configuration and its address files, and the tokens asked of them."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain as chained
from pathlib import Path

from connectors import FirstAddresses
from connectors.base import Address, Token, Watch
from connectors.errors import BadAddress
from daemon.controlling import expected_of
from daemon.document import Keys
from daemon.errors import ConfigError
from daemon.listing import Canonical, Listing
from daemon.model import Inventory, Wallet
from daemon.settings import Settings

NONE: Mapping[str, FirstAddresses | None] = {}


def build(
    settings: Settings,
    *,
    base: Path,
    canonical: Mapping[str, Canonical],
    descriptor: Mapping[str, Canonical | None],
    contract: Mapping[str, Canonical],
    first: Mapping[str, FirstAddresses | None] = NONE,
) -> Inventory:
    """Reads every account once; files count from `base`. `canonical` reads the addresses of each chain, `descriptor`
    its descriptors and extended public keys, where it has any, `contract` the names of its tokens; `first` gives the
    first addresses of a descriptor.

    Only chains with a wallet get a watch. ConfigError, with file and line, for an account that is none, one that
    stands twice on a chain (be it under two names), a wallet without any, an unreadable file, and anything that looks
    like key material.
    """
    assets = _assets(settings, contract_on=contract)
    lists = {
        name: _listing(name, settings=settings, base=base, canonical=canonical, descriptor=descriptor)
        for name in settings.wallets
    }
    wallet_of: dict[tuple[str, Address], str] = {}
    holders: dict[tuple[tuple[str, str], Address], str] = {}
    for name, listing in lists.items():
        chain = settings.wallets[name].chain
        identity = settings.chains[chain].identity
        for place, address in listing.addresses():
            # Also of a chain that is configured twice under two names: there the same coins would count twice.
            if (identity, address) in holders:
                raise _double(address, place=place, listing=listing, earlier=lists[holders[identity, address]])
            holders[identity, address] = wallet_of[chain, address] = name
    wallets = _wallets(settings, wallet_of=wallet_of, canonical=canonical, first=first)
    return Inventory(
        wallets=wallets,
        assets=assets,
        watches=_watches(wallets.values(), assets=assets, settings=settings),
        wallet_of=wallet_of,
        asset_of={token: asset for asset, tokens in assets.items() for token in tokens},
    )


def _listing(
    name: str,
    *,
    settings: Settings,
    base: Path,
    canonical: Mapping[str, Canonical],
    descriptor: Mapping[str, Canonical | None],
) -> Listing:
    config = settings.wallets[name]
    key, texts = config.inline
    read = canonical[config.chain] if key == "addresses" else descriptor.get(config.chain)
    return Listing(("wallets", name), config.chain, key, texts, config.addresses_file, read, settings.where, base)


def _double(address: Address, *, place: int, listing: Listing, earlier: Listing) -> ConfigError:
    """The first place is looked up again only now, so that a million addresses need not carry theirs."""
    _, wallet = earlier.at
    return ConfigError(listing.place(place), f"{address} already stands in wallet {wallet} ({earlier.told(address)})")


def _wallets(
    settings: Settings,
    *,
    wallet_of: Mapping[tuple[str, Address], str],
    canonical: Mapping[str, Canonical],
    first: Mapping[str, FirstAddresses | None],
) -> dict[str, Wallet]:
    accounts: dict[str, list[Address]] = {name: [] for name in settings.wallets}
    for (_, address), name in wallet_of.items():
        accounts[name].append(address)
    return {
        name: Wallet(
            name,
            config.chain,
            config.tier,
            config.owner,
            config.custodian,
            tuple(accounts[name]),
            expected_of(config.expected, settings=settings, wallet=name, canonical=canonical[config.chain]),
            config.quiet_since,
            settings.chains[config.chain].identity,
            _derived(accounts[name], first=first.get(config.chain)) if config.has_descriptors else tuple,
        )
        for name, config in settings.wallets.items()
    }


def _derived(accounts: Sequence[Address], *, first: FirstAddresses | None) -> Callable[[], Iterable[Address]]:
    """Derives them when it is asked: hardly anybody ever does."""
    if first is None:
        return tuple
    return lambda: chained.from_iterable(map(first, accounts))


def _assets(settings: Settings, *, contract_on: Mapping[str, Canonical]) -> dict[str, tuple[Token, ...]]:
    owners: dict[tuple[str, str | None], str] = {}
    assets: dict[str, tuple[Token, ...]] = {}
    for asset, config in settings.assets.items():
        for place, written in enumerate(config.tokens):
            keys: Keys = ("assets", asset, "tokens", place)
            contract = None
            if written.contract is not None:
                try:
                    contract = contract_on[written.chain](written.contract)
                except BadAddress as error:
                    raise ConfigError(settings.where((*keys, "contract")), str(error)) from None
            if (written.chain, contract) in owners:  # two spellings of one contract, which are known as one only now
                owner = owners[written.chain, contract]
                raise ConfigError(settings.where(keys), f"this token belongs to {owner} already")
            owners[written.chain, contract] = asset
            decimals = settings.chains[written.chain].decimals if written.decimals is None else written.decimals
            assets[asset] = (*assets.get(asset, ()), Token(written.chain, contract, decimals))
    return assets


def _watches(
    wallets: Iterable[Wallet], *, assets: Mapping[str, tuple[Token, ...]], settings: Settings
) -> dict[str, Watch]:
    accounts: dict[str, list[Address]] = {}
    gap_limits: dict[str, dict[Address, int]] = {}
    for wallet in wallets:
        config = settings.wallets[wallet.name]
        accounts.setdefault(wallet.chain, []).extend(wallet.accounts)
        limits = dict.fromkeys(wallet.accounts, config.gap_limit) if config.has_descriptors else {}
        gap_limits.setdefault(wallet.chain, {}).update(limits)
    return {
        chain: Watch(
            chain,
            tuple(on),
            tuple(token for tokens in assets.values() for token in tokens if token.chain == chain),
            gap_limits[chain],
        )
        for chain, on in accounts.items()
    }
