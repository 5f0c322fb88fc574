"""Small values of the pipe for unit tests, said in as few words as a test needs."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from connectors.base import (
    Address,
    Disagreement,
    Drift,
    Failure,
    Held,
    Movement,
    Party,
    Stage,
    Tip,
    Token,
    Unread,
    Update,
    Watch,
)
from connectors.errors import Reason
from connectors.evm.config import EvmConfig
from daemon.coverage import cover
from daemon.exposure import Ages, Valuation, chain_state, expose
from daemon.feeds.config import FeedsConfig
from daemon.feeds.plan import Plan
from daemon.feeds.planning import planned
from daemon.feeds.values import Feeds, Stated
from daemon.groups import Groups
from daemon.interval import Interval
from daemon.ledger import Book, Ledger
from daemon.model import Exposure, Inventory, Owner, Tier, Wallet, WalletState
from daemon.policy.rule import Picture
from daemon.settings import Settings
from daemon.wallet_states import WalletStates

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ETH = Token("ethereum", None, 18)
USDT = Token("ethereum", "0x" + "d" * 40, 6)
ETHER = 10**18
AGES = Ages(timedelta(seconds=60), timedelta(minutes=10), "batch")


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def address(number: int) -> Address:
    return Address(f"0x{number:040x}")


def tip(height: int, *, branch: str = "a") -> Tip:
    return Tip(height, f"0x{branch}{height:063x}", at(height))


def wallet(name: str, tier: Tier, *accounts: int, owner: Owner = Owner.CUSTOMER, chain: str = "ethereum") -> Wallet:
    return Wallet(name, chain, tier, owner, None, tuple(address(number) for number in accounts))


def inventory(*wallets: Wallet, assets: Mapping[str, Sequence[Token]] | None = None) -> Inventory:
    """Wallets on one or more chains; every account is asked for every token of its chain, if it has any."""
    tokens = {name: tuple(found) for name, found in (assets or {"ETH": [ETH]}).items()}
    chains = sorted({item.chain for item in wallets})
    return Inventory(
        wallets={item.name: item for item in wallets},
        assets=tokens,
        watches={
            chain: Watch(
                chain,
                tuple(account for item in wallets if item.chain == chain for account in item.accounts),
                tuple(token for found in tokens.values() for token in found if token.chain == chain),
            )
            for chain in chains
        },
        wallet_of={(item.chain, account): item.name for item in wallets for account in item.accounts},
        asset_of={token: asset for asset, found in tokens.items() for token in found},
    )


def complete(
    height: int,
    units: Mapping[tuple[int, Token], int],
    *,
    unread: Sequence[tuple[int, Token]] = (),
    disagreements: tuple[Disagreement, ...] = (),
    branch: str = "a",
) -> Update:
    """A complete update of the chain `ethereum`, seen when its block was made."""
    here = tip(height, branch=branch)
    return Update(
        chain="ethereum",
        seen=here.time,
        tip=here,
        complete=True,
        held=tuple(Held(address(account), token, value) for (account, token), value in units.items()),
        unread=tuple(Unread(address(account), token, Reason.NODE_ERROR, "refused") for account, token in unread),
        disagreements=disagreements,
    )


def failed(seconds: float, *, reason: Reason = Reason.UNAVAILABLE) -> Update:
    return Update(chain="ethereum", seen=at(seconds), failure=Failure(reason, "node-1: connection refused"))


def movement(
    transaction: str,
    changes: Mapping[int, int],
    *,
    block: Tip | None = None,
    stage: Stage | None = None,
    token: Token = ETH,
    destinations: Sequence[tuple[str, int]] = (),
    sources: Sequence[tuple[str, int]] = (),
    change: int = 0,
    fee: int | None = None,
    size: int = 200,
    replaced_by: str | None = None,
) -> Movement:
    """By the numbers of the accounts; mined when it has a block, else pending, unless the stage is said."""
    return Movement(
        transaction=transaction,
        token=token,
        stage=stage or (Stage.MINED if block else Stage.PENDING),
        tip=block,
        changes=tuple((address(account), units) for account, units in changes.items()),
        change=change,
        destinations=tuple(Party(name, units) for name, units in destinations),
        sources=tuple(Party(name, units) for name, units in sources),
        fee=fee,
        size=size,
        replaced_by=replaced_by,
    )


def told(
    seconds: float,
    *movements: Movement,
    here: Tip | None = None,
    previous: Tip | None = None,
    chain: str = "ethereum",
    drift: tuple[Drift, ...] | None = None,
) -> Update:
    """An update that only tells movements or drift: at block 1, where nothing else has changed, unless it is said."""
    here = here or tip(1)
    return Update(chain, at(seconds), here, previous or here, movements=movements, drift=drift)


def price(value: str) -> Stated:
    return Stated(Interval.exactly(Decimal(value)), "fixed", NOON)


def priced(**values: str) -> Plan:
    """Feeds with nothing but fixed prices, by asset."""
    config = FeedsConfig.model_validate({"prices": [{"kind": "fixed", "values": values}] if values else []})
    return planned(config, assets=values, currency="JPY")


def valuation(
    ledger: Ledger, inv: Inventory, *, prices: Mapping[str, str] | None = None, seconds: float = 0, growth: str = "1"
) -> Valuation:
    chains = {
        name: chain_state(name, book=book, ages=AGES, began=NOON, now=at(seconds))
        for name, book in ledger.books.items()
    }
    known = {"ETH": "500000"} if prices is None else prices
    return Valuation(inv, {asset: price(value) for asset, value in known.items()}, chains, Decimal(growth))


def picture(
    ledger: Ledger,
    inv: Inventory,
    *,
    prices: Mapping[str, str] | None = None,
    seconds: float = 0,
    growth: str = "1",
    feeds: Feeds | None = None,
) -> Picture:
    """What the rules see of a ledger at so many seconds after noon; the prices of `feeds` count before `prices`."""
    value = valuation(ledger, inv, prices=prices, seconds=seconds, growth=growth)
    found = feeds or Feeds()
    value = replace(value, prices={**value.prices, **found.prices})
    found = replace(found, prices=value.prices)
    tiers = {name: item.tier for name, item in inv.wallets.items()}
    wallets: dict[str, WalletState] = WalletStates().of(ledger.totals(), tiers=tiers, valuation=value)
    groups = Groups().of(ledger.totals(), tiers=tiers, inventory=inv)
    exposure: Exposure = expose(groups, valuation=value, custody=found.custody)
    disagreements = tuple(item for book in ledger.books.values() for item in book.disagreements)
    return Picture(
        "JPY",
        value.chains,
        wallets,
        exposure,
        feeds=found,
        coverage=cover(exposure, liabilities=found.liabilities, owed=found.liabilities),
        disagreements=disagreements,
        sweeps=ledger.sweeps(),
        assets=inv.assets,
        controls={name: ledger.controls.of(name) for name in inv.wallets},
        at=at(seconds),
    )


def two_tiers(hot: int, cold: int) -> tuple[Inventory, Ledger]:
    """One hot wallet (account 1) and one cold (account 2) with so many wei, read at block 1."""
    inv = inventory(wallet("hot", Tier.HOT, 1), wallet("cold", Tier.COLD, 2))
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(1, ETH): hot, (2, ETH): cold}))
    return inv, ledger


def read_units(book: Book) -> dict[tuple[Address, Token], int]:
    """The book's current readings."""
    return {key: units for key, units in book.units.items() if key not in book.unread}


def evm(settings: Settings, chain: str = "ethereum") -> EvmConfig:
    """What the settings say of an EVM chain."""
    config = settings.chains[chain]
    assert isinstance(config, EvmConfig)
    return config
