"""The contract between chains and the daemon: what is watched, and what a chain says of it at one block."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, NewType, Protocol

from connectors.errors import Reason

Address = NewType("Address", str)
"""An account in the canonical text form of its chain (EVM: lower case, 0x). On Bitcoin's family it may also be an
output descriptor, one account whose units are the sum over the scripts that it stands for."""


class Token(NamedTuple):
    """Where an asset lives: a chain's native coin (`contract` is None) or a contract on it.

    One whole coin is 10**decimals units. `contract` is in the chain's canonical form. A tuple, because it is a part of
    the keys that everything is looked up by.
    """

    chain: str
    contract: str | None
    decimals: int


@dataclass(frozen=True, slots=True)
class Tip:
    """The block a reading belongs to. `time` is the block's own clock, in UTC."""

    height: int
    hash: str
    time: datetime


@dataclass(frozen=True, slots=True)
class Watch:
    """What is read on one chain: every account is asked for every token.

    `gap_limits` holds, for accounts that are ranged descriptors, how many unused scripts in a row end the search.
    `since` are the newest blocks whose movements were told before, the newest last: a connector that can goes on after
    them, and may tell again what it is not sure of.
    """

    chain: str
    accounts: tuple[Address, ...]
    tokens: tuple[Token, ...]
    gap_limits: Mapping[Address, int] = field(default_factory=dict, hash=False)
    since: tuple[Tip, ...] = field(default=(), compare=False)


class Held(NamedTuple):
    """What an account holds of a token at the update's tip, in the token's smallest units."""

    account: Address
    token: Token
    units: int


class Unread(NamedTuple):
    """An account's token that could not be read at the update's tip, and why.

    Since when, and what the last reading was, is the ledger's knowledge.
    """

    account: Address
    token: Token
    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A whole chain could not be read."""

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Providers that gave different values at one block hash: evidence, never noise.

    `answers` pairs each provider's name with the units it gave, or the reason it gave none.
    """

    account: Address
    token: Token
    tip: Tip
    answers: tuple[tuple[str, str], ...]


class Stage(StrEnum):
    """Where a movement stands."""

    PENDING = "pending"  # in the mempool
    MINED = "mined"  # in a block of the branch that is read
    REPLACED = "replaced"  # another transaction spends the same coins
    EVICTED = "evicted"  # not in the mempool any more, in no block, and nothing is known that replaces it
    UNKNOWN = "unknown"  # it waited, nobody watched for a while, and nobody tells of it since; no connector says so


class Party(NamedTuple):
    """Somebody a transaction pays: an address as people write it, or the script in hex where there is none."""

    name: str
    units: int


@dataclass(frozen=True, slots=True)
class Movement:
    """What one transaction does to the watched accounts. `tip` is its block, None while it is in none.

    `changes`: net units of each account, negative where it pays. `change`: units that went back to accounts that pay.
    `destinations`: whom it pays that is not watched, and `sources` whom it takes from, as far as that is known; the
    largest of them. `fee` in units, None where not every input is known; `size` in virtual bytes, 0 where a chain
    counts none. `transaction` may also be `block:` and a block's hash: what it changed beyond all that its
    transactions account for, with `unknown` for a counterparty.
    """

    transaction: str
    token: Token
    stage: Stage
    tip: Tip | None
    changes: tuple[tuple[Address, int], ...]
    change: int
    destinations: tuple[Party, ...]
    sources: tuple[Party, ...]
    fee: int | None
    size: int
    replaced_by: str | None = None
    """The transaction that spends the same coins, where `stage` is REPLACED."""


UNREAD = "unread"


@dataclass(frozen=True, slots=True)
class Control:
    """What decides who can move the account, at the update's tip.

    `facts` are pairs of a name and a value; a name may stand more than once, as that of each cosignatory does. Of the
    kind UNREAD is what could not be read: nobody knows whether it is as it was.
    """

    account: Address
    kind: str
    facts: tuple[tuple[str, str], ...]
    transaction: str | None = None
    """The transaction that seems to have brought it, where the chain names one; its block is `tip`."""
    tip: Tip | None = None


class Drift(NamedTuple):
    """What a sweep found an account to hold, where following the chain had led to something else; in units."""

    account: Address
    token: Token
    followed: int
    found: int


@dataclass(frozen=True, slots=True)
class Update:
    """What changed on a chain between `previous` and `tip`, all as of `tip`.

    - `complete`: everything watched stands in `held` or `unread`; whatever was known before is replaced.
    - not complete: whatever is not mentioned is, at `tip`, as it was at `previous`. With `tip == previous` and nothing
      else it says: still so, looked at `seen`.
    - `failure`: the chain could not be read at all; `tip` is then None and the update says nothing else.

    `seen` is when the node reported the tip to us (UTC); detection time counts from there.
    `reorg_depth` is how many blocks of the branch that ended in `previous` were undone.
    `movements` are the transactions that came to another stage since the update before, where the chain's sources tell
    them; one stands again whenever its stage changes, also back (a reorg makes a mined one pending again).
    `controls` tell who can move accounts, of those accounts for which it was read anew.
    `drift` is what a scheduled sweep of everything found different from what was followed; None where none has ended.
    `owed` says that not all of what the blocks up to `tip` moved is told yet: a later update tells it.
    """

    chain: str
    seen: datetime
    tip: Tip | None = None
    previous: Tip | None = None
    held: tuple[Held, ...] = ()
    unread: tuple[Unread, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    complete: bool = False
    reorg_depth: int = 0
    failure: Failure | None = None
    movements: tuple[Movement, ...] = ()
    controls: tuple[Control, ...] = ()
    drift: tuple[Drift, ...] | None = None
    owed: bool = False


@dataclass(frozen=True, slots=True)
class ProviderStats:
    """What became of the requests to one provider since start; `errors` counts by reason."""

    provider: str
    requests: int
    errors: dict[Reason, int]
    disagreements: int


@dataclass(frozen=True, slots=True)
class Round:
    """The newest answer of one aggregator: `answer` / 10**`decimals`, as of `updated`; it may be zero or negative."""

    answer: int
    decimals: int
    updated: datetime


class Connector(Protocol):
    """One chain, read-only. Made by its kind's `connect`, an async context manager that owns its connections."""

    chain: str
    reader: str
    """How balances are read, for people: `batch`, `scanner`, ..."""

    async def read(self, watch: Watch) -> Update:
        """Everything watched, at one tip. Never raises ConnectorError: a chain that can't be read is a `failure`."""
        ...

    def updates(self, watch: Watch) -> AsyncIterator[Update]:
        """Forever: first a complete update, then only what changed, one item a poll. Never raises ConnectorError."""
        ...

    async def hash_at(self, height: int) -> str | None:
        """The hash of the block at that height in the branch that is read, None where no node has one so high.

        As many nodes must say so as must agree on a head; raises ConnectorError when too few do.
        """
        ...

    async def probe(self, watch: Watch) -> tuple[tuple[str, str | None], ...]:
        """Asks each provider with the very call that readings use: (provider, None when well, else what is wrong)."""
        ...

    def stats(self) -> tuple[ProviderStats, ...]:
        """Counters per provider since start, for the metrics."""
        ...
