"""What was judged on schedule outlives a restart, and a store that is away for a while."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.checks import CheckKeeper
from daemon.errors import StoreError
from daemon.model import Check
from daemon.policy.standing import Standing
from daemon.store import CheckRow
from daemon.store.codec import decode_check, encode_check
from daemon.store.repository import open_store
from tests.delivery_cases import NOON, MemoryChecks, verdict
from tests.delivery_strategies import TIMES, VERDICTS

DAY = timedelta(days=1)


def check(subject: str = "ETH", *, days: int = 0) -> Check:
    due = NOON + days * DAY
    return Check("digest", due, due + timedelta(seconds=3), replace(verdict(), policy="daily", subject=subject))


def standing(*checks: Check) -> Standing:
    return {(one.verdict.policy, one.verdict.subject): one for one in checks}


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
        keeper = CheckKeeper(store.checks)
        assert await keeper.restore(NOON) == ()
        await keeper.save(standing(check("BTC"), check("ETH")))
    async with open_store(url) as store:
        assert await CheckKeeper(store.checks).restore(NOON + DAY) == (check("BTC"), check("ETH"))


async def test_what_stands_already_is_not_saved_again() -> None:
    store = MemoryChecks()
    keeper = CheckKeeper(store)
    await keeper.restore(NOON)
    stands = standing(check())
    await keeper.save(stands)
    store.rows.clear()
    await keeper.save(stands)
    assert store.rows == {}


async def test_every_day_is_kept_and_the_newest_comes_back_last() -> None:
    store = MemoryChecks()
    keeper = CheckKeeper(store)
    await keeper.restore(NOON)
    for days in range(5):
        await keeper.save(standing(check(days=days)))
    assert len(store.rows) == 5
    assert await CheckKeeper(store).restore(NOON + 4 * DAY) == tuple(check(days=days) for days in (2, 3, 4))


async def test_what_the_store_does_not_take_is_saved_by_the_next_attempt() -> None:
    store = MemoryChecks()
    keeper = CheckKeeper(store)
    await keeper.restore(NOON)
    store.fails = True
    with pytest.raises(StoreError):
        await keeper.save(standing(check()))
    store.fails = False
    await keeper.save(standing(check()))
    assert len(store.rows) == 1


async def test_nothing_is_saved_before_it_is_known_what_the_earlier_run_left() -> None:
    store = MemoryChecks(fails=True)
    keeper = CheckKeeper(store)
    with pytest.raises(StoreError):
        await keeper.restore(NOON)
    store.fails = False
    await keeper.save(standing(check()))
    assert store.rows == {}
    assert not keeper.restored


async def test_a_check_that_can_not_be_read_is_a_failure_of_the_store() -> None:
    store = MemoryChecks()
    await store.keep([CheckRow("daily", "ETH", NOON, "nonsense")])
    with pytest.raises(StoreError, match="a check can't be read"):
        await CheckKeeper(store).restore(NOON)


async def test_old_checks_are_dropped() -> None:
    store = MemoryChecks()
    keeper = CheckKeeper(store)
    await keeper.restore(NOON)
    for days in range(3):
        await keeper.save(standing(check(days=days)))
    await keeper.drop(before=NOON + 2 * DAY)
    assert [row.due for row in store.rows.values()] == [NOON + 2 * DAY]
