"""The image, built for real from the Dockerfile: what is in it, and the demo in it as its user on a read-only root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.real import ROOT
from tests.system.contained import DEADLINE, Container, Image
from tests.system.image import Builder, require_builder, size

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

MOST_ADDED = 250_000_000
ASK = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1]).read().decode())"


@pytest.fixture(scope="module")
def builder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Builder]:
    require_builder()
    folder = tmp_path_factory.mktemp("image")
    yield Builder(folder)
    shutil.rmtree(folder)  # some gigabytes, that pytest would keep


@pytest.fixture(scope="module")
def base(builder: Builder) -> Path:
    return builder.base()


@pytest.fixture(scope="module")
def image(builder: Builder, base: Path) -> Image:
    return builder.build()


@contextmanager
def running(image: Image, *command: str) -> Iterator[Container]:
    container = Container(image, *command)
    try:
        yield container
    finally:
        container.process.kill()
        container.process.communicate()


@pytest.fixture(scope="module")
def demo(image: Image) -> Iterator[Container]:
    with running(image, "pyrometer", "demo") as container:
        yield container


def files(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root):
        yield from (Path(folder, name) for name in names)


def test_it_adds_no_more_than_250_megabytes_to_its_base(image: Image, base: Path) -> None:
    added = size(image.root) - size(base)
    print(f"the image adds {added / 1e6:.0f} MB to its base")  # noqa: T201 - the number belongs into the documentation
    assert 50_000_000 < added < MOST_ADDED


def test_there_is_no_compiler_no_installer_and_nothing_of_a_build_in_it(image: Image) -> None:
    tools = {"gcc", "cc", "g++", "ld", "as", "make", "pip", "pip3", "git", "curl", "wget"}
    assert not {path for path in files(image.root) if path.name in tools and os.access(path, os.X_OK)}
    packages = {path.name for path in (image.root / "opt/pyrometer/lib/python3.11/site-packages").iterdir()}
    assert not packages & {"pip", "setuptools", "wheel", "pytest", "mypy", "tests", "docs"}
    left = ("source", "wheel", "build", "wheels", "root/.cache", "var/lib/apt/lists", "var/cache/apt")
    assert not [path for name in left if (image.root / name).exists() for path in files(image.root / name)]


def test_its_user_can_change_nothing_of_it_but_its_own_folder(image: Image) -> None:
    assert image.user == 10001
    writable = [
        path
        for folder, names, more in os.walk(image.root)
        for path in (Path(folder), *(Path(folder, name) for name in (*names, *more)))
        if not path.is_symlink() and (path.lstat().st_mode & 0o002 or path.lstat().st_uid == image.user)
    ]
    inside = {
        f"/{path.relative_to(image.root)}" for path in writable if path.relative_to(image.root).parts[:1] != ("dev",)
    }
    assert inside == {"/var/lib/pyrometer", "/tmp", "/var/tmp", "/run/lock"}
    assert not [
        path
        for path in files(image.root)
        if not path.is_symlink() and path.lstat().st_mode & 0o6000 and "usr" not in path.parts
    ]


def test_no_place_or_setting_of_the_machine_that_built_it_is_left_in_it(image: Image) -> None:
    # Where the build was shown a file or a folder of this machine, an empty one is left behind.
    assert (image.root / "etc/pip.conf").read_bytes() == b""
    assert not [*(image.root / "wheels").iterdir()]
    assert not [name for name in image.env if name.lower().startswith(("pip_", "http", "no_proxy"))]


def test_it_says_its_version(image: Image) -> None:
    with running(image, "sleep", "600") as container:
        told = container.ask("pyrometer", "version").stdout
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert told.splitlines()[:2] == [f"pyrometer {version}", "Python 3.11.2"]


def test_left_alone_it_runs_the_daemon_and_says_which_file_it_lacks(image: Image) -> None:
    container = Container(image, *image.command)
    _, said = container.process.communicate(timeout=DEADLINE)
    assert said.decode() == "pyrometer: /etc/pyrometer/pyrometer.yaml: can't be read: no such file or directory\n"
    assert container.process.returncode == 2


def test_the_demo_runs_as_its_user_on_a_read_only_root_and_can_be_scraped(demo: Container) -> None:
    demo.becomes(healthy=True)
    scraped = demo.ask("python", "-c", ASK, "http://127.0.0.1:9517/metrics").stdout
    assert 'pyrometer_chain_height{chain="nem"}' in scraped
    status = Path(f"/proc/{demo.process.pid}/status").read_text()
    assert "Uid:\t10001\t10001\t10001\t10001\n" in status
    assert "Groups:\t \n" in status
    assert "CapEff:\t0000000000000000\n" in status
    refused = demo.ask("python", "-c", "open('/opt/pyrometer/x', 'w')").stderr
    assert "Read-only file system" in refused


def test_everything_it_reads_chains_and_writes_stores_with_is_there(demo: Container) -> None:
    """Of the libraries that are imported late: Bitcoin's writes to a home of its own when it is imported."""
    script = "import asyncpg; from connectors.bitcoin.reference import bitcoinlib; print(bitcoinlib('keys').__name__)"
    told = demo.ask("python", "-c", script)
    assert (told.stdout, told.stderr) == ("bitcoinlib.keys\n", "")


def test_the_health_check_fails_while_the_daemon_hangs_and_the_daemon_ends_in_good_order(image: Image) -> None:
    with running(image, "pyrometer", "demo") as container:
        container.becomes(healthy=True)
        container.process.send_signal(signal.SIGSTOP)
        assert "no answer within 5 s" in container.ask(*image.health).stderr
        assert not container.healthy()
        container.process.send_signal(signal.SIGCONT)
        container.becomes(healthy=True)
        container.process.terminate()
        assert container.process.wait(DEADLINE) == 0


def test_the_health_check_fails_where_no_daemon_is(image: Image) -> None:
    with running(image, "sleep", "600") as container:
        asked = container.ask(*image.health)
    assert (asked.returncode, "Connection refused" in asked.stderr) == (1, True)


def test_it_builds_from_a_checkout_without_what_git_ignores() -> None:
    """Whatever stands beside the sources stays out of the build, secrets above all."""
    told = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert told[0] == "*"
    kept = [line[1:] for line in told if line.startswith("!")]
    ran = subprocess.run(["git", "check-ignore", *kept], capture_output=True, text=True, check=False, cwd=ROOT)
    assert ran.stdout == ""
    assert all((ROOT / name).exists() for name in kept)
