"""Malformed answers in every form, from every route: a BadAnswer, and never a wrong number or another exception."""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.base import Address, Token, Update
from connectors.errors import BadAnswer, Reason
from connectors.symbol.rest import Rest
from daemon.replay.symbol_ledger import Alias, Ledger, aggregate, modification, payment, transfer
from tests.integration.symbol_chain import (
    ALICE,
    BOB,
    CAROL,
    COIN,
    DAVE,
    GOLD,
    RICH,
    XYM_NAME,
    connected,
    following,
    scripted,
    serving,
    units,
    watching,
    witness,
)

TO_BOB = Alias("A95F1F8A96159516", account=BOB.address)

Path = tuple[str | int, ...]
Twist = Callable[[object], object]


@dataclass(frozen=True, slots=True)
class Case:
    """A route, the question that leads there, and the places in the answer that must be as they should."""

    route: str
    ask: Callable[[Rest], Awaitable[object]]
    needed: tuple[Path, ...]


def places(*paths: str) -> tuple[Path, ...]:
    return tuple(tuple(int(step) if step.isdigit() else step for step in path.split(".")) for path in paths)


TRANSACTION = places(
    "data",
    "pagination",
    "pagination.pageSize",
    "data.0",
    "data.0.meta",
    "data.0.meta.height",
    "data.0.meta.index",
    "data.0.meta.hash",
    "data.0.transaction",
    "data.0.transaction.type",
    "data.0.transaction.size",
    "data.0.transaction.signerPublicKey",
    "data.0.transaction.recipientAddress",
    "data.0.transaction.mosaics",
    "data.0.transaction.mosaics.0.id",
    "data.0.transaction.mosaics.0.amount",
)
OPTIONAL = ("hash", "recipientAddress", "mosaics")
"""Embedded transactions have no hash of their own, most types no recipient, and some transfers no mosaics."""
STATEMENT = places(
    "data",
    "data.0.statement.unresolved",
    "data.0.statement.resolutionEntries",
    "data.0.statement.resolutionEntries.0.source.primaryId",
    "data.0.statement.resolutionEntries.0.resolved",
)
BLOCK = (
    "meta.hash",
    "meta.totalTransactionsCount",
    "block.height",
    "block.timestamp",
    "block.difficulty",
    "block.previousBlockHash",
    "block.beneficiaryAddress",
    "block.feeMultiplier",
    "meta",
    "block",
)

CASES = [
    Case("/node/info", lambda rest: rest.node(), places("networkIdentifier", "networkGenerationHashSeed")),
    Case(
        "/network/properties",
        lambda rest: rest.properties(),
        places("network", "network.epochAdjustment", "chain", "chain.currencyMosaicId"),
    ),
    Case(
        "/chain/info",
        lambda rest: rest.chain(),
        places("height", "scoreHigh", "scoreLow", "latestFinalizedBlock", "latestFinalizedBlock.height"),
    ),
    Case("/blocks/{height}", lambda rest: rest.block(3), places(*BLOCK)),
    Case("/blocks", lambda rest: rest.blocks_above(1), places("data", *(f"data.0.{field}" for field in BLOCK))),
    Case("/mosaics", lambda rest: rest.mosaics(["0DC67FBE1CAD29E3"]), places("0.mosaic.id", "0.mosaic.divisibility")),
    Case(
        "/account/{address}/multisig",
        lambda rest: rest.multisig(BOB.address),
        places(
            "multisig.accountAddress",
            "multisig.minApproval",
            "multisig.minRemoval",
            "multisig.cosignatoryAddresses",
            "multisig.cosignatoryAddresses.0",
        ),
    ),
    Case("/transactions/{group}", lambda rest: rest.pool("unconfirmed"), TRANSACTION),
    Case("/transactionStatus", lambda rest: rest.statuses(["AB" * 32]), places("0.group", "0.hash")),
    Case("/statements/resolutions/{kind}", lambda rest: rest.resolved_mosaics(6), STATEMENT),
    Case("/statements/resolutions/{kind}", lambda rest: rest.resolved_addresses(6), STATEMENT),
    Case("/namespaces/{id}", lambda rest: rest.namespace(XYM_NAME.id), places("namespace", "namespace.alias")),
]

DEEP: object = 1
for _ in range(40):
    DEEP = [DEEP]

WRONG: tuple[object, ...] = (
    None,
    True,
    -1,
    1.5,
    2**70,
    "",
    "-1",
    "x",
    "1e3",
    "0x10",
    "９",
    "9" * 40,
    "A" * 100,
    [None],
    {"a": 1},
    DEEP,
)

BODIES = (
    b"",
    b"null",
    b"{",
    b"[]]",
    b"<html><body>502 Bad Gateway</body></html>",
    b'{"code": "ResourceNotFound", "message": "no resource exists with id"}',
    b"\xff\xfe\x00",
    b"NaN",
    b"[" * 100_000 + b"]" * 100_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b"9" * 10_000,
    b'"' + b"a" * 100_000 + b'"',
)


def world() -> Ledger:
    """A chain on which every route has something to tell."""
    ledger = scripted()
    ledger.aliases = {one.id: one for one in (XYM_NAME, TO_BOB)}
    step = modification(BOB, cosignatories=(CAROL.address, DAVE.address), min_approval=2, min_removal=1)
    ledger.mine(transfer(ALICE, TO_BOB, units=12, mosaic=XYM_NAME), aggregate(ALICE, step))
    ledger.announce(transfer(ALICE, DAVE.address, units=7))
    ledger.announce(aggregate(BOB, payment(ALICE, DAVE.address, units=8), bonded=True))
    ledger.failed.add("AB" * 32)
    return ledger


def spoilt(answer: object, *, path: Path, value: object, remove: bool = False) -> object:
    """The answer with another value, or none, in one place."""
    whole = copy.deepcopy(answer)
    at: object = whole
    for step in path[:-1]:
        at = at[step]  # type: ignore[index]
    if remove:
        del at[path[-1]]  # type: ignore[attr-defined]
    else:
        at[path[-1]] = value  # type: ignore[index]
    return whole


def variants(case: Case) -> Iterator[tuple[str, Twist]]:
    for path in case.needed:
        if isinstance(path[-1], str) and path[-1] not in OPTIONAL:
            yield f"without {path}", partial(spoilt, path=path, value=None, remove=True)
        for value in WRONG:
            if not fits(path[-1], value):
                yield f"{path} = {str(value)[:20]}", partial(spoilt, path=path, value=value)


def fits(name: str | int, value: object) -> bool:
    """Whether the value is one that this place may have."""
    if name == "group":
        return isinstance(value, str)
    if name in OPTIONAL[:2] and value is None:
        return True
    return name == "alias" and value == {"a": 1}


def only(route: str, twist: Twist) -> Callable[[str, object], object]:
    """Twists the answers of one route."""
    return lambda asked, answer: twist(answer) if asked == route else answer


def instead(body: bytes) -> Twist:
    return lambda _answer: body


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.route} {case.needed[-1][0]}")
@pytest.mark.timeout(120)
async def test_each_needed_place_missing_or_spoilt_is_a_bad_answer(case: Case) -> None:
    async with serving(world()) as (server,), witness(server) as node:
        await case.ask(node.rest)
        for label, twist in variants(case):
            server.behaviour.twist = only(case.route, twist)
            with pytest.raises(BadAnswer) as caught:
                await case.ask(node.rest)
                pytest.fail(f"{label} was taken")
            assert len(str(caught.value)) < 400


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.route} {case.needed[-1][0]}")
async def test_what_is_no_answer_of_this_route_is_a_bad_answer(case: Case) -> None:
    async with serving(world()) as (server,), witness(server) as node:
        for body in BODIES:
            server.behaviour.twist = only(case.route, instead(body))
            with pytest.raises(BadAnswer):
                await case.ask(node.rest)


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:20])
async def test_what_is_no_list_of_accounts_is_a_failure_of_the_chain(body: bytes) -> None:
    async with serving(world()) as (server,), connected(server) as connector:
        server.behaviour.twist = only("/accounts", instead(body))
        update = await connector.read(watching())
    assert update.failure is not None
    assert update.failure.reason is Reason.BAD_ANSWER


async def test_an_answer_that_breaks_off_is_no_answer() -> None:
    async with serving(world()) as (server,), connected(server) as connector:
        server.behaviour.twist = only("/chain/info", instead(b'{"height": "6", "scoreHi'))
        update = await connector.read(watching())
    assert update.failure is not None
    assert update.failure.reason is Reason.BAD_ANSWER


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=50) | st.sampled_from(["1", "5", "AB" * 32, RICH]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
ROUTES = sorted({case.route for case in CASES} | {"/accounts"})


def every_path(answer: object, *, before: Path = ()) -> Iterator[Path]:
    entries = answer.items() if isinstance(answer, dict) else enumerate(answer) if isinstance(answer, list) else ()
    for step, inner in entries:
        yield (*before, step)
        yield from every_path(inner, before=(*before, step))


async def updates_of(route: str, *, place: int, value: object) -> tuple[list[Update], set[Path]]:
    """Two updates while one place in the answers of a route holds something else, and the places that did."""
    spoilt_at: set[Path] = set()

    def twist(asked: str, answer: object) -> object:
        paths = list(every_path(answer))
        if asked != route or not paths:
            return answer
        spoilt_at.add(paths[place % len(paths)])
        return spoilt(answer, path=paths[place % len(paths)], value=value)

    watch = watching(ALICE, BOB, CAROL, tokens=(COIN, GOLD))
    async with serving(world()) as (server,), connected(server, settle="0s") as connector:
        server.behaviour.twist = twist
        async with following(connector, watch) as updates:
            return [await anext(updates), await anext(updates)], spoilt_at


@pytest.mark.timeout(300)
@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(ROUTES), st.integers(0, 60), JSON)
async def test_whatever_stands_in_one_place_no_wrong_number_is_told(route: str, place: int, value: object) -> None:
    """But for an amount or a mosaic of an account itself, which is the node's word, and a token's divisibility."""
    ledger = world()
    truth: dict[tuple[Address, Token], int] = {}
    for person in (ALICE, BOB, CAROL):
        truth[person.address, COIN] = ledger.held(person.address)
        truth[person.address, GOLD] = ledger.held(person.address, mosaic=GOLD.contract or "")
    told, spoilt_at = await updates_of(route, place=place, value=value)
    for update in told:
        if route == "/accounts" and any("mosaics" in path for path in spoilt_at):
            assert update.failure is None or update.failure.reason is not None
        else:
            assert units(update).items() <= truth.items()
        if update.failure:
            assert update.failure.reason is not Reason.STARTING
