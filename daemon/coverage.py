"""What stands behind the customers' assets, over what must be covered, asset by asset and in whole coins. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from daemon.feeds.values import Stated
from daemon.interval import EXACT, NOTHING, UNKNOWN, ZERO, Interval, total
from daemon.model import Exposure, Owner, Tier
from daemon.remembered import Remembered


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
class Reserve:
    """Money that stands behind what remains at risk: a fund, and insurance for at most `insurance_share` of what is
    required. `causes` name what keeps fund or requirement from being known."""

    fund: Interval
    insurance: Interval
    required: Interval
    insurance_share: Decimal
    causes: tuple[str, ...] = ()

    @property
    def part(self) -> Interval:
        """The fund and as much of the insurance as may be counted."""
        return self.fund + self.insurance.at_most(self.required.times(Interval.exactly(self.insurance_share)))

    @property
    def ratio(self) -> Interval | None:
        """What may be counted over what is required; None when nothing is.

        The more is required, the smaller the ratio, although more insurance may be counted then: so the bounds are
        those of the fund and the insurance at either end of what may be required.
        """
        if self.required == NOTHING:
            return None
        return Interval(
            ZERO if self.required.most is None else self._ratio(self.fund.low, self.insurance.low, self.required.most),
            self._value,
            None
            if self.fund.most is None or not self.required.low
            else self._ratio(self.fund.most, self.insurance.most, self.required.low),
        )

    def lacking(self, *, limit: Decimal) -> tuple[Decimal | None, Decimal | None]:
        """What is missing to limit × required, at worst and at best; None where nobody knows, negative: a surplus."""
        worst = best = None
        if self.required.most is not None:
            there = EXACT.add(self.fund.low, self._admitted(self.insurance.low, required=self.required.most))
            worst = EXACT.subtract(EXACT.multiply(limit, self.required.most), there)
        if self.fund.most is not None:
            there = EXACT.add(self.fund.most, self._admitted(self.insurance.most, required=self.required.low))
            best = EXACT.subtract(EXACT.multiply(limit, self.required.low), there)
        return worst, best

    @property
    def _value(self) -> Decimal | None:
        if self.fund.value is None or self.insurance.value is None or not self.required.value:
            return None
        return self._ratio(self.fund.value, self.insurance.value, self.required.value)

    def _ratio(self, fund: Decimal, insurance: Decimal | None, required: Decimal) -> Decimal:
        return EXACT.divide(EXACT.add(fund, self._admitted(insurance, required=required)), required)

    def _admitted(self, insurance: Decimal | None, *, required: Decimal) -> Decimal:
        most = EXACT.multiply(self.insurance_share, required)
        return most if insurance is None else min(insurance, most)


@dataclass(frozen=True, slots=True)
class Coverage:
    """`guarantee` by asset: own cold assets set aside, over what customers have in the hot tier. `backing` by asset:
    what is kept for customers, on chain and by custodians, over what they are owed. `reserve` by policy."""

    guarantee: Mapping[str, Cover] = field(default_factory=dict)
    backing: Mapping[str, Cover] = field(default_factory=dict)
    reserve: Mapping[str, Reserve] = field(default_factory=dict)


class Covers:
    """Coverages one after the other. Of an asset that nothing has changed of, the same Cover goes on.

    Mutable, and pure of effects: what it has seen before changes what a coverage costs, never what it is.
    """

    def __init__(self) -> None:
        self._guarantee = Remembered[str, Cover]()
        self._backing = Remembered[str, Cover]()

    def of(self, exposure: Exposure, *, liabilities: Mapping[str, Stated], owed: Iterable[str]) -> Coverage:
        """The coverage of every asset; `owed` are the assets that a source of liabilities is to speak of."""
        assets, owing, parts = sorted(exposure.by_asset), sorted(owed), exposure.by_asset
        behind = self._guarantee.of(assets, lambda asset: guarantee(exposure, asset), each=[(parts, assets)])
        backed = self._backing.of(
            owing,
            lambda asset: backing(exposure, asset, liabilities=liabilities),
            each=[(parts, owing), (liabilities, owing)],
        )
        return Coverage(guarantee=dict(zip(assets, behind, strict=True)), backing=dict(zip(owing, backed, strict=True)))


def cover(exposure: Exposure, *, liabilities: Mapping[str, Stated], owed: Iterable[str]) -> Coverage:
    """A single coverage, as `Covers.of`."""
    return Covers().of(exposure, liabilities=liabilities, owed=owed)


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
