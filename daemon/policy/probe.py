"""`probe`: somebody new gets a small payment, and then a large one."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from connectors.config import AN_INSTANT, Duration
from daemon.model import Verdict
from daemon.policy.cases import verdicts
from daemon.policy.rule import Picture, Rule

ALERT = "PyrometerProbe"


class Probe(Rule):
    """Breach, per wallet, from a large payment to whoever got a small one first, until `keep` after that was mined.

    Small and large are shares of what the paying wallet held of the token then. Whoever stands in the inventory or the
    allowlist, or was paid before, is not new. What announcements explain is neither.
    """

    kind: Literal["probe"]
    looks_back: ClassVar[bool] = True
    within: Duration = Field(
        timedelta(days=1),
        gt=AN_INSTANT,
        le=timedelta(days=7),
        description="how long after the first payment a large one makes it a probe, at most 7d",
    )
    small_share: Decimal = Field(
        Decimal("0.001"), gt=0, lt=1, description="the first payment is small up to this share of what its wallet held"
    )
    large_share: Decimal = Field(
        Decimal("0.05"), gt=0, le=1, description="a later one is large from this share of what its wallet held"
    )
    keep: Duration = Field(timedelta(hours=1), description="how long a payment that was mined stays a finding")

    @model_validator(mode="after")
    def _ordered(self) -> "Probe":
        if self.small_share >= self.large_share:
            raise ValueError("expected small_share below large_share")
        return self


def judge(rule: Probe, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per wallet, whoever owns what is in it."""
    nothing = "{wallet} makes no large payment to somebody new after a small one"
    yield from verdicts(rule, picture, policy=policy, alert=ALERT, nothing=nothing)
