"""Which movements a request asks for: its filters, checked one by one, and what they let through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from aiohttp import web

from connectors.base import Stage
from daemon.classify import classify
from daemon.diagnosis import nearest, one_of
from daemon.document import shown
from daemon.model import Inventory, Moved, Transfer
from daemon.movements import named

FILTERS = ("chain", "wallet", "stage", "limit")
USUAL = 100
MOST = 1000


@dataclass(frozen=True, slots=True)
class Selection:
    """Filters that hold together; None lets everything through."""

    chain: str | None
    wallet: str | None
    stage: Stage | None
    limit: int

    @classmethod
    def asked(cls, query: Iterable[tuple[str, str]], *, inventory: Inventory) -> Selection:
        """From a request's query. HTTPBadRequest, in one line, for whatever is wrong with it.

        An unknown filter is refused like a wrong value: an answer to another question would look like the right one.
        """
        given: dict[str, str] = {}
        for name, text in query:
            if name not in FILTERS:
                raise web.HTTPBadRequest(text=f"{shown(name)} is no filter{nearest(name, FILTERS)}")
            if name in given:
                raise web.HTTPBadRequest(text=f"{name}: stands twice; expected it once")
            given[name] = text
        return cls(
            chain=_known("chain", given.get("chain"), names=inventory.watches),
            wallet=_known("wallet", given.get("wallet"), names=inventory.wallets),
            stage=_stage(given.get("stage")),
            limit=_limit(given.get("limit")),
        )

    def of(self, movements: Iterable[Moved], *, inventory: Inventory) -> list[Transfer]:
        """The first `limit` of them that pass, in the inventory's words."""
        tiers = classify(inventory.wallets)
        passing = (moved for moved in movements if self._passes(moved, inventory=inventory))
        return [named(moved, inventory=inventory, tiers=tiers) for moved in islice(passing, self.limit)]

    def _passes(self, moved: Moved, *, inventory: Inventory) -> bool:
        movement = moved.movement
        chain = movement.token.chain
        if self.chain not in (None, chain) or self.stage not in (None, movement.stage):
            return False
        holders = (inventory.wallet_of.get((chain, account)) for account, _ in movement.changes)
        return self.wallet is None or self.wallet in holders


def _known(filter_: str, name: str | None, *, names: Iterable[str]) -> str | None:
    if name is None or name in names:
        return name
    raise web.HTTPBadRequest(text=f"{filter_}: there is no {filter_} {shown(name)}{nearest(name, names)}")


def _stage(text: str | None) -> Stage | None:
    if text is None:
        return None
    try:
        return Stage(text)
    except ValueError:
        expected = one_of([stage.value for stage in Stage])
        raise web.HTTPBadRequest(text=f"stage: expected {expected}, found {shown(text)}") from None


def _limit(text: str | None) -> int:
    if text is None:
        return USUAL
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= len(str(MOST)) else 0
    if not 1 <= number <= MOST:
        raise web.HTTPBadRequest(text=f"limit: expected a whole number from 1 to {MOST}, found {shown(text)}")
    return number
