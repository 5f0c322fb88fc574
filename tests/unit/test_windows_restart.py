"""Windows over a restart: what was held before it still counts, and what nobody watched is said."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Update
from daemon.ledger import Ledger
from daemon.levels import Level, Of, Subject
from daemon.model import Inventory, Owner, Tier
from daemon.track import FRESH, GRAIN, Highest, Track
from daemon.window_rows import Kept, Reading, decode, encode, read_key, window_key
from daemon.windows import LAST, SUMMED, Windows
from tests.build import ETH, ETHER, NOON, at, complete, inventory, tip, wallet
from tests.unit.test_windows import NO_FORKS, TEN, Watched, held, looked, read, two_wallets

COINS = st.decimals(allow_nan=False, allow_infinity=False)
TIMES = st.datetimes(timezones=st.just(NOON.tzinfo))
FRESH_READINGS = st.builds(
    Reading, COINS, st.dictionaries(st.text(max_size=5), st.integers(0, 10**9), max_size=2), TIMES
)
SETTLED = st.builds(Reading, COINS, st.just({}), TIMES)
KEPT = st.builds(
    Kept,
    st.lists(FRESH_READINGS, max_size=3).map(tuple),
    st.lists(SETTLED, max_size=3).map(tuple),
    st.none() | COINS,
)


@given(KEPT)
def test_a_window_comes_back_as_it_was_to_the_last_digit(kept: Kept) -> None:
    again = decode(encode(kept))
    assert again == kept
    assert [str(one.coins) for one in again.fresh] == [str(one.coins) for one in kept.fresh]


@given(st.builds(Subject, st.sampled_from(Of), st.text(), st.text()), st.integers(1, 10**6))
def test_so_does_what_it_is_kept_under(subject: Subject, seconds: int) -> None:
    key = window_key(subject, timedelta(seconds=seconds))
    assert key.isascii()
    assert read_key(key) == (subject, timedelta(seconds=seconds))


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"fresh": [1], "settled": [], "whole": null}'])
def test_a_text_that_is_no_window_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)


def after(track: Track, *, watched: float, now: float) -> Track:
    """A new run, which has read nothing yet."""
    other = Track(TEN)
    other.follow(decode(encode(track.kept())), watched=at(watched), now=at(now))
    return other


def look(track: Track, coins: int, *, seconds: float, forks: Mapping[str, int] = NO_FORKS) -> Highest:
    track.look(held(coins), heights={"ethereum": int(seconds)}, forks=forks, now=at(seconds))
    found = track.highest()
    assert found is not None
    return found


def test_a_fall_while_nobody_watched_is_since_we_looked_last() -> None:
    track = after(looked((0, 100)), watched=60, now=300)
    assert track.highest() is None
    assert look(track, 80, seconds=300) == Highest(Decimal(100), at(60), at(300), at(60))
    assert not track.is_highest


def test_nine_before_and_nine_after_are_eighteen() -> None:
    track = after(looked((0, 100), (60, 91)), watched=65, now=70)
    assert look(track, 82, seconds=70).coins == 100
    assert look(track, 82, seconds=661).coins == 91


def test_what_was_held_longer_ago_than_a_window_does_not_count() -> None:
    track = after(looked((0, 100)), watched=60, now=661)
    assert look(track, 80, seconds=661) == Highest(Decimal(80), at(661), at(661))


def test_an_outage_after_a_restart_does_not_make_the_highest_forgotten() -> None:
    """Only the forty seconds in which nobody looked count."""
    track = after(looked((0, 100)), watched=60, now=100)
    for seconds in (100, 300, 600, 5000):
        track.look(Level(heard=False), heights={}, forks=NO_FORKS, now=at(seconds))
    found = look(track, 80, seconds=5010)
    assert found.coins == 100
    assert found.until == at(4970)
    assert look(track, 80, seconds=5570).coins == 100
    assert look(track, 80, seconds=5571).coins == 80


def test_also_not_over_several_restarts_in_one_outage() -> None:
    track = looked((0, 100))
    for seconds in range(100, 2000, 100):
        track = after(track, watched=seconds - 10, now=seconds)
        track.look(Level(heard=False), heights={}, forks=NO_FORKS, now=at(seconds + 90))
    assert look(track, 80, seconds=2000).coins == 100


def test_the_same_as_before_is_the_highest_and_is_held_now() -> None:
    track = after(looked((0, 100)), watched=60, now=100)
    assert look(track, 100, seconds=100).coins == 100
    assert track.highest() is not None
    assert look(track, 90, seconds=200).until == at(200)


def test_a_deposit_that_is_undone_while_nobody_watches_was_never_held() -> None:
    track = after(looked((1, 100), (2, 1000)), watched=60, now=70)
    assert look(track, 60, seconds=70, forks={"ethereum": 1}).coins == 100


def test_what_is_known_already_when_the_store_answers_comes_after_it() -> None:
    late = looked((100, 82), (110, 81))
    late.follow(looked((0, 100), (60, 91)).kept(), watched=at(65), now=at(120))
    found = look(late, 81, seconds=120)
    assert found == Highest(Decimal(100), at(60), at(100), at(65))
    assert look(late, 81, seconds=661).coins == 91
    assert look(late, 81, seconds=711).coins == 81


def test_a_clock_that_was_set_back_meanwhile_does_not_keep_what_is_gone() -> None:
    track = after(looked((5000, 100)), watched=5060, now=0)
    assert look(track, 40, seconds=0).coins == 100
    assert look(track, 40, seconds=601).coins == 40


def test_a_row_is_bounded_however_often_holdings_fall() -> None:
    day = looked(*((n / 10, 1_000_000 - n) for n in range(5_000)), length=timedelta(seconds=500))
    kept = day.kept()
    assert len(kept.fresh) + len(kept.settled) <= FRESH + GRAIN + 1
    assert len(encode(kept)) < 70_000


# All of them.


def rows_of(*windows: Windows, before: dict[str, str] | None = None) -> dict[str, str]:
    """What a store holds after it was told what has changed."""
    rows = dict(before or {})
    for one in windows:
        for key, text in one.changed().items():
            rows.pop(key, None)
            if text is not None:
                rows[key] = text
    return rows


def restarted(watched: Watched, *, inv: Inventory | None = None) -> Watched:
    rows = rows_of(watched.windows)
    again = Watched.over(inv or watched.inv)
    again.windows.restore(rows)
    return again


def highest(watched: Watched, update: Update, *, seconds: float) -> dict[str, int]:
    return watched.see(replace(update, seen=at(seconds)), seconds=seconds)


def test_what_was_held_before_a_restart_still_counts() -> None:
    first = Watched.over(two_wallets())
    first.see(read(1, 5, 95, 0, 0), seconds=1)
    found = highest(restarted(first), read(2, 5, 40, 0, 0), seconds=60)
    assert found == {"ETH": 100, "hot/ETH": 5, "cold/ETH": 95, "eth-hot/ETH": 5, "eth-cold/ETH": 95}


def test_only_what_has_changed_is_written() -> None:
    first = Watched.over(two_wallets())
    first.see(read(1, 5, 95, 0, 0), seconds=1)
    assert len(rows_of(first.windows)) == 5 + 2
    first.see(replace(read(1, 5, 95, 0, 0), complete=False, previous=tip(1), held=()), seconds=2)
    assert set(rows_of(first.windows)) == {LAST}


@pytest.mark.parametrize(
    ("inv", "expected"),
    [
        (two_wallets(3), 100),
        (two_wallets(hot=Tier.WARM), 100),
        (inventory(wallet("eth-hot", Tier.HOT, 1), wallet("eth-cold", Tier.COLD, 9)), 45),
        (inventory(wallet("eth-cold", Tier.COLD, 2)), 40),
        (inventory(wallet("eth-hot", Tier.HOT, 1, owner=Owner.COMPANY), wallet("eth-cold", Tier.COLD, 2)), 40),
    ],
    ids=["an account more", "another tier", "another account", "a wallet less", "another owner"],
)
def test_what_loses_accounts_by_another_configuration_begins_anew(inv: Inventory, expected: int) -> None:
    first = Watched.over(two_wallets())
    first.see(read(1, 5, 95, 0, 0), seconds=1)
    again = restarted(first, inv=inv)
    coins = {1: 5, 2: 40, 9: 40, 8: 0, 3: 0}
    accounts = [int(account, 16) for one in inv.wallets.values() for account in one.accounts]
    update = complete(2, {(n, ETH): coins[n] * ETHER for n in accounts})
    assert highest(again, update, seconds=60)["ETH"] == expected


def test_rows_of_windows_that_nobody_looks_at_any_more_are_forgotten() -> None:
    first = Watched.over(two_wallets())
    first.see(read(1, 5, 95, 0, 0), seconds=1)
    rows = rows_of(first.windows)
    again = Watched.over(inventory(wallet("eth-cold", Tier.COLD, 2)))
    again.windows.restore(rows)
    again.see(complete(2, {(2, ETH): 95 * ETHER}), seconds=2)
    left = set(rows_of(again.windows, before=rows)) - {LAST, SUMMED}
    assert {str(read_key(key)[0]) for key in left} == {"ETH", "cold/ETH", "eth-cold/ETH"}


def test_a_store_that_answers_late_joins_its_rows() -> None:
    first = Watched.over(two_wallets())
    first.see(read(1, 5, 95, 0, 0), seconds=1)
    late = Watched.over(two_wallets())
    assert highest(late, read(2, 5, 40, 0, 0), seconds=60)["ETH"] == 45
    late.windows.restore(rows_of(first.windows))
    assert late.see(None, seconds=61)["ETH"] == 100


STEPS = st.lists(
    st.one_of(st.tuples(st.integers(1, 200), st.integers(0, 30), st.integers(0, 30)), st.just("restart")), max_size=30
)


@given(STEPS)
def test_restarts_at_any_moment_change_nothing_of_the_highest(steps: Sequence[Any]) -> None:
    """As long as the new run looks as soon as the old one would have."""
    plain, subject = Watched.over(two_wallets()), Watched.over(two_wallets())
    seconds, height, rows = 0, 1, dict[str, str]()
    update = read(height, 0, 0, 0, 0)
    for step in ((1, 0, 0), *steps):
        if step == "restart":
            rows = rows_of(subject.windows, before=rows)
            subject = Watched(subject.inv, Ledger(subject.inv), Windows())
            subject.windows.restore(rows)
        else:
            wait, hot, cold = step
            seconds, height = seconds + wait, height + 1
            update = read(height, hot, cold, 0, 0)
        assert highest(subject, update, seconds=seconds) == highest(plain, update, seconds=seconds)


def test_when_it_was_looked_at_last_is_written_though_nothing_has_changed() -> None:
    first = Watched.over(two_wallets())
    first.see(read(1, 5, 95, 0, 0), seconds=1)
    rows = rows_of(first.windows)
    first.see(None, seconds=50)
    assert datetime.fromisoformat(rows_of(first.windows, before=rows)[LAST]) == at(50)
