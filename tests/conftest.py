"""What all tests share: output of the log is kept out of the way, so that a failing test shows its own words."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

# How long an example takes says nothing on a machine that does other things too; the time limit of a test does.
settings.register_profile("pyrometer", deadline=None)
settings.load_profile("pyrometer")


@pytest.fixture(autouse=True)
def quiet_log() -> Iterator[None]:
    """Events are still captured by structlog.testing.capture_logs, they are just not printed."""
    structlog.configure(processors=[], logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()
