"""What stands behind the customers' assets, over what must be covered, asset by asset and in whole coins. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from daemon.feeds.values import Stated
from daemon.interval import NOTHING, UNKNOWN, Interval, total
from daemon.model import Exposure, Owner, Tier


@dataclass(frozen=True, slots=True)
class Cover:
    """`part` stands behind `whole`; `causes` name what keeps either from being known."""

    part: Interval
    whole: Interval
    causes: tuple[str, ...] = ()

    @property
    def ratio(self) -> Interval | None:
        """part / whole; None when there is nothing to cover."""
        return None if self.whole == NOTHING else self.part.over(self.whole)


@dataclass(frozen=True, slots=True)
class Coverage:
    """By asset. `guarantee`: own cold assets set aside, over what customers have in the hot tier. `backing`: what is
    kept for customers, on chain and by custodians, over what they are owed."""

    guarantee: Mapping[str, Cover] = field(default_factory=dict)
    backing: Mapping[str, Cover] = field(default_factory=dict)


def cover(exposure: Exposure, *, liabilities: Mapping[str, Stated], owed: Iterable[str]) -> Coverage:
    """The coverage of every asset; `owed` are the assets that a source of liabilities is to speak of."""
    assets = sorted({asset for asset, _, _ in exposure.holdings})
    return Coverage(
        guarantee={asset: guarantee(exposure, asset) for asset in assets},
        backing={asset: backing(exposure, asset, liabilities=liabilities) for asset in sorted(owed)},
    )


def guarantee(exposure: Exposure, asset: str, *, tiers: Collection[Tier] = (Tier.HOT,)) -> Cover:
    """What is set aside, and itself cold, over what customers have in these tiers.

    Payment Services Act 63-11-2 (Japan): own crypto-assets of the same kind and quantity, managed as the cold part is.
    """
    behind, causes = kept(exposure, asset, owner=Owner.GUARANTEE, tiers=(Tier.COLD,))
    hot, more = kept(exposure, asset, owner=Owner.CUSTOMER, tiers=tiers)
    return Cover(behind, hot, tuple(sorted({*causes, *more})))


def backing(exposure: Exposure, asset: str, *, liabilities: Mapping[str, Stated]) -> Cover:
    """What is kept for customers in every tier, custodians included, over what they are owed."""
    owed = liabilities[asset].value if asset in liabilities else UNKNOWN
    part, causes = kept(exposure, asset, owner=Owner.CUSTOMER, tiers=tuple(Tier))
    return Cover(part, owed, (*causes, f"liabilities:{asset}") if owed.value is None else causes)


def kept(exposure: Exposure, asset: str, *, owner: Owner, tiers: Collection[Tier]) -> tuple[Interval, tuple[str, ...]]:
    """Whole coins of one owner in these tiers, and what keeps them from being known."""
    groups = (exposure.holdings.get((asset, tier, owner)) for tier in tiers)
    found = [held for held in groups if held is not None]
    return total(held.amount for held in found), tuple(sorted({cause for held in found for cause in held.causes}))
