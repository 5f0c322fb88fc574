"""`unmatched_outflow`: a wallet pays what the exchange's books have not approved, or what they approved once, twice."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from connectors.config import Duration
from daemon.model import Tier, Verdict, WalletState
from daemon.policy.cases import verdicts
from daemon.policy.rule import Picture, Rule

ALERT = "PyrometerUnmatchedOutflow"


class UnmatchedOutflow(Rule):
    """Breach, per wallet, while it pays somebody outside the inventory and no approved withdrawal explains that.

    Every destination must be explained by approvals for it, of its asset and time, each used once: whole, less the fee
    that it states, or where it states none less the network's or one of `fees`; several may be paid as one. Judged of
    the chains whose connectors tell movements, by `feeds.approvals`.
    """

    kind: Literal["unmatched_outflow"]
    looks_back: ClassVar[bool] = True
    window: Duration = Field(
        timedelta(hours=24),
        ge=timedelta(minutes=1),
        le=timedelta(days=31),
        description="how long before a payment it may have been approved",
    )
    grace: Duration = Field(
        timedelta(seconds=5),
        ge=timedelta(0),
        le=timedelta(days=1),
        description="how long after a payment every source of approvals is asked once more before it is unmatched",
    )
    late: Duration = Field(
        timedelta(minutes=10),
        ge=timedelta(0),
        le=timedelta(days=1),
        description="how long after a payment its approval may be dated",
    )
    linger: Duration = Field(
        timedelta(minutes=10),
        ge=timedelta(0),
        le=timedelta(days=1),
        description="how long an approval that its source names no longer can be used: it may be marked as sent before "
        "the payment is seen",
    )
    tolerance: Decimal = Field(
        Decimal(0), ge=0, le=Decimal("0.5"), description="a share by which an amount may differ, such as 0.001"
    )
    fees: Mapping[str, Annotated[Decimal, Field(ge=0)]] = Field(
        {}, description="the most that the books keep of a withdrawal that states no fee, in whole coins by asset"
    )
    keep: Duration = Field(
        timedelta(hours=24), description="how long an unmatched payment that was mined stays a finding"
    )
    wallets: tuple[str, ...] = Field((), description="names of wallets; `*` matches any text; default: every wallet")
    tiers: tuple[Tier, ...] = Field((), description="hot, warm, cold; default: every tier")


def judge(rule: UnmatchedOutflow, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per wallet that the rule names; approvals that others have used are used for it too."""

    def concerns(state: WalletState) -> bool:
        named = not rule.wallets or any(fnmatchcase(state.wallet.name, pattern) for pattern in rule.wallets)
        return named and (not rule.tiers or state.tier in rule.tiers)

    return verdicts(
        rule,
        picture,
        policy=policy,
        alert=ALERT,
        nothing="{wallet} pays nobody what was not approved",
        concerns=concerns,
    )
