"""`unusual`: a payment that is unlike those that its wallet has made before; a score whose parts are shown."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from connectors.config import Duration
from daemon.model import Severity, Verdict
from daemon.policy.cases import verdicts
from daemon.policy.rule import Picture, Rule

ALERT = "PyrometerUnusualMovement"

Points = Annotated[int, Field(ge=0, le=100)]


class Unusual(Rule):
    """Breach, per wallet, while a payment scores `threshold` points or more, and for `keep` after that was mined.

    Judged of the chains whose connectors tell movements. What is announced scores nothing.
    """

    kind: Literal["unusual"]
    looks_back: ClassVar[bool] = True
    severity: Severity = Field(
        Severity.WARNING, description="critical pages, warning waits for the morning, info is kept"
    )
    keep: Duration = Field(timedelta(hours=1), description="how long a payment that was mined stays a finding")
    threshold: int = Field(4, ge=1, le=1000, description="points from which on a payment is a finding")
    largest: Points = Field(2, description="points for the largest payment of the asset, once there is history")
    far_larger: Points = Field(
        2, description="points, besides, for one that is far_times as large; also where there is one payment before"
    )
    far_times: Decimal = Field(Decimal(10), gt=1, le=1_000_000, description="how much larger far larger is")
    no_change: Points = Field(
        2, description="points where nothing comes back to a wallet that has had change in nine payments of ten"
    )
    fee: Points = Field(3, description="points for an absurd fee")
    fee_times: Decimal = Field(
        Decimal(20), gt=1, le=1_000_000, description="absurd from so many times the median of the chain's last ones on"
    )
    fee_floor: Decimal = Field(
        Decimal("0.001"), ge=0, le=1, description="where fees are not by size: never below this share of the payment"
    )
    fee_share: Decimal = Field(Decimal("0.5"), gt=0, le=1000, description="absurd from this share of the payment on")
    counterparty: Points = Field(1, description="points for a class of counterparties that was never paid")
    hour: Points = Field(1, description="points for an hour of the day (UTC) in which it never paid")
    new_asset: Points = Field(1, description="points for the first payment of an asset")
    history: int = Field(20, ge=1, le=1_000_000, description="payments that are history")
    history_for: Duration = Field(timedelta(days=14), description="how long to be watched until hours are history")


def judge(rule: Unusual, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per wallet with its unusual payments."""
    return verdicts(rule, picture, policy=policy, alert=ALERT, nothing="{wallet} pays nothing unusual")
