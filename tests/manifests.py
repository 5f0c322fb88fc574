"""The manifests of deploy/kubernetes as a cluster would get them: put together by kubectl, or read as they stand."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

JSON = dict[str, Any]

FOLDER = Path(__file__).parent.parent / "deploy" / "kubernetes"
KUSTOMIZATION: JSON = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())


@dataclass(frozen=True, slots=True)
class Manifests:
    """All objects, in the order of their files."""

    objects: tuple[JSON, ...]

    def of(self, kind: str) -> list[JSON]:
        return [one for one in self.objects if one["kind"] == kind]

    def one(self, kind: str, name: str = "pyrometer") -> JSON:
        """The only object of that kind whose name begins with `name`: kubectl hangs a hash on some."""
        (found,) = [one for one in self.of(kind) if one["metadata"]["name"].startswith(name)]
        return found

    @property
    def pod(self) -> JSON:
        """What each replica is made from."""
        template: JSON = self.one("StatefulSet")["spec"]["template"]
        return template

    @property
    def container(self) -> JSON:
        (found,) = self.pod["spec"]["containers"]
        return dict(found)


def as_read() -> Manifests:
    """As they stand, with what kustomization.yaml adds: the image, and the configuration as a ConfigMap."""
    objects = [
        one for name in KUSTOMIZATION["resources"] for one in yaml.safe_load_all((FOLDER / name).read_text()) if one
    ]
    (image,) = KUSTOMIZATION["images"]
    for item in objects:
        for container in _containers(item):
            assert container["image"] == image["name"]
            container["image"] = f"{image['newName']}:{image['newTag']}"
    return Manifests((*objects, *_generated()))


def as_rendered() -> Manifests:
    """What `kubectl kustomize` makes of them; a skip where there is none, since nobody needs it to run the tests."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is missing: the manifests are looked at as they stand alone")
    made = subprocess.run([kubectl, "kustomize", str(FOLDER)], capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr
    return Manifests(tuple(yaml.safe_load_all(made.stdout)))


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """Whether a selector of labels alone selects what has these; an empty one selects everything."""
    assert not selector.keys() - {"matchLabels"}
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items())


def _containers(item: JSON) -> list[JSON]:
    if item["kind"] != "StatefulSet":
        return []
    found: list[JSON] = item["spec"]["template"]["spec"]["containers"]
    return found


def _generated() -> Iterator[JSON]:
    for one in KUSTOMIZATION["configMapGenerator"]:
        yield {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": one["name"], "namespace": KUSTOMIZATION["namespace"]},
            "data": {name: (FOLDER / name).read_text() for name in one["files"]},
        }
