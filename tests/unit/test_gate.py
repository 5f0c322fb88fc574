"""What closes a gate, what opens it, and what survives: rules one by one, then laws over any course of events."""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import Reason
from daemon.errors import StoreError
from daemon.gate.keeper import UNREADABLE, Unopened
from daemon.gate.latch import MOST_FINDINGS, Latch
from daemon.gate.state import GateState
from daemon.gate.writing import decode, encode
from daemon.model import Finding, State
from tests.build import NOON, at
from tests.gated import RULES, WALLETS, A, B, Gated, MemoryGates, chain, finding


async def test_a_finding_that_fires_closes_the_gates_of_its_wallets_in_the_same_pass() -> None:
    subject = await Gated().started()
    told = await subject.judged(finding(), seconds=5)
    assert (told[A].open, told[B].open) == (False, True)
    assert told[A] == GateState(
        A, at(5), "PyrometerColdMoved (stops, eth-hot): it pays out", open=False, findings=("one",)
    )
    assert subject.keeper.state(A) == told[A]


async def test_a_finding_that_is_pending_closes_nothing() -> None:
    subject = await Gated().started()
    await subject.judged(finding(state=State.PENDING))
    assert subject.open()


async def test_a_rule_that_closes_none_closes_nothing() -> None:
    subject = await Gated().started()
    await subject.judged(finding(policy="tells"))
    assert subject.open()


async def test_a_rule_that_closes_all_closes_wallets_that_its_finding_does_not_name() -> None:
    subject = await Gated().started()
    await subject.judged(finding(policy="everybody", wallets=()))
    assert (subject.open(A), subject.open(B)) == (False, False)


async def test_a_gate_stays_closed_when_the_finding_is_resolved() -> None:
    subject = await Gated().started()
    await subject.judged(finding())
    await subject.judged(seconds=3600)
    state = subject.keeper.state(A)
    assert (state.open, state.since, state.blind) == (False, NOON, False)


async def test_of_several_findings_the_first_is_told_and_all_are_named() -> None:
    subject = await Gated().started()
    await subject.judged(finding("one"), finding("two"))
    await subject.judged(finding("three"), seconds=9)
    state = subject.keeper.state(A)
    assert state.reason.endswith("it pays out (and 1 more)")
    assert (state.findings, state.since) == (("one", "two", "three"), NOON)


async def test_a_closed_gate_names_no_more_findings_than_it_may() -> None:
    subject = await Gated().started()
    for number in range(2 * MOST_FINDINGS):
        await subject.judged(finding(str(number)))
    assert len(subject.keeper.state(A).findings) == MOST_FINDINGS


async def test_an_operator_opens_it_with_a_reason_that_is_audited_in_the_same_transaction() -> None:
    subject = await Gated().started()
    await subject.judged(finding())
    await subject.judged(seconds=60)
    state = await subject.keeper.open(A, who="alice", reason="SEC-1")
    assert (state.open, state.by, state.reason, state.since) == (True, "alice", "SEC-1", at(60))
    assert [(one.who, one.what, one.why) for one in subject.rows.told] == [
        ("pyrometer", "gate_closed", "PyrometerColdMoved (stops, eth-hot): it pays out"),
        ("alice", "gate_opened", "SEC-1"),
    ]
    assert decode(subject.rows.kept[A]).open


async def test_a_look_at_the_gate_is_good_for_an_opening_until_something_else_has_closed_it() -> None:
    """Also where no finding stands against the wallet any more: by a colleague's word, or by a finding that is over."""
    subject = await Gated().started()
    await subject.judged(finding())
    await subject.judged()
    looked = subject.keeper.grounds(A)
    await subject.keeper.close(A, who="bob", reason="SEC-2: the keys are stolen")
    with pytest.raises(Unopened, match="look again"):
        await subject.keeper.open(A, who="alice", reason="SEC-1", grounds=looked)
    looked = subject.keeper.grounds(A)
    await subject.judged(finding("two"))
    await subject.judged()
    with pytest.raises(Unopened, match="look again"):
        await subject.keeper.open(A, who="alice", reason="SEC-1", grounds=looked)
    await subject.killed()
    await subject.started()
    looked = subject.keeper.grounds(A)
    await subject.judged()
    await subject.keeper.open(A, who="alice", reason="SEC-1", grounds=looked)
    assert subject.open()


async def test_what_it_was_opened_in_spite_of_does_not_close_it_again() -> None:
    subject = await Gated().started()
    both = finding(grounds=("tx-1", "tx-2"))
    await subject.judged(both)
    await subject.keeper.open(A, who="alice", reason="SEC-1")
    await subject.judged(both)
    await subject.judged(finding(grounds=("tx-2",)))
    assert subject.open()


async def test_new_grounds_of_the_same_finding_close_it_again() -> None:
    subject = await Gated().started()
    await subject.judged(finding())
    await subject.keeper.open(A, who="alice", reason="SEC-1")
    await subject.judged(finding(grounds=("tx-1", "tx-2")))
    assert not subject.open()


async def test_another_finding_closes_it_again_on_the_same_grounds() -> None:
    subject = await Gated().started()
    await subject.judged(finding())
    await subject.keeper.open(A, who="alice", reason="SEC-1")
    await subject.judged(finding(), finding("two"))
    assert subject.keeper.state(A).findings == ("two",)


async def test_what_was_accepted_is_forgotten_when_the_finding_is_over() -> None:
    subject = await Gated().started()
    await subject.judged(finding())
    await subject.keeper.open(A, who="alice", reason="SEC-1")
    await subject.judged()
    assert decode(subject.rows.kept[A]).accepted == {}


async def test_an_opening_that_names_findings_is_refused_when_another_stands() -> None:
    subject = await Gated().started()
    await subject.judged(finding("one"), finding("two"))
    with pytest.raises(Unopened, match="two"):
        await subject.keeper.open(A, who="alice", reason="SEC-1", seen=["one"])
    assert not subject.open()
    await subject.keeper.open(A, who="alice", reason="SEC-1", seen=["one", "two"])
    assert subject.open()


async def test_an_operator_closes_it_and_only_an_operator_opens_it_again() -> None:
    subject = await Gated().started()
    state = await subject.keeper.close(A, who="bob", reason="keys are changed")
    assert (state.open, state.by, state.reason) == (False, "bob", "keys are changed")
    await subject.judged(seconds=9999)
    assert not subject.open()
    await subject.keeper.open(A, who="alice", reason="done")
    assert subject.open()


async def test_an_operator_who_closes_a_closed_gate_adds_his_word_and_not_a_new_beginning() -> None:
    subject = await Gated().started()
    await subject.judged(finding())
    subject.now = at(60)
    state = await subject.keeper.close(A, who="bob", reason="it is a theft")
    assert (state.since, state.findings, state.by) == (NOON, ("one",), "bob")


# ── blindness ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_wallet_whose_chain_is_not_seen_is_closed_for_as_long_as_that_lasts() -> None:
    subject = await Gated().started()
    told = await subject.judged(reason=Reason.UNAVAILABLE, seconds=5)
    assert (told[A].open, told[A].blind, told[A].since) == (False, True, at(5))
    assert told[A].reason == "nobody sees ethereum: unavailable: node-1: refused"
    told = await subject.judged(reason=Reason.TIMEOUT, seconds=6)
    assert (told[A].since, told[A].reason) == (at(5), "nobody sees ethereum: timeout: node-1: refused")
    assert (await subject.judged(seconds=7))[A].open
    assert subject.rows.kept == {}


async def test_a_gate_can_not_be_opened_unseen() -> None:
    subject = await Gated().started()
    await subject.judged(finding(), reason=Reason.STALE)
    with pytest.raises(Unopened, match="unseen: nobody sees ethereum: stale"):
        await subject.keeper.open(A, who="alice", reason="SEC-1")
    await subject.judged()
    assert not subject.open()
    assert [one.what for one in subject.rows.told] == ["gate_closed"]


async def test_a_finding_closes_a_gate_that_is_blind_so_that_sight_does_not_open_it() -> None:
    subject = await Gated().started()
    await subject.judged(finding(), reason=Reason.STALE)
    await subject.judged()
    assert not subject.open()


async def test_a_wallet_that_was_not_judged_yet_is_closed() -> None:
    subject = Gated()
    await subject.keeper.restore()
    assert (subject.open(), subject.open("new")) == (False, False)


# ── the store ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_until_the_store_has_told_what_it_keeps_all_are_closed_and_none_can_be_opened() -> None:
    subject = Gated(MemoryGates(away=True))
    with pytest.raises(StoreError):
        await subject.keeper.restore()
    told = await subject.judged()
    assert {state.open for state in told.values()} == {False}
    with pytest.raises(StoreError, match="has not told"):
        await subject.keeper.open(A, who="alice", reason="SEC-1")
    subject.rows.away = False
    await subject.keeper.restore()
    assert (await subject.judged())[A].open


async def test_what_closed_before_the_store_told_is_closed_afterwards_too() -> None:
    kept = Latch(open=True, since=NOON, reason="SEC-0", by="alice", accepted={"zero": ()})
    subject = Gated(MemoryGates(kept={A: encode(kept), B: encode(kept)}))
    await subject.judged(finding())
    assert decode(subject.rows.kept[A]) == kept  # nothing is written over what is not known
    await subject.keeper.restore()
    await subject.keeper.save()
    closed = decode(subject.rows.kept[A])
    assert (closed.open, closed.findings, closed.by) == (False, ("one",), None)
    assert decode(subject.rows.kept[B]) == kept


async def test_a_closing_that_the_store_does_not_take_is_in_force_and_stored_later() -> None:
    subject = await Gated().started()
    subject.rows.away = True
    assert not (await subject.judged(finding()))[A].open
    assert not (await subject.keeper.close(B, who="bob", reason="to be safe")).open
    assert set(subject.keeper.unsaved) == {A, B}
    assert subject.keeper.problem == "gates that live in memory alone (2): store: it is away"
    subject.rows.away = False
    await subject.keeper.save()
    assert {name: decode(body).open for name, body in subject.rows.kept.items()} == {A: False, B: False}
    assert [one.who for one in subject.rows.told] == ["pyrometer", "bob"]
    assert not any((subject.keeper.unsaved, subject.keeper.problem))


async def test_a_judgement_waits_for_no_store_that_is_away() -> None:
    subject = await Gated().started()
    subject.rows.away = True
    await subject.judged(finding())
    subject.rows.meanwhile = asyncio.Event()  # who asks it now would wait for ever
    assert not (await asyncio.wait_for(subject.judged(finding(wallets=(B,))), 5))[B].open


async def test_an_opening_that_the_store_does_not_take_is_not_in_force() -> None:
    subject = await Gated().started()
    await subject.judged(finding())
    subject.rows.away = True
    with pytest.raises(StoreError):
        await subject.keeper.open(A, who="alice", reason="SEC-1")
    assert not subject.open()


async def test_an_opening_that_the_store_took_without_saying_so_is_taken_back_and_audited() -> None:
    subject = await Gated().started()
    await subject.judged(finding())
    subject.rows.late = True
    with pytest.raises(StoreError):
        await subject.keeper.open(A, who="alice", reason="SEC-1")
    assert decode(subject.rows.kept[A]).open
    subject.rows.late = False
    await subject.keeper.save()
    assert not decode(subject.rows.kept[A]).open
    assert [one.what for one in subject.rows.told] == ["gate_closed", "gate_opened", "gate_not_opened"]


async def test_what_closes_a_gate_while_its_opening_is_stored_keeps_it_closed() -> None:
    subject = await Gated().started()
    await subject.judged(finding())
    subject.rows.meanwhile = asyncio.Event()
    opening = asyncio.create_task(subject.keeper.open(A, who="alice", reason="SEC-1"))
    await asyncio.sleep(0)
    told = subject.keeper.judge(
        [finding(), finding("two")], rules=RULES, wallets=WALLETS, chains={"ethereum": chain()}, now=at(1)
    )
    assert not told[A].open
    subject.rows.meanwhile.set()
    with pytest.raises(Unopened, match="closed anew"):
        await opening
    assert not subject.open()
    await subject.keeper.save()
    assert not decode(subject.rows.kept[A]).open


@pytest.mark.parametrize(
    "found",
    [[finding(grounds=("tx-1", "tx-2"))], [*(finding(f"old-{n}") for n in range(MOST_FINDINGS)), finding("new")]],
    ids=["on another ground", "beyond those that it names"],
)
async def test_a_finding_that_gets_worse_while_an_opening_is_stored_keeps_the_gate_closed(
    found: list[Finding],
) -> None:
    subject = await Gated().started()
    await subject.judged(*[replace(found[0], verdict=finding().verdict), *found[1:-1]])
    subject.rows.meanwhile = asyncio.Event()
    opening = asyncio.create_task(subject.keeper.open(A, who="alice", reason="SEC-1"))
    await asyncio.sleep(0)
    subject.keeper.judge(found, rules=RULES, wallets=WALLETS, chains={"ethereum": chain()}, now=at(1))
    subject.rows.meanwhile.set()
    with pytest.raises(Unopened, match="closed anew"):
        await opening
    assert not subject.open()
    await subject.keeper.save()
    assert not decode(subject.rows.kept[A]).open


async def test_a_gate_whose_row_is_damaged_is_closed() -> None:
    subject = await Gated(MemoryGates(kept={A: "{", B: '{"open": true}'})).started()
    assert [subject.keeper.state(name).reason for name in (A, B)] == [UNREADABLE, UNREADABLE]


async def test_the_gate_of_a_wallet_that_leaves_the_configuration_and_comes_back_is_as_it_was() -> None:
    subject = await Gated().started()
    await subject.judged(finding())
    subject.keeper.judge([], rules=RULES, wallets={B: WALLETS[B]}, chains={"ethereum": chain()}, now=subject.now)
    assert not subject.open(A)
    await subject.judged()
    assert subject.keeper.state(A).findings == ("one",)


@given(
    st.builds(
        Latch,
        open=st.booleans(),
        since=st.datetimes(timezones=st.just(UTC)),
        reason=st.text(),
        findings=st.lists(st.text(), max_size=3).map(tuple),
        by=st.none() | st.text(),
        accepted=st.dictionaries(st.text(), st.lists(st.text(), max_size=2).map(tuple), max_size=2),
    )
)
def test_a_latch_comes_back_from_its_text_as_it_was(latch: Latch) -> None:
    text = encode(latch)
    assert text.isascii()
    assert decode(text) == latch


# ── laws ────────────────────────────────────────────────────────────────────────────────────────────────────────────

Do = Literal["judge", "open", "close", "kill", "away", "back", "late"]

FINDINGS = st.lists(
    st.builds(
        finding,
        st.sampled_from(["one", "two"]),
        policy=st.sampled_from(["stops", "everybody", "tells"]),
        wallets=st.sampled_from([(A,), (B,), (A, B), ()]),
        grounds=st.lists(st.sampled_from(["tx-1", "tx-2", "tx-3"]), max_size=3),
        state=st.sampled_from([State.FIRING, State.PENDING]),
    ),
    max_size=2,
    unique_by=lambda one: one.id,
)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["judge", "judge", "open", "close", "kill", "away", "back", "late"]),
        FINDINGS,
        st.sampled_from([None, None, Reason.STALE]),
    ),
    max_size=25,
)


async def _step(subject: Gated, do: str, findings: Sequence[Finding], reason: Reason | None) -> bool:
    """Whether an operator has opened the gate of A by it."""
    rows = subject.rows
    if do == "judge":
        await subject.judged(*findings, reason=reason)
    elif do == "close":
        await subject.keeper.close(A, who="bob", reason="closed")
    elif do == "open":
        try:
            return (await subject.keeper.open(A, who="alice", reason="opened")).open
        except (Unopened, StoreError):
            return False
    elif do == "kill":
        await subject.killed()
    else:
        rows.away, rows.late = do == "away", do == "late"
    return False


async def _started_again(subject: Gated, findings: Iterable[Finding]) -> None:
    with contextlib.suppress(StoreError):
        await subject.keeper.restore()
    await subject.judged(*findings)


@pytest.mark.timeout(120)
@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_gate_that_was_closed_is_opened_by_an_operator_alone(
    steps: Sequence[tuple[str, list[Finding], None]],
) -> None:
    """Whatever is judged, lost from sight or closed, and however often the daemon dies, on a store that works."""

    async def course() -> None:
        subject = await Gated().started()
        closed = False
        for do, findings, reason in steps:
            if do in ("away", "late", "back"):
                continue
            opened = await _step(subject, do, findings, reason)
            if do == "kill":
                assert not subject.open()  # before the store has told
                await _started_again(subject, ())
            closed = (closed and not opened) or _is_latched(subject)
            assert not (closed and subject.open())

    asyncio.run(course())


@pytest.mark.timeout(120)
@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_after_a_restart_at_any_point_every_gate_is_as_it_was(steps: Sequence[tuple[str, list[Finding], None]]) -> None:
    """On a store that is there in the end; one that was away keeps nothing open that was closed."""

    async def course() -> None:
        subject = await Gated().started()
        last: list[Finding] = []
        for do, findings, reason in steps:
            if do == "kill":
                continue
            await _step(subject, do, findings, reason)
            last = findings if do == "judge" else last
        subject.rows.away = subject.rows.late = False
        await subject.judged(*last)
        await subject.keeper.save()
        before = {name: replace(subject.keeper.state(name), since=NOON) for name in WALLETS}
        await subject.killed()
        await _started_again(subject, last)
        after = {name: replace(subject.keeper.state(name), since=NOON) for name in WALLETS}
        assert after == before

    asyncio.run(course())


def _is_latched(subject: Gated) -> bool:
    state = subject.keeper.state(A)
    return not state.open and not state.blind


def test_times_are_utc() -> None:
    assert decode(encode(Latch(open=False, since=datetime(2026, 1, 1, tzinfo=UTC), reason=""))).since.tzinfo is UTC
