"""The compose stack: sound by the schema of compose files, hardened, pinned, and whole: what it mounts is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.reload import load_whole
from daemon.settings import redacted
from tests.real import ROOT

DEPLOY = ROOT / "deploy"
FILE = DEPLOY / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PINNED = re.compile(r"[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?(-[a-z]+)?(@sha256:[0-9a-f]{64})?")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the secrets, as the script makes it."""
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    subprocess.run([DEPLOY / "secrets" / "make-secrets", folder], check=True, capture_output=True)
    return folder


def mounts(service: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(source, target, mode) of what a service mounts."""
    for volume in service.get("volumes", ()):
        source, target, mode = (*volume.split(":"), "rw")[:3]
        yield source, target, mode


def test_it_is_sound_by_the_schema_of_compose_files() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_compose_itself_takes_it_where_there_is_one() -> None:
    """Never required: no engine is to be had where most of these tests run."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("docker compose is missing: install Docker Engine with its compose plugin")
    checked = subprocess.run(
        [docker, "compose", "--file", FILE, "config", "--quiet"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr


def test_everything_that_an_exchange_needs_beside_the_daemon_is_in_it() -> None:
    assert SERVICES.keys() == {"pyrometer", "postgres", "prometheus", "alertmanager", "grafana", "mosquitto"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_runs_as_nobody_special_and_can_write_only_its_volumes(name: str) -> None:
    service = SERVICES[name]
    assert int(service["user"].partition(":")[0]) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "devices"} & service.keys()
    for source, _, mode in mounts(service):
        assert (mode == "ro") == source.startswith("./"), source


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_is_limited_started_again_and_watched(name: str) -> None:
    service = SERVICES[name]
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"].keys() == {"test", "interval", "timeout", "retries", "start_period"}
    assert service["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_pinned(name: str) -> None:
    assert PINNED.fullmatch(SERVICES[name]["image"])


def test_our_own_image_has_our_version() -> None:
    ours = SERVICES["pyrometer"]
    assert (ours["image"], ours["build"]["args"]) == (f"pyrometer:{VERSION}", {"VERSION": VERSION})
    assert f"ARG VERSION={VERSION}\n" in (ROOT / "Dockerfile").read_text()


def test_our_own_service_runs_as_the_user_and_by_the_health_check_of_the_image() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    ours = SERVICES["pyrometer"]
    assert f"USER {ours['user']}\n" in dockerfile
    asked = ours["healthcheck"]
    test = json.dumps(asked["test"][1:])
    flags = f"--interval={asked['interval']} --timeout={asked['timeout']} --start-period={asked['start_period']}"
    assert f"HEALTHCHECK {flags} --retries={asked['retries']} CMD {test}\n" in dockerfile


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_published_on_this_machine_alone(name: str) -> None:
    for port in SERVICES[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port)


def test_nobody_outside_reaches_the_database() -> None:
    assert "ports" not in SERVICES["postgres"]
    assert SERVICES["postgres"]["networks"] == ["store"]
    assert COMPOSE["networks"]["store"] == {"internal": True}
    assert [name for name, service in SERVICES.items() if "store" in service["networks"]] == ["pyrometer", "postgres"]


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_is_there_and_has_a_health_check(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert "healthcheck" in SERVICES[other]
        assert how["condition"] in ("service_healthy", "service_started")


@pytest.mark.parametrize("name", SERVICES)
def test_whom_a_service_speaks_to_is_on_one_of_its_networks(name: str) -> None:
    for other in SERVICES[name].get("depends_on", {}):
        assert set(SERVICES[name]["networks"]) & set(SERVICES[other]["networks"]), other


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_mounts_comes_with_the_repository_or_is_a_volume(name: str) -> None:
    for source, _, _ in mounts(SERVICES[name]):
        if source.startswith("./"):
            assert any((DEPLOY / source).iterdir()), source
        else:
            assert source in COMPOSE["volumes"]


def test_back_from_a_crash_prometheus_shows_what_was_before_for_a_minute_at_most() -> None:
    """By default for five, also of a daemon that is dead. It must span two scrapes, or numbers would flicker."""
    (flag,) = (part for part in SERVICES["prometheus"]["command"] if part.startswith("--query.lookback-delta="))
    assert flag.endswith("=1m")
    shipped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    asked = [shipped["global"], *shipped["scrape_configs"]]
    seconds = [int(one["scrape_interval"].removesuffix("s")) for one in asked if "scrape_interval" in one]
    assert 2 * max(seconds) <= 60


def test_a_file_that_a_command_names_is_mounted() -> None:
    for name in ("prometheus", "alertmanager"):
        (config,) = (part for part in SERVICES[name]["command"] if part.startswith("--config.file="))
        inside = Path(config.partition("=")[2])
        source = next(source for source, target, _ in mounts(SERVICES[name]) if target == str(inside.parent))
        assert (DEPLOY / source / inside.name).is_file()


def test_dashboards_are_mounted_where_grafana_is_told_to_look() -> None:
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/pyrometer.yaml").read_text())["providers"][0]
    targets = {target: source for source, target, _ in mounts(SERVICES["grafana"])}
    assert [*(DEPLOY / targets[provider["options"]["path"]]).glob("*.json")]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_a_configuration_names_is_within_reach_of_whoever_reads_it(name: str) -> None:
    for source, _, _ in mounts(SERVICES[name]):
        files = list((DEPLOY / source).rglob("*.y*ml")) if source.startswith("./") else []
        for line in (line.partition("#")[0] for path in files for line in path.read_text().splitlines()):
            for other in re.findall(rf"[\"/@ ]({'|'.join(SERVICES)}):\d+", line):
                assert set(SERVICES[name]["networks"]) & set(SERVICES[other]["networks"]), (name, other)


def test_each_secret_is_made_by_the_script_and_each_that_is_shown_is_declared(made: Path) -> None:
    declared = {name: Path(secret["file"]) for name, secret in COMPOSE["secrets"].items()}
    shown = {secret for service in SERVICES.values() for secret in service.get("secrets", ())}
    assert shown == declared.keys()
    for name, path in declared.items():
        assert (path.parent, path.name) == (Path("secrets"), name)
        assert (made / name).is_file()


@pytest.mark.parametrize("name", SERVICES)
def test_a_secret_that_a_service_reads_is_shown_to_it(name: str) -> None:
    read = set(re.findall(r"/run/secrets/([\w.]+)", json.dumps(SERVICES[name])))
    for source, _, _ in mounts(SERVICES[name]):
        if source.startswith("./"):
            # A line that is commented out, or a comment that names a file of the operator's, reads nothing.
            files = [path for path in (DEPLOY / source).rglob("*") if path.is_file()]
            lines = [line.partition("#")[0] for path in files for line in path.read_text().splitlines()]
            read |= {found for line in lines for found in re.findall(r"/run/secrets/([\w.]+)", line)}
    assert read == set(SERVICES[name].get("secrets", ()))


def test_hosts_that_the_daemon_is_told_of_are_services(made: Path) -> None:
    text = (DEPLOY / "pyrometer" / "pyrometer.yaml").read_text()
    hosts = set(re.findall(r"@(\w+):\d+|//(alertmanager):\d+|host: (\w+)", text))
    assert {"".join(host) for host in hosts} == {"postgres", "mosquitto", "alertmanager"}


def test_the_daemon_takes_its_configuration_with_these_secrets_and_has_one_thing_to_say(made: Path) -> None:
    text = (DEPLOY / "pyrometer" / "pyrometer.yaml").read_text()
    config = made.parent / "pyrometer.yaml"
    config.write_text(text.replace("/run/secrets/", f"{made}/"))
    settings = load_whole(config, env={}, now=datetime(2026, 11, 23, tzinfo=UTC)).settings
    password = (made / "postgres_password").read_text().strip()
    assert settings.store_url == f"postgresql+asyncpg://pyrometer:{password}@postgres:5432/pyrometer"
    assert [token.name for token in settings.tokens] == ["prometheus", "operator", "admin"]
    assert [warning.partition(":")[0] for warning in settings.warnings()] == ["mqtt"]  # no TLS on one machine
    shown = str(redacted(settings)) + repr(settings)
    assert not [path.name for path in made.glob("*_password") if path.read_text().strip() in shown]
