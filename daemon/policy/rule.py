"""What every rule has: a name, a severity, times to hold, and the picture that it judges."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from connectors.base import Disagreement, Token
from connectors.config import Duration, Strict
from daemon.announcements import Payment
from daemon.control import WalletControl
from daemon.coverage import Coverage
from daemon.detection.case import Cases
from daemon.detection.outflow import Key
from daemon.feeds.values import Feeds
from daemon.interval import EXACT, Interval, plain
from daemon.model import ChainState, Exposure, Judgement, Severity, Transfer, Verdict, WalletState
from daemon.policy.blocks import blocks
from daemon.policy.calendars import Calendar
from daemon.policy.memory import Memory
from daemon.policy.remedies import Remedy
from daemon.policy.schedule import Schedule
from daemon.sweeps import SweepState
from daemon.track import Highest
from daemon.windows import Window


class Closes(StrEnum):
    """Whose gates a finding closes: nobody's, those of the wallets that it concerns, or every wallet's."""

    NONE = "none"
    WALLETS = "wallets"
    ALL = "all"


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
    schedule: Schedule | None = Field(None, description="judged once a day and not always: its verdict then stands")
    remedies: tuple[Remedy, ...] = Field((), description="what a breach obliges to, and within how many days")
    calendar: Calendar | None = Field(None, description="whose days `remedies` count")
    closes: Closes = Field(
        Closes.NONE,
        description="whose gates it closes while it fires: none, wallets (those that the finding concerns), or all",
    )
    concerns_wallets: ClassVar[bool] = True
    """Whether its verdicts name wallets."""
    looks_back: ClassVar[bool] = False
    """Whether what happened before this judgement counts, which an earlier run may have left in the store."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.remedies and self.calendar is None:
            raise ValueError("remedies need a calendar: {country, timezone}, whose days they count")
        if self.closes is Closes.WALLETS and not self.concerns_wallets:
            raise ValueError("closes: expected none or all, because what this kind of rule judges concerns no wallets")
        return self


@dataclass(frozen=True, slots=True)
class Picture:
    """All that a rule may look at: values, no effects.

    `sweeps` are the last ones, of the chains where one has ended; `earlier` the verdicts of the rules judged before.
    `windows` holds the highest holdings within each window that a rule looks back at; `cold_payments` the movements
    that a cold wallet paid for, the newest first; `telling` since when movements are told of a chain, where they are;
    `assets` the tokens of each asset; `controls` who controls the accounts of each wallet, where that is told.
    `cases` are what payments stand against wallets, by policy, of the rules that have a detector.
    `explained` are the payments that announcements explain, at least in part.
    `remembers`: what an earlier run has left is known, or there is nowhere to look; without it nothing is over, and
    rules that look back can't say that all is well.
    `memory` spares what has been judged before, and says nothing of its own.
    """

    currency: str
    chains: Mapping[str, ChainState]
    wallets: Mapping[str, WalletState]
    exposure: Exposure
    feeds: Feeds = field(default_factory=Feeds)
    coverage: Coverage = field(default_factory=Coverage)
    disagreements: Sequence[Disagreement] = ()
    sweeps: Mapping[str, SweepState] = field(default_factory=dict)
    earlier: Sequence[Verdict] = ()
    windows: Mapping[Window, Highest] = field(default_factory=dict)
    cold_payments: Sequence[Transfer] = ()
    telling: Mapping[str, datetime] = field(default_factory=dict)
    assets: Mapping[str, Sequence[Token]] = field(default_factory=dict)
    controls: Mapping[str, WalletControl] = field(default_factory=dict)
    cases: Mapping[str, Cases] = field(default_factory=dict)
    explained: Mapping[Key, Payment] = field(default_factory=dict)
    remembers: bool = True
    memory: Memory = field(default_factory=Memory, repr=False, compare=False)
    at: datetime = field(kw_only=True)

    def blocks(self, chains: Iterable[str]) -> dict[str, Any]:
        """Evidence: at which block of each chain a judgement was made."""
        return blocks(self.chains, chains)


def judgement(*, breach: bool, ok: bool) -> Judgement:
    """Neither certain breach nor certain innocence is unknown."""
    if breach:
        return Judgement.BREACH
    return Judgement.OK if ok else Judgement.UNKNOWN


def coins(measured: Interval) -> str:
    """`12.5`, `between 4.9 and 7` or `at least 3`: for people, rounded, so never compared."""
    return _spoken(measured, lambda value: plain(value, places=6))


def few(names: Sequence[str], *, most: int = 3) -> str:
    """`a, b, c and 5 more`: for people."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def percent(measured: Interval, *, beside: Decimal | None = None) -> str:
    """`5.1 %`, for people; with as many places as it takes not to look like the limit that it stands beside."""

    def text(value: Decimal) -> str:
        places = next(n for n in (2, 4, 8, 100) if n == 100 or value == beside or _differ(value, beside, places=n))
        return f"{plain(EXACT.multiply(value, Decimal(100)), places=places)} %"

    return _spoken(measured, text)


def _differ(value: Decimal, beside: Decimal | None, *, places: int) -> bool:
    return beside is None or plain(value, places=places + 2) != plain(beside, places=places + 2)


def _spoken(measured: Interval, text: Callable[[Decimal], str]) -> str:
    if measured.value is not None:
        return text(measured.value)
    if measured.high is None:
        return f"at least {text(measured.low)}"
    return f"between {text(measured.low)} and {text(measured.high)}"
