"""What was judged on schedule outlives a restart, and a store that is away for a while."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.checks import CheckKeeper
from daemon.errors import StoreError
from daemon.model import Check, Finding
from daemon.policy.standing import Standing
from daemon.store import CheckRow, Checks
from daemon.store.codec import decode_check, encode_check
from daemon.store.repository import open_store
from tests.delivery_cases import NOON, MemoryChecks, verdict
from tests.delivery_strategies import TIMES, VERDICTS

DAY = timedelta(days=1)


def check(subject: str = "ETH", *, days: int = 0) -> Check:
    due = NOON + days * DAY
    return Check("digest", due, due + timedelta(seconds=3), replace(verdict(), policy="daily", subject=subject))


class Judging:
    """Holds what stands, and what it was told to adopt."""

    def __init__(self) -> None:
        self.standing: Standing = {}
        self.adopted: list[Check] = []

    async def adopt(self, stored: Sequence[Finding], *, checks: Sequence[Check], now: datetime) -> None:
        assert (stored, now.tzinfo) == ((), UTC)
        self.adopted += checks

    def judged(self, *checks: Check) -> None:
        self.standing = {(one.verdict.policy, one.verdict.subject): one for one in checks}


class Keeping:
    """A keeper that has begun at that time, and what it keeps for."""

    def __init__(self, store: Checks, *, now: datetime = NOON) -> None:
        self.judging = Judging()
        self.keeper = CheckKeeper(store, self.judging, clock=lambda: now)


async def begun(store: Checks, *, now: datetime = NOON) -> Keeping:
    keeping = Keeping(store, now=now)
    await keeping.keeper.restore()
    return keeping


@settings(max_examples=25)  # a check is hardly more than its verdict, which findings carry too
@given(st.builds(Check, rule=st.text(max_size=20), due=TIMES, judged=TIMES, verdict=VERDICTS))
def test_a_check_comes_back_as_it_was(check: Check) -> None:
    assert decode_check(encode_check(check)) == check


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"rule": "x", "due": 1, "judged": 2}'])
def test_a_text_that_is_no_check_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_check(text)


async def test_checks_come_back_from_a_real_database_after_a_restart(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'p.db'}"
    async with open_store(url) as store:
        first = await begun(store.checks)
        assert first.judging.adopted == []
        first.judging.judged(check("BTC"), check("ETH"))
        await first.keeper.save()
    async with open_store(url) as store:
        second = await begun(store.checks, now=NOON + DAY)
        assert second.judging.adopted == [check("BTC"), check("ETH")]


async def test_what_stands_already_is_not_saved_again() -> None:
    store = MemoryChecks()
    keeping = await begun(store)
    keeping.judging.judged(check())
    await keeping.keeper.save()
    store.rows.clear()
    await keeping.keeper.save()
    assert store.rows == {}


async def test_every_day_is_kept_and_the_newest_comes_back_last() -> None:
    store = MemoryChecks()
    keeping = await begun(store)
    for days in range(5):
        keeping.judging.judged(check(days=days))
        await keeping.keeper.save()
    assert len(store.rows) == 5
    again = await begun(store, now=NOON + 4 * DAY)
    assert again.judging.adopted == [check(days=days) for days in (2, 3, 4)]


async def test_what_the_store_does_not_take_is_saved_by_the_next_attempt() -> None:
    store = MemoryChecks()
    keeping = await begun(store)
    store.fails = True
    keeping.judging.judged(check())
    with pytest.raises(StoreError):
        await keeping.keeper.save()
    await keeping.keeper.flush()
    store.fails = False
    await keeping.keeper.flush()
    assert len(store.rows) == 1


async def test_nothing_is_saved_before_it_is_known_what_the_earlier_run_left() -> None:
    store = MemoryChecks()
    earlier = await begun(store)
    earlier.judging.judged(check())
    await earlier.keeper.save()
    store.fails = True
    keeping = Keeping(store)
    with pytest.raises(StoreError):
        await keeping.keeper.restore()
    store.fails = False
    keeping.judging.judged(replace(check(), judged=NOON + DAY))
    await keeping.keeper.save()
    assert [decode_check(row.body) for row in store.rows.values()] == [check()]


async def test_a_step_restores_what_could_not_be_before_it_saves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.checks.PAUSE_SECONDS", 0)
    store = MemoryChecks()
    earlier = await begun(store)
    earlier.judging.judged(check("BTC"))
    await earlier.keeper.save()
    keeping = Keeping(store)
    keeping.judging.judged(check("ETH"))
    await keeping.keeper.step()
    assert keeping.judging.adopted == [check("BTC")]
    assert len(store.rows) == 2


async def test_a_check_that_can_not_be_read_is_a_failure_of_the_store() -> None:
    store = MemoryChecks()
    await store.keep([CheckRow("daily", "ETH", NOON, "nonsense")])
    with pytest.raises(StoreError, match="a check can't be read"):
        await begun(store)


async def test_old_checks_are_dropped() -> None:
    store = MemoryChecks()
    keeping = await begun(store)
    for days in range(3):
        keeping.judging.judged(check(days=days))
        await keeping.keeper.save()
    await keeping.keeper.drop(before=NOON + 2 * DAY)
    assert [row.due for row in store.rows.values()] == [NOON + 2 * DAY]
