"""The frozen values that travel along the pipe, from the inventory's words to the report that every sink receives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from connectors.base import Address, Disagreement, Movement, Stage, Tip, Token, Watch
from connectors.errors import Reason
from daemon.gate.state import GateState
from daemon.interval import Interval
from daemon.value import value

if TYPE_CHECKING:
    from daemon.coverage import Coverage
    from daemon.feeds.values import Feeds


class Tier(StrEnum):
    """Who can sign: an online machine alone, online with a human quorum, nobody without going offline."""

    HOT = "hot"
    WARM = "warm"
    COLD = "cold"


class Owner(StrEnum):
    """Whose assets: customers', the company's, or own assets set aside to back the hot part."""

    CUSTOMER = "customer"
    COMPANY = "company"
    GUARANTEE = "guarantee"


class Severity(StrEnum):
    CRITICAL = "critical"
    WARNING = "warning"
    INFO = "info"


class Judgement(StrEnum):
    OK = "ok"
    BREACH = "breach"
    UNKNOWN = "unknown"


class State(StrEnum):
    """Of a finding: over the limit with its hold time running, told to people, over."""

    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


Expected = tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]
"""Of facts that stand under one of these names: the values that they are to have, none for no such fact."""


@dataclass(frozen=True, slots=True)
class Wallet:
    """A named group of accounts on one chain, as declared. `expected` is who is to control each of them; it has not
    spent anything since `quiet_since`, as far as that is declared. `identity` says which chain it is, under whatever
    name it is configured. `derived` gives some of the addresses that its descriptors stand for, the first ones."""

    name: str
    chain: str
    tier: Tier
    owner: Owner
    custodian: str | None
    accounts: tuple[Address, ...]
    expected: Expected = ()
    quiet_since: date | None = None
    identity: tuple[str, str] | None = None
    derived: Callable[[], Iterable[Address]] = field(default=tuple, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Inventory:
    """What we watch. `wallet_of` finds the wallet by (chain, account); `asset_of` the asset of a token."""

    wallets: Mapping[str, Wallet]
    assets: Mapping[str, tuple[Token, ...]]
    watches: Mapping[str, Watch]
    wallet_of: Mapping[tuple[str, Address], str]
    asset_of: Mapping[Token, str]


@dataclass(frozen=True, slots=True)
class ChainState:
    """How a chain stands now. `unread` counts (account, token) pairs without a current reading, by reason.

    `reason` is why the chain as a whole has no current reading, None when it has one. `detail` says it in words, or
    why single accounts are unread. `seen` is when the node last reported the tip.
    """

    name: str
    reader: str
    tip: Tip | None
    seen: datetime | None
    unread: Mapping[Reason, int]
    reason: Reason | None
    detail: str
    since: datetime | None


@value
class Step:
    """A stage that a movement came to: when we were told, and its block where it was in one."""

    stage: Stage
    at: datetime
    tip: Tip | None


@value
class Moved:
    """A movement as it stands now. `history` ends with the stage that it is at.

    `number` counts changes of stage over all chains, in the order in which we were told of them.
    """

    number: int
    movement: Movement
    first_seen: datetime
    history: tuple[Step, ...]

    @property
    def since(self) -> datetime:
        """When it came to the stage that it is at."""
        return self.history[-1].at


class Direction(StrEnum):
    """Of a movement as a whole: something leaves our accounts, something comes in, or it only changes its place."""

    DEBIT = "debit"
    CREDIT = "credit"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class Leg:
    """What a movement does to one account, in units; `wallet` and `tier` as in the running configuration, if at all."""

    account: Address
    wallet: str | None
    tier: Tier | None
    units: int


@dataclass(frozen=True, slots=True)
class Counterparty:
    """Whom a movement pays or takes from; `wallet` where that is one of our accounts."""

    name: str
    units: int
    wallet: str | None


@dataclass(frozen=True, slots=True)
class Transfer:
    """A movement in the words of the running configuration; `asset` is None where that names it no longer."""

    moved: Moved
    asset: str | None
    direction: Direction
    legs: tuple[Leg, ...]
    destinations: tuple[Counterparty, ...]
    sources: tuple[Counterparty, ...]

    def debits(self, tier: Tier) -> bool:
        """Whether an account of this tier pays, be it to another of our own."""
        return any(leg.units < 0 and leg.tier is tier for leg in self.legs)


@dataclass(frozen=True, slots=True)
class Holding:
    """An amount in whole coins and its value in the entity's currency; `units` only when all of it is read.

    `units` counts in the smallest unit of the asset's finest token. `causes` name what keeps the amount from being
    known: `chain:<name>` or `custodian:<name>`.
    """

    amount: Interval
    value: Interval
    units: int | None
    causes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LastKnown:
    """What was read last, before it could not be read any more."""

    amount: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class WalletState:
    """A wallet now: what it can vouch for in `holdings`, what it can't in `doubtful` (bounds) and `last`.

    `tier` is the one that it is judged by; `observed` the one that its behaviour and its control speak for, None where
    nothing does, with what that rests on, in words.
    """

    wallet: Wallet
    tier: Tier
    holdings: Mapping[str, Holding]
    doubtful: Mapping[str, Holding]
    last: Mapping[str, LastKnown]
    unread: int
    observed: Tier | None = None
    tier_evidence: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AssetExposure:
    """One asset's part of an exposure. `hot` and `rest` value what customers have in the hot tier and elsewhere.

    `share` is None where no wallet of customers is to hold it; `unpriced` names the price that `hot` and `rest` lack.
    """

    holdings: Mapping[tuple[str, Tier, Owner], Holding]
    hot: Interval
    rest: Interval
    share: Interval | None
    causes: tuple[str, ...]
    unpriced: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exposure:
    """Sums over wallets and custodians. `holdings` by (asset, tier, owner); `hot_share` by scope: `all` or the asset.

    `causes` says per scope what stands between us and a value: as of holdings, or `price:<asset>`. `by_asset` holds the
    parts: the same object as before where nothing has changed of an asset.
    """

    holdings: Mapping[tuple[str, Tier, Owner], Holding]
    value: Interval
    hot_share: Mapping[str, Interval]
    causes: Mapping[str, tuple[str, ...]]
    by_asset: Mapping[str, AssetExposure]


@dataclass(frozen=True, slots=True)
class Move:
    """One transfer that would help: so many whole coins of an asset out of a wallet (or into it).

    `counterpart` is the other end (`tier cold`, `owner guarantee, tier cold`), "" where any will do. Without a wallet
    it comes from outside: what has to be bought, or as `asset` the currency, what has to be paid in.
    """

    wallet: str
    asset: str
    amount: Decimal
    direction: str = "out"
    counterpart: str = ""

    @property
    def way(self) -> str:
        """`from hot-1 to tier cold`, `into hot-1`, for people."""
        source, target = (self.counterpart, self.wallet) if self.direction == "in" else (self.wallet, self.counterpart)
        if not self.wallet:
            return f"from outside to {self.counterpart}"
        if not self.counterpart:
            return f"into {target}" if self.direction == "in" else f"from {source}"
        return f"from {source} to {target}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One rule's judgement of one subject.

    `cleared` is true when the whole interval is on the good side of the limit less the hysteresis. `measured` is None
    where the rule has no number. `causes` names what is unknown. `evidence` is JSON-ready. Of the `chains` that are
    named the blocks belong into it too, and are put there where it is told: they change while all the rest stands.
    `wallets` are those whose signers should stop while it is a breach, and `grounds` what it rests on, such as the
    transactions: with another ground there is another reason to stop.
    """

    policy: str
    subject: str
    alert: str
    severity: Severity
    judgement: Judgement
    summary: str
    cleared: bool
    measured: Interval | None = None
    limit: Decimal | None = None
    causes: tuple[str, ...] = ()
    moves: tuple[Move, ...] = ()
    evidence: Mapping[str, Any] = field(default_factory=dict)
    chains: tuple[str, ...] | None = None
    wallets: tuple[str, ...] = ()
    grounds: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A verdict that stands until the next time of its rule's schedule.

    `rule` is the digest of the rule that was judged, `due` the time of its schedule, `judged` when it was judged for
    that.
    """

    rule: str
    due: datetime
    judged: datetime
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Due:
    """What a breach obliges to, by the end of the day `by`.

    `left` says how many `days` (`calendar` or `business`) come after today until then, below zero once it is past.
    """

    what: str
    by: date
    days: str
    left: int
    overdue: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's breach on one subject over its life. Times are UTC.

    `since` is when the breach began, `fired` when people were told, `clear_since` when it began to look over,
    `resolved` when it was. `verdict` is the newest one: of a resolved finding, the one that ended it. `due` is what the
    breach obliges to, the next one first; of a resolved finding, as it stood then.
    """

    id: str
    state: State
    since: datetime
    verdict: Verdict
    fired: datetime | None = None
    clear_since: datetime | None = None
    resolved: datetime | None = None
    why_resolved: str = ""
    due: tuple[Due, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything known and judged at one moment; what every sink receives and the API serves.

    `findings` holds the pending and firing ones. `problems` are the reasons not to trust the picture (readiness).
    `movements` are the few that matter most, pending ones first. `gates` say by wallet whether its signers may go on;
    none where nobody keeps gates, as in a single look.
    """

    entity: str
    currency: str
    at: datetime
    chains: Mapping[str, ChainState]
    wallets: Mapping[str, WalletState]
    exposure: Exposure
    verdicts: tuple[Verdict, ...]
    findings: tuple[Finding, ...]
    feeds: Feeds
    coverage: Coverage
    disagreements: tuple[Disagreement, ...]
    problems: tuple[str, ...]
    movements: tuple[Transfer, ...] = ()
    gates: Mapping[str, GateState] = field(default_factory=dict)


class Event(StrEnum):
    """What happened to a finding that people must hear of."""

    FIRING = "firing"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Notification:
    """One event of a finding on its way to one sink. `id` is the same however often it is recorded or sent."""

    id: str
    sink: str
    event: Event
    at: datetime
    finding: Finding
