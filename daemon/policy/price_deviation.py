"""`price_deviation`: sources do not agree on a price, or said one that nobody can believe."""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from functools import lru_cache
from typing import Any, Literal

from pydantic import Field

from daemon.feeds.values import Spread
from daemon.interval import Interval, plain
from daemon.model import Judgement, Severity, Verdict
from daemon.policy.rule import Picture, Rule, judgement, percent

ALERT = "PyrometerPriceDeviation"


class PriceDeviation(Rule):
    """Breach, per asset, while current quotes are further apart than `max_deviation`, or one is withheld: 0, no number,
    or too far from what the same source said before.

    Unknown while a source that is to speak of it has nothing current. Exactly the limit is no breach.
    """

    kind: Literal["price_deviation"]
    severity: Severity = Field(
        Severity.WARNING, description="critical pages, warning waits for the morning, info is kept"
    )
    max_deviation: Decimal = Field(
        Decimal("0.05"), gt=0, description="the most that the highest quote may be above the lowest, as a share of it"
    )


def judge(rule: PriceDeviation, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per asset that sources outside the configuration quote, and per `rate:<currency>`."""
    for subject, spread in picture.feeds.spreads.items():
        wrong = bool(spread.withheld) or spread.width > rule.max_deviation
        fine = _fine(subject, policy, severity=rule.severity, width=spread.width, limit=rule.max_deviation)
        if not wrong and not spread.silent:
            yield fine
            continue
        yield replace(
            fine,
            judgement=judgement(breach=wrong, ok=False),
            summary=_trouble(subject, spread, rule=rule),
            cleared=False,
            measured=Interval(spread.width, None, None) if spread.silent else fine.measured,
            evidence=_evidence(spread),
        )


@lru_cache(maxsize=8192)  # hundreds of assets, judged once a second, whose quotes seldom change
def _fine(subject: str, policy: str, *, severity: Severity, width: Decimal, limit: Decimal) -> Verdict:
    return Verdict(
        policy=policy,
        subject=subject,
        alert=ALERT,
        severity=severity,
        judgement=Judgement.OK,
        summary=f"Quotes of {subject} are not more than {percent(Interval.exactly(limit))} apart",
        cleared=True,
        measured=Interval.exactly(width),
        limit=limit,
    )


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
