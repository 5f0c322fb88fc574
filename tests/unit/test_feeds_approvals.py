"""Approvals: what can't be right is refused whole with the row's name, what is good is exact, and the rest has ages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.detection.approval import Approval, Approved
from daemon.detection.approvals import ApprovalBook
from daemon.emit.rendering import feeds
from daemon.feeds.approving import NOTHING, Approvable, Checked, checked_approvals
from daemon.feeds.config import FeedsConfig
from daemon.feeds.entries import COLUMNS, MOST_ENTRIES, Batch, Entry, of_document, of_list, of_table
from daemon.feeds.source import FeedError
from daemon.feeds.values import Fault, FeedKind, FeedReason
from daemon.reload import load_whole
from tests.build import at
from tests.feeding import BAD, TIMEOUT, book, source
from tests.unit.test_feeds_in_the_pipe import piped

CONFIGURATION = (Path(__file__).parents[1] / "data" / "good.yaml").read_text()
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
EXPECTED = Approvable(
    decimals={"BTC": 8, "USDT": 6},
    homes={"BTC": frozenset({"bitcoin"}), "USDT": frozenset({"ethereum", "tron"})},
    chains={"ERC20": "ethereum"},
    ignored=frozenset({"JPY", "solana"}),
)
GOOD: Mapping[str, object] = {
    "id": "w1",
    "asset": "BTC",
    "amount": "0.5",
    "destination": "bc1qexample",
    "at": "2026-11-23T11:59:00Z",
}


def entry(**changes: object) -> Entry:
    return tuple({**GOOD, **changes}.get(column) for column in COLUMNS)


def checked(*entries: Entry, before: Checked = NOTHING, now: datetime = NOW) -> Checked:
    return checked_approvals(entries, expected=EXPECTED, now=now, before=before)


def refused(*entries: Entry) -> str:
    with pytest.raises(FeedError) as caught:
        checked(*entries)
    assert caught.value.reason is FeedReason.BAD_ANSWER
    assert "\n" not in caught.value.detail
    return caught.value.detail


def test_an_approval_is_read_exactly() -> None:
    full = entry(asset="USDT", amount=Decimal("1000.000001"), chain="ERC20", fee="1.5", tag=77, id=12)
    assert checked(full).approvals == (
        Approval(
            id="12",
            asset="USDT",
            coins=Decimal("1000.000001"),
            destination="bc1qexample",
            at=NOW - timedelta(minutes=1),
            chain="ethereum",
            fee=Decimal("1.5"),
            tag="77",
        ),
    )


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"id": None}, "row 1: id: expected a text or a whole number, found nothing"),
        ({"id": ""}, "row 1: id: expected 1 to 200 printable characters"),
        ({"id": True}, "row 1 (id True): id: expected a text or a whole number, found true"),
        ({"id": "a\nb"}, "row 1: id: expected 1 to 200 printable characters"),
        ({"id": "x" * 201}, "row 1: id: expected 1 to 200 printable characters, found a text of 201 characters"),
        ({"id": ["w1"]}, "row 1: id: expected a text or a whole number, found a list"),
        ({"asset": None}, "row 1 (id w1): asset: expected a text, found nothing"),
        ({"asset": 5}, "asset: expected a text, found 5"),
        ({"asset": "DOGE"}, "'DOGE' is no asset of the configuration; `ignore` lists names to be dropped"),
        ({"amount": None}, "amount: expected a number, found nothing"),
        ({"amount": "0"}, "amount: 0 is nothing to approve"),
        ({"amount": "-1"}, "amount: '-1' is negative"),
        ({"amount": Decimal("NaN")}, "amount: not a finite number"),
        ({"amount": Decimal("Infinity")}, "amount: not a finite number"),
        ({"amount": "NaN"}, "amount: expected a number, found 'NaN'"),
        ({"amount": 0.5}, "amount: a binary fraction, which is not exact"),
        ({"amount": True}, "amount: expected a number, found true"),
        ({"amount": "much"}, "amount: expected a number, found 'much'"),
        ({"amount": "1" * 60}, "amount: a number of more than 50 digits"),
        ({"amount": "0.000000001"}, "amount: '0.000000001' has more than the 8 decimals that the asset has"),
        ({"destination": None}, "destination: expected a text, found nothing"),
        ({"destination": ""}, "destination: expected a text, found nothing"),
        ({"destination": "   "}, "destination: expected an address"),
        ({"destination": "bc1q example"}, "destination: expected an address"),
        ({"destination": "bc1q\u200bexample"}, "destination: expected an address"),
        ({"destination": "x" * 201}, "destination: expected an address, found a text of 201 characters"),
        ({"at": None}, "at: says not as of when it is"),
        ({"at": "yesterday"}, "at: expected a time as unix seconds"),
        ({"at": "2026-11-23T11:59:00"}, "at: expected a time as unix seconds"),
        ({"at": datetime(2026, 11, 23)}, "at: expected a time as unix seconds"),  # noqa: DTZ001 - as a database says it
        ({"at": "2026-11-23T12:01:01Z"}, "at: its time is in the future, 2026-11-23T12:01:01+00:00"),
        ({"at": "0001-01-01T00:00:00Z"}, "at: its time is before 1970"),
        ({"chain": "ethereum"}, "chain: 'ethereum' is no chain that BTC is on; `chains` says what it means"),
        ({"chain": "lightning"}, "chain: 'lightning' is no chain that BTC is on"),
        ({"chain": 7}, "chain: expected a text, found 7"),
        ({"fee": "-0.1"}, "fee: '-0.1' is negative"),
        ({"fee": "0.000000001"}, "fee: '0.000000001' has more than the 8 decimals"),
        ({"tag": ["memo"]}, "tag: expected a text"),
        ({"tag": "x" * 1101}, "tag: expected a text"),
    ],
)
def test_a_row_that_can_not_be_right_makes_the_answer_a_bad_one_and_is_named(
    changes: dict[str, object], words: str
) -> None:
    assert words in refused(entry(**changes))


def test_the_first_bad_row_is_named_by_its_place_and_its_id() -> None:
    long_id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
    assert refused(entry(), entry(id=long_id, amount="0")).startswith(f"row 2 (id {long_id}): amount: ")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"id": 12}, {"id": "12"}),
        ({"id": UUID(int=5)}, {"id": str(UUID(int=5))}),
        ({"id": " w1 "}, {"id": "w1"}),
        ({"amount": "0.50000000000000"}, {"coins": Decimal("0.5")}),
        ({"amount": 2}, {"coins": Decimal(2)}),
        ({"amount": "1e-8"}, {"coins": Decimal("0.00000001")}),
        ({"destination": "bc1qexample   "}, {"destination": "bc1qexample"}),
        ({"at": 1_763_899_140}, {"at": datetime(2025, 11, 23, 11, 59, tzinfo=UTC)}),
        ({"at": "2026-11-23T12:01:00Z"}, {"at": NOW}),
        ({"chain": "", "fee": "", "tag": ""}, {"chain": None, "fee": None, "tag": None}),
        ({"fee": "0"}, {"fee": Decimal(0)}),
    ],
)
def test_what_books_may_write_in_other_ways(changes: dict[str, object], found: dict[str, object]) -> None:
    (approval,) = checked(entry(**changes)).approvals
    assert {name: getattr(approval, name) for name in found} == found


@pytest.mark.parametrize("changes", [{"asset": "JPY"}, {"asset": "USDT", "chain": "solana"}])
def test_what_is_ignored_is_dropped_whatever_else_it_says(changes: dict[str, object]) -> None:
    assert [one.id for one in checked(entry(id="yen", amount="-", **changes), entry()).approvals] == ["w1"]


def test_a_row_that_stands_twice_word_for_word_counts_once() -> None:
    assert len(checked(entry(), entry()).approvals) == 1


def test_two_rows_of_one_id_with_different_content_are_refused() -> None:
    words = "row 2 (id w1): stands twice, and not with the same content"
    assert refused(entry(), entry(destination="bc1qother")) == words
    assert refused(entry(), entry(asset="JPY")) == words
    assert refused(entry(id=1), entry(id="1", amount="2")).endswith("stands twice, and not with the same content")


def test_nothing_is_a_good_answer() -> None:
    assert checked().approvals == ()


def test_an_answer_that_says_the_same_is_made_of_the_same_objects() -> None:
    first = checked(entry(), entry(id="w2"))
    assert checked(entry(), entry(id="w2"), before=first).approvals is first.approvals
    third = checked(entry(id="w2"), entry(id="w3"), before=first)
    assert third.approvals[0] is first.approvals[1]
    assert [one.id for one in third.approvals] == ["w2", "w3"]


def test_a_row_that_has_changed_is_read_anew() -> None:
    first = checked(entry())
    assert checked(entry(amount="0.6"), before=first).approvals[0].coins == Decimal("0.6")
    with pytest.raises(FeedError):
        checked(entry(amount="0"), before=first)


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 3)), max_size=20), st.integers(0, 20))
def test_it_makes_no_difference_what_was_known_before(rows: Sequence[tuple[int, int]], cut: int) -> None:
    """The memory of the answer before saves work, and changes neither what is taken nor what is refused."""
    entries = [entry(id=number, amount=amount) for number, amount in rows]

    def outcome(before: Checked) -> object:
        try:
            return checked(*entries, before=before).approvals
        except FeedError as error:
            return error.detail

    earlier = {str(number): entry(id=number, amount=amount) for number, amount in rows[:cut]}
    assert outcome(checked(*earlier.values())) == outcome(NOTHING)


# As it is written down.


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("text", "expected a list of approvals"),
        (None, "expected a list of approvals"),
        ([1], "entry 1: expected a mapping with id, asset, amount, destination and at"),
        ([{**GOOD, "network": "x"}], "entry 1: expected id, asset, amount, destination and at, and perhaps chain"),
        ({"approvals": [], "as_of": 1}, "expected at and approvals, and nothing else"),
        ({"approvals": {}}, "expected a list of approvals"),
        ({"approvals": [], "at": None}, "says not as of when it is"),
    ],
)
def test_a_document_of_another_form_is_refused(value: object, words: str) -> None:
    with pytest.raises(FeedError) as caught:
        of_document(value, complete=True)
    assert words in caught.value.detail


def test_a_document_is_one_approval_a_list_or_a_list_with_its_time() -> None:
    one = [entry()]
    assert of_document(GOOD, complete=False) == Batch(one, complete=False)
    assert of_document([GOOD], complete=True) == Batch(one, complete=True)
    dated = of_document({"at": "2026-11-23T12:00:00Z", "approvals": [GOOD]}, complete=True)
    assert dated == Batch(one, complete=True, at=NOW)


def test_columns_may_stand_in_any_order_and_optional_ones_be_missing() -> None:
    columns = ["at", "destination", "amount", "asset", "id"]
    assert of_table(columns, [[GOOD[name] for name in columns]]) == [entry()]


@pytest.mark.parametrize("columns", [["id", "asset", "amount", "destination"], [*COLUMNS, "status"], [*COLUMNS, "id"]])
def test_other_columns_are_refused(columns: list[str]) -> None:
    with pytest.raises(FeedError, match="expected the columns id, asset, amount, destination and at"):
        of_table(columns, [])


def test_more_than_can_be_kept_is_refused() -> None:
    with pytest.raises(FeedError, match="more than 200,000 approvals"):
        of_list([GOOD] * (MOST_ENTRIES + 1))


# Configuration.


def test_nothing_is_approved_more_or_less() -> None:
    with pytest.raises(ValueError, match="nothing is approved more or less"):
        FeedsConfig.model_validate({"approvals": [{"kind": "file", "path": "a.csv", "tolerance": "0.1"}]})


def test_rows_are_held_to_the_assets_and_chains_of_the_configuration(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    approving = "feeds: {approvals: [{kind: file, path: a.csv, chains: {ERC20: ethereum}, ignore: [JPY]}]}\n"
    path.write_text(CONFIGURATION + approving)
    (one,) = load_whole(path, env={}, now=NOW).asked
    assert one.approvable == Approvable(
        {"ETH": 18}, {"ETH": frozenset({"ethereum"})}, {"ERC20": "ethereum"}, frozenset({"JPY"})
    )


def test_the_source_that_is_shown_first_is_one_that_is_not_current() -> None:
    told = book(source(APPROVALS, "books"), source(APPROVALS, "desk"))
    told.take(BOOKS, said(0), now=at(0))
    assert feeds(told.look(at(1)), now=at(1))["approvals"]["source"] == "desk"
    told.take((APPROVALS, "desk"), Approved((APPROVALS, "desk"), (), complete=True, asked=at(1)), now=at(1))
    assert feeds(told.look(at(1)), now=at(1))["approvals"]["source"] == "books"


# In the book: ages, faults, and what stays out of it.

APPROVALS = FeedKind.APPROVALS
BOOKS = (APPROVALS, "books")


def said(seconds: float, *, complete: bool = True) -> Approved:
    return Approved(BOOKS, (), complete, at(seconds))


def test_a_source_of_approvals_ages_as_every_other() -> None:
    told = book(source(APPROVALS, "books"))
    (state,) = told.look(at(0)).sources
    assert (state.reason, state.leaves) == (FeedReason.STARTING, ("approvals:books",))
    told.take(BOOKS, said(1), now=at(2))
    (state,) = told.look(at(61)).sources
    assert (state.at, state.reason, state.leaves, state.causes) == (at(1), None, (), ("approvals:books",))
    (state,) = told.look(at(62)).sources
    assert (state.reason, state.leaves) == (FeedReason.STALE, ("approvals:books",))


@pytest.mark.parametrize("fault", [TIMEOUT, BAD])
def test_a_fault_withdraws_no_approval_and_makes_none_younger(fault: Fault) -> None:
    told = book(source(APPROVALS, "books"))
    told.take(BOOKS, said(0), now=at(0))
    told.take(BOOKS, fault, now=at(30))
    (state,) = told.look(at(60)).sources
    assert (state.at, state.reason, state.detail) == (at(0), None, fault.detail)
    (state,) = told.look(at(61)).sources
    assert (state.reason, state.detail, state.since) == (fault.reason, fault.detail, at(30))


def test_sources_of_approvals_do_not_make_up_for_each_other() -> None:
    told = book(source(APPROVALS, "books"), source(APPROVALS, "desk"))
    told.take(BOOKS, said(0), now=at(0))
    told.take((APPROVALS, "desk"), TIMEOUT, now=at(0))
    assert [one.leaves for one in told.look(at(1)).sources] == [(), ("approvals:desk",)]


def test_approvals_never_enter_what_every_pass_looks_at() -> None:
    told = book(source(APPROVALS, "books"))
    told.take(BOOKS, said(0), now=at(0))
    found = told.look(at(1))
    assert not found.prices and not found.liabilities and found.fund is None and found.volume is None


class Noted(ApprovalBook):
    """What the pipe hands on."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[tuple[Approved, datetime]] = []

    def entering(self, said: Approved, *, now: datetime) -> Iterator[None]:
        self.said.append((said, now))
        yield


async def test_every_good_answer_goes_on_and_a_stale_source_is_a_reason_not_to_be_ready() -> None:
    pipeline = piped(book(source(APPROVALS, "books"), assets="ETH"))
    noted = Noted()
    pipeline.detecting.approvals = noted
    pipeline.hear(BOOKS, said(0), now=at(0))
    pipeline.hear(BOOKS, said(1), now=at(1))
    pipeline.hear(BOOKS, TIMEOUT, now=at(2))
    assert noted.said == [(said(0), at(0)), (said(1), at(1))]
    assert (await pipeline.cycle(at(61))).problems == ()
    problems = (await pipeline.cycle(at(62))).problems
    assert problems[-1] == "approvals/books: timeout: no answer within 5s (unknown: approvals:books)"


def test_a_plan_knows_whose_approvals_count() -> None:
    told = book(source(APPROVALS, "books"), source(FeedKind.PRICES, "http"))
    assert told.plan.approving == {BOOKS}
