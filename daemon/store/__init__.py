"""The port to what must outlive a crash: findings, and the notifications that people are still owed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from daemon.model import Finding, Notification


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a notification, and when (UTC): delivered, or refused for good when `refusal` says why."""

    at: datetime
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Tally:
    """How many notifications of one sink are stored, by what became of them."""

    waiting: int = 0
    delivered: int = 0
    refused: int = 0


class Store(Protocol):
    """Every method raises StoreError, one line without credentials, when the database does not do it."""

    async def record(
        self,
        findings: Sequence[Finding],
        notifications: Sequence[Notification],
        *,
        outcomes: Mapping[str, Outcome] | None = None,
    ) -> None:
        """Stores all of it in one transaction; doing so twice is doing it once.

        `findings` replace what is stored under their ids; one that is resolved and never fired is forgotten instead,
        because nobody was told of it. `notifications` keep the order in which they come. `outcomes` settle
        notifications by id, those just recorded included; the first outcome stays.
        """
        ...

    async def findings(self) -> tuple[Finding, ...]:
        """Those pending and firing, the oldest first."""
        ...

    async def undelivered(self, sink: str, *, skip: int = 0, limit: int = 500) -> tuple[Notification, ...]:
        """At most `limit` unsettled notifications of a sink after the first `skip`, in the order recorded."""
        ...

    async def tallies(self) -> Mapping[str, Tally]:
        """By sink, those of an earlier configuration included."""
        ...

    async def resolved_since(self, moment: datetime) -> tuple[Finding, ...]:
        """The findings resolved at `moment` or later, in the order of their resolution."""
        ...

    async def prune(self, *, before: datetime) -> int:
        """Forgets findings resolved and notifications settled before that time; gives how many rows went."""
        ...

    async def drop_sink(self, sink: str) -> int:
        """Forgets all notifications of a sink that is not configured any more; gives how many rows went."""
        ...
