"""Who controlled an account in an earlier run is compared with what this one is told first."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Address, Control, Tip
from daemon.control import SINGLE, ControlChange, Controlled
from daemon.control_rows import account_key, decode, encode, read_key, wallet_key
from daemon.controls import Controls
from daemon.model import Inventory, Tier
from tests.build import address, inventory, tip, wallet
from tests.unit.test_controls import INVENTORY, OWNER, THIEF, safe, single, told, update
from tests.unit.test_journal import TIMES, TIPS

ACCOUNT = address(3)
TEXTS = st.text(max_size=8)
CONTROLS = st.builds(
    Control,
    st.just(ACCOUNT),
    TEXTS,
    st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(tuple),
    st.none() | TEXTS,
    st.none() | TIPS,
)
CHANGES = st.lists(st.builds(ControlChange, TIMES, TIPS, CONTROLS, CONTROLS, st.booleans()), max_size=3).map(tuple)
CONTROLLED = st.builds(Controlled, st.just(ACCOUNT), st.none() | CONTROLS, st.none() | TIPS, st.just(""), CHANGES)


@given(CONTROLLED)
def test_an_account_comes_back_as_it_was(controlled: Controlled) -> None:
    assert decode(encode(controlled), account=ACCOUNT) == controlled


@given(TEXTS, TEXTS)
def test_so_does_what_it_is_kept_under(chain: str, account: str) -> None:
    assert read_key(account_key(chain, Address(account))) == (chain, account)
    assert read_key(wallet_key(chain)) == (chain,)


@pytest.mark.parametrize("text", ["", "{}", "null", '{"control": 1, "tip": null, "changes": []}'])
def test_a_text_that_is_no_account_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text, account=ACCOUNT)


def rows_of(controls: Controls, *, before: dict[str, str] | None = None) -> dict[str, str]:
    rows = dict(before or {})
    for key, text in controls.changed().items():
        rows.pop(key, None)
        if text is not None:
            rows[key] = text
    return rows


def restarted(rows: dict[str, str], *, inv: Inventory = INVENTORY) -> Controls:
    controls = Controls(inv)
    controls.restore(rows)
    return controls


def everything() -> dict[str, str]:
    return rows_of(told(update(1, safe(OWNER), single(1), single(2))))


def test_a_change_while_nobody_watched_is_one_and_says_so() -> None:
    again = restarted(everything())
    assert again.of("vault").awaited == 1
    (change,) = again.take(update(9, safe(THIEF)))
    assert (change.before, change.after, change.tip, change.unwatched) == (safe(OWNER), safe(THIEF), tip(9), True)
    assert again.of("vault").awaited == 0


def test_what_is_as_it_was_is_no_change() -> None:
    again = restarted(everything())
    assert again.take(update(9, safe(OWNER), single(1), single(2))) == ()
    (change,) = again.take(update(10, safe(THIEF)))
    assert not change.unwatched


def test_a_plain_account_that_gained_code_meanwhile_is_a_change_though_it_was_only_counted() -> None:
    again = restarted(everything())
    assert again.of("hot").awaited == 2
    (change,) = again.take(update(9, Control(address(2), "delegated", (("delegate", THIEF),))))
    assert (change.before.kind, change.after.kind, change.unwatched) == (SINGLE, "delegated", True)


def test_of_an_account_that_is_new_in_its_wallet_nothing_is_known() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 1, 2, 5), wallet("vault", Tier.COLD, 3))
    again = restarted(everything(), inv=inv)
    delegated = [Control(address(n), "delegated", (("delegate", THIEF),)) for n in (2, 5)]
    assert [change.after.account for change in again.take(update(9, *delegated))] == [address(2)]


def test_of_a_wallet_with_other_accounts_than_before_nothing_is_known() -> None:
    inv = inventory(wallet("hot", Tier.HOT, 2, 1), wallet("vault", Tier.COLD, 3))
    again = restarted(everything(), inv=inv)
    assert again.take(update(9, Control(address(2), "delegated", (("delegate", THIEF),)))) == ()


def test_changes_of_an_earlier_run_still_stand_and_a_reorganisation_takes_them_back() -> None:
    first = told(update(1, safe(OWNER)), update(5, safe(THIEF)))
    rows = rows_of(first)
    (known,) = restarted(rows).of("vault").accounts
    assert [change.tip for change in known.changes] == [tip(5)]
    again = restarted(rows)
    assert again.take(update(6, safe(OWNER), previous=5, depth=1, branch="b")) == ()
    (known,) = again.of("vault").accounts
    assert (known.control, known.changes) == (safe(OWNER), ())


def test_a_change_that_nobody_watched_is_not_undone_with_the_block_at_which_it_was_found() -> None:
    again = restarted(everything())
    again.take(update(9, safe(THIEF)))
    again.take(update(9, previous=9, depth=1, branch="b"))
    (known,) = again.of("vault").accounts
    assert len(known.changes) == 1


def test_what_could_not_be_read_at_first_is_still_compared() -> None:
    again = restarted(everything())
    assert again.take(update(9, Control(ACCOUNT, "unread", (("reason", "refused"),)))) == ()
    assert len(again.take(update(10, safe(THIEF)))) == 1


def test_a_store_that_answers_late_is_compared_with_what_is_known_by_then() -> None:
    late = told(update(9, safe(THIEF), Control(address(1), "delegated", ()), single(2)))
    late.restore(everything())
    (vault,), (hot,) = late.of("vault").accounts, late.of("hot").accounts
    for known in (vault, hot):
        assert [(change.tip, change.unwatched) for change in known.changes] == [(tip(9), True)]
    assert late.of("hot").awaited == 0


def test_only_what_has_changed_is_written_and_a_million_plain_accounts_are_one_row() -> None:
    inv = inventory(wallet("hot", Tier.HOT, *range(10, 2000)), wallet("vault", Tier.COLD, 3))
    controls = Controls(inv)
    assert rows_of(controls) == {}
    controls.take(update(1, safe(OWNER), *(single(n) for n in range(10, 2000))))
    assert set(rows_of(controls)) == {wallet_key("hot"), wallet_key("vault"), account_key("ethereum", ACCOUNT)}
    assert rows_of(controls) == {}
    controls.take(update(2, *(single(n) for n in range(10, 2000))))
    assert rows_of(controls) == {}


def test_accounts_that_are_not_watched_any_more_are_forgotten() -> None:
    rows = everything()
    again = restarted(rows, inv=inventory(wallet("hot", Tier.HOT, 1, 2)))
    assert account_key("ethereum", ACCOUNT) not in rows_of(again, before=rows)


KINDS = st.sampled_from(["single", "delegated", "safe"])
STEPS = st.lists(
    st.one_of(st.tuples(st.integers(1, 3), KINDS, st.sampled_from([OWNER, THIEF])), st.just("restart")), max_size=25
)


@given(STEPS)
def test_restarts_at_any_moment_lose_no_change_and_invent_none(steps: list[tuple[int, str, str] | str]) -> None:
    plain = told(update(1, single(1), single(2), single(3)))
    subject = told(update(1, single(1), single(2), single(3)))
    rows = dict[str, str]()
    for height, step in enumerate(steps, 2):
        if isinstance(step, str):
            rows = rows_of(subject, before=rows)
            subject = restarted(rows)
            continue
        number, kind, owner = step
        facts = () if kind == "single" else (("owner", owner),)
        here = update(height, Control(address(number), kind, facts))
        changes = [replace(change, unwatched=False) for change in subject.take(here)]
        assert changes == list(plain.take(here))
    for name in INVENTORY.wallets:
        assert _changes(subject, name) == _changes(plain, name)


def _changes(controls: Controls, name: str) -> list[tuple[Address, Tip]]:
    known = controls.of(name).accounts
    return sorted(((one.account, change.tip) for one in known for change in one.changes), key=repr)
