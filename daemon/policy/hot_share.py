"""`hot_share`: no more than so much of the customers' assets may be hot."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from daemon.policy.rule import Rule


class HotShare(Rule):
    """Breach when hot / (hot + warm + cold) of customers' assets exceeds `limit`; exactly the limit is not a breach."""

    kind: Literal["hot_share"]
    limit: Decimal = Field(gt=0, lt=1, description="the largest allowed share, such as 0.05")
    scope: Literal["all", "asset", "both"] = Field(
        "all", description="all: one test on the value of everything; asset: one test per asset, in units; both"
    )
    assets: tuple[str, ...] = Field((), description="with scope asset: only these; default: every asset")
    hysteresis: Decimal = Field(
        Decimal("0.02"), ge=0, lt=1, description="it is over only below limit × (1 − hysteresis)"
    )
