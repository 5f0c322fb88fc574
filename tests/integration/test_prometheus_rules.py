"""What we ship for Prometheus is what it accepts, its rules say what they are to say, and a real one lives on it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.alertmanager import Alertmanager, running_alertmanager
from tests.integration.anvil import AnvilNode, free_port
from tests.integration.prometheus import DEADLINE, HINT, SHIPPED, Prometheus, put_shipped
from tests.real import ROOT, require_program
from tests.system.daemon import Daemon, running_daemon
from tests.system.exchange import config, fund

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

RULES, TESTS = sorted(SHIPPED.glob("rules/*.yml")), sorted(SHIPPED.glob("tests/*.yml"))
TOKEN_FILE = "/run/secrets/prometheus_token"
TOKEN = "prometheus-throw-away"
DEAD = "http://127.0.0.1:9"

SOONER = {
    "evaluation_interval: 10s": "evaluation_interval: 1s",
    "scrape_interval: 15s": "scrape_interval: 1s",
    "scrape_interval: 5s": "scrape_interval: 1s",
    "scrape_timeout: 4s": "scrape_timeout: 1s",
    "for: 1m\n": "for: 2s\n",
}
"""A test does not wait a minute for PyrometerDown. tests/*.yml hold how long it really takes."""


async def promtool(*arguments: str | Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        require_program("promtool", HINT), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def test_promtool_accepts_every_rule() -> None:
    code, output = await promtool("check", "rules", *RULES)
    assert code == 0, output
    assert len(RULES) == output.count("SUCCESS") == 2


async def test_promtool_accepts_the_configuration_with_the_rules_that_it_names(tmp_path: Path) -> None:
    """It looks for the token's file, which only the stack has."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    put_shipped(tmp_path, {TOKEN_FILE: str(token)})
    code, output = await promtool("check", "config", tmp_path / "prometheus.yml")
    assert code == 0, output
    assert "2 rule files found" in output


@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.name)
async def test_the_rules_say_what_they_are_to_say(path: Path) -> None:
    code, output = await promtool("test", "rules", path)
    assert code == 0, output


def test_what_is_shipped_for_prometheus_and_for_the_daemon_speaks_of_one_exchange() -> None:
    """Else alerts of the two would not belong together, and none would mute what follows from it."""
    shipped = yaml.safe_load((SHIPPED / "prometheus.yml").read_text())
    (pyrometer,) = [job for job in shipped["scrape_configs"] if job["job_name"] == "pyrometer"]
    entity = yaml.safe_load((ROOT / "deploy" / "pyrometer" / "pyrometer.yaml").read_text())["entity"]
    assert shipped["global"]["external_labels"] == {"entity": entity}
    assert [group["labels"] for group in pyrometer["static_configs"]] == [{"entity": entity}]


def alert_names(rules: Path) -> set[str]:
    groups = yaml.safe_load(rules.read_text())["groups"]
    return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


def test_every_alert_is_seen_to_fire_and_not_to_fire() -> None:
    cases = [case for path in TESTS for test in yaml.safe_load(path.read_text())["tests"] for case in _cases(test)]
    fires = {name for name, firing in cases if firing}
    silent = {name for name, firing in cases if not firing}
    every = alert_names(SHIPPED / "rules" / "alerting.yml")
    assert every - fires == set()
    assert every - silent == {"PyrometerPrometheusWatchdog"}
    assert fires | silent <= every


def _cases(test: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(one["alertname"], bool(one["exp_alerts"])) for one in test.get("alert_rule_test", ())]


@dataclass
class Stack:
    daemon: Daemon
    prometheus: Prometheus
    alertmanager: Alertmanager


@asynccontextmanager
async def stack(folder: Path) -> AsyncIterator[Stack]:
    """A daemon that wants a token and reads a living chain and a dead one, and the shipped configuration around it."""
    port, files = free_port(), folder / "prometheus"
    (folder / "tokens.yaml").write_text(
        yaml.safe_dump([{"name": "prometheus", "scope": "read", "sha256": hashlib.sha256(TOKEN.encode()).hexdigest()}])
    )
    (folder / "token").write_text(TOKEN)
    (folder / "alertmanager").mkdir()
    async with AnvilNode() as anvil, running_alertmanager(folder / "alertmanager") as alertmanager:
        await fund(anvil, hot=60, cold=940)
        whole = exchange(anvil.url, api={"listen": f"127.0.0.1:{port}", "tokens_file": "tokens.yaml"})
        whole["alertmanager"] = {"endpoints": [{"url": alertmanager.url, "name": "am-1"}]}
        prometheus = Prometheus(files / "prometheus.yml", data=folder / "data")
        changes = {
            "prometheus:9090": f"127.0.0.1:{prometheus.port}",
            "pyrometer:9517": f"127.0.0.1:{port}",
            "alertmanager:9093": f"127.0.0.1:{alertmanager.port}",
            TOKEN_FILE: str(folder / "token"),
            "# runbooks: https:": "runbooks: https:",
            **SOONER,
        }
        put_shipped(files, changes)
        async with running_daemon(folder, whole) as daemon:
            daemon.token = TOKEN
            try:
                await prometheus.start()
                yield Stack(daemon, prometheus, alertmanager)
            finally:
                await prometheus.stop()


def exchange(url: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - YAML values
    """The small exchange over its limit, with one node that is dead, and a chain of which nothing is ever read."""
    whole = config(DEAD, url, **more)
    whole["chains"]["dead"] = {
        **whole["chains"]["ethereum"],
        "endpoints": [{"url": DEAD, "name": "dead-1"}],
        "chain_id": 5,
    }
    whole["policies"] = [{"kind": "hot_share", "name": "hot-share", "limit": 0.05, "scope": "both"}]
    whole["assets"]["DED"] = {"tokens": [{"chain": "dead"}]}
    whole["wallets"]["dead-hot-1"] = {"chain": "dead", "tier": "hot", "addresses": ["0x" + "d1" * 20]}
    return whole


async def test_a_real_prometheus_lives_on_the_shipped_configuration(tmp_path: Path) -> None:
    async with stack(tmp_path) as the:
        await the.prometheus.seen(lambda found: found["result"], "query", query="pyrometer_chain_height")
        await _every_target_is_up(the.prometheus)
        await _every_rule_is_well(the.prometheus)
        await _what_is_known_is_there_and_what_is_not_is_absent(the.prometheus)
        await _the_block_of_a_detection_is_kept(the.prometheus)
        await _the_death_of_the_daemon_reaches_alertmanager(the)


async def _every_target_is_up(prometheus: Prometheus) -> None:
    jobs = {"pyrometer", "prometheus", "alertmanager"}
    found = await prometheus.seen(lambda found: len(found["result"]) == 3, "query", query="up == 1")
    assert {one["metric"]["job"] for one in found["result"]} == jobs
    (target,) = [one["metric"] for one in found["result"] if one["metric"]["job"] == "pyrometer"]
    assert target["entity"] == "Example Exchange KK"


async def _every_rule_is_well(prometheus: Prometheus) -> None:
    """Evaluated on real series, twice: whoever depends on another has seen it."""
    for _ in range(2):
        newest = max(rule["lastEvaluation"] for rule in await _rules(prometheus))
        await prometheus.seen(partial(_evaluated, after=newest), "rules")
    rules = await _rules(prometheus)
    assert {rule["health"] for rule in rules} == {"ok"}, [rule for rule in rules if rule["health"] != "ok"]
    assert len(rules) == sum(
        len(group["rules"]) for path in RULES for group in yaml.safe_load(path.read_text())["groups"]
    )


async def _rules(prometheus: Prometheus) -> list[dict[str, Any]]:
    return [rule for group in (await prometheus.asked("rules"))["groups"] for rule in group["rules"]]


def _evaluated(found: dict[str, Any], *, after: str) -> bool:
    return all(rule["lastEvaluation"] > after for group in found["groups"] for rule in group["rules"])


async def _what_is_known_is_there_and_what_is_not_is_absent(prometheus: Prometheus) -> None:
    for present in (
        'pyrometer_wallet_balance{wallet="eth-hot-1"}',
        'pyrometer_chain_max_age_seconds{chain="dead"}',
        'pyrometer_verdict{verdict="breach",subject="ETH"} == 1',
        'pyrometer_provider_errors_total{provider="node-1"} > 0',
        'pyrometer_sink_up{sink="am-1"} == 1',
        'pyrometer_stage_seconds_count{stage="read"} > 0',
        "entity:pyrometer_replicas_judging:count == 1",
        'entity_scope:pyrometer_hot_share_headroom:ratio{scope="ETH"} < 0',
        'process_start_time_seconds{job="pyrometer"} > time() - 3600',
    ):
        await prometheus.seen(lambda found: found["result"], "query", query=present)
    for absent in (
        'pyrometer_wallet_balance{wallet="dead-hot-1"}',
        'pyrometer_chain_reading_age_seconds{chain="dead"}',
        'pyrometer_chain_height{chain="dead"}',
        "pyrometer_exposure_value",
    ):
        assert await prometheus.samples(absent) == []
    await prometheus.seen(
        lambda found: [one for one in found["alerts"] if one["labels"].get("subject") == "chain:dead"], "alerts"
    )
    assert await prometheus.samples('ALERTS{alertname="PyrometerDown"}') == []


async def _the_block_of_a_detection_is_kept(prometheus: Prometheus) -> None:
    found = await prometheus.seen(
        lambda found: found,
        "query_exemplars",
        query="pyrometer_detection_seconds_bucket",
        start="2020-01-01T00:00:00Z",
        end="2100-01-01T00:00:00Z",
    )
    (labels,) = {tuple(sorted(one["labels"].items())) for series in found for one in series["exemplars"]}
    assert dict(labels)["chain"] == "ethereum"
    assert len(dict(labels)["block"]) == 66


async def _the_death_of_the_daemon_reaches_alertmanager(the: Stack) -> None:
    """Its label `entity` is that of the daemon's own alerts; none names the job, the replica or the runbooks."""
    await the.daemon.stop(kill=True)
    await the.prometheus.seen(
        lambda found: [
            one for one in found["alerts"] if one["labels"]["alertname"] == "PyrometerDown" and one["state"] == "firing"
        ],
        "alerts",
    )
    assert await the.prometheus.samples("pyrometer_hot_share_ratio") == []
    down = await _told(the.alertmanager, "PyrometerDown")
    assert down["annotations"]["runbook_url"] == "https://wiki.example/alerts/PyrometerDown.md"
    assert down["labels"] == {
        "alertname": "PyrometerDown",
        "severity": "critical",
        "policy": "prometheus/down",
        "subject": "daemon",
        "entity": "Example Exchange KK",
    }
    assert (await _told(the.alertmanager, "PyrometerWatchdog"))["labels"]["entity"] == "Example Exchange KK"


async def _told(alertmanager: Alertmanager, name: str) -> dict[str, Any]:
    """The alert of this name that Alertmanager knows, once it does."""
    async with asyncio.timeout(DEADLINE):
        while True:
            for alert in await alertmanager.alerts():
                if alert["labels"]["alertname"] == name:
                    return alert
            await asyncio.sleep(0.2)
