"""Which withdrawals may leave: what every source of approvals has said, and until when it has spoken."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from connectors.base import Address, Token
from connectors.errors import BadAddress
from daemon.detection.approval import Approval, Approved
from daemon.feeds.plan import SourceKey
from daemon.interval import EXACT

Canonical = Callable[[str], Address]
"""A destination in its chain's canonical form; raises BadAddress."""

MOST = 500_000
"""Approvals that are known at once, used ones among them: some 1.2 kB each, so 600 MB if all of them are there. Beyond,
the oldest are forgotten."""

SET_BACK = timedelta(minutes=1)
"""So much before the last time that was told the clock was set back; a little before, a judgement had to wait."""

AT_ONCE = 500
"""Rows of an answer that are entered in one go, in some ten milliseconds when all of them are new."""

MOST_TOLD = 10_000
"""Unreadable destinations that are told once only."""


class ApprovalKey(NamedTuple):
    """What an approval is known by."""

    source: SourceKey
    id: str


class Place(NamedTuple):
    """Where approvals and payments meet: an asset on its way to a destination in canonical form."""

    asset: str
    to: Address


@dataclass(slots=True, eq=False)
class Known:
    """An approval as it is known. `homes` are the chains on which its destination can be paid, by place.

    `units` and `fee` count in the finest of the asset's tokens. `gone` is since when its source names it no longer.
    """

    key: ApprovalKey
    approval: Approval
    homes: Mapping[Place, frozenset[str]]
    units: int
    fee: int | None
    gone: datetime | None = None

    @property
    def order(self) -> tuple[datetime, ApprovalKey]:
        return self.approval.at, self.key


class Matcher(Protocol):
    """Who pairs approvals with payments; what it remembers is kept by the book."""

    @property
    def reach(self) -> timedelta:
        """How long before a payment an approval may have been given to be of any use to it."""
        ...

    def approved(self, one: Known) -> None:
        """It can be used."""
        ...

    def uses(self, key: ApprovalKey) -> bool:
        """Whether a payment has used it: then it stays as it was."""
        ...

    def forgotten(self, one: Known) -> None:
        """It is too old, or was changed: as if it had never been there."""
        ...

    def changed(self) -> dict[str, str | None]: ...

    def restore(self, rows: Mapping[str, str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Grounds:
    """What approvals are read by: the sources, each with the age at which it is not current any more (without one it
    never is), the tokens of each asset, what reads the addresses of each chain, and which chain that is."""

    sources: Mapping[SourceKey, timedelta | None] = field(default_factory=dict)
    assets: Mapping[str, Sequence[Token]] = field(default_factory=dict)
    canonical: Mapping[str, Canonical] = field(default_factory=dict, compare=False)
    identities: Mapping[str, object] = field(default_factory=dict)


class ApprovalBook:
    """Mutable, and pure of effects. Outlives configurations, as what was matched under one stays so under the next.

    It keeps at most MOST approvals, and none for longer than twice a matcher's `reach`.
    """

    kind = "match"

    def __init__(self, grounds: Grounds | None = None) -> None:
        self._grounds = grounds or Grounds()
        self._known: dict[ApprovalKey, Known] = {}
        self._ages: list[tuple[datetime, ApprovalKey]] = []
        self._said: dict[SourceKey, tuple[Approval, ...]] = {}
        self._named: dict[SourceKey, set[str]] = {}
        self._asked: dict[SourceKey, datetime] = {}
        self._matchers: dict[str, Matcher] = {}
        self._restored: dict[str, dict[str, str]] = {}
        self._unreadable: dict[ApprovalKey, None] = {}
        self._told: list[str] = []
        self._ways: dict[tuple[str, str | None], tuple[tuple[str, frozenset[str]], ...]] = {}
        """What `_chains` gives, by what approvals say of asset and chain; under the grounds of now."""
        self._finest: dict[str, int] = {}
        self.clock: datetime | None = None
        """The time that it was told last; it may have been set back."""

    def __len__(self) -> int:
        return len(self._known)

    # What sources say.

    def take(self, said: Approved, *, now: datetime) -> None:
        """What a source has just said. Costs what is new in it, and a look at each row where any is."""
        for _ in self.entering(said, now=now):
            pass

    def entering(self, said: Approved, *, now: datetime) -> Iterator[None]:
        """As `take`, with a pause after each AT_ONCE rows: a first answer of 100,000 takes more than a second.

        In a pause anything else may be done with the book. What is entered so far can be used; the source has spoken
        only when all of it is, and one that is never gone on with has not.
        """
        self.tick(now)
        source = said.source
        news = said.approvals is not self._said.get(source)
        for start in range(0, len(said.approvals) if news else 0, AT_ONCE):
            if start:
                yield
            if source not in self._grounds.sources:
                break
            since = now - 2 * self._reach
            for one in said.approvals[start : start + AT_ONCE]:
                self._enter(source, one, since=since)
        if source not in self._grounds.sources:
            return
        before = self._asked.get(source, said.asked)
        self._asked[source] = max(said.asked, before) if before <= now else said.asked
        if said.complete:
            if news:
                names = {one.id for one in said.approvals}
                for name in self._named.get(source, set()) - names:
                    self._gone(ApprovalKey(source, name), at=said.asked)
                self._named[source] = names
            self._said[source] = said.approvals
        self._prune(now)

    @property
    def spoken(self) -> datetime | None:
        """Until when all that was approved is known: the oldest of the last questions that were answered. None while
        a source has not answered, and without sources."""
        asked = [self._asked.get(source) for source in self._grounds.sources]
        known = [one for one in asked if one is not None]
        return min(known) if known and len(known) == len(asked) else None

    def silent(self, now: datetime) -> tuple[str, ...]:
        """The causes, as verdicts name them, of what is not known: sources whose last answer is too old."""
        sources = self._grounds.sources
        return tuple(f"approvals:{key[1]}" for key in sources if not self._current(key, now=now)) or (
            () if sources else ("approvals",)
        )

    def problems(self) -> list[str]:
        """What came since the last call and can't match anything, in words; each is told once."""
        told, self._told = self._told, []
        return told

    # What rules ask for.

    def tick(self, now: datetime) -> None:
        """What time it is, where no source says anything."""
        if self.clock is not None and now < self.clock - SET_BACK:
            self._said.clear()  # what was too old by a clock that was ahead is not
        self.clock = now

    def matcher(self, policy: str) -> Matcher | None:
        """What a policy has matched so far."""
        return self._matchers.get(policy)

    def add(self, policy: str, found: Matcher) -> None:
        """Tells the matcher of a policy all that is known, from now on, and what an earlier run has left to it."""
        if policy not in self._matchers:
            self._matchers[policy] = found
            for one in self._known.values():
                found.approved(one)
            rows = self._restored.pop(policy, None)
            if rows:
                found.restore(rows)

    def keep_only(self, policies: Iterable[str]) -> None:
        """Forgets what other policies have matched."""
        for policy in self._matchers.keys() - set(policies):
            del self._matchers[policy]

    def configured(self, grounds: Grounds) -> None:
        """Goes on under another configuration: reads destinations anew where chains or assets have changed."""
        before, self._grounds = self._grounds, grounds
        self._ways, self._finest = {}, {}
        self._asked = {key: at for key, at in self._asked.items() if key in grounds.sources}
        self._named = {key: names for key, names in self._named.items() if key in grounds.sources}
        self._said = {key: said for key, said in self._said.items() if key in grounds.sources}
        if (before.assets, before.identities) != (grounds.assets, grounds.identities):
            self._said.clear()  # what could not be read may be readable now
            for known in list(self._known.values()):
                if not self._used(known.key):
                    self._forget(known)
                    self._read(known.key, known.approval, gone=known.gone)

    # Remembers.

    def changed(self) -> dict[str, str | None]:
        """Rows of all policies; a key is the policy, a space, and the matcher's own."""
        return {f"{policy} {key}": row for policy, one in self._matchers.items() for key, row in one.changed().items()}

    def restore(self, rows: Mapping[str, str]) -> None:
        """What an earlier run has left. ValueError when it can't be read."""
        for key, row in rows.items():
            policy, _, name = key.partition(" ")
            self._restored.setdefault(policy, {})[name] = row
        for policy in self._restored.keys() & self._matchers.keys():
            self._matchers[policy].restore(self._restored.pop(policy))

    def recall(self, key: ApprovalKey, approval: Approval, *, places: Iterable[tuple[Place, str]]) -> Known:
        """An approval that was used in an earlier run. Its source may still name it, or not any more."""
        known = self._known.get(key)
        if known is None:
            finest = self.finest(approval.asset)
            homes: dict[Place, frozenset[str]] = {}
            for place, chain in places:
                homes[place] = homes.get(place, frozenset()) | {chain}
            known = self._keep(key, approval, homes, finest=finest)
            self._named.setdefault(key.source, set()).add(key.id)
            for matcher in self._matchers.values():
                matcher.approved(known)
        return known

    # Inside.

    def _current(self, source: SourceKey, *, now: datetime) -> bool:
        asked, most = self._asked.get(source), self._grounds.sources[source]
        return asked is not None and most is not None and abs(now - asked) <= most

    def _used(self, key: ApprovalKey) -> bool:
        return any(one.uses(key) for one in self._matchers.values())

    def _enter(self, source: SourceKey, one: Approval, *, since: datetime) -> None:
        """One that is new only if it was given after `since`."""
        key = ApprovalKey(source, one.id)
        known = self._known.get(key)
        if known is not None:
            known.gone = None
            if known.approval is one or known.approval == one or self._used(key):
                return
            self._forget(known)
        if one.at >= since:
            self._read(key, one)

    @property
    def _reach(self) -> timedelta:
        return max((one.reach for one in self._matchers.values()), default=timedelta(days=1))

    def _read(self, key: ApprovalKey, one: Approval, *, gone: datetime | None = None) -> None:
        homes: dict[Place, frozenset[str]] = {}
        why = "no chain of the configuration has this asset"
        for chain, alone in self._chains(one):
            try:
                place = Place(one.asset, self._grounds.canonical[chain](one.destination))
            except BadAddress as error:
                why = str(error)
            else:
                homes[place] = homes[place] | alone if place in homes else alone
        if not homes:
            self._tell(key, why)
            return
        known = self._keep(key, one, homes, finest=self.finest(one.asset), gone=gone)
        for matcher in self._matchers.values():
            matcher.approved(known)

    def _keep(
        self,
        key: ApprovalKey,
        one: Approval,
        homes: Mapping[Place, frozenset[str]],
        *,
        finest: int,
        gone: datetime | None = None,
    ) -> Known:
        fee = None if one.fee is None else int(one.fee.scaleb(finest, EXACT))
        known = self._known[key] = Known(key, one, homes, int(one.coins.scaleb(finest, EXACT)), fee, gone)
        heapq.heappush(self._ages, (one.at, key))
        return known

    def _chains(self, one: Approval) -> Sequence[tuple[str, frozenset[str]]]:
        """The chains that it can be paid on, each also as a set of its own that all approvals share."""
        found = self._ways.get((one.asset, one.chain))
        if found is None:
            tokens = self._grounds.assets.get(one.asset, ())
            chains = dict.fromkeys(token.chain for token in tokens if one.chain in (None, token.chain))
            found = tuple((chain, frozenset((chain,))) for chain in chains if chain in self._grounds.canonical)
            if found:
                self._ways[one.asset, one.chain] = found  # what the configuration does not name would be endless
        return found

    def finest(self, asset: str) -> int:
        """The decimals that units of approvals of this asset count in."""
        found = self._finest.get(asset)
        if found is None:
            found = max((token.decimals for token in self._grounds.assets.get(asset, ())), default=0)
            if asset in self._grounds.assets:
                self._finest[asset] = found
        return found

    def _tell(self, key: ApprovalKey, why: str) -> None:
        if key not in self._unreadable and len(self._unreadable) < MOST_TOLD:
            self._unreadable[key] = None
            self._told.append(f"approval {key.id} of {key.source[1]} can never match: {why}")

    def _gone(self, key: ApprovalKey, *, at: datetime) -> None:
        known = self._known.get(key)
        if known is not None and known.gone is None:
            known.gone = at

    def _forget(self, known: Known) -> None:
        del self._known[known.key]
        for matcher in self._matchers.values():
            matcher.forgotten(known)

    def _prune(self, now: datetime) -> None:
        """What is too old to be used by any payment that may still come or come back, and what is too many."""
        oldest = now - 2 * self._reach
        while self._ages and (self._ages[0][0] < oldest or len(self._known) > MOST):
            at, key = heapq.heappop(self._ages)
            known = self._known.get(key)
            if known is not None and known.approval.at == at:
                self._forget(known)
