"""What every rule has: a name, a severity, times to hold, and the picture that it judges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import Field

from connectors.base import Disagreement
from connectors.config import Duration, Strict
from daemon.model import ChainState, Exposure, Severity, Verdict, WalletState


class Rule(Strict):
    """Common keys of all rules. A finding's policy is `<preset>/<name>`, or `<name>` outside a preset."""

    name: str = Field("", pattern=r"^[a-z0-9-]*$", description="short name, unique; default: the kind with hyphens")
    severity: Severity = Field(
        Severity.CRITICAL, description="critical pages, warning waits for the morning, info is kept"
    )
    hold: Duration = Field(timedelta(0), description="how long the limit must be exceeded before anybody is told")
    clear_after: Duration = Field(
        timedelta(minutes=1), description="how long it must be back, past the hysteresis, before it is resolved"
    )


@dataclass(frozen=True, slots=True)
class Picture:
    """All that a rule may look at: values, no effects. `earlier` are verdicts of the rules judged before."""

    currency: str
    chains: Mapping[str, ChainState]
    wallets: Mapping[str, WalletState]
    exposure: Exposure
    disagreements: Sequence[Disagreement]
    earlier: Sequence[Verdict] = ()
