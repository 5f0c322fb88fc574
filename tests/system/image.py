"""Builds the project's Dockerfile with buildah, on a base made here with debootstrap: no engine, no registry of images.

What takes long and is the same every time, Debian's packages and the wheels, is kept between runs in the user's cache.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.real import ROOT, require_program
from tests.system.contained import Image

BASE = "debian:bookworm-slim"
MIRROR = "http://deb.debian.org/debian"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pyrometer-tests"
WEEK = 7 * 86_400
LOCKS = ("requirements-build.txt", "requirements-postgres.txt")

# As Debian's own images have it: packages are unpacked without waiting for the disk, and lists come in one language.
SLIM = {
    "etc/dpkg/dpkg.cfg.d/docker-apt-speedup": "force-unsafe-io\n",
    "etc/apt/apt.conf.d/docker-no-languages": 'Acquire::Languages "none";\n',
}


def require_builder() -> None:
    """Skips, or in CI fails, where an image can't be built."""
    if os.geteuid() != 0:
        pytest.skip("only root can unpack a system and build an image of it here")
    for program in ("buildah", "debootstrap"):
        require_program(program, f"apt-get install {program}")


class Builder:
    """One store of images, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._buildah = ["buildah", "--root", f"{folder}/images", "--runroot", f"{folder}/run"]
        self._buildah += ["--storage-driver", "vfs"]

    def base(self) -> Path:
        """The file system of the base, which is then there by its name."""
        archive = _base_archive()
        (self._folder / "Base").write_text(f'FROM scratch\nADD {archive.name} /\nCMD ["bash"]\n')
        self._run("build", "--tag", f"docker.io/library/{BASE}", "--file", f"{self._folder}/Base", str(archive.parent))
        return self._mounted(BASE)

    def build(self) -> Image:
        """The image of the Dockerfile, its libraries taken from wheels that were fetched before."""
        settings = self._folder / "pip.conf"
        settings.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        shown = (f"{_wheels()}:/wheels:ro", f"{settings}:/etc/pip.conf:ro")
        volumes = [part for volume in shown for part in ("--volume", volume)]
        self._run(
            "build", "--isolation", "chroot", "--format", "docker", "--pull-never", *volumes, "-t", "ours", str(ROOT)
        )
        return self._image("ours")

    def _image(self, name: str) -> Image:
        config: dict[str, Any] = json.loads(self._run("inspect", "--type", "image", name))["Docker"]["config"]
        return Image(
            root=self._mounted(name),
            user=int(config["User"].partition(":")[0]),
            env=dict(line.split("=", 1) for line in config["Env"]),
            folder=config["WorkingDir"],
            volumes=tuple(config["Volumes"]),
            command=(*config["Entrypoint"], *config["Cmd"]),
            health=tuple(config["Healthcheck"]["Test"][1:]),
        )

    def _mounted(self, name: str) -> Path:
        return Path(self._run("mount", self._run("from", "--pull-never", name)))

    def _run(self, *arguments: str) -> str:
        command = [*self._buildah, *arguments]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, f"{shlex.join(command)}\n{ran.stdout[-4000:]}\n{ran.stderr[-4000:]}"
        return ran.stdout.strip()


def size(root: Path) -> int:
    """Bytes of all files, each counted once."""
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            status = os.lstat(os.path.join(folder, name))  # noqa: PTH118 - forty thousand of them
            found[status.st_ino] = status.st_size
    return sum(found.values())


def _base_archive() -> Path:
    """Debian's smallest system, at most a week old."""
    archive = CACHE / "base" / "bookworm.tar"
    if not archive.exists() or time.time() - archive.stat().st_mtime > WEEK:
        shutil.rmtree(archive.parent, ignore_errors=True)
        made = archive.parent / "made"
        for name, text in SLIM.items():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_text(text)
        command = ["debootstrap", "--variant=minbase", "bookworm", str(made), MIRROR]
        subprocess.run(command, check=True, capture_output=True)
        for rest in ("var/lib/apt/lists", "var/cache/apt/archives"):
            shutil.rmtree(made / rest)
            (made / rest / "partial").mkdir(parents=True)
        subprocess.run(["tar", "-C", made, "-cf", archive.with_suffix(".new"), "."], check=True)
        shutil.rmtree(made)
        archive.with_suffix(".new").rename(archive)
    return archive


def _wheels() -> Path:
    """The locked wheels, fetched as pip is set up on this machine; the build checks every hash again."""
    folder = CACHE / "wheels"
    wanted = [part for name in LOCKS for part in ("-r", str(ROOT / name))]
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--require-hashes", "--only-binary", ":all:", "--dest", folder, *wanted], check=True)
    return folder
