"""What all tests share: a quiet log, so that a failing test shows its own words, and how they run beside each other."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import is_hypothesis_test, settings

# Cases that several modules of tests inherit explain their failures as tests do.
for cases in ("store_cases", "store_sql_cases", "store_history_cases", "store_audit_cases"):
    pytest.register_assert_rewrite(f"tests.{cases}")

# How long an example takes says nothing on a machine that does other things too; the time limit of a test does.
settings.register_profile("pyrometer", deadline=None)
settings.load_profile("pyrometer")

# A shell that runs us in the background has us ignore Ctrl-C, and with us the commands that are tested with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait for the programs that they have started."""
    return (os.cpu_count() or 1) + 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Sets the limits that no mark says. Beside each other, files with tests that may take long begin first, so that
    none is left for the end alone."""
    for item in items:
        if item.get_closest_marker("timeout") is None and _takes_its_time(item):
            item.add_marker(pytest.mark.timeout(60))
    if not hasattr(config, "workerinput"):
        return
    longest: dict[str, float] = {}
    for item in items:
        file, limit = item.location[0], item.get_closest_marker("timeout")
        longest[file] = max(longest.get(file, 0.0), limit.args[0] if limit is not None else 0.0)
    items.sort(key=lambda item: longest[item.location[0]], reverse=True)


def _takes_its_time(item: pytest.Item) -> bool:
    """Hundreds of examples, or a chain and its nodes: where others run beside it, seconds may become 20."""
    many = isinstance(item, pytest.Function) and is_hypothesis_test(item.obj)
    return many or "unit" not in Path(item.location[0]).parts


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Events are still captured by structlog.testing.capture_logs, they are just not printed."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()
