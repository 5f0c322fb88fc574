"""What we watch: the wallets' accounts from the configuration and its address files, and the tokens asked of them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from connectors.base import Address, Token, Watch
from connectors.errors import BadAddress
from daemon.controlling import expected_of
from daemon.document import TAKES_NONE, Keys, key_path, reason
from daemon.errors import ConfigError
from daemon.keyless import SHORTEST, key_material
from daemon.model import Inventory, Wallet
from daemon.settings import Settings

Canonical = Callable[[str], Address]
"""An account in its chain's canonical form; raises BadAddress."""

LONGEST_LINE = 1000
BOM = b"\xef\xbb\xbf"


def build(
    settings: Settings,
    *,
    base: Path,
    canonical: Mapping[str, Canonical],
    descriptor: Mapping[str, Canonical | None],
    contract: Mapping[str, Canonical],
) -> Inventory:
    """Reads every account once; files count from `base`. `canonical` reads the addresses of each chain, `descriptor`
    its descriptors and extended public keys, where it has any, `contract` the names of its tokens.

    Only chains with a wallet get a watch. ConfigError, with file and line, for an account that is none, one that
    stands twice on a chain (be it under two names), a wallet without any, an unreadable file, and anything that looks
    like key material.
    """
    assets = _assets(settings, contract_on=contract)
    lists = {
        name: _Listing(name, settings, base, canonical[wallet.chain], descriptor.get(wallet.chain))
        for name, wallet in settings.wallets.items()
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
    wallets = _wallets(settings, wallet_of=wallet_of, canonical=canonical)
    return Inventory(
        wallets=wallets,
        assets=assets,
        watches=_watches(wallets.values(), assets=assets, settings=settings),
        wallet_of=wallet_of,
        asset_of={token: asset for asset, tokens in assets.items() for token in tokens},
    )


@dataclass(frozen=True, slots=True)
class _Listing:
    """A wallet's accounts in the order they stand in, inline or in a file, each with its place: index or line."""

    wallet: str
    settings: Settings
    base: Path
    canonical: Canonical
    descriptor: Canonical | None

    @property
    def file(self) -> Path | None:
        return self.settings.wallets[self.wallet].addresses_file

    def addresses(self) -> Iterator[tuple[int, Address]]:
        return self._inline() if self.file is None else self._in_file(self.file)

    def place(self, place: int) -> str:
        """For people: `wallets.eth-hot-1.addresses[0]` with its file and line, or `wallets/a.txt:17`."""
        return self.settings.where(self.keys(place)) if self.file is None else f"{self.file}:{place}"

    def keys(self, place: int) -> Keys:
        """Where in the configuration an inline account stands."""
        key, _ = self.settings.wallets[self.wallet].inline
        return ("wallets", self.wallet, key, place) if key.endswith("s") else ("wallets", self.wallet, key)

    def _inline(self) -> Iterator[tuple[int, Address]]:
        key, texts = self.settings.wallets[self.wallet].inline
        read = self.canonical if key == "addresses" else self.descriptor
        for place, text in enumerate(texts):
            if read is None:
                chain = self.settings.wallets[self.wallet].chain
                raise ConfigError(self.place(place), f"chain {chain} has no descriptors; expected addresses")
            try:
                yield place, read(text)
            except BadAddress as error:
                raise ConfigError(self.place(place), str(error)) from None

    def _in_file(self, file: Path) -> Iterator[tuple[int, Address]]:
        empty = True
        for number, raw in enumerate(self._lines(file), start=1):
            text = self._text(raw, number=number)
            body, _, label = text.partition("#")
            body = body.strip()
            if len(label) >= SHORTEST and (secret := key_material(label)) is not None:
                raise ConfigError(self.place(number), f"the comment looks like {secret}; {TAKES_NONE}")
            if not body:
                continue
            try:
                yield number, self.canonical(body)
            except BadAddress as error:
                raise self._bad_line(text, number=number, why=str(error)) from None
            empty = False
        if empty:
            raise self._file_error("the file holds no address")

    def _lines(self, file: Path) -> Iterator[bytes]:
        try:
            with (self.base / file).open("rb") as stream:
                lines = iter(partial(stream.readline, LONGEST_LINE + 1), b"")
                yield next(lines, b"").removeprefix(BOM)
                yield from lines
        except OSError as error:
            raise self._file_error(f"the file can't be read: {reason(error)}") from error

    def _text(self, raw: bytes, *, number: int) -> str:
        if len(raw) > LONGEST_LINE:
            raise ConfigError(self.place(number), f"the line is longer than {LONGEST_LINE} bytes")
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise ConfigError(self.place(number), "is not UTF-8") from None

    def _bad_line(self, text: str, *, number: int, why: str) -> ConfigError:
        body = text.partition("#")[0].rstrip()
        words = body.split(maxsplit=1)
        at = len(body) - len(words[1] if len(words) > 1 else words[0])
        secret = key_material(text)
        if secret is not None:
            return ConfigError(self.place(number), f"looks like {secret}; {TAKES_NONE}")
        if len(words) > 1:
            why = "expected one address a line, and a # before a label"
        return ConfigError(f"{self.place(number)}:{at + 1}", why)

    def _file_error(self, message: str) -> ConfigError:
        return ConfigError(self.settings.where(("wallets", self.wallet, "addresses_file")), message)


def _double(address: Address, *, place: int, listing: _Listing, earlier: _Listing) -> ConfigError:
    """The first place is looked up again only now, so that a million addresses need not carry theirs."""
    before = next(at for at, other in earlier.addresses() if other == address)
    first = key_path(earlier.keys(before)) if earlier.file is None else earlier.place(before)
    return ConfigError(listing.place(place), f"{address} already stands in wallet {earlier.wallet} ({first})")


def _wallets(
    settings: Settings, *, wallet_of: Mapping[tuple[str, Address], str], canonical: Mapping[str, Canonical]
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
        )
        for name, config in settings.wallets.items()
    }


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
