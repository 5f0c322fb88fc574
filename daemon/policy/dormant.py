"""`dormant`: a wallet pays for the first time after long silence."""

from collections.abc import Iterator
from datetime import timedelta
from typing import ClassVar, Literal

from pydantic import Field

from connectors.config import Duration
from daemon.model import Verdict
from daemon.policy.cases import verdicts
from daemon.policy.rule import Picture, Rule

ALERT = "PyrometerDormantMoved"


class Dormant(Rule):
    """Breach, per wallet, while its first payment after `silence` stands, and for `keep` after that was mined.

    Silence counts from the last spend that is known, be it to another wallet of ours, else from the wallet's
    `quiet_since`, else from when it began to be watched. Judged of the chains whose connectors tell movements.
    """

    kind: Literal["dormant"]
    looks_back: ClassVar[bool] = True
    silence: Duration = Field(
        timedelta(days=90), ge=timedelta(minutes=1), description="how long without a spend is dormant"
    )
    keep: Duration = Field(timedelta(hours=1), description="how long a payment that was mined stays a finding")


def judge(rule: Dormant, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per wallet."""
    return verdicts(rule, picture, policy=policy, alert=ALERT, nothing="{wallet} has not been woken")
