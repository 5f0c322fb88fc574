"""Example Exchange KK, an invented exchange: its wallets, what they hold at midnight, and the people outside."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from daemon.replay.evm.rpc import TokenContract
from daemon.replay.played import Purse

CHAIN_ID = 31337  # the number that test chains use, so that nobody takes it for Ethereum


def address(name: str) -> str:
    """An address of nobody: it comes out of a hash, so no key is known for it."""
    return "0x" + hashlib.sha256(f"Example Exchange KK: {name}".encode()).hexdigest()[:40]


@dataclass(frozen=True, slots=True)
class Asset:
    """`contract` is None for the native coin. `price` is in JPY, made up, and the same in config/demo.yaml."""

    symbol: str
    decimals: int
    contract: str | None
    price: int

    def units(self, coins: int) -> int:
        """Smallest units of so many whole coins."""
        return coins * int(10**self.decimals)


@dataclass(frozen=True, slots=True)
class PlayedWallet:
    """A wallet of the story; `opening` is what it holds at midnight in whole coins, spread evenly over its accounts."""

    name: str
    tier: str
    owner: str
    opening: Mapping[str, int]
    accounts: tuple[str, ...]


ASSETS: Mapping[str, Asset] = {
    asset.symbol: asset
    for asset in (
        Asset("ETH", 18, None, 500_000),
        Asset("USDC", 6, address("token USDC"), 150),
        Asset("LINK", 18, address("token LINK"), 2_200),
    )
}

TOKENS: Mapping[str, TokenContract] = {
    asset.contract: TokenContract(symbol=asset.symbol, decimals=asset.decimals)
    for asset in ASSETS.values()
    if asset.contract is not None
}


def _wallet(name: str, tier: str, *, holds: Mapping[str, int], owner: str = "customer", size: int = 1) -> PlayedWallet:
    accounts = tuple(address(f"{name} {number}") for number in range(1, size + 1))
    return PlayedWallet(name, tier, owner, holds, accounts)


WALLETS: Mapping[str, PlayedWallet] = {
    wallet.name: wallet
    for wallet in (
        _wallet("eth-hot-1", "hot", holds={"ETH": 620, "USDC": 300_000}),
        _wallet("eth-hot-2", "hot", holds={"ETH": 110, "USDC": 250_000}),
        _wallet("token-hot-1", "hot", holds={"ETH": 5, "USDC": 500_000, "LINK": 36_000}),
        _wallet("deposits", "hot", holds={"ETH": 40, "USDC": 40_000, "LINK": 2_000}, size=40),
        _wallet("eth-warm-1", "warm", holds={"ETH": 1_600}),
        _wallet("token-warm-1", "warm", holds={"USDC": 900_000, "LINK": 30_000}),
        _wallet("eth-vault-1", "cold", holds={"ETH": 14_000}, size=2),
        _wallet("eth-vault-2", "cold", holds={"ETH": 9_500}),
        _wallet("usdc-vault", "cold", holds={"USDC": 12_000_000}),
        _wallet("link-vault", "cold", holds={"LINK": 420_000}),
        _wallet("trust-bank", "cold", holds={"ETH": 3_000, "USDC": 6_000_000}),
        _wallet("company-fees", "hot", holds={"ETH": 25, "USDC": 60_000}, owner="company"),
        _wallet("company-treasury", "cold", holds={"ETH": 1_200, "USDC": 500_000}, owner="company"),
        _wallet("guarantee", "cold", holds={"ETH": 950, "USDC": 1_200_000, "LINK": 40_000}, owner="guarantee"),
    )
}

CUSTOMERS = tuple(address(f"customer {number}") for number in range(1, 31))
"""Accounts outside that deposit and withdraw. They never run dry: each starts with more than a day can take."""

THIEF = address("thief")


def opening() -> dict[Purse, int]:
    """Every purse of the story at midnight, in smallest units."""
    purses: dict[Purse, int] = {}
    for wallet in WALLETS.values():
        for symbol, coins in wallet.opening.items():
            asset = ASSETS[symbol]
            for account in wallet.accounts:
                purses[account, asset.contract] = asset.units(coins) // len(wallet.accounts)
    for asset in ASSETS.values():
        for account in CUSTOMERS:
            purses[account, asset.contract] = asset.units(5_000_000_000 // asset.price)
    return purses
