"""Which transfers bring something about: largest wallets first, no more than it takes, and nothing that is in doubt."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from decimal import ROUND_UP, Decimal

from daemon.interval import EXACT, ONE, ZERO
from daemon.model import Move, Owner, Tier
from daemon.policy.rule import Picture

TO_COLD = "tier cold"
TO_GUARANTEE = "owner guarantee, tier cold"
TO_CUSTOMERS = "owner customer, tier cold"
TO_FUND = "reserve fund"
ANY_TIER = tuple(Tier)

MONEY_PLACES = 2


@dataclass(frozen=True, slots=True)
class Purse:
    """Coins of one asset that are there for certain; `places` are the decimals in which they can be moved."""

    name: str
    asset: str
    coins: Decimal
    places: int


def purses(
    picture: Picture, *, owner: Owner, tiers: Collection[Tier] = ANY_TIER, asset: str | None = None
) -> Iterator[Purse]:
    """What wallets and, of customers' assets, custodians hold in these tiers: of one asset, or of every one."""
    for name, state in picture.wallets.items():
        if state.tier in tiers and state.wallet.owner is owner:
            for held, holding in state.holdings.items():
                if asset in (None, held) and holding.amount.low:
                    yield Purse(name, held, holding.amount.low, places(picture, held, chain=state.wallet.chain))
    for custody in picture.feeds.custody if owner is Owner.CUSTOMER else ():
        coins = custody.amount.value.value
        if custody.tier in tiers and asset in (None, custody.asset) and coins:
            yield Purse(f"custodian {custody.custodian}", custody.asset, coins, places(picture, custody.asset))


def places(picture: Picture, asset: str, *, chain: str | None = None) -> int:
    """Decimals of the asset's coarsest token, on one chain or on any: an amount that every one of them can carry."""
    found = [token.decimals for token in picture.assets.get(asset, ()) if chain in (None, token.chain)]
    return min(found, default=18)


def finest(picture: Picture, asset: str) -> int:
    """Decimals of the asset's finest token."""
    return max((token.decimals for token in picture.assets.get(asset, ())), default=18)


def drawn(
    purses: Iterable[Purse], *, needed: Decimal, worth: Callable[[str], Decimal], to: str, most_places: int = 80
) -> tuple[list[Move], Decimal]:
    """Transfers that bring `needed`, the largest purses first, and what is missing beyond them.

    A coin of an asset brings `worth(asset)`. Amounts are rounded up to what can be moved, and to `most_places`.
    """
    moves: list[Move] = []
    sized = sorted(((EXACT.multiply(each.coins, worth(each.asset)), each) for each in purses), key=lambda one: -one[0])
    for size, purse in sized:
        if needed <= 0 or not size:
            break
        coins = purse.coins
        if size > needed:
            exact = EXACT.divide(needed, worth(purse.asset))
            coins = min(rounded_up(exact, places=min(purse.places, most_places)), coins)
        moves.append(Move(purse.name, purse.asset, coins, counterpart=to))
        needed = EXACT.subtract(needed, EXACT.multiply(coins, worth(purse.asset)))
    return moves, max(needed, ZERO)


def from_outside(asset: str, needed: Decimal, *, places: int, to: str) -> Move:
    """What has to be brought in, because nothing that is watched can be taken for it."""
    return Move("", asset, rounded_up(needed, places=places), "in", to)


def rounded_up(value: Decimal, *, places: int) -> Decimal:
    return value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_UP, context=EXACT)


def coin(_: str) -> Decimal:
    """The worth of a coin where coins are counted."""
    return ONE
