"""A withdrawal that the exchange has approved, as its books tell it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from daemon.feeds.plan import SourceKey


@dataclass(frozen=True, slots=True)
class Approval:
    """`coins` of the asset, whole, may go to `destination` (as the books write it); approved `at`.

    `id` is the books' own, unique within a source. `chain` is None where the books don't say which one, `fee` what the
    books keep of it, in whole coins, None where they don't say: the customer then gets `coins` or `coins` less a fee.
    `tag` is what tells customers of one destination apart (a memo), and not matched.
    """

    id: str
    asset: str
    coins: Decimal
    destination: str
    at: datetime
    chain: str | None = None
    fee: Decimal | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class Approved:
    """What a source of approvals said when it was `asked` (a pushed one: when it spoke), each id once.

    It has named every approval of the time until `asked`, as of when it speaks. `complete`: these are all that it has;
    one that it named before and does not name now was taken back or is too old. It is the very tuple of the answer
    before when nothing has changed, and made of the very objects of that where rows have not. Otherwise they are to be
    added to what it named before; of an id that it named before the newer word holds.
    """

    source: SourceKey
    approvals: tuple[Approval, ...]
    complete: bool
    asked: datetime


class Approvals(Protocol):
    """Who hears of approvals."""

    def take(self, said: Approved, *, now: datetime) -> None:
        """Every good answer of a source, also one that changes nothing: until when it has spoken is a part of it."""
        ...
