"""The routes, each a few lines over the latest report; the table at the end is the interface."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from daemon.announcing import Announcer
from daemon.api import page
from daemon.api.announcing import Announcing
from daemon.api.auditing import Append, audited
from daemon.api.auth import CALLER, PUBLIC, Gatekeeper
from daemon.api.gating import GateRoutes
from daemon.api.problem import Handler, problem, problems
from daemon.api.selection import Selection
from daemon.emit import rendering
from daemon.emit.moments import moment
from daemon.emit.transfers import transfer
from daemon.errors import ConfigError
from daemon.gate.keeper import GateKeeper
from daemon.ledger import Readings
from daemon.model import Finding, Inventory, Judgement, Moved, Report
from daemon.policy import worst


@dataclass(frozen=True, slots=True)
class Sources:
    """What the routes ask; functions, because a reload changes what is behind them.

    `report` is the latest, None before the first; `last_cycle` is when one was last finished, on the loop's clock;
    `inventory` is the running configuration's; `accounts` gives a wallet's units per account and asset, and may be a
    block ahead of the report, as may `movements`, newest first; `resolved` the findings resolved since a time;
    `history` answers a query with points of the past; `receivers` says what is wrong with each Alertmanager, None when
    it takes what it is sent; `audit` adds a record to the audit log; `gates` say at any moment whether signers may go
    on.
    """

    version: str
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    started: datetime
    report: Callable[[], Report | None]
    last_cycle: Callable[[], float]
    cycle_limit: timedelta
    inventory: Callable[[], Inventory]
    accounts: Callable[[str], Readings | None]
    movements: Callable[[], Iterable[Moved]]
    resolved: Callable[[datetime], Awaitable[Sequence[Finding]]]
    history: Callable[[Sequence[tuple[str, str]]], Awaitable[Mapping[str, Any]]]
    receivers: Callable[[], Mapping[str, str | None]]
    policies: Callable[[], Sequence[Mapping[str, Any]]]
    config: Callable[[], Mapping[str, Any]]
    reload: Callable[[str], Awaitable[str]]
    announcer: Announcer
    audit: Append
    registry: CollectorRegistry
    gates: GateKeeper


class Routes:
    """Handlers over `Sources`."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def _report(self) -> Report:
        report = self._sources.report()
        if report is None:
            raise web.HTTPServiceUnavailable(text="nothing was judged yet")
        if self._stands_still():
            return replace(report, gates={name: replace(gate, open=False) for name, gate in report.gates.items()})
        return report

    def _silent(self) -> float:
        """Seconds since a pass of the pipe was last finished."""
        return self._sources.monotonic() - self._sources.last_cycle()

    def _stands_still(self) -> bool:
        """Whether nobody judges any more: what the report says may be so no longer."""
        return self._silent() > self._sources.cycle_limit.total_seconds()

    def _doubts(self, report: Report) -> list[str]:
        """Why the report is not a complete and current picture."""
        old = [f"the last judgement is from {moment(report.at)}"] if self._stands_still() else []
        return [*report.problems, *old]

    async def healthz(self, _request: web.Request) -> web.Response:
        """200 while the judging loop turns, 503 when it has not finished a pass within its limit."""
        silent = self._silent()
        limit = self._sources.cycle_limit.total_seconds()
        if silent > limit:
            detail = f"no pass of the pipe has ended for {silent:.1f} s; expected one within {limit:.0f} s"
            return problem(503, detail=detail, instance="/healthz")
        return web.json_response({"status": "alive", "last_cycle_seconds": round(silent, 3)})

    async def readyz(self, _request: web.Request) -> web.Response:
        """200 with a complete and current picture, else 503 with every reason."""
        report = self._sources.report()
        reasons = ["nothing was judged yet"] if report is None else self._doubts(report)
        if reasons:
            return web.json_response({"status": "not ready", "reasons": reasons}, status=503)
        return web.json_response({"status": "ready", "reasons": []})

    async def metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._sources.registry), headers={"Content-Type": content_type})

    async def report(self, _request: web.Request) -> web.Response:
        return web.json_response(rendering.report(self._report(), now=self._sources.now()))

    async def status(self, _request: web.Request) -> web.Response:
        """The answer in one object: the worst verdict, how many of each, and what is wrong with the picture.

        A verdict of before is none: while nobody judges, what was ok is unknown.
        """
        report = self._report()
        verdict, doubts = worst(report.verdicts), self._doubts(report)
        if verdict is Judgement.OK and self._stands_still():
            verdict = Judgement.UNKNOWN
        counts = {kind.value: sum(item.judgement is kind for item in report.verdicts) for kind in Judgement}
        return web.json_response(
            {
                "entity": report.entity,
                "verdict": verdict.value,
                "verdicts": counts,
                "findings": len(report.findings),
                "ready": not doubts,
                "problems": doubts,
                "receivers": dict(self._sources.receivers()),
                "at": moment(report.at),
                "started": moment(self._sources.started),
                "version": self._sources.version,
            }
        )

    async def exposure(self, _request: web.Request) -> web.Response:
        report = self._report()
        chains = rendering.chains(report, now=self._sources.now())
        body = {**rendering.exposure(report.exposure), "currency": report.currency, "chains": chains}
        return web.json_response({**body, "at": moment(report.at)})

    async def wallets(self, _request: web.Request) -> web.Response:
        return web.json_response(rendering.wallets(self._report()))

    async def wallet(self, request: web.Request) -> web.Response:
        """One wallet as judged, and its accounts' newest readings in units with the block that those belong to."""
        report, name = self._report(), request.match_info["name"]
        state, found = report.wallets.get(name), self._sources.accounts(name)
        if state is None or found is None:
            raise web.HTTPNotFound(text=f"there is no wallet {name}")
        read_at = replace(report.chains[state.wallet.chain], tip=found.tip, seen=found.seen)
        block = rendering.chain(read_at, now=self._sources.now())
        told = {**rendering.wallet(state, report=report), "readings": found.units, "block": block}
        return web.json_response({**told, "control": rendering.control(found.control)})

    async def chains(self, _request: web.Request) -> web.Response:
        return web.json_response(rendering.chains(self._report(), now=self._sources.now()))

    async def findings(self, request: web.Request) -> web.Response:
        """Open findings; `?state=resolved` those resolved in the last `hours` (24)."""
        state = request.query.get("state", "open")
        if state == "open":
            found: Sequence[Finding] = self._report().findings
        elif state == "resolved":
            found = await self._sources.resolved(self._sources.now() - timedelta(hours=_hours(request)))
        else:
            raise web.HTTPBadRequest(text=f"state: expected open or resolved, found {state}")
        return web.json_response([rendering.finding(item) for item in found])

    async def movements(self, request: web.Request) -> web.Response:
        """Recent movements, newest first: the 100 newest, or what `chain`, `wallet`, `stage` and `limit` ask for."""
        inventory = self._sources.inventory()
        wanted = Selection.asked(request.query.items(), inventory=inventory)
        found = wanted.of(self._sources.movements(), inventory=inventory)
        return web.json_response([transfer(item) for item in found])

    async def history(self, request: web.Request) -> web.Response:
        """Points of a figure's past, as `metric`, `scope`, `from`, `to` and `step` ask for."""
        return web.json_response(await self._sources.history(list(request.query.items())))

    async def policies(self, _request: web.Request) -> web.Response:
        return web.json_response(list(self._sources.policies()))

    async def config(self, _request: web.Request) -> web.Response:
        return web.json_response(self._sources.config())

    async def reload(self, request: web.Request) -> web.Response:
        """Loads the configuration again; 422 with the one-line error when it is bad, and then nothing has changed."""
        try:
            sha256 = await self._sources.reload(request[CALLER])
        except ConfigError as error:
            raise web.HTTPUnprocessableEntity(text=str(error)) from error
        return web.json_response({"reloaded": True, "sha256": sha256})

    async def page(self, request: web.Request) -> web.Response:
        """The page's own files; they hold no figure, what they ask for does."""
        file = page.ROUTES[request.path]
        return web.Response(body=file.body(), content_type=file.content_type, charset="utf-8", headers=page.HEADERS)

    def table(self) -> list[web.RouteDef]:
        return [
            *(web.get(path, self.page) for path in page.ROUTES),
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
            web.get("/api/v1/report", self.report),
            web.get("/api/v1/status", self.status),
            web.get("/api/v1/exposure", self.exposure),
            web.get("/api/v1/wallets", self.wallets),
            web.get("/api/v1/wallets/{name}", self.wallet),
            web.get("/api/v1/chains", self.chains),
            web.get("/api/v1/findings", self.findings),
            web.get("/api/v1/movements", self.movements),
            web.get("/api/v1/history", self.history),
            web.get("/api/v1/policies", self.policies),
            web.get("/api/v1/config", self.config),
            web.post("/-/reload", self.reload),
            *Announcing(self._sources.announcer, now=self._sources.now).table(),
        ]


def application(sources: Sources, *, gatekeeper: Callable[[], Gatekeeper]) -> web.Application:
    """The web application; `gatekeeper` is asked at each request, because a reload may change the tokens."""

    @web.middleware
    async def admission(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path not in PUBLIC and request.path not in page.ROUTES:
            request[CALLER] = gatekeeper().admit(request)
        return await handler(request)

    told = audited(sources.audit, now=sources.now)
    app = web.Application(middlewares=[problems, told, admission], client_max_size=64 * 1024)
    app.add_routes([*Routes(sources).table(), *GateRoutes(sources).table()])
    app.on_response_prepare.append(_secure)
    return app


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    for name, value in {**page.HEADERS, "Cache-Control": "no-store"}.items():
        response.headers.setdefault(name, value)


def _hours(request: web.Request) -> float:
    text = request.query.get("hours", "24")
    try:
        hours = float(text)
    except ValueError:
        hours = -1.0
    if not 0 < hours <= 24 * 366:
        raise web.HTTPBadRequest(text=f"hours: expected a number from 0 to 8784, found {text}")
    return hours
