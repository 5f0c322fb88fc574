"""The routes over a real HTTP server in this process."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client import CollectorRegistry

from connectors.base import Address, Update
from connectors.evm.address import canonical
from daemon.announcements import Announced
from daemon.announcing import Announcer, Ground
from daemon.api.auth import Gatekeeper
from daemon.api.routes import Sources, application
from daemon.detection.destinations import Destinations
from daemon.detection.payees import Payees
from daemon.errors import ConfigError, StoreError
from daemon.gate.keeper import GateKeeper
from daemon.ledger import Readings
from daemon.model import Finding, Inventory, Report
from daemon.movements import Movements
from daemon.tokens import ApiToken, Scope
from tests.build import ETH, ETHER, NOON, at, complete, failed, tip
from tests.delivery_cases import MemoryAnnouncements
from tests.publishing import gate
from tests.unit.test_pipeline import INVENTORY, Bench

Client = TestClient[Any, Any]


def key(name: str, scope: Scope, text: str) -> ApiToken:
    return ApiToken(name, scope, hashlib.sha256(text.encode()).hexdigest())


@dataclass
class World:
    """What the routes ask, set by a test."""

    report: Report | None = None
    time: datetime = NOON
    loop_time: float = 100.0
    last_cycle: float = 100.0
    reload_error: ConfigError | StoreError | None = None
    reloaded_by: list[str] = field(default_factory=list)
    asked_since: list[datetime] = field(default_factory=list)
    tokens: Sequence[ApiToken] = ()
    read_at: int = 1
    removed: Sequence[str] = ()
    inventory: Inventory = INVENTORY
    movements: Movements = field(default_factory=Movements)
    announcements: MemoryAnnouncements = field(default_factory=MemoryAnnouncements)
    announced: Announced = field(default_factory=Announced)
    allowed: Mapping[tuple[str, Address], str] = field(default_factory=dict)
    payees: Payees = field(default_factory=Payees)
    gates: GateKeeper = field(default_factory=lambda: GateKeeper(None, clock=lambda: NOON))

    def sources(self) -> Sources:
        return Sources(
            version="1.2.3",
            now=lambda: self.time,
            monotonic=lambda: self.loop_time,
            started=NOON,
            report=lambda: self.report,
            last_cycle=lambda: self.last_cycle,
            cycle_limit=timedelta(seconds=10),
            inventory=lambda: self.inventory,
            accounts=self._accounts,
            movements=self.movements.recent,
            resolved=self._resolved,
            history=self._history,
            receivers=lambda: {"am-1": "no answer within 10 s"},
            policies=lambda: [{"policy": "jp-psa/hot-share"}],
            config=lambda: {"entity": "Example Exchange KK"},
            reload=self._reload,
            announcer=self._announcer(),
            audit=self.announcements.audit.append,
            registry=CollectorRegistry(),
            gates=self.gates,
        )

    def _announcer(self) -> Announcer:
        numbers = (f"plan-{number}" for number in count(1))
        return Announcer(
            self.announcements,
            self.announced,
            ground=lambda: Ground(self.inventory, {"ethereum": canonical}, Destinations(self.inventory, self.allowed)),
            payees=self.payees,
            clock=lambda: self.time,
            new_id=lambda: next(numbers),
        )

    def _accounts(self, name: str) -> Readings | None:
        found = Readings(tip(self.read_at), at(self.read_at), {Address(f"account of {name}"): {"ETH": "5"}})
        return None if name in self.removed else found

    async def _resolved(self, since: datetime) -> Sequence[Finding]:
        self.asked_since.append(since)
        return []

    async def _history(self, query: Sequence[tuple[str, str]]) -> Mapping[str, Any]:
        return {"asked": [list(one) for one in query]}

    async def _reload(self, who: str) -> str:
        if self.reload_error is not None:
            raise self.reload_error
        self.reloaded_by.append(who)
        return "abc"

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        app = application(self.sources(), gatekeeper=lambda: Gatekeeper(self.tokens))
        async with TestClient(TestServer(app)) as client:
            yield client


async def judged(*updates: Update, seconds: float = 1) -> Report:
    bench = Bench()
    for update in updates:
        bench.pipeline.ledger.apply(update)
    return await bench.pipeline.cycle(at(seconds))


READ = complete(1, {(1, ETH): 6 * ETHER, (2, ETH): 94 * ETHER})


async def ask(
    world: World, path: str, *, method: str = "GET", headers: Mapping[str, str] | None = None
) -> tuple[int, Any, Mapping[str, str]]:
    async with world.client() as client, client.request(method, path, headers=headers) as response:
        is_json = response.content_type.endswith("json")
        return response.status, await (response.json() if is_json else response.text()), response.headers


async def test_the_report_carries_every_figure_as_a_string_with_its_block() -> None:
    status, body, _ = await ask(World(report=await judged(READ), time=at(3)), "/api/v1/report")
    assert status == 200
    assert READ.tip is not None
    assert body["chains"]["ethereum"]["hash"] == READ.tip.hash
    assert body["chains"]["ethereum"]["age_seconds"] == 2
    assert body["wallets"]["hot"]["holdings"] == {
        "ETH": {"units": "6000000000000000000", "amount": "6", "value": "3000000.00"}
    }
    assert body["exposure"]["hot_share"]["all"] == {"value": "0.06", "low": "0.06", "high": "0.06"}
    (verdict,) = body["verdicts"]
    assert (verdict["policy"], verdict["verdict"], verdict["limit"]) == ("jp-psa/hot-share", "breach", "0.05")
    (finding,) = body["findings"]
    assert (finding["state"], finding["since"]) == ("firing", "2026-11-23T12:00:01Z")
    move = {"wallet": "hot", "asset": "ETH", "amount": "1.1", "direction": "out", "counterpart": "tier cold"}
    assert finding["moves"] == [move]


async def test_a_wallet_that_is_unread_has_no_holding_but_its_last_and_the_bounds() -> None:
    report = await judged(READ, complete(2, {(2, ETH): 94 * ETHER}, unread=[(1, ETH)]), seconds=2)
    _, body, _ = await ask(World(report=report), "/api/v1/wallets")
    assert body["hot"]["holdings"] == {}
    assert body["hot"]["last"] == {"ETH": {"amount": "6", "at": "2026-11-23T12:00:01Z"}}
    assert body["hot"]["doubtful"]["ETH"]["amount"] == {"value": None, "low": "0", "high": "12"}
    assert body["hot"]["unread"] == 1
    assert body["cold"]["holdings"]["ETH"]["amount"] == "94"


async def test_one_wallet_shows_its_accounts_and_its_block() -> None:
    world = World(report=await judged(READ))
    status, body, _ = await ask(world, "/api/v1/wallets/hot")
    assert (status, body["readings"]) == (200, {"account of hot": {"ETH": "5"}})
    assert body["height"] == body["block"]["height"] == 1
    status, body, headers = await ask(world, "/api/v1/wallets/nobody")
    assert (status, headers["Content-Type"].split(";")[0]) == (404, "application/problem+json")
    assert body["detail"] == "there is no wallet nobody"


async def test_readings_that_are_a_block_ahead_of_the_judgement_carry_their_own_block() -> None:
    world = World(report=await judged(READ), time=at(5), read_at=2)
    _, body, _ = await ask(world, "/api/v1/wallets/hot")
    assert (body["height"], body["block"]["height"], body["block"]["hash"]) == (1, 2, tip(2).hash)
    assert body["block"]["age_seconds"] == 3


async def test_a_wallet_that_a_reload_has_removed_is_no_server_error_while_its_last_judgement_stands() -> None:
    status, body, _ = await ask(World(report=await judged(READ), removed=["hot"]), "/api/v1/wallets/hot")
    assert (status, body["detail"]) == (404, "there is no wallet hot")


@pytest.mark.parametrize("path", ["report", "status", "exposure", "wallets", "chains", "findings"])
async def test_before_the_first_judgement_figures_are_a_503_problem(path: str) -> None:
    status, body, _ = await ask(World(), f"/api/v1/{path}")
    assert (status, body["title"], body["detail"]) == (503, "Service Unavailable", "nothing was judged yet")


async def test_status_says_the_worst_verdict_first() -> None:
    _, body, _ = await ask(World(report=await judged(READ)), "/api/v1/status")
    assert (body["verdict"], body["verdicts"], body["ready"]) == ("breach", {"ok": 0, "breach": 1, "unknown": 0}, True)
    assert body["receivers"] == {"am-1": "no answer within 10 s"}
    _, body, _ = await ask(World(report=await judged(READ, seconds=99)), "/api/v1/status")
    assert (body["verdict"], body["ready"]) == ("unknown", False)


async def test_status_of_a_daemon_that_does_not_judge_any_more_is_unknown_and_not_ready() -> None:
    """What was ok when it judged last may be so no longer; a breach stays one."""
    calm = replace(await judged(READ), verdicts=())
    _, body, _ = await ask(World(report=calm), "/api/v1/status")
    assert (body["verdict"], body["ready"], body["problems"]) == ("ok", True, [])
    _, body, _ = await ask(World(report=calm, loop_time=111.0), "/api/v1/status")
    assert (body["verdict"], body["ready"]) == ("unknown", False)
    assert body["problems"] == ["the last judgement is from 2026-11-23T12:00:01Z"]
    _, body, _ = await ask(World(report=await judged(READ), loop_time=111.0), "/api/v1/status")
    assert (body["verdict"], body["ready"]) == ("breach", False)


@pytest.mark.parametrize("path", ["wallets", "report"])
async def test_no_gate_is_told_as_open_by_a_judgement_that_nobody_renews(path: str) -> None:
    """As at /api/v1/gate and in the metrics: whoever reads it here must not go on where others stop."""
    found = await judged(READ)
    report = replace(found, gates={name: gate(name, open=True) for name in found.wallets})
    for loop_time, word in ((109.0, "open"), (111.0, "closed")):
        _, body, _ = await ask(World(report=report, loop_time=loop_time), f"/api/v1/{path}")
        assert {one["gate"] for one in body.get("wallets", body).values()} == {word}


async def test_exposure_chains_policies_and_config_are_served() -> None:
    world = World(report=await judged(READ))
    _, body, _ = await ask(world, "/api/v1/exposure")
    assert (body["value"]["value"], body["currency"]) == ("3000000.00", "JPY")
    _, body, _ = await ask(world, "/api/v1/chains")
    assert body["ethereum"]["height"] == 1
    assert (await ask(world, "/api/v1/policies"))[1] == [{"policy": "jp-psa/hot-share"}]
    assert (await ask(world, "/api/v1/config"))[1] == {"entity": "Example Exchange KK"}


async def test_ready_with_a_complete_current_picture_and_not_otherwise() -> None:
    assert (await ask(World(report=await judged(READ), time=at(2)), "/readyz"))[0] == 200
    dead = World(report=await judged(READ, failed(2), seconds=99), time=at(99))
    status, body, _ = await ask(dead, "/readyz")
    assert status == 503
    assert "connection refused" in body["reasons"][0]
    frozen = World(report=await judged(READ), loop_time=111.0)
    assert (await ask(frozen, "/readyz"))[1]["reasons"] == ["the last judgement is from 2026-11-23T12:00:01Z"]
    assert (await ask(World(), "/readyz"))[0] == 503


async def test_alive_while_the_loop_turns_and_dead_when_it_does_not() -> None:
    assert (await ask(World(loop_time=109.0), "/healthz"))[0] == 200
    status, body, _ = await ask(World(loop_time=111.0), "/healthz")
    assert (status, body["detail"]) == (503, "no pass of the pipe has ended for 11.0 s; expected one within 10 s")


async def test_resolved_findings_are_asked_from_the_store() -> None:
    world = World()
    assert (await ask(world, "/api/v1/findings?state=resolved&hours=48"))[:2] == (200, [])
    assert world.asked_since == [NOON - timedelta(hours=48)]


@pytest.mark.parametrize(
    "query", ["state=old", "state=resolved&hours=x", "state=resolved&hours=-1", "state=resolved&hours=nan"]
)
async def test_a_bad_query_is_a_problem_that_says_what_was_expected(query: str) -> None:
    status, body, _ = await ask(World(report=await judged(READ)), f"/api/v1/findings?{query}")
    assert status == 400
    assert "expected" in body["detail"]


async def test_a_bad_configuration_is_refused_with_its_one_line() -> None:
    world = World(reload_error=ConfigError("a.yaml: entity", "expected a text"))
    status, body, _ = await ask(world, "/-/reload", method="POST")
    assert (status, body["detail"]) == (422, "a.yaml: entity: expected a text")


async def test_reload_names_who_asked() -> None:
    world = World(tokens=[key("deploy", Scope.OPERATE, "s3cret")])
    headers = {"Authorization": "Bearer s3cret"}
    assert (await ask(world, "/-/reload", method="POST", headers=headers))[0] == 200
    assert world.reloaded_by == ["deploy"]


TOKENS = [key("grafana", Scope.READ, "r-token"), key("root", Scope.ADMIN, "a-token")]


@pytest.mark.parametrize(
    ("method", "path", "token", "status"),
    [
        ("GET", "/api/v1/policies", None, 401),
        ("GET", "/api/v1/policies", "wrong", 401),
        ("GET", "/api/v1/policies", "r-token", 200),
        ("GET", "/metrics", None, 401),
        ("GET", "/metrics", "r-token", 200),
        ("POST", "/-/reload", None, 401),
        ("POST", "/-/reload", "r-token", 403),
        ("POST", "/-/reload", "a-token", 200),
        ("GET", "/healthz", None, 200),
        ("GET", "/nothing", None, 401),
    ],
)
async def test_tokens_open_what_their_scope_covers(method: str, path: str, token: str | None, status: int) -> None:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    got, body, answered = await ask(World(tokens=TOKENS), path, method=method, headers=headers)
    assert got == status
    assert ("WWW-Authenticate" in answered) == (status == 401)
    assert "r-token" not in str(body)


async def test_a_page_from_elsewhere_may_not_press_a_button_on_loopback() -> None:
    world = World()
    for origin, status in (("http://evil.example", 403), ("null", 403)):
        assert (await ask(world, "/-/reload", method="POST", headers={"Origin": origin}))[0] == status
    async with world.client() as client:
        own = {"Origin": str(client.make_url("/")).rstrip("/")}
        assert (await client.post("/-/reload", headers=own)).status == 200


@pytest.mark.parametrize(("path", "method", "status"), [("/nothing", "GET", 404), ("/api/v1/report", "DELETE", 405)])
async def test_even_wrong_paths_and_methods_are_problem_documents(path: str, method: str, status: int) -> None:
    got, body, headers = await ask(World(), path, method=method)
    assert (got, body["status"]) == (status, status)
    assert headers["Content-Type"].startswith("application/problem+json")


async def test_answers_are_not_cached_and_the_page_runs_only_its_own_files() -> None:
    _, _, headers = await ask(World(report=await judged(READ)), "/api/v1/report")
    assert headers["Cache-Control"] == "no-store"
    assert "script-src 'self'" in headers["Content-Security-Policy"]


async def test_metrics_speak_both_exposition_formats() -> None:
    for accept, expected in (("text/plain", "text/plain"), ("application/openmetrics-text", "application/openmetrics")):
        status, _, headers = await ask(World(), "/metrics", headers={"Accept": accept})
        assert (status, headers["Content-Type"].startswith(expected)) == (200, True)


async def test_a_question_about_the_past_is_handed_on_as_it_came() -> None:
    status, body, _ = await ask(World(), "/api/v1/history?metric=hot_share&step=1h&step=2h")
    assert (status, body) == (200, {"asked": [["metric", "hot_share"], ["step", "1h"], ["step", "2h"]]})
