"""The gate over HTTP: what signers ask before each signature, and how operators close and open it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import web
from pydantic import Field, ValidationError

from connectors.config import Strict
from daemon.api.auth import CALLER
from daemon.api.problem import problem
from daemon.emit import rendering
from daemon.emit.moments import moment
from daemon.errors import StoreError
from daemon.gate.keeper import Unopened
from daemon.gate.state import GOOD_FOR, GateState

if TYPE_CHECKING:
    from daemon.api.routes import Sources


class Word(Strict):
    """What an operator says: `open` or not, and why. `findings` are those that the operator knows of, if said, and
    `grounds` what the gate's answer said of them.
    """

    open: bool = Field(strict=True)
    reason: str = Field(min_length=1, max_length=1000, pattern=r"\S")
    findings: tuple[str, ...] | None = None
    grounds: str | None = None


class GateRoutes:
    """Handlers over `Sources`."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    async def gates(self, _request: web.Request) -> web.Response:
        """Every gate at this moment."""
        return web.json_response({name: self._told(name) for name in self._sources.inventory().wallets})

    async def gate(self, request: web.Request) -> web.Response:
        """One gate at this moment; 404 for a wallet that is not configured."""
        return web.json_response(self._told(self._wallet(request)))

    async def move(self, request: web.Request) -> web.Response:
        """Closes or opens one, with a reason. 409 when it may not be opened now, 503 when that can't be stored."""
        wallet, word = self._wallet(request), await _word(request)
        keeper, who = self._sources.gates, request[CALLER]
        if not word.open:
            await keeper.close(wallet, who=who, reason=word.reason)
            return web.json_response(self._told(wallet))
        hanging = self._hanging(wallet)
        if hanging is not None:
            return problem(409, detail=f"the gate of {wallet} can't be opened: {hanging.reason}", instance=request.path)
        try:
            await keeper.open(wallet, who=who, reason=word.reason, seen=word.findings, grounds=word.grounds)
        except Unopened as error:
            return problem(409, detail=str(error), instance=request.path)
        except StoreError as error:
            return problem(503, detail=f"the gate of {wallet} stays closed: {error}", instance=request.path)
        return web.json_response(self._told(wallet))

    def table(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v1/gate", self.gates),
            web.get("/api/v1/gate/{name}", self.gate),
            web.post("/api/v1/gate/{name}", self.move),
        ]

    def _wallet(self, request: web.Request) -> str:
        name = request.match_info["name"]
        if name not in self._sources.inventory().wallets:
            raise web.HTTPNotFound(text=f"there is no wallet {name}")
        return name

    def _told(self, wallet: str) -> dict[str, Any]:
        """Good until nobody would have judged for longer than the limit, had nobody judged since."""
        hanging = self._hanging(wallet)
        left = GOOD_FOR if hanging else min(GOOD_FOR, self._sources.cycle_limit - self._silent())
        state = hanging or self._sources.gates.state(wallet)
        now = self._sources.now()
        moments = {"at": moment(now), "expires": moment(now + left)}
        return {"wallet": wallet, **rendering.gate(state), "grounds": self._sources.gates.grounds(wallet), **moments}

    def _silent(self) -> timedelta:
        """How long no pass of the pipe has ended."""
        return timedelta(seconds=self._sources.monotonic() - self._sources.last_cycle())

    def _hanging(self, wallet: str) -> GateState | None:
        """What the gate says when nobody judges; None while somebody does."""
        report, silent = self._sources.report(), self._silent()
        if report is not None and silent <= self._sources.cycle_limit:
            return None
        why = "nothing was judged yet"
        if report is not None:
            why = f"nobody has judged for {silent.total_seconds():.1f} s"
        return GateState(wallet, report.at if report else self._sources.started, why, open=False, blind=True)


async def _word(request: web.Request) -> Word:
    try:
        return Word.model_validate_json(await request.read())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the body"
        expected = 'expected {"open": true or false, "reason": "why", in words}'
        raise web.HTTPBadRequest(text=f"{where}: {first['msg']}; {expected}") from error
