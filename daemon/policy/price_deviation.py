"""`price_deviation`: sources do not agree on a price, or said one that nobody can believe."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, ClassVar, Literal

from pydantic import Field

from daemon.feeds.values import Spread
from daemon.interval import Interval, plain
from daemon.model import Severity, Verdict
from daemon.policy.rule import Picture, Rule, judgement, percent

ALERT = "PyrometerPriceDeviation"


class PriceDeviation(Rule):
    """Breach, per asset, while current quotes are further apart than `max_deviation`, or one is withheld: 0, no number,
    or too far from what the same source said before.

    Unknown while a source that is to speak of it has nothing current. Exactly the limit is no breach.
    """

    kind: Literal["price_deviation"]
    concerns_wallets: ClassVar[bool] = False
    severity: Severity = Field(
        Severity.WARNING, description="critical pages, warning waits for the morning, info is kept"
    )
    max_deviation: Decimal = Field(
        Decimal("0.05"), gt=0, description="the most that the highest quote may be above the lowest, as a share of it"
    )


def judge(rule: PriceDeviation, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per asset that sources outside the configuration quote, and per `rate:<currency>`."""
    spreads = picture.feeds.spreads
    yield from picture.memory.verdicts(
        policy,
        lambda subject: _verdict(rule, spreads[subject], policy=policy, subject=subject),
        of=list(spreads),
        each=[(spreads, list(spreads))],
        all_rest_on=(rule,),
    )


def _verdict(rule: PriceDeviation, spread: Spread, *, policy: str, subject: str) -> Verdict:
    width = spread.width
    wrong = bool(spread.withheld) or width > rule.max_deviation
    fine = not wrong and not spread.silent
    return Verdict(
        policy=policy,
        subject=subject,
        alert=ALERT,
        severity=rule.severity,
        judgement=judgement(breach=wrong, ok=fine),
        summary=_agreement(subject, rule=rule) if fine else _trouble(subject, spread, rule=rule),
        cleared=fine,
        measured=Interval(width, None, None) if spread.silent else Interval.exactly(width),
        limit=rule.max_deviation,
        evidence={} if fine else _evidence(spread),
    )


def _agreement(subject: str, *, rule: PriceDeviation) -> str:
    return f"Quotes of {subject} are not more than {percent(Interval.exactly(rule.max_deviation))} apart"


def _trouble(subject: str, spread: Spread, *, rule: PriceDeviation) -> str:
    if spread.withheld:
        said = "; ".join(f"{source}: {why}" for source, why in spread.withheld.items())
        return f"A quote of {subject} is withheld: {said}"
    if spread.width > rule.max_deviation:
        apart = percent(Interval.exactly(spread.width), beside=rule.max_deviation)
        said = ", ".join(f"{source} says {plain(quote, places=8)}" for source, quote in spread.quotes.items())
        return f"Quotes of {subject} are {apart} apart: {said}"
    return f"Nobody knows whether the quotes of {subject} agree: nothing current from {', '.join(spread.silent)}"


def _evidence(spread: Spread) -> dict[str, Any]:
    return {
        "quotes": {source: plain(quote) for source, quote in spread.quotes.items()},
        "withheld": dict(spread.withheld),
        "silent": list(spread.silent),
    }
