"""The manifests of deploy/kubernetes: valid, tight, and in agreement with each other, the image and the daemon."""

from __future__ import annotations

import inspect
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from daemon.api.auth import PUBLIC
from daemon.emit.mqtt import FAREWELL_SECONDS
from daemon.settings import Settings, load
from daemon.sinks import DRAIN_SECONDS
from daemon.store.repository import open_store
from tests.manifests import FOLDER, JSON, KUSTOMIZATION, Manifests, as_read, as_rendered, matches
from tests.real import require_program

ROOT = Path(__file__).parents[2]
VERSIONS = ("1.29", "1.37")
"""Of Kubernetes, the oldest and the newest whose schemas the manifests are held to."""

OPERATOR = ("ServiceMonitor", "PrometheusRule")
"""Kinds of the Prometheus operator, of which no schema comes with Kubernetes."""

SECRETS = {"pyrometer": {"mqtt_password", "tokens.yaml", "ca.crt"}}
TOKEN = f"- {{name: operator, scope: operate, sha256: {'0' * 64}}}\n"


@pytest.fixture(scope="module", params=[as_read, as_rendered])
def manifests(request: pytest.FixtureRequest) -> Manifests:
    made: Manifests = request.param()
    return made


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_what_its_schema_allows_and_no_key_is_unknown(manifests: Manifests, version: str) -> None:
    builtin = [one for one in manifests.objects if one["kind"] not in OPERATOR]
    assert len(builtin) == 8
    for one in builtin:
        kubernetes_validate.validate(one, version, strict=True)


def test_the_check_of_schemas_would_find_a_key_that_is_unknown() -> None:
    service = as_read().one("Service")
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**service, "spec": {**service["spec"], "prots": []}}, VERSIONS[-1], strict=True)


def test_everything_is_in_one_namespace_and_called_alike(manifests: Manifests) -> None:
    for one in manifests.objects:
        if one["kind"] != "Namespace":
            assert one["metadata"]["namespace"] == manifests.one("Namespace")["metadata"]["name"] == "pyrometer"
    assert {one["kind"] for one in manifests.objects} == {
        *("Namespace", "ServiceAccount", "Service", "StatefulSet", "PodDisruptionBudget", "NetworkPolicy", "ConfigMap"),
        *OPERATOR,
    }


def test_every_selector_selects_the_pods(manifests: Manifests) -> None:
    labels = manifests.pod["metadata"]["labels"]
    workload = manifests.one("StatefulSet")["spec"]
    assert matches(workload["selector"], labels)
    assert matches({"matchLabels": manifests.one("Service")["spec"]["selector"]}, labels)
    assert matches(manifests.one("PodDisruptionBudget")["spec"]["selector"], labels)
    assert all(matches(policy["spec"]["podSelector"], labels) for policy in manifests.of("NetworkPolicy"))
    spread = manifests.pod["spec"]["topologySpreadConstraints"]
    assert all(matches(one["labelSelector"], labels) for one in spread)
    assert {one["topologyKey"] for one in spread if one["whenUnsatisfiable"] == "DoNotSchedule"} == {
        "kubernetes.io/hostname"
    }


def test_there_are_two_of_which_one_may_be_taken_and_none_shares_a_name(manifests: Manifests) -> None:
    workload = manifests.one("StatefulSet")["spec"]
    assert workload["replicas"] == 2
    assert workload["serviceName"] == manifests.one("Service")["metadata"]["name"]
    assert manifests.one("Service")["spec"]["clusterIP"] == "None"
    assert manifests.one("PodDisruptionBudget")["spec"]["minAvailable"] == 1


def test_whoever_is_not_ready_can_still_be_asked(manifests: Manifests) -> None:
    assert manifests.one("Service")["spec"]["publishNotReadyAddresses"] is True


def test_the_pod_may_do_nothing_that_it_does_not_need(manifests: Manifests) -> None:
    pod, container = manifests.pod["spec"], manifests.container
    assert pod["automountServiceAccountToken"] is False
    assert manifests.one("ServiceAccount")["automountServiceAccountToken"] is False
    assert pod["serviceAccountName"] == manifests.one("ServiceAccount")["metadata"]["name"]
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"memory"} <= container["resources"]["limits"].keys()
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert not {"cpu"} & container["resources"]["limits"].keys()


def test_the_image_is_pinned_to_the_version_of_the_project_and_run_as_its_user(manifests: Manifests) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert manifests.container["image"].endswith(f"/pyrometer:{version}")
    dockerfile = (ROOT / "Dockerfile").read_text()
    context = manifests.pod["spec"]["securityContext"]
    assert re.findall(r"^USER (.*)$", dockerfile, re.M) == [f"{context['runAsUser']}:{context['runAsGroup']}"]
    assert context["fsGroup"] == context["runAsGroup"]
    assert 'ENTRYPOINT ["pyrometer"]' in dockerfile


def test_ports_are_called_alike_from_the_monitor_to_the_daemon(manifests: Manifests, settings: Settings) -> None:
    (port,) = manifests.container["ports"]
    (service,) = manifests.one("Service")["spec"]["ports"]
    assert (port["name"], port["containerPort"]) == (service["targetPort"], settings.api.port)
    assert service["port"] == settings.api.port
    assert not settings.api.loopback
    (endpoint,) = manifests.one("ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["port"] == service["name"]
    allowed = [rule["ports"] for rule in policy(manifests)["ingress"]]
    assert allowed == [[{"port": port["name"], "protocol": "TCP"}]] * 2


def test_probes_ask_what_needs_no_token_and_never_end_a_daemon_that_is_only_blind(manifests: Manifests) -> None:
    container = manifests.container
    paths = {kind: container[kind]["httpGet"]["path"] for kind in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert set(paths.values()) == set(PUBLIC)
    assert {container[kind]["httpGet"]["port"] for kind in paths} == {container["ports"][0]["name"]}


def test_every_volume_is_mounted_and_every_mount_has_a_volume(manifests: Manifests) -> None:
    volumes = {one["name"] for one in manifests.pod["spec"]["volumes"]}
    mounts = manifests.container["volumeMounts"]
    assert volumes == {one["name"] for one in mounts}
    assert {one["mountPath"] for one in mounts if not one.get("readOnly")} == {"/var/lib/pyrometer", "/tmp"}
    (config,) = [one["configMap"]["name"] for one in manifests.pod["spec"]["volumes"] if "configMap" in one]
    assert config == manifests.one("ConfigMap")["metadata"]["name"]
    folder = next(one["mountPath"] for one in mounts if one["name"] == "config")
    assert manifests.container["args"] == [
        "run",
        "--config",
        f"{folder}/{next(iter(manifests.one('ConfigMap')['data']))}",
    ]


def test_a_change_of_the_configuration_changes_its_name(manifests: Manifests) -> None:
    assert "disableNameSuffixHash" not in str(KUSTOMIZATION)
    assert KUSTOMIZATION["configMapGenerator"] == [{"name": "pyrometer", "files": ["pyrometer.yaml"]}]


def test_secrets_are_named_and_never_contained(manifests: Manifests) -> None:
    assert manifests.of("Secret") == []
    volumes = {one["name"]: one["secret"] for one in manifests.pod["spec"]["volumes"] if "secret" in one}
    named = {one["secretName"]: {item["key"] for item in one.get("items", [])} for one in volumes.values()}
    assert named == {**SECRETS, "pyrometer-store": set()}
    assert all(one["defaultMode"] == 0o440 for one in volumes.values())
    assert all("valueFrom" in one for one in manifests.container["env"])
    page = (ROOT / "docs" / "deployment-kubernetes.md").read_text()
    assert [name for name in (*named, "pyrometer-scrape") if f"secret generic {name} " not in page] == []


def test_each_replica_sees_the_password_of_its_own_database_alone(manifests: Manifests, settings: Settings) -> None:
    (mount,) = [one for one in manifests.container["volumeMounts"] if one["name"] == "store"]
    (variable,) = manifests.container["env"]
    assert mount["subPathExpr"] == f"$({variable['name']})"
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}} or variable["valueFrom"] == {
        "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}
    }
    assert settings.store_url == "postgresql+asyncpg://pyrometer-1:p%40ss@postgres.databases:5432/pyrometer-1"


def policy(manifests: Manifests) -> JSON:
    (found,) = [one for one in manifests.of("NetworkPolicy") if one["metadata"]["name"] == "pyrometer"]
    spec: JSON = found["spec"]
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    return spec


def asked(settings: Settings) -> Iterator[tuple[str, int]]:
    """(namespace, port) of everything that the configuration has the daemon connect to."""
    assert settings.mqtt is not None
    assert settings.alertmanager is not None
    urls = [settings.store_url]
    urls += [one.url.get_secret_value() for one in settings.alertmanager.endpoints]
    urls += [end.url.get_secret_value() for chain in settings.chains.values() for end in chain.endpoints]  # type: ignore[union-attr]
    urls += [source.config.url.get_secret_value() for source in settings.feeds.sources if hasattr(source.config, "url")]
    for url in urls:
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        yield parts.hostname.partition(".")[2], parts.port
    broker = settings.mqtt.broker(None)
    yield broker.host.partition(".")[2], broker.port


def test_the_network_allows_what_the_configuration_names_and_nothing_else(
    manifests: Manifests, settings: Settings
) -> None:
    allowed = set()
    for rule in policy(manifests)["egress"]:
        (target,) = rule["to"]
        (namespace,) = target["namespaceSelector"]["matchLabels"].values()
        allowed |= {(namespace, port["port"]) for port in rule["ports"]}
    assert allowed - {("kube-system", 53)} == set(asked(settings))
    assert ("kube-system", 53) in allowed
    everybody = [rule for rule in policy(manifests)["ingress"] if not rule.get("from")]
    assert everybody == []


def test_what_no_policy_names_is_refused(manifests: Manifests) -> None:
    (closed,) = [one["spec"] for one in manifests.of("NetworkPolicy") if one["metadata"]["name"] == "nothing"]
    assert closed["podSelector"] == {}
    assert set(closed["policyTypes"]) == {"Ingress", "Egress"}
    assert not {"ingress", "egress"} & closed.keys()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The shipped configuration as replica 1 loads it, the secrets put beside it."""
    folder = tmp_path_factory.mktemp("config")
    text = (FOLDER / "pyrometer.yaml").read_text()
    for path, content in {
        "/run/store/password": "p@ss\n",
        "/run/secrets/mqtt_password": "secret\n",
        "/run/secrets/tokens.yaml": TOKEN,
        "/run/secrets/ca.crt": "",
    }.items():
        assert path in text
        (folder / Path(path).name).write_text(content)
        text = text.replace(path, Path(path).name)
    file = folder / "pyrometer.yaml"
    file.write_text(text)
    return load(file, env={"REPLICA": "pyrometer-1"})


def test_the_configuration_names_no_file_that_is_not_mounted(manifests: Manifests) -> None:
    text = str(yaml.safe_load(manifests.one("ConfigMap")["data"]["pyrometer.yaml"]))
    (items,) = [one["secret"]["items"] for one in manifests.pod["spec"]["volumes"] if one["name"] == "secrets"]
    mounted = {f"/run/secrets/{item['path']}" for item in items} | {"/run/store/password"}
    assert set(re.findall(r"/run/\w+/[\w.]+", text)) == mounted


def test_each_replica_has_a_prefix_and_a_database_of_its_own(settings: Settings) -> None:
    assert settings.mqtt is not None
    assert settings.mqtt.prefix == "pyrometer/pyrometer-1"
    assert settings.mqtt.tls is not None
    assert settings.warnings() == ()


def test_the_exchange_is_the_one_of_the_other_stack(settings: Settings) -> None:
    ours = yaml.safe_load((FOLDER / "pyrometer.yaml").read_text())
    other = yaml.safe_load((ROOT / "deploy" / "pyrometer" / "pyrometer.yaml").read_text())
    same = ("entity", "currency", "assets", "wallets", "policies")
    assert {key: ours[key] for key in same} == {key: other[key] for key in same}
    assert ours["feeds"]["prices"] == other["feeds"]["prices"]


def test_the_end_is_waited_for_as_long_as_it_can_take(manifests: Manifests, settings: Settings) -> None:
    """Two farewells and one exchange with the broker; Alertmanager; six keepers and the outbox at the store."""
    assert settings.mqtt is not None
    deadline: float = inspect.signature(open_store).parameters["deadline"].default
    most = 2 * FAREWELL_SECONDS + settings.mqtt.timeout.total_seconds() + DRAIN_SECONDS + 7 * deadline
    assert most <= manifests.pod["spec"]["terminationGracePeriodSeconds"]


def test_the_monitor_calls_the_job_as_the_rules_do_and_shows_a_token(manifests: Manifests, settings: Settings) -> None:
    spec = manifests.one("ServiceMonitor")["spec"]
    service = manifests.one("Service")
    assert service["metadata"]["labels"][spec["jobLabel"]] == "pyrometer"
    assert matches(spec["selector"], service["metadata"]["labels"])
    assert spec["namespaceSelector"] == {"matchNames": [service["metadata"]["namespace"]]}
    (endpoint,) = spec["endpoints"]
    assert endpoint["path"] == "/metrics"
    assert endpoint["relabelings"] == [{"targetLabel": "entity", "replacement": settings.entity}]
    assert endpoint["authorization"]["credentials"] == {"name": "pyrometer-scrape", "key": "prometheus_token"}
    assert spec.keys() == {"jobLabel", "selector", "namespaceSelector", "endpoints"}


def shipped_groups() -> list[Any]:
    files = [ROOT / "deploy" / "prometheus" / "rules" / f"{name}.yml" for name in ("recording", "alerting")]
    groups = [group for file in files for group in yaml.safe_load(file.read_text())["groups"]]
    return [group for group in groups if group["name"] != "pyrometer-alerting-path"]


def test_the_rules_are_those_of_the_other_stack_but_for_what_watches_prometheus_itself(manifests: Manifests) -> None:
    """If not: `make prometheus-rule`."""
    rule = manifests.one("PrometheusRule")
    assert rule["apiVersion"] == manifests.one("ServiceMonitor")["apiVersion"] == "monitoring.coreos.com/v1"
    assert rule["spec"].keys() == {"groups"}
    assert rule["spec"]["groups"] == shipped_groups()


@pytest.mark.real
def test_prometheus_takes_the_rules(manifests: Manifests, tmp_path: Path) -> None:
    promtool = require_program("promtool", "apt-get install prometheus")
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump(manifests.one("PrometheusRule")["spec"]))
    checked = subprocess.run(
        [promtool, "check", "rules", file], capture_output=True, text=True, timeout=15, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "SUCCESS" in checked.stdout
