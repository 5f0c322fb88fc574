"""A day of Example Exchange KK, minute by minute: ordinary business, then a weekend's worth of trouble.

The plot, in story time (UTC): 09:40 far too much is moved from cold to hot, and nobody reacts. 11:31 a small test
transfer, then within minutes nearly everything is taken from that hot wallet in a handful of transfers: the pattern of
Coincheck, 26 January 2018. 17:00 the node dies for 45 minutes. The evening is calm.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from daemon.replay.evm.ledger import Transfer
from daemon.replay.exchange import ASSETS, CUSTOMERS, THIEF, WALLETS, Asset, opening
from daemon.replay.played import Purse

MINUTES = 24 * 60
WEEKEND, PROBE, DRAIN, STOPPED, REPAIRED = 9 * 60 + 40, 11 * 60 + 31, 11 * 60 + 37, 11 * 60 + 58, 15 * 60
DARK, LIGHT, EVENING = 17 * 60, 17 * 60 + 45, 21 * 60

HOT_ROUTES = (
    ("ETH", "eth-hot-1"),
    ("ETH", "eth-hot-1"),
    ("ETH", "eth-hot-2"),
    ("USDC", "eth-hot-1"),
    ("USDC", "token-hot-1"),
    ("LINK", "token-hot-1"),
)
"""Where withdrawals are paid from: the asset and the wallet, each as likely as the other."""

SWEPT_TO = {"ETH": "eth-hot-1", "USDC": "token-hot-1", "LINK": "token-hot-1"}
VAULT = {"ETH": "eth-vault-2", "USDC": "usdc-vault", "LINK": "link-vault"}
RESERVE = {"ETH": "eth-warm-1", "USDC": "token-warm-1", "LINK": "token-warm-1"}
SMALLEST = {"ETH": 2, "USDC": 600, "LINK": 40}
"""Of a deposit or withdrawal, in hundredths of a coin; the largest is 150 times as much."""


class Power(StrEnum):
    """What becomes of the node at the end of a minute."""

    OFF = "off"
    ON = "on"


@dataclass(frozen=True, slots=True)
class Minute:
    """What happens in one minute and stands in the block at its end.

    `at` counts from midnight. `told` are sentences about what really happened, which no monitor is told.
    """

    at: timedelta
    transfers: tuple[Transfer, ...]
    told: tuple[str, ...] = ()
    power: Power | None = None


def write_day(seed: int) -> tuple[Minute, ...]:
    """1,440 minutes from 00:01 to 24:00. The same seed gives the same day, and no transfer in it overspends."""
    rehearsal = _Rehearsal(seed)
    return tuple(rehearsal.minute(number) for number in range(1, MINUTES + 1))


class _Rehearsal:
    """Plays the day on paper once, so that everybody only ever spends what they have."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a story must repeat, not resist guessing
        self._purses = opening()
        self._transfers: list[Transfer] = []
        self._told: list[str] = []
        self._stolen = 0
        self._plot: Mapping[int, Callable[[], Power | None]] = {
            WEEKEND: self._weekend,
            PROBE: self._probe,
            **dict.fromkeys(range(DRAIN, DRAIN + 5), self._drain),
            STOPPED: self._stop,
            REPAIRED: self._repair,
            DARK: self._darkness,
            LIGHT: self._light,
            EVENING: self._evening,
        }

    def minute(self, number: int) -> Minute:
        self._transfers, self._told = [], []
        if self._random.random() < 0.6:
            self._deposit()
        if self._random.random() < 0.6:
            self._withdraw(number)
        staffed = not WEEKEND <= number <= REPAIRED
        if number % 60 == 20:
            self._sweep()
        if number % 60 == 40 and staffed:
            self._balance_hot_wallets()
        act = self._plot.get(number)
        power = act() if act is not None else None
        return Minute(timedelta(minutes=number), tuple(self._transfers), tuple(self._told), power)

    def _deposit(self) -> None:
        asset = ASSETS[self._random.choice(tuple(ASSETS))]
        payee = self._random.choice(WALLETS["deposits"].accounts)
        self._pay(self._random.choice(CUSTOMERS), payee, asset=asset, units=self._ordinary(asset))

    def _withdraw(self, number: int) -> None:
        symbol, wallet = self._random.choice(HOT_ROUTES)
        asset, payee = ASSETS[symbol], self._random.choice(CUSTOMERS)
        units = self._ordinary(asset)
        stopped = STOPPED <= number <= REPAIRED
        payer = WALLETS[wallet].accounts[0]
        # The withdrawal service keeps half of a wallet's target back and queues what would go below.
        if not stopped and self._has(payer, asset) - units > asset.units(WALLETS[wallet].opening[symbol]) // 2:
            self._pay(payer, payee, asset=asset, units=units)

    def _ordinary(self, asset: Asset) -> int:
        size = self._random.uniform(1, 12.25)  # squared, so that small ones are common and 150 is the largest
        return asset.units(int(SMALLEST[asset.symbol] * size * size)) // 100

    def _sweep(self) -> None:
        """Deposit addresses keep what they had at midnight; the rest goes where withdrawals are paid from."""
        deposits = WALLETS["deposits"]
        for account in deposits.accounts:
            for symbol, coins in deposits.opening.items():
                asset = ASSETS[symbol]
                excess = self._has(account, asset) - asset.units(coins) // len(deposits.accounts)
                if excess > 0:
                    self._pay(account, WALLETS[SWEPT_TO[symbol]].accounts[0], asset=asset, units=excess)

    def _balance_hot_wallets(self) -> None:
        """What is 10 % over a hot wallet's target goes to the vault, what is 10 % short comes from the warm wallet."""
        for name in ("eth-hot-1", "eth-hot-2", "token-hot-1"):
            hot = WALLETS[name]
            for symbol, coins in hot.opening.items():
                asset, account = ASSETS[symbol], hot.accounts[0]
                target = asset.units(coins)
                excess = self._has(account, asset) - target
                if excess * 10 > target:
                    self._pay(account, WALLETS[VAULT[symbol]].accounts[0], asset=asset, units=excess)
                elif -excess * 10 > target:
                    self._pay(WALLETS[RESERVE[symbol]].accounts[0], account, asset=asset, units=-excess)

    def _weekend(self) -> None:
        eth = ASSETS["ETH"]
        self._pay(
            WALLETS["eth-vault-1"].accounts[0], WALLETS["eth-hot-1"].accounts[0], asset=eth, units=eth.units(1_500)
        )
        self._tell("An operator moves 1,500 ETH from eth-vault-1 to eth-hot-1, to have enough for the weekend.")

    def _probe(self) -> None:
        self._steal(ASSETS["ETH"].units(1))
        self._tell("Nobody has reacted. 1 ETH leaves eth-hot-1 for an address that nobody has seen before: a test.")

    def _drain(self) -> None:
        eth = ASSETS["ETH"]
        left = self._has(WALLETS["eth-hot-1"].accounts[0], eth)
        keep = eth.units(60)
        units = min(eth.units(400), left - keep) if self._stolen < eth.units(1_600) else left - keep
        self._steal(units)
        self._tell(f"{units // eth.units(1):,} ETH go to the same address.")

    def _steal(self, units: int) -> None:
        self._stolen += units
        self._pay(WALLETS["eth-hot-1"].accounts[0], THIEF, asset=ASSETS["ETH"], units=units)

    def _stop(self) -> None:
        gone = self._stolen // ASSETS["ETH"].units(1)
        self._tell(
            f"The person on call stops withdrawals. The service had signed forged orders: {gone:,} ETH are gone."
        )

    def _repair(self) -> None:
        eth, account = ASSETS["ETH"], WALLETS["eth-hot-1"].accounts[0]
        missing = eth.units(WALLETS["eth-hot-1"].opening["ETH"]) - self._has(account, eth)
        self._pay(WALLETS["eth-warm-1"].accounts[0], account, asset=eth, units=missing)
        self._tell("The withdrawal service is repaired; eth-warm-1 fills eth-hot-1 up and withdrawals start again.")

    def _darkness(self) -> Power:
        self._tell("The node's machine loses power. The chain goes on without us.")
        return Power.OFF

    def _light(self) -> Power:
        self._tell("The node is back.")
        return Power.ON

    def _evening(self) -> None:
        self._tell("A calm evening: deposits, withdrawals, sweeps.")

    def _has(self, account: str, asset: Asset) -> int:
        return self._purses.get((account, asset.contract), 0)

    def _pay(self, payer: str, payee: str, *, asset: Asset, units: int) -> None:
        source: Purse = (payer, asset.contract)
        target: Purse = (payee, asset.contract)
        self._purses[source] -= units
        self._purses[target] = self._purses.get(target, 0) + units
        self._transfers.append(Transfer(payer, payee, units, asset.contract))

    def _tell(self, sentence: str) -> None:
        self._told.append(sentence)
