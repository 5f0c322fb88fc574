"""How long a source that was away is left alone."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.bitcoin.sources.polling import LONGEST_PAUSE, pause
from tests.unit.connectors.server import FakeTime

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(("failures", "seconds"), [(0, 1), (1, 1.5), (3, 6), (100, LONGEST_PAUSE * 0.75)])
def test_pauses_grow_with_failures_up_to_a_minute(failures: int, seconds: float) -> None:
    assert pause(failures, every=SECOND, timing=FakeTime(chance=0.5).timing()) == seconds
