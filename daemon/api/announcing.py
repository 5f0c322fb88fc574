"""The routes of planned transfers: announce, approve, withdraw, and look at what is left of them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from aiohttp import web

from daemon.announcement import Act, Announcement
from daemon.announcements import Announced, Payment
from daemon.announcing import Announcer, Refused
from daemon.api.auth import CALLER
from daemon.detection.imitation import Imitation
from daemon.emit.moments import moment
from daemon.interval import EXACT, amount, plain


class Announcing:
    """Handlers over the announcer."""

    def __init__(self, announcer: Announcer, *, now: Callable[[], datetime]) -> None:
        self._announcer = announcer
        self._now = now

    async def all(self, _request: web.Request) -> web.Response:
        """The newest first; those that ended lately included."""
        book = self._announcer.book
        return web.json_response([told(one, book=book, now=self._now()) for one in book.all()])

    async def one(self, request: web.Request) -> web.Response:
        number = request.match_info["id"]
        found = self._announcer.book.get(number)
        if found is None:
            raise web.HTTPNotFound(text=f"there is no announcement {number}")
        return self._answer(found)

    async def announce(self, request: web.Request) -> web.Response:
        """201 with the announcement; 200 with the earlier one where the same was said less than a minute ago."""
        found, new = await _or_refused(self._announcer.announce(await request.read(), who=request[CALLER]))
        return self._answer(found, status=201 if new else 200)

    async def approve(self, request: web.Request) -> web.Response:
        """By somebody else than who announced it; from then on it explains payments. 409 with what the second person is
        to compare, where a destination looks like a known one and the body does not name it."""
        number, body = request.match_info["id"], await request.read()
        return self._answer(await _or_refused(self._announcer.approve(number, body, who=request[CALLER])))

    async def withdraw(self, request: web.Request) -> web.Response:
        """From now on it explains no payment any more."""
        number, body = request.match_info["id"], await request.read()
        return self._answer(await _or_refused(self._announcer.withdraw(number, body, who=request[CALLER])))

    def _answer(self, one: Announcement, *, status: int = 200) -> web.Response:
        return web.json_response(told(one, book=self._announcer.book, now=self._now()), status=status)

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/announcements", self.all),
            web.post("/api/v1/announcements", self.announce),
            web.get("/api/v1/announcements/{id}", self.one),
            web.post("/api/v1/announcements/{id}/approval", self.approve),
            web.post("/api/v1/announcements/{id}/withdrawal", self.withdraw),
        ]


async def _or_refused(asked: Awaitable[Any]) -> Any:  # noqa: ANN401 - whatever was asked for
    try:
        return await asked
    except Refused as error:
        kinds = {403: web.HTTPForbidden, 404: web.HTTPNotFound, 409: web.HTTPConflict}
        raise kinds.get(error.status, web.HTTPUnprocessableEntity)(text=str(error)) from error


def told(one: Announcement, *, book: Announced, now: datetime) -> dict[str, Any]:
    """JSON: what was planned, by whom, what has used it up and what is left, in whole coins as texts."""
    left = book.left(one.id)
    return {
        "id": one.id,
        "state": one.state(now).value,
        "wallet": one.wallet,
        "asset": one.asset,
        "at_most": _text(one.at_most),
        "used": _text(EXACT.subtract(one.at_most, left)),
        "left": _text(left),
        "destinations": list(one.destinations),
        "look_alikes": [_imitation(alike) for alike in one.look_alikes],
        "starts": moment(one.starts),
        "ends": moment(one.ends),
        "ticket": one.ticket,
        "note": one.note,
        "announced": _act(one.announced),
        "approved": _act(one.approved),
        "withdrawn": _act(one.withdrawn),
        "payments": [_payment(payment, of=one.id) for payment in book.payments(one.id)],
    }


def _act(act: Act | None) -> Mapping[str, str] | None:
    if act is None:
        return None
    return {"by": act.by, "at": moment(act.at), **({"reason": act.reason} if act.reason else {})}


def _imitation(one: Imitation) -> dict[str, Any]:
    """In the words of the findings of `unknown_destination`."""
    return {
        "destination": one.destination,
        "looks_like": one.looks_like,
        "known_as": one.known_as or "usual",
        "agree_first": one.first,
        "agree_last": one.last,
        "warning": one.says,
    }


def _payment(one: Payment, *, of: str) -> dict[str, Any]:
    token = one.key.token
    return {
        "transaction": one.key.transaction,
        "stage": one.stage.value,
        "height": one.tip and one.tip.height,
        "hash": one.tip and one.tip.hash,
        "first_seen": moment(one.first_seen),
        "amount": _text(amount(one.units, decimals=token.decimals)),
        "explained": _text(amount(one.given[of], decimals=token.decimals)),
    }


def _text(coins: Any) -> str:  # noqa: ANN401
    return plain(coins, places=80)
