"""`blind`: something that a verdict rests on has been unknown for too long."""

from datetime import timedelta
from typing import Literal

from pydantic import Field

from connectors.config import Duration
from daemon.policy.rule import Rule


class Blind(Rule):
    """Breach, per cause (a chain, a price), while another verdict is unknown because of it; `hold` is the grace."""

    kind: Literal["blind"]
    hold: Duration = Field(timedelta(minutes=2), description="grace: how long a verdict may stay unknown")
