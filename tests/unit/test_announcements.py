"""What planned transfers explain: whose payments, when, whom, how much, and what is left."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Party, Stage
from daemon.announcement import Act, Announcement, State, decode, encode
from daemon.announcements import MOST_PAYMENTS, Announced
from daemon.detection.outflow import Key, Outflow
from tests.build import ETH, ETHER, USDT, at, tip

OUT, OTHER = "0x" + "ee" * 20, "0x" + "dd" * 20


def paid(
    coins: float | str,
    *,
    seconds: float,
    name: str = "",
    wallet: str = "hot",
    to: Sequence[tuple[str, float]] | None = None,
    stage: Stage = Stage.MINED,
    unlisted: int = 0,
    payers: tuple[str, ...] = (),
) -> Outflow:
    units = int(Decimal(str(coins)) * ETHER)
    parties = ((OUT, coins),) if to is None else to
    first_seen = at(seconds)
    return Outflow(
        key=Key(name or f"tx-{coins}-{seconds:g}", ETH),
        wallet=wallet,
        payers=payers or (wallet,),
        asset="ETH",
        units=units,
        destinations=tuple(Party(who, int(Decimal(str(part)) * ETHER)) for who, part in parties),
        unlisted=unlisted,
        fee=0,
        change=0,
        stage=stage,
        tip=tip(int(seconds)) if stage is Stage.MINED else None,
        first_seen=first_seen,
        since=first_seen,
    )


def plan(
    number: str = "a",
    *,
    at_most: str = "5",
    approved: bool = True,
    destinations: tuple[str, ...] = (OUT,),
    starts: float = 0,
    ends: float = 100,
    announced: float = 0,
    withdrawn: float | None = None,
    wallet: str = "hot",
    asset: str = "ETH",
) -> Announcement:
    return Announcement(
        id=number,
        wallet=wallet,
        asset=asset,
        at_most=Decimal(at_most),
        destinations=destinations,
        starts=at(starts),
        ends=at(ends),
        ticket="OPS-7",
        note="日本",
        announced=Act("aya", at(announced)),
        approved=Act("ben", at(announced)) if approved else None,
        withdrawn=None if withdrawn is None else Act("aya", at(withdrawn), "done"),
    )


def book(*plans: Announcement) -> Announced:
    found = Announced()
    found.put(plans)
    return found


@pytest.mark.parametrize(
    ("one", "explained"),
    [
        (paid(2, seconds=5), 2 * ETHER),
        (paid(5, seconds=5), 5 * ETHER),
        (paid(6, seconds=5), 5 * ETHER),
        (paid(2, seconds=0), 2 * ETHER),
        (paid(2, seconds=100), 2 * ETHER),
        (paid(2, seconds=100.000001), 0),
        (paid(2, seconds=-0.000001), 0),
        (paid(2, seconds=5, wallet="cold"), 0),
        (paid(2, seconds=5, payers=("hot", "cold")), 0),
        (paid(2, seconds=5, to=[(OTHER, 2)]), 0),
        (paid(3, seconds=5, to=[(OTHER, 1), (OUT, 2)]), 2 * ETHER),
        (paid(3, seconds=5, to=[(OUT, 1), (OUT, 1)], unlisted=ETHER), 2 * ETHER),
        (paid(0, seconds=5, to=[]), 0),
        (replace(paid(2, seconds=5), asset="USDT", key=Key("x", USDT)), 0),
        (paid(2, seconds=5, stage=Stage.PENDING), 2 * ETHER),
    ],
)
def test_a_payment_is_explained_as_far_as_wallet_asset_destination_time_and_amount_fit(
    one: Outflow, explained: int
) -> None:
    assert book(plan()).take(one) == explained


def test_what_is_not_approved_explains_nothing_until_it_is() -> None:
    """The approval may come after the payment, which was seen after the announcement."""
    subject = book(plan(approved=False))
    one = paid(2, seconds=5)
    assert subject.take(one) == 0
    before = subject.number
    subject.put([plan()])
    assert subject.number != before
    assert subject.take(one) == 2 * ETHER


def test_nothing_seen_before_the_announcement_is_explained_whatever_its_start_says() -> None:
    subject = book(plan(starts=0, announced=10))
    assert subject.take(paid(1, seconds=9)) == 0
    assert subject.take(paid(1, seconds=10)) == ETHER


def test_a_withdrawal_explains_nothing_that_comes_after_it_and_leaves_what_came_before() -> None:
    subject = book(plan())
    assert subject.take(paid(2, seconds=5)) == 2 * ETHER
    subject.put([plan(withdrawn=10)])
    assert subject.take(paid(2, seconds=5)) == 2 * ETHER
    assert subject.take(paid(1, seconds=10)) == 0


def test_a_payment_is_counted_once_at_whatever_stage() -> None:
    subject = book(plan())
    assert subject.take(paid(3, seconds=5, name="x", stage=Stage.PENDING)) == 3 * ETHER
    number = subject.number
    assert subject.take(paid(3, seconds=5, name="x")) == 3 * ETHER
    assert subject.left("a") == 2
    assert subject.number == number


def test_what_is_used_up_by_a_payment_that_never_happened_is_there_for_the_next() -> None:
    """A payment replaced by fee: its successor was told first and was explained in part."""
    subject = book(plan())
    assert subject.take(paid(4, seconds=5, name="old", stage=Stage.PENDING)) == 4 * ETHER
    new = paid(4, seconds=6, name="new", stage=Stage.PENDING)
    assert subject.take(new) == ETHER
    number = subject.number
    subject.withdraw(Key("old", ETH))
    assert subject.number != number
    assert subject.take(new) == 4 * ETHER
    assert subject.left("a") == 1


def test_one_announcement_goes_on_where_another_ends() -> None:
    subject = book(plan("later", ends=200), plan("sooner", at_most="1"))
    assert subject.take(paid(3, seconds=5)) == 3 * ETHER
    assert [subject.left(number) for number in ("sooner", "later")] == [Decimal(0), Decimal(3)]
    (payment,) = subject.payments("later")
    assert payment.given == {"sooner": ETHER, "later": 2 * ETHER}


def test_only_what_was_mined_has_departed() -> None:
    subject = book(plan())
    subject.take(paid(2, seconds=5, name="x", stage=Stage.PENDING))
    assert subject.departed == {}
    subject.take(paid(2, seconds=5, name="x"))
    ((place, (left,)),) = subject.departed.items()
    assert (place, left.height, left.coins, left.announcements) == (("hot", "ETH"), 5, Decimal(2), ("a",))
    assert subject.departed is subject.departed
    subject.withdraw(Key("x", ETH))
    assert subject.departed == {}


def test_tokens_of_few_decimals_are_explained_in_their_own_units() -> None:
    subject = book(plan(asset="USDT", at_most="1.5"))
    one = replace(paid(2, seconds=5), asset="USDT", key=Key("x", USDT), units=2_000_000)
    assert subject.take(replace(one, destinations=(Party(OUT, 2_000_000),))) == 1_500_000
    assert subject.left("a") == 0


def test_what_nobody_announces_any_more_is_forgotten() -> None:
    subject = book(plan())
    subject.take(paid(2, seconds=5))
    assert len(subject.changed()) == 1
    subject.put([])
    assert list(subject.changed().values()) == [None]
    assert subject.explained == {}


def test_no_more_payments_are_kept_than_the_bound() -> None:
    subject = book(plan())
    for number in range(MOST_PAYMENTS):
        subject.take(paid(0, seconds=5 + number / 1000, name=f"{number}", to=[(OUT, 0)]))
    assert subject.take(paid(1, seconds=50)) == 0


def test_payments_to_others_take_no_room_from_those_that_were_announced() -> None:
    """Withdrawals of customers out of the same wallet, by the thousand."""
    subject = book(plan())
    for number in range(MOST_PAYMENTS + 5):
        assert subject.take(paid(1, seconds=5, name=f"{number}", to=[(OTHER, 1)])) == 0
    assert subject.changed() == {}
    assert subject.take(paid(1, seconds=50)) == ETHER


@pytest.mark.parametrize(
    ("one", "moment", "state"),
    [
        (plan(approved=False), 5, State.ANNOUNCED),
        (plan(), 5, State.APPROVED),
        (plan(), 101, State.EXPIRED),
        (plan(withdrawn=4), 101, State.WITHDRAWN),
    ],
)
def test_how_an_announcement_stands(one: Announcement, moment: float, state: State) -> None:
    assert one.state(at(moment)) is state


@pytest.mark.parametrize("one", [plan(), plan(approved=False), plan(withdrawn=4, at_most="0.000000000000000001")])
def test_an_announcement_comes_back_from_its_text_as_it_was(one: Announcement) -> None:
    assert decode(encode(one)) == one
    assert encode(one).isascii()


@pytest.mark.parametrize("text", ["{}", "[]", "1", "x", '{"announced": null}'])
def test_another_text_is_no_announcement(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(text)


def test_another_text_is_no_payment() -> None:
    with pytest.raises(ValueError, match="no payment"):
        book().restore({"x": "{}"})


MOMENTS = st.integers(0, 12)
PLANS = st.lists(
    st.builds(
        plan,
        st.sampled_from("abc"),
        at_most=st.sampled_from(["1", "2.5", "4"]),
        approved=st.booleans(),
        destinations=st.sampled_from([(OUT,), (OTHER,), (OUT, OTHER)]),
        starts=st.integers(0, 3),
        ends=st.integers(4, 12),
        announced=st.integers(0, 3),
        withdrawn=st.none() | st.integers(4, 12),
        wallet=st.sampled_from(["hot", "cold"]),
    ),
    max_size=3,
    unique_by=lambda one: one.id,
)
PAYMENTS = st.lists(
    st.builds(
        lambda number, one, two, seconds, wallet, stage: paid(
            one + two,
            seconds=seconds,
            name=f"tx-{number}",
            to=[(OUT, one), (OTHER, two)],
            wallet=wallet,
            stage=stage,
        ),
        st.integers(0, 5),
        st.sampled_from([0, 0.5, 1, 3]),
        st.sampled_from([0, 0.25, 2]),
        MOMENTS,
        st.sampled_from(["hot", "cold"]),
        st.sampled_from([Stage.PENDING, Stage.MINED]),
    ),
    max_size=6,
    unique_by=lambda one: one.key,
)


def naive(plans: Iterable[Announcement], payments: Iterable[Outflow]) -> dict[Key, int]:
    """What each payment is explained by, said as the rule says it, without remembering anything."""
    left = {one.id: one.at_most * ETHER for one in plans}
    explained = {}
    for payment in sorted(payments, key=lambda one: (one.first_seen, one.key.transaction)):
        rest = {party.name: party.units for party in payment.destinations}
        for one in sorted(plans, key=lambda found: (found.ends, found.id)):
            if (one.wallet, one.asset) != (payment.wallet, payment.asset) or not one.in_force(payment.first_seen):
                continue
            for name in one.destinations:
                part = min(rest[name], int(left[one.id]))
                rest[name] -= part
                left[one.id] -= part
        explained[payment.key] = sum(party.units for party in payment.destinations) - sum(rest.values())
    return explained


def explains(subject: Announced, payments: Iterable[Outflow]) -> dict[Key, int]:
    """Asked until it says the same, as detection does."""
    payments = list(payments)
    while True:
        number = subject.number
        found = {one.key: subject.take(one) for one in payments}
        if subject.number == number:
            return found


@given(plans=PLANS, payments=PAYMENTS, order=st.randoms(use_true_random=False))
def test_what_explains_what_does_not_depend_on_the_order_in_which_we_are_told(
    plans: list[Announcement], payments: list[Outflow], order: object
) -> None:
    told = list(payments)
    order.shuffle(told)  # type: ignore[attr-defined]
    subject = book(*plans)
    assert explains(subject, told) == naive(plans, payments)


@given(plans=PLANS, payments=PAYMENTS)
def test_no_announcement_explains_more_than_was_announced(plans: list[Announcement], payments: list[Outflow]) -> None:
    subject = book(*plans)
    explains(subject, payments)
    for one in plans:
        used = sum(payment.given[one.id] for payment in subject.payments(one.id))
        assert used <= one.at_most * ETHER
        assert subject.left(one.id) == one.at_most - Decimal(used) / ETHER
    assert all(payment.explained <= payment.units for payment in subject.explained.values())


@given(plans=PLANS, payments=PAYMENTS, gone=st.sets(st.integers(0, 5)))
def test_payments_that_never_happened_leave_no_trace(
    plans: list[Announcement], payments: list[Outflow], gone: set[int]
) -> None:
    subject = book(*plans)
    for one in payments:
        subject.take(one)
    undone = {Key(f"tx-{number}", ETH) for number in gone}
    for key in undone:
        subject.withdraw(key)
    rest = [one for one in payments if one.key not in undone]
    assert explains(subject, rest) == naive(plans, rest)


@given(plans=PLANS, payments=PAYMENTS, cut=st.integers(0, 6), first=st.booleans())
def test_a_restart_anywhere_changes_nothing(
    plans: list[Announcement], payments: list[Outflow], cut: int, first: bool
) -> None:
    """What was used up by payments that nobody tells again stays used up; the store may answer before or after."""
    rows: dict[str, str | None] = {}
    earlier = book(*plans)
    for one in payments[:cut]:
        earlier.take(one)
        rows |= earlier.changed()
    subject = Announced()
    if first:
        subject.put(plans)
    subject.restore({key: text for key, text in rows.items() if text is not None})
    subject.put(plans)
    found = explains(subject, payments[cut:])
    oracle = naive(plans, payments)
    assert found == {one.key: oracle[one.key] for one in payments[cut:]}
    assert {key: one.explained for key, one in subject.explained.items()} == {k: n for k, n in oracle.items() if n}


def test_a_payment_that_is_told_before_the_store_has_said_what_is_announced_is_not_forgotten() -> None:
    earlier = book(plan())
    earlier.take(paid(2, seconds=5, name="x", stage=Stage.PENDING))
    subject = Announced()
    subject.restore({key: text for key, text in earlier.changed().items() if text})
    assert subject.take(paid(2, seconds=500, name="x")) == 0
    number = subject.number
    subject.put([plan()])
    assert subject.number != number
    assert subject.take(paid(2, seconds=500, name="x")) == 2 * ETHER


def test_a_payment_that_is_seen_again_after_a_restart_keeps_the_time_of_its_first_sight() -> None:
    earlier = book(plan())
    earlier.take(paid(2, seconds=99, name="x", stage=Stage.PENDING))
    subject = book(plan())
    subject.restore({key: text for key, text in earlier.changed().items() if text})
    assert subject.take(paid(2, seconds=500, name="x")) == 2 * ETHER
