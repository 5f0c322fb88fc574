"""The configuration of Alertmanager that we hand out is one that it accepts, and every alert wakes whom it should."""

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.alertmanager import program
from tests.integration.paged import CONFIG

RUNBOOKS = Path(__file__).parents[2] / "docs" / "alerts"

SECURITY, TREASURY, OPERATIONS = "security", "treasury", "operations"

TEAMS = {
    "PyrometerColdMoved": SECURITY,
    "PyrometerControlChanged": SECURITY,
    "PyrometerDormantMoved": SECURITY,
    "PyrometerDrain": SECURITY,
    "PyrometerGateClosed": SECURITY,
    "PyrometerProbe": SECURITY,
    "PyrometerTierMismatch": SECURITY,
    "PyrometerUnknownDestination": SECURITY,
    "PyrometerUnmatchedOutflow": SECURITY,
    "PyrometerUnusualMovement": SECURITY,
    "PyrometerBackingShort": TREASURY,
    "PyrometerGuaranteeShort": TREASURY,
    "PyrometerHotShareHigh": TREASURY,
    "PyrometerReserveShort": TREASURY,
    "PyrometerWalletBand": TREASURY,
    "PyrometerAlertingBroken": OPERATIONS,
    "PyrometerBlind": OPERATIONS,
    "PyrometerBreachUntold": OPERATIONS,
    "PyrometerConfigDiffers": OPERATIONS,
    "PyrometerDisagreement": OPERATIONS,
    "PyrometerDown": OPERATIONS,
    "PyrometerDrift": OPERATIONS,
    "PyrometerFeedDown": OPERATIONS,
    "PyrometerFeedStale": OPERATIONS,
    "PyrometerNotJudging": OPERATIONS,
    "PyrometerNotificationsRefused": OPERATIONS,
    "PyrometerNotificationsStuck": OPERATIONS,
    "PyrometerPriceDeviation": OPERATIONS,
    "PyrometerProviderFailing": OPERATIONS,
    "PyrometerReloadFailed": OPERATIONS,
    "PyrometerReplicaDown": OPERATIONS,
    "PyrometerStale": OPERATIONS,
    "PyrometerStoreDown": OPERATIONS,
    "PyrometerUnsteady": OPERATIONS,
    "PyrometerVerdictUnknown": OPERATIONS,
}
"""Whose each alert is, the daemon's and those of Prometheus' rules."""

WATCHDOGS = {
    "PyrometerWatchdog": "dead-mans-switch-daemon",
    "PyrometerPrometheusWatchdog": "dead-mans-switch-prometheus",
}

BOTH = ("PyrometerBackingShort", "PyrometerBreachUntold")
"""What wakes security beside its own team."""

pytestmark = pytest.mark.real


async def amtool(*arguments: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        program("amtool"), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    return process.returncode, output.decode()


async def routed(receivers: str, **labels: str) -> None:
    """Fails unless exactly these receivers, in order, get an alert with these labels."""
    told = [f"{name}={value}" for name, value in labels.items()]
    arguments = (f"--config.file={CONFIG}", f"--verify.receivers={receivers}", *told)
    code, output = await amtool("config", "routes", "test", *arguments)
    assert code == 0, output


async def test_alertmanager_accepts_it() -> None:
    code, output = await amtool("check-config", str(CONFIG))
    assert code == 0, output
    assert "1 templates" in output


@pytest.mark.parametrize("name", TEAMS)
async def test_an_alert_goes_to_its_team_and_wakes_it_when_it_is_critical(name: str) -> None:
    page = f"security-page,{TEAMS[name]}-page" if name in BOTH else f"{TEAMS[name]}-page"
    await routed(page, alertname=name, severity="critical", entity="E", subject="all")
    await routed(f"{TEAMS[name]}-chat", alertname=name, severity="warning", entity="E", subject="all")
    await routed("nobody", alertname=name, severity="info", entity="E", subject="all")


@pytest.mark.parametrize(("name", "switch"), WATCHDOGS.items())
async def test_each_watchdog_has_a_switch_of_its_own(name: str, switch: str) -> None:
    await routed(switch, alertname=name, severity="info", entity="E")


async def test_the_watchdog_of_a_fire_drill_does_not_keep_the_switch_quiet() -> None:
    await routed("nobody", alertname="PyrometerWatchdog", severity="info", entity="E", drill="dmm-2024")


async def test_what_nobody_has_thought_of_wakes_operations() -> None:
    await routed("operations-page", alertname="SomethingElse", severity="critical")
    await routed("operations-chat", alertname="SomethingElse")


def test_every_alert_that_has_a_runbook_has_a_team() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} <= {*TEAMS, *WATCHDOGS}


def test_the_configuration_names_no_alert_that_there_is_not() -> None:
    named = set(re.findall(r"Pyrometer[A-Z]\w+", CONFIG.read_text()))
    assert named <= {*TEAMS, *WATCHDOGS}


def routes(route: dict[str, Any]) -> list[dict[str, Any]]:
    """The route and all below it, with what each inherits."""
    kept = {key: value for key, value in route.items() if key not in ("routes", "matchers", "continue")}
    return [route, *(found for child in route.get("routes", ()) for found in routes({**kept, **child}))]


def test_nothing_delays_the_first_page_of_a_theft() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    [waits] = {route["group_wait"] for route in routes(config["route"]) if route["receiver"] == "security-page"}
    assert waits == "0s"


@pytest.mark.parametrize("receiver", ["security-page", "treasury-page"])
def test_no_page_on_money_joins_the_group_of_another_subject(receiver: str) -> None:
    """There it would wait for the group's interval, and land in an incident that somebody has acknowledged."""
    config = yaml.safe_load(CONFIG.read_text())
    groups = [set(route["group_by"]) for route in routes(config["route"]) if route["receiver"] == receiver]
    assert groups
    assert all({"entity", "alertname", "subject", "drill"} <= group for group in groups)


def test_no_group_holds_both_a_drill_and_the_real_thing() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    assert all("drill" in route["group_by"] for route in routes(config["route"]))


def test_every_inhibition_stays_within_one_entity_and_a_drill_mutes_nothing_real() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    assert all({"entity", "drill"} <= set(rule["equal"]) for rule in config["inhibit_rules"])


def test_everybody_who_is_woken_hears_when_it_is_over() -> None:
    config = yaml.safe_load(CONFIG.read_text())
    for receiver in config["receivers"]:
        if receiver["name"].endswith(("-page", "-chat")):
            ways = [way for kind in ("slack", "email", "webhook") for way in receiver.get(f"{kind}_configs", ())]
            assert ways
            assert all(way["send_resolved"] for way in ways)


def test_no_secret_stands_in_the_configuration() -> None:
    """Each is a file; keys of which Alertmanager takes the text itself are not used."""
    config = yaml.safe_load(CONFIG.read_text())
    keys = set(re.findall(r"(\w+):", yaml.safe_dump(config)))
    assert not keys & {"api_url", "routing_key", "service_key", "smtp_auth_password", "auth_password", "credentials"}
    files = set(re.findall(r"_file: (\S+)", yaml.safe_dump(config)))
    assert all(path.startswith("/run/secrets/") for path in files)
    assert len(files) == 9
