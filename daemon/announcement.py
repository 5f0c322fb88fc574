"""A planned transfer: who announced it, who approved it, and from when to when it may be made."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

from daemon.detection.imitation import Imitation
from daemon.interval import plain

Place = tuple[str, str]
"""A wallet and an asset."""


class State(StrEnum):
    """How an announcement stands."""

    ANNOUNCED = "announced"
    APPROVED = "approved"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Act:
    """Who did it, and when; `reason` in their words."""

    by: str
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Announcement:
    """`wallet` may pay `at_most` whole coins of the asset in all to the destinations, from `starts` to `ends`.

    Destinations are in the canonical form of the wallet's chain. `look_alikes` are those that look like known ones and
    are not, by what was known when it was announced or, later, approved.
    """

    id: str
    wallet: str
    asset: str
    at_most: Decimal
    destinations: tuple[str, ...]
    starts: datetime
    ends: datetime
    ticket: str
    note: str
    announced: Act
    approved: Act | None = None
    withdrawn: Act | None = None
    look_alikes: tuple[Imitation, ...] = ()

    @property
    def place(self) -> Place:
        return self.wallet, self.asset

    def state(self, now: datetime) -> State:
        if self.withdrawn is not None:
            return State.WITHDRAWN
        if now > self.ends:
            return State.EXPIRED
        return State.ANNOUNCED if self.approved is None else State.APPROVED

    def in_force(self, moment: datetime) -> bool:
        """Whether a payment first seen then can be explained by it, as soon as it is approved.

        Not one that was seen before it was announced. A withdrawal ends it, and leaves what was paid before explained.
        """
        if self.approved is None or (self.withdrawn is not None and moment >= self.withdrawn.at):
            return False
        return max(self.starts, self.announced.at) <= moment <= self.ends


def encode(one: Announcement) -> str:
    """ASCII JSON, the same for the same announcement."""

    def act(it: Act | None) -> dict[str, str] | None:
        return None if it is None else {"by": it.by, "at": it.at.isoformat(), "reason": it.reason}

    told = {
        "id": one.id,
        "wallet": one.wallet,
        "asset": one.asset,
        "at_most": plain(one.at_most, places=80),
        "destinations": list(one.destinations),
        "starts": one.starts.isoformat(),
        "ends": one.ends.isoformat(),
        "ticket": one.ticket,
        "note": one.note,
        "announced": act(one.announced),
        "approved": act(one.approved),
        "withdrawn": act(one.withdrawn),
        **({"look_alikes": [asdict(alike) for alike in one.look_alikes]} if one.look_alikes else {}),
    }
    return json.dumps(told, sort_keys=True, separators=(",", ":"))


def decode(text: str) -> Announcement:
    """The announcement that `encode` was given; ValueError when the text is nothing of the kind."""

    def act(it: Any) -> Act | None:  # noqa: ANN401 - JSON
        return it and Act(it["by"], datetime.fromisoformat(it["at"]), it["reason"])

    try:
        told: Any = json.loads(text)
        announced = act(told["announced"])
        if announced is None:
            raise ValueError("nobody has announced it")
        return Announcement(
            id=told["id"],
            wallet=told["wallet"],
            asset=told["asset"],
            at_most=Decimal(told["at_most"]),
            destinations=tuple(told["destinations"]),
            starts=datetime.fromisoformat(told["starts"]),
            ends=datetime.fromisoformat(told["ends"]),
            ticket=told["ticket"],
            note=told["note"],
            announced=announced,
            approved=act(told["approved"]),
            withdrawn=act(told["withdrawn"]),
            look_alikes=tuple(Imitation(**alike) for alike in told.get("look_alikes", ())),
        )
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"no announcement: {type(error).__name__} {error}") from error
