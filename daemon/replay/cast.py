"""Who and what plays in a scenario: accounts by name, coins with their decimals, what everybody holds at first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase

from pydantic import TypeAdapter

from connectors import CONNECTORS, AnyChainConfig
from connectors.base import Address
from daemon.diagnosis import nearest
from daemon.document import shown
from daemon.interval import plain
from daemon.replay.scenario import INVENTED, ChainSetup, Group, PlayedWallet, Scenario

REFERENCE = re.compile(r"(?P<group>[^/]*)(?:/(?P<number>[0-9]{1,5}))?")
CONFIGS: TypeAdapter[AnyChainConfig] = TypeAdapter(AnyChainConfig)
NETWORKS: Mapping[str, Mapping[str, object]] = {
    "evm": {"chain_id": 31337},
    "bitcoin": {"network": "regtest"},
    "nem": {"network": "mainnet"},
    "symbol": {"network": "mainnet"},
}
"""The network that each kind is played as: it decides how addresses look."""


@dataclass(frozen=True, slots=True)
class Account:
    """`name` is `group/number`, from 1. `address` is None for one that the played chain makes up by that name."""

    chain: str
    name: str
    address: Address | None = None

    def on(self, account: Callable[[str], str]) -> str:
        """Its address, where `account` gives one of nobody for a name (`PlayedChain.account`)."""
        return self.address or account(self.name)


@dataclass(frozen=True, slots=True)
class Coin:
    """An asset on a chain. `contract` is canonical; None for the native coin, and where it is `invented`."""

    asset: str
    chain: str
    contract: Address | None
    invented: bool
    decimals: int

    @property
    def native(self) -> bool:
        """Whether it is the chain's own coin, in which fees are paid."""
        return self.contract is None and not self.invented

    def on(self, contract: Callable[[str], str]) -> str | None:
        """What names it on its chain, where `contract` makes a name up (`PlayedChain.contract`); None if native."""
        return contract(self.asset) if self.invented else self.contract

    def units(self, coins: Decimal) -> int:
        """The smallest units of so many whole coins; ValueError when it has not that many decimals."""
        sign, digits, exponent = coins.as_tuple()
        assert isinstance(exponent, int), "amounts are finite"
        places = exponent + self.decimals
        whole, rest = divmod(int("".join(map(str, digits))) * int(10 ** max(places, 0)), int(10 ** max(-places, 0)))
        if rest:
            raise ValueError(f"{self.asset} has {self.decimals} decimals on {self.chain}; expected no more of them")
        return -whole if sign else whole

    def coins(self, units: int) -> Decimal:
        """Whole coins, exactly."""
        return Decimal((int(units < 0), tuple(map(int, str(abs(units)))), -self.decimals))

    def text(self, units: int) -> str:
        """`10.5 XEM`."""
        return f"{plain(self.coins(units))} {self.asset}"


Purse = tuple[Account, Coin]


def connector_config(setup: ChainSetup) -> AnyChainConfig:
    """The chain's section of a configuration, with nodes that nobody can reach; pydantic's ValidationError."""
    urls = [f"http://127.0.0.1:{port}" for port in range(1, setup.nodes + 1)]
    nodes = {"node": urls[0], "esplora": urls[1:]} if setup.kind == "bitcoin" else {"endpoints": urls}
    return CONFIGS.validate_python(
        {
            **setup.settings,
            **NETWORKS[setup.kind],
            **nodes,
            "kind": setup.kind,
            "agree": setup.agree,
            "confirmations": setup.confirmations,
        }
    )


def copies(name: str, group: Group) -> tuple[str, ...]:
    """The names of a wallet and its copies: `hot`, or `hot-1`, `hot-2`, …"""
    number = group.copies if isinstance(group, PlayedWallet) else 1
    return (name,) if number == 1 else tuple(f"{name}-{place}" for place in range(1, number + 1))


class Cast:
    """Made from a scenario whose names are known to lead somewhere; ValueError or ValidationError otherwise."""

    def __init__(self, scenario: Scenario) -> None:
        self.configs = {chain: connector_config(setup) for chain, setup in scenario.chains.items()}
        self.coins = {(coin.asset, coin.chain): coin for coin in self._coins(scenario)}
        self.natives = {coin.chain: coin for coin in self.coins.values() if coin.native}
        self.wallets = {copy: wallet for name, wallet in scenario.wallets.items() for copy in copies(name, wallet)}
        """Every watched wallet by name, copies by theirs."""
        self.groups = {name: self._accounts(name, group) for name, group in self._all(scenario)}
        """The accounts of every wallet and of everybody outside."""
        self._group_of = {account: name for name, accounts in self.groups.items() for account in accounts}
        self._opening = {name: group.holds for name, group in self._all(scenario)}

    def coin(self, asset: str, chain: str) -> Coin:
        """ValueError when the asset has no token there."""
        if not any(asset == known for known, _ in self.coins):
            raise ValueError(f"no asset is called {shown(asset)}{nearest(asset, {known for known, _ in self.coins})}")
        if (asset, chain) not in self.coins:
            raise ValueError(f"{asset} has no token on {chain}")
        return self.coins[asset, chain]

    def account(self, reference: str) -> Account:
        """`hot`, when it has one account, or `customers/3`; ValueError when it leads nowhere."""
        match = REFERENCE.fullmatch(reference)
        accounts = self.groups.get(match["group"]) if match else None
        if match is None or accounts is None:
            raise ValueError(f"nobody is called {shown(reference)}{nearest(reference, self.groups)}")
        if match["number"] is None and len(accounts) > 1:
            raise ValueError(f"{reference} has {len(accounts)} accounts; expected one of them, such as {reference}/1")
        number = int(match["number"] or 1)
        if not 1 <= number <= len(accounts):
            raise ValueError(f"{match['group']} has {len(accounts)} accounts, none of the number {number}")
        return accounts[number - 1]

    def group_of(self, account: Account) -> str:
        """The name of the wallet, or of whoever is outside."""
        return self._group_of[account]

    def wallet_of(self, account: Account) -> PlayedWallet | None:
        """None for an account outside."""
        return self.wallets.get(self._group_of[account])

    def opening(self) -> dict[Purse, int]:
        """Units of every purse that is not empty at the start."""
        purses: dict[Purse, int] = {}
        for name, holds in self._opening.items():
            accounts = self.groups[name]
            for asset, amount in holds.items():
                coin = self.coin(asset, accounts[0].chain)
                share, rest = divmod(coin.units(amount), len(accounts))
                for place, account in enumerate(accounts):
                    purses[account, coin] = share + (rest if place == 0 else 0)
        return purses

    def _all(self, scenario: Scenario) -> Iterator[tuple[str, Group]]:
        yield from self.wallets.items()
        yield from scenario.outside.items()

    def _accounts(self, name: str, group: Group) -> tuple[Account, ...]:
        config = self.configs[group.chain]
        canonical = CONNECTORS[config.kind].canonical(config)
        if group.addresses:
            return tuple(
                Account(group.chain, f"{name}/{place}", canonical(text))
                for place, text in enumerate(group.addresses, start=1)
            )
        return tuple(Account(group.chain, f"{name}/{place}") for place in range(1, group.accounts + 1))

    def _coins(self, scenario: Scenario) -> Iterator[Coin]:
        for asset, played in scenario.assets.items():
            for token in played.tokens:
                config = self.configs[token.chain]
                if token.contract is None or token.decimals is None:
                    yield Coin(asset, token.chain, None, invented=False, decimals=config.decimals)
                elif token.contract == INVENTED:
                    yield Coin(asset, token.chain, None, invented=True, decimals=token.decimals)
                else:
                    named = CONNECTORS[config.kind].contract(config)(token.contract)
                    yield Coin(asset, token.chain, named, invented=False, decimals=token.decimals)


def wallets_like(pattern: str, cast: Cast) -> list[str]:
    """The names of the wallets that a pattern means, in the order of the file."""
    return [name for name in cast.wallets if fnmatchcase(name, pattern.replace("[", "[[]"))]
