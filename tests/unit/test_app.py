"""The composition root in this process: it starts, swaps and ends in good order, whatever its parts do."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from structlog.testing import capture_logs

from connectors.base import Address, Drift, Movement, Stage, Tip, Token, Update
from daemon import once
from daemon.app import App, utc_now
from daemon.check import ask_everything
from daemon.errors import ConfigError, StoreError
from daemon.ledger import GapError
from daemon.model import Finding, Judgement, Report, State, Verdict
from daemon.ports import Sink
from daemon.reload import load_whole
from daemon.store import Stores
from tests.delivery_cases import (
    MemoryAnnouncements,
    MemoryAudit,
    MemoryChecks,
    MemoryMemories,
    MemoryPriceDays,
    MemoryStore,
)
from tests.gated import MemoryGates
from tests.pricing import Figures
from tests.system.daemon import until
from tests.system.exchange import COLD, HOT, config

DEAD = "http://127.0.0.1:9"
BLIND_AT_ONCE = {"kind": "blind", "name": "blind", "hold": "0s"}


class Running:
    """An App that runs beside the test on a store of the test's; `file` is what a reload reads."""

    def __init__(self, app: App, *, file: Path, sinks: Sequence[Sink]) -> None:
        self.app = app
        self.file = file
        self.stop = asyncio.Event()
        self._task = asyncio.create_task(app.run(self.stop, more=sinks))

    async def ended(self) -> None:
        """Stops it; TimeoutError when it does not end by itself."""
        self.stop.set()
        await asyncio.wait_for(self._task, 10)

    async def served(self) -> None:
        """Until the API listens."""
        await until(lambda: self.app.address != ("", 0) or self._task.done())

    async def reported(self) -> Report:
        await until(lambda: self.app.report is not None or self._task.done())
        assert self.app.report is not None
        return self.app.report


def written(folder: Path, **more: Any) -> Path:  # noqa: ANN401 - YAML values
    """A configuration whose node is dead, so that `blind` fires at once."""
    file = folder / "pyrometer.yaml"
    whole = {"entity": "Example KK", "currency": "JPY", "api": {"listen": "127.0.0.1:0"}, "tick": "20ms"}
    file.write_text(yaml.safe_dump({**whole, **config(DEAD), **more}))
    return file


@asynccontextmanager
async def running(
    folder: Path,
    *,
    store: MemoryStore,
    checks: MemoryChecks | None = None,
    audit: MemoryAudit | None = None,
    memories: MemoryMemories | None = None,
    gates: MemoryGates | None = None,
    sinks: Sequence[Sink] = (),
    **more: Any,  # noqa: ANN401 - YAML values
) -> AsyncIterator[Running]:
    file = written(folder, **more)
    async with aiohttp.ClientSession() as session:
        loaded = load_whole(file, env={}, now=utc_now())
        log = audit or MemoryAudit()
        announcements = MemoryAnnouncements(log)
        checked = checks or MemoryChecks()
        stores = Stores(store, checked, MemoryPriceDays(), log, announcements, memories=memories, gates=gates)
        app = App(loaded, env={}, now=utc_now, stores=stores, session=session)
        subject = Running(app, file=file, sinks=sinks)
        try:
            yield subject
        finally:
            await subject.ended()


async def test_a_receiver_may_be_called_like_one_of_our_workers(tmp_path: Path) -> None:
    receivers = {"endpoints": [{"url": DEAD, "name": name} for name in ("judge", "store", "reload", "prune")]}
    async with running(tmp_path, store=MemoryStore(), alertmanager=receivers) as subject:
        await subject.reported()
        await subject.ended()


async def test_what_the_store_had_not_taken_is_offered_to_it_a_last_time(tmp_path: Path) -> None:
    store = MemoryStore(faults=["before"] * 1000)
    async with running(
        tmp_path, store=store, policies=[BLIND_AT_ONCE, {"kind": "hot_share", "limit": 0.05}]
    ) as subject:
        await subject.reported()
        await until(lambda: subject.app.report and subject.app.report.findings)
        store.faults.clear()
        await subject.ended()
    assert [item.state for item in store.kept.values()] == [State.FIRING]


class Breaking:
    """A sink with a bug, from its second report on."""

    def __init__(self) -> None:
        self.offers = 0

    def offer(self, report: Report) -> None:
        self.offers += 1
        if self.offers > 1:
            raise ZeroDivisionError("a bug in a sink")


async def test_a_broken_sink_stops_neither_the_judging_nor_what_it_is_known_by(tmp_path: Path) -> None:
    broken = Breaking()
    async with running(tmp_path, store=MemoryStore(), sinks=[broken]) as subject:
        await subject.reported()
        for offers in (2, 3, 4):
            before = subject.app.report
            await until(lambda offers=offers: broken.offers >= offers)  # type: ignore[misc]
            assert subject.app.report is not before


class Stubborn(MemoryStore):
    """Can't be read at first, hangs afterwards, and takes its time to be cancelled."""

    def __init__(self) -> None:
        super().__init__(faults=["before"])
        self.hangs = asyncio.Event()

    async def findings(self) -> tuple[Finding, ...]:
        await super().findings()
        self.hangs.set()
        try:
            return await asyncio.Future()
        finally:
            await asyncio.sleep(0.5)


async def test_a_reload_under_way_when_it_is_stopped_leaves_nothing_running(tmp_path: Path) -> None:
    store = Stubborn()
    async with running(tmp_path, store=store) as subject:
        await store.hangs.wait()
        written(tmp_path, chains=config(DEAD, "http://127.0.0.1:10")["chains"])
        reloading = asyncio.create_task(subject.app.reload("a test"))
        await asyncio.sleep(0)
        await subject.ended()
        await reloading


async def test_a_reload_is_told_to_the_audit_log_before_it_is_done_whoever_asks(tmp_path: Path) -> None:
    audit = MemoryAudit()
    async with running(tmp_path, store=MemoryStore(), audit=audit, policies=[BLIND_AT_ONCE]) as subject:
        await subject.served()
        sha256 = await subject.app.reload("aya")
        subject.app.request_reload()
        await until(lambda: len(audit.rows) == 2)
    told = [json.loads(row.text) for row in audit.rows]
    assert [(one["who"], one["what"], one["body"]) for one in told] == [
        (who, "reload", {"sha256": sha256}) for who in ("aya", "SIGHUP")
    ]


async def test_a_reload_that_the_audit_log_does_not_take_leaves_the_running_configuration(tmp_path: Path) -> None:
    audit = MemoryAudit()
    async with running(tmp_path, store=MemoryStore(), audit=audit, policies=[BLIND_AT_ONCE]) as subject:
        await subject.served()
        audit.fails = True
        written(tmp_path, policies=[])
        with pytest.raises(StoreError, match="told to fail"):
            await subject.app.reload("aya")
        assert [rule["kind"] for rule in subject.app._policies() if rule["policy"] == "blind"] == ["blind"]
        audit.fails = False
        await subject.app.reload("aya")
        assert len(audit.rows) == 1


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"entity": "Another KK"}, "entity"),
        ({"log": {"level": "debug"}}, "log"),
        ({"store": "sqlite+aiosqlite:///elsewhere.db"}, "store"),
        ({"api": {"listen": "127.0.0.1:1"}}, "api.listen"),
        ({"alertmanager": {"endpoints": [DEAD]}}, "alertmanager"),
    ],
)
async def test_what_is_taken_up_once_is_refused_by_a_reload_and_not_half_done(
    tmp_path: Path, change: dict[str, Any], name: str
) -> None:
    async with running(tmp_path, store=MemoryStore()) as subject:
        await subject.reported()
        written(tmp_path, **change)
        with pytest.raises(ConfigError, match=f"{name} differs from the running configuration; restart to change it"):
            await subject.app.reload("a test")


ETH = Token("ethereum", None, 18)
FIRST = Tip(1, "0x01", utc_now())


def swept(*, movements: Sequence[Movement] = (), drift: tuple[Drift, ...] | None = None) -> Update:
    """What a connector's complete update tells besides the balances, of which it says none."""
    return Update("ethereum", utc_now(), FIRST, complete=True, movements=tuple(movements), drift=drift)


def out_of(account: str) -> Movement:
    paid = ((Address(account), -(10**18)),)
    return Movement("0xaa", ETH, Stage.PENDING, None, paid, 0, (), (), None, 0)


async def test_a_stop_that_comes_together_with_news_is_not_lost(tmp_path: Path) -> None:
    async with running(tmp_path, store=MemoryStore()) as subject:
        first = await subject.reported()
        await until(lambda: subject.app.report is not first)  # from now on it waits for news
        subject.app._take(swept())
        await subject.ended()


async def asked(app: App, path: str) -> Any:  # noqa: ANN401 - JSON
    host, port = app.address
    async with aiohttp.ClientSession() as session, session.get(f"http://{host}:{port}{path}") as answer:
        return await answer.json()


async def test_what_a_connector_tells_reaches_the_log_the_api_the_report_and_the_metrics(tmp_path: Path) -> None:
    async with running(tmp_path, store=MemoryStore()) as subject:
        await subject.served()
        with capture_logs() as logs:
            subject.app._take(swept(movements=[out_of(COLD)], drift=(Drift(Address(HOT), ETH, 1, 2),)))
        said = [(line["log_level"], line["event"]) for line in logs]
        assert said == [("warning", "a cold wallet pays"), ("warning", "a sweep found drift")]
        await until(lambda: subject.app.report and subject.app.report.movements)
        assert subject.app.report is not None
        (finding,) = (one for one in subject.app.report.findings if one.verdict.alert == "PyrometerDrift")
        assert (finding.state, finding.verdict.policy) == (State.FIRING, "builtin/drift")
        (movement,) = await asked(subject.app, "/api/v1/movements?wallet=eth-cold-1")
        (shown,) = (await asked(subject.app, "/api/v1/report"))["movements"]
        assert movement == shown
        value = subject.app.metrics.registry.get_sample_value
        assert value("pyrometer_drift_accounts_total", {"chain": "ethereum"}) == 1


async def test_when_it_says_that_all_was_judged_what_was_heard_before_is_in_the_report(tmp_path: Path) -> None:
    async with running(tmp_path, store=MemoryStore()) as subject:
        await subject.served()
        subject.app._take(swept(movements=[out_of(COLD)]))
        await asyncio.wait_for(subject.app.judged(), 15)
        assert subject.app.report is not None
        assert [one.moved.movement.transaction for one in subject.app.report.movements] == ["0xaa"]


async def test_a_sweep_that_found_nothing_is_not_logged(tmp_path: Path) -> None:
    async with running(tmp_path, store=MemoryStore()) as subject:
        await subject.served()
        with capture_logs() as logs:
            subject.app._take(swept(drift=()))
        assert logs == []


async def test_an_update_that_does_not_continue_is_neither_logged_nor_entered(tmp_path: Path) -> None:
    async with running(tmp_path, store=MemoryStore()) as subject:
        await subject.served()
        gap = Update("ethereum", utc_now(), FIRST, FIRST, movements=(out_of(COLD),), drift=())
        with capture_logs() as logs, pytest.raises(GapError):
            subject.app._take(gap)
        assert logs == []
        assert await asked(subject.app, "/api/v1/movements") == []


async def test_a_reload_keeps_movements_and_what_it_no_longer_watches_stays_an_address(tmp_path: Path) -> None:
    async with running(tmp_path, store=MemoryStore()) as subject:
        await subject.served()
        subject.app._take(swept(movements=[out_of(COLD)], drift=(Drift(Address(COLD), ETH, 1, 2),)))
        written(tmp_path, wallets={"eth-hot-1": {"chain": "ethereum", "tier": "hot", "addresses": [HOT]}})
        await subject.app.reload("a test")
        (movement,) = await asked(subject.app, "/api/v1/movements")
        (wallet,) = movement["wallets"]
        assert (wallet["wallet"], wallet["tier"], wallet["accounts"][0]["account"]) == (None, None, COLD)
        report = subject.app.report
        await until(lambda: subject.app.report is not report)
        assert subject.app.report is not None
        (drift,) = (one for one in subject.app.report.verdicts if one.alert == "PyrometerDrift")
        assert drift.evidence["drift"][0]["wallet"] is None
        answer = await asked(subject.app, "/api/v1/movements?wallet=eth-cold-1")
        assert answer["detail"] == "wallet: there is no wallet 'eth-cold-1'; did you mean eth-hot-1?"


def source(figures: Figures, **more: object) -> dict[str, object]:
    return {"kind": "http", "url": figures.url, "values": "@", "every": "20ms", **more}


def heard(app: App) -> dict[str, str | None]:
    """By source what keeps it from being current, as last judged."""
    sources = app.report.feeds.sources if app.report else ()
    return {state.label: state.reason for state in sources}


async def test_a_reload_begins_on_new_sources_and_lets_the_others_go_on(tmp_path: Path) -> None:
    async with Figures('{"ETH": 7}').serving() as prices, Figures('{"ETH": 1}').serving() as owed:
        first = {"prices": [source(prices)]}
        second = {**first, "liabilities": [source(owed)]}
        async with running(tmp_path, store=MemoryStore(), feeds=first) as subject:
            await until(lambda: heard(subject.app) == {"prices/http": None})
            prices.status = 500
            written(tmp_path, feeds=second)
            await subject.app.reload("a test")
            await until(lambda: heard(subject.app) == {"prices/http": None, "liabilities/http": None})
            written(tmp_path, feeds={"liabilities": [source(owed)]})
            await subject.app.reload("a test")
            await until(lambda: heard(subject.app) == {"liabilities/http": None})
            asked = prices.asked
            await until(lambda more=owed.asked + 3: owed.asked >= more)  # type: ignore[misc]
            assert prices.asked == asked


async def test_a_source_that_is_asked_elsewhere_starts_anew(tmp_path: Path) -> None:
    async with (
        Figures('{"ETH": 7}').serving() as one,
        Figures('{"ETH": 8}').serving() as other,
        running(tmp_path, store=MemoryStore(), feeds={"prices": [source(one)]}) as subject,
    ):
        await until(lambda: heard(subject.app) == {"prices/http": None})
        other.status = 500
        written(tmp_path, feeds={"prices": [source(other)]})
        await subject.app.reload("a test")
        await until(lambda: heard(subject.app) == {"prices/http": "unavailable"})
        assert subject.app.report is not None
        assert subject.app.report.feeds.prices == {}


async def test_one_look_asks_every_source_before_it_judges(tmp_path: Path) -> None:
    async with Figures('{"ETH": 7}').serving() as prices, Figures("{}").serving() as owed:
        feeds = {"prices": [source(prices)], "liabilities": [source(owed)]}
        loaded = load_whole(written(tmp_path, feeds=feeds), env={}, now=utc_now())
        report = (await once.look(loaded, now=utc_now)).report
    assert report.feeds.prices["ETH"].value.value == 7
    assert [(state.label, state.reason) for state in report.feeds.sources] == [
        ("prices/http", None),
        ("liabilities/http", "bad_answer"),
    ]


async def test_a_live_check_prints_a_line_for_every_source(tmp_path: Path) -> None:
    async with Figures('{"ETH": 0}').serving() as prices, Figures('{"ETH": 1}').serving() as owed:
        feeds = {"prices": [source(prices)], "liabilities": [source(owed)]}
        loaded = load_whole(
            written(tmp_path, feeds=feeds, store=f"sqlite+aiosqlite:///{tmp_path}/p.db"), env={}, now=utc_now()
        )
        found = {answer.what: answer.trouble async for answer in ask_everything(loaded, now=utc_now)}
    assert found["feed liabilities/http"] is None
    assert found["feed prices/http"] == "ETH: 0 is no price"


def reserves(fund: str) -> dict[str, Any]:
    """A rule that was due an hour ago and knows all that it needs, whatever becomes of the chains."""
    due = {"at": f"{utc_now() - timedelta(hours=1):%H:%M}", "timezone": "UTC"}
    rule = {"kind": "reserve", "required": "2 JPY", "schedule": due}
    return {"policies": [rule], "feeds": {"reserves": {"fund": fund}}}


async def judged_reserve(subject: Running) -> Verdict:
    report = await subject.reported()
    return next(verdict for verdict in report.verdicts if verdict.policy == "reserve")


async def test_after_a_restart_the_verdict_of_the_day_stands(tmp_path: Path) -> None:
    """The fund has been emptied meanwhile: that is for tomorrow's check to say."""
    checks, before = MemoryChecks(), reserves("3 JPY")
    async with running(tmp_path, store=MemoryStore(), checks=checks, **before) as subject:
        first = await judged_reserve(subject)
    assert first.judgement is Judgement.OK
    after = {**before, "feeds": {"reserves": {"fund": "1 JPY"}}}
    async with running(tmp_path, store=MemoryStore(), checks=checks, **after) as subject:
        assert await judged_reserve(subject) == first


async def test_without_its_past_it_judges_what_was_due_at_once(tmp_path: Path) -> None:
    async with running(tmp_path, store=MemoryStore(), checks=MemoryChecks(), **reserves("1 JPY")) as subject:
        assert (await judged_reserve(subject)).judgement is Judgement.BREACH


async def test_a_verdict_that_the_store_told_too_late_takes_the_place_of_the_one_judged_without_it(
    tmp_path: Path,
) -> None:
    checks, before = MemoryChecks(), reserves("3 JPY")
    async with running(tmp_path, store=MemoryStore(), checks=checks, **before) as subject:
        first = await judged_reserve(subject)
    checks.fails = True
    after = {**before, "feeds": {"reserves": {"fund": "1 JPY"}}}
    async with running(tmp_path, store=MemoryStore(), checks=checks, **after) as subject:
        assert (await judged_reserve(subject)).judgement is Judgement.BREACH
        checks.fails = False
        await until(lambda: subject.app.report and first in subject.app.report.verdicts)


async def test_the_store_is_down_also_when_only_what_detection_knows_can_not_be_kept(tmp_path: Path) -> None:
    """No finding changes, so that the queue of notifications has nothing to ask of the store."""
    memories = MemoryMemories(fails=True)
    async with running(tmp_path, store=MemoryStore(), memories=memories) as subject:
        registry = subject.app.metrics.registry
        await until(lambda: registry.get_sample_value("pyrometer_store_up") == 0)
        memories.fails = False
        await until(lambda: registry.get_sample_value("pyrometer_store_up") == 1)


async def test_the_store_is_down_also_when_only_a_gate_that_somebody_closed_can_not_be_kept(tmp_path: Path) -> None:
    """Killed now, the daemon would come back with a gate that is open."""
    gates = MemoryGates()
    async with running(tmp_path, store=MemoryStore(), gates=gates) as subject:
        await subject.reported()
        registry = subject.app.metrics.registry
        assert registry.get_sample_value("pyrometer_store_up") == 1
        gates.away = True
        await subject.app._keepers.gates.close("eth-hot-1", who="bob", reason="to be safe")
        assert registry.get_sample_value("pyrometer_store_up") == 0
        gates.away = False
        await until(lambda: registry.get_sample_value("pyrometer_store_up") == 1)


async def test_a_pass_without_news_is_judged_and_emitted_and_nothing_is_read(tmp_path: Path) -> None:
    async with running(tmp_path, store=MemoryStore()) as subject:
        await subject.reported()
        registry = subject.app.metrics.registry

        def passes(stage: str) -> float | None:
            return registry.get_sample_value("pyrometer_stage_seconds_count", {"stage": stage})

        await until(lambda: (passes("judge") or 0) > 2 and passes("judge") == passes("emit"))
        assert passes("read") == 0
