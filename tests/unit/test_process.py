"""The process is told wherever there is a /proc, also in one that shows nothing but processes."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, ProcessCollector

from daemon.emit.process import Process

CUSTOMARY = (
    "process_start_time_seconds",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_max_fds",
)


def told(proc: Path, kind: type[ProcessCollector] = Process) -> dict[str, float | None]:
    registry = CollectorRegistry()
    kind(proc=str(proc), registry=registry)
    return {name: registry.get_sample_value(name) for name in CUSTOMARY}


@pytest.fixture
def processes_alone(tmp_path: Path) -> Path:
    """As `ProcSubset=pid` of deploy/systemd/pyrometer.service mounts it (systemd.exec(5))."""
    (tmp_path / "self").symlink_to("/proc/self")
    return tmp_path


def test_where_proc_shows_processes_alone_all_is_told(processes_alone: Path) -> None:
    assert all(value is not None and value > 0 for value in told(processes_alone).values())
    assert set(told(processes_alone, ProcessCollector).values()) == {None}, "the library can do it now: drop our own"


def test_the_process_began_when_the_whole_of_proc_says_that_it_did(processes_alone: Path) -> None:
    whole, alone = told(Path("/proc")), told(processes_alone)
    assert whole["process_start_time_seconds"] == told(Path("/proc"), ProcessCollector)["process_start_time_seconds"]
    assert alone["process_start_time_seconds"] == pytest.approx(whole["process_start_time_seconds"], abs=5)


def test_without_a_proc_nothing_is_told(tmp_path: Path) -> None:
    assert set(told(tmp_path).values()) == {None}
