"""`/api/v1/history`: points with bounds and gaps, never interpolated, and errors that name the parameter."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from daemon.history.config import HistoryConfig
from daemon.history.series import Asked
from daemon.store.repository import open_store
from tests.build import NOON
from tests.unit.test_history_keeper import Life

MINUTE = timedelta(minutes=1)
CONFIG = HistoryConfig()
NEXT_HOUR = ("to", "2026-11-23T13:00:00Z")


def asked(*query: tuple[str, str]) -> Asked:
    return Asked.by(query, now=NOON + timedelta(hours=1), config=CONFIG)


async def test_a_gap_is_a_gap_and_what_is_known_has_its_seconds(tmp_path: Path) -> None:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path / 'pyrometer.db'}") as store:
        life = Life(store)
        await life.lives(NOON, NOON + 15 * MINUTE)
        await life.lives(NOON + 40 * MINUTE, NOON + 45 * MINUTE)
        since = ("from", "2026-11-23T12:00:00Z")
        answer = await asked(("metric", "hot_share"), since, NEXT_HOUR, ("step", "20m")).answer(store.archive)
    points = answer["points"]
    assert [(one["known"], one["unknown"], one["missing"]) for one in points] == [
        (900, 0, 300),
        (0, 0, 1200),
        (300, 0, 900),
    ]
    assert points[0]["value"] == points[0]["low"] == points[0]["high"] == "0.1"
    assert (points[1]["low"], points[1]["value"], points[1]["high"]) == (None, None, None)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ([("metric", "hot_shares")], "metric: expected one of"),
        ([("metric", "price"), ("form", "x")], "form"),
        ([("metric", "price"), ("metric", "price")], "metric: stands twice"),
        ([("metric", "price"), ("from", "yesterday")], "from: expected a time with its zone"),
        ([("metric", "price"), ("from", "2026-11-23T13:00:00Z"), NEXT_HOUR], "from: expected a time before `to`"),
        ([("metric", "price"), ("step", "7s")], "step: expected a multiple of 60s"),
        ([("metric", "price"), ("step", "soon")], "step: expected a duration"),
        ([("metric", "price"), ("from", "2020-01-01T00:00:00Z"), ("step", "1h")], "step: more than 1500 points"),
    ],
)
def test_a_bad_question_names_its_parameter(query: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(web.HTTPBadRequest) as caught:
        asked(*query)
    assert message in (caught.value.text or "")


def test_without_a_step_there_are_at_most_two_hundred_points() -> None:
    found = asked(("metric", "price"), ("scope", "ETH"))
    assert (found.step, found.grain) == (timedelta(minutes=10), timedelta(minutes=10))
