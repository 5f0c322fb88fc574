"""`reserve`: a fund, and the insurance that may stand for a part of it, reach what is required."""

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from daemon.coverage import Reserve as Behind
from daemon.exposure import ALL
from daemon.feeds.money import MoneyText
from daemon.interval import NOTHING, ONE, UNKNOWN
from daemon.model import Judgement, Move, Tier, Verdict
from daemon.policy.cover import CoverRule, HotTiers, all_chains, relation
from daemon.policy.customers import Prices, Sum, ValuedAt, held
from daemon.policy.money import converted
from daemon.policy.rule import Picture, Rule, coins, judgement
from daemon.policy.transfers import MONEY_PLACES, TO_FUND, from_outside
from daemon.policy.zone import ZoneName

ALERT = "PyrometerReserveShort"


class ReserveRule(CoverRule):
    """Breach when fund and admissible insurance are less than `limit` × what is required.

    Required is an amount, or rates × (hot value, the rest's value, the year's trading volume) between floor and cap.
    """

    kind: Literal["reserve"]
    concerns_wallets: ClassVar[bool] = False
    required: MoneyText | None = Field(None, description="what is required, as an amount; or else rates")
    hot_rate: Decimal | None = Field(None, ge=0, le=100, description="required per value of what customers have hot")
    cold_rate: Decimal | None = Field(None, ge=0, le=100, description="required per value of the rest, warm included")
    volume_rate: Decimal | None = Field(None, ge=0, le=100, description="required per money traded in the year")
    floor: MoneyText | None = Field(None, description="with rates: at least this much is required")
    cap: MoneyText | None = Field(None, description="with rates: no more than this is required")
    insurance_share: Decimal = Field(
        ONE, ge=0, le=1, description="the most of what is required that insurance may fill"
    )
    tiers: HotTiers = Field((Tier.HOT,), min_length=1, description="what counts as hot: hot, warm or both")
    valuation: ValuedAt = Field(ValuedAt.SPOT, description="spot: prices of today; trailing-year: averaged, as in law")
    timezone: ZoneName = Field("UTC", description="with trailing-year: where its days and months begin")

    @model_validator(mode="after")
    def _one_way(self) -> "ReserveRule":
        rates = (self.hot_rate, self.cold_rate, self.volume_rate)
        if (self.required is None) == all(rate is None for rate in rates):
            raise ValueError("expected either required or at least one of hot_rate, cold_rate and volume_rate")
        if self.required is not None and (self.floor is not None or self.cap is not None):
            raise ValueError("floor and cap belong to rates, not to a required amount")
        same = self.floor is not None and self.cap is not None and self.floor.currency == self.cap.currency
        if same and self.floor and self.cap and self.floor.amount > self.cap.amount:
            raise ValueError("expected the floor not above the cap")
        return self


def reserves(policies: Sequence[tuple[str, Rule]], picture: Picture) -> Mapping[str, Behind]:
    """What stands behind, per policy of this kind."""
    return {policy: behind(rule, picture) for policy, rule in policies if isinstance(rule, ReserveRule)}


def behind(rule: ReserveRule, picture: Picture) -> Behind:
    """What is required and what there is, in the entity's currency."""
    needed = _required(rule, picture)
    fund = picture.feeds.fund
    money = NOTHING if fund is None else fund.value
    causes = needed.causes | ({"reserve:fund"} if money.value is None else set())
    return Behind(
        fund=money,
        insurance=picture.feeds.insurance,
        required=needed.measured,
        insurance_share=rule.insurance_share,
        causes=tuple(sorted(causes)),
    )


def judge(rule: ReserveRule, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict."""
    there = behind(rule, picture)
    found = _reaches(there, limit=rule.limit)
    told = relation(found, there.ratio, limit=rule.limit)
    yield Verdict(
        policy=policy,
        subject=ALL,
        alert=ALERT,
        severity=rule.severity,
        judgement=found,
        summary=f"Reserve fund and admissible insurance, over what is required: {told}",
        cleared=_reaches(there, limit=rule.clear_limit) is Judgement.OK,
        measured=there.ratio,
        limit=rule.limit,
        causes=there.causes,
        moves=tuple(_moves(rule, picture, there=there)) if found is Judgement.BREACH else (),
        evidence=_evidence(picture, there),
        chains=all_chains(picture),
    )


def _required(rule: ReserveRule, picture: Picture) -> Sum:
    if rule.required is not None:
        return converted(rule.required, picture)
    prices = Prices.at(rule.valuation, picture)
    rest = [tier for tier in Tier if tier not in rule.tiers]
    result = Sum()
    for rate, tiers in ((rule.hot_rate, rule.tiers), (rule.cold_rate, rest)):
        if rate:
            result = result + held(picture, scope=ALL, tiers=tiers, prices=prices).times(rate)
    if rule.volume_rate:
        stated = picture.feeds.volume
        volume = UNKNOWN if stated is None else stated.value
        result = result + Sum(volume, frozenset({"volume"} if volume.value is None else ())).times(rule.volume_rate)
    if rule.floor is not None:
        result = result.at_least(converted(rule.floor, picture))
    return result if rule.cap is None else result.at_most(converted(rule.cap, picture))


def _reaches(there: Behind, *, limit: Decimal) -> Judgement:
    most, least = there.lacking(limit=limit)
    return judgement(breach=least is not None and least > 0, ok=most is not None and most <= 0)


def _moves(rule: ReserveRule, picture: Picture, *, there: Behind) -> Iterator[Move]:
    most, _ = there.lacking(limit=rule.clear_limit)
    if most is not None:
        yield from_outside(picture.currency, most, places=MONEY_PLACES, to=TO_FUND)


def _evidence(picture: Picture, there: Behind) -> dict[str, Any]:
    fund = picture.feeds.fund
    figures = {"fund": there.fund, "insurance": there.insurance, "required": there.required}
    return {
        "stated": {} if fund is None else {fund.source: fund.at.isoformat()},
        **{name: coins(figure) for name, figure in figures.items()},
    }
