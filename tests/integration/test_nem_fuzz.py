"""Answers of NIS1 nodes in every malformed form: never an exception, never a wrong number, and the node is blamed."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest

from connectors.base import Update
from connectors.errors import Reason
from daemon.replay.nem_ledger import hash_of
from tests.integration.nem_chain import NAMES, Chain, chain, connected, following, held, nodes_on

NONSENSE: tuple[object, ...] = (None, True, -1, 2**70, 1.5, "", "x", "9" * 2000, [], [None], {}, {"data": "\ud800"})

MOST_CHANGES = 40
"""Of one answer, by chance that is the same every time."""

MISBEHAVED = {Reason.BAD_ANSWER, Reason.MISCONFIGURED, Reason.NODE_ERROR, Reason.UNAVAILABLE, Reason.TIMEOUT}

OF_BALANCES = (
    "/chain/last-block",
    "/block/at/public",
    "/account/get",
    "/account/get/batch",
    "/account/mosaic/owned",
    "/mosaic/definition",
    "/node/info",
)
BYTES = {
    "nothing": b"",
    "no JSON": b"<html>502</html>",
    "no text": b"\xff\xfe\x00",
    "NaN": b"NaN",
    "truncated": b'{"data": [',
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "another value": b"5",
    "a list": b"[]",
    "an error with status 200": b'{"error": "Internal Server Error", "status": 500, "message": "x"}',
    "a long number": b"1" * 10_000,
}


def busy() -> Chain:
    """Its newest block holds every kind of thing."""
    made = chain()
    notary, time = made.notary, made.ledger.now
    inner = made.transfer("deposits", "customer", 5)
    remote = made.person("remote")
    made.ledger.mine(
        [
            made.transfer("hot", "cold", 2_000_000, mosaics={"exchange:coin": 3, "nem:xem": 1}),
            notary.importance_transfer(made.person("cold"), remote=remote, time=time),
            notary.modification(made.person("deposits"), add=[made.person("alice")], minimum=1, time=time),
            notary.multisig(
                made.person("alice"), inner=inner, inner_hash=hash_of(inner), cosigners=[made.person("bob")]
            ),
            notary.namespace(made.person("maker"), part="more", time=time),
            notary.supply_change(made.person("maker"), name="exchange:coin", more=1, time=time),
        ]
    )
    return made


def mutations(value: object) -> Iterator[Callable[[object], object]]:
    """Changes of one place each: a field is taken away, or anything becomes nonsense.

    What is listed is never taken away: that would be another answer that looks true.
    """
    for path in _paths(value):
        if path and isinstance(path[-1], str):
            yield partial(_changed, path=path, without=True)
        for junk in NONSENSE:
            if junk == "x" and path and path[-1] in ("name", "namespaceId"):
                continue  # another mosaic's name: an answer that nobody can tell from a true one
            yield partial(_changed, path=path, to=junk)


Path = tuple[str | int, ...]


def _paths(value: object, *, at: Path = ()) -> Iterator[Path]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _paths(inner, at=(*at, key))


def _changed(whole: object, *, path: Path, to: object = None, without: bool = False) -> object:
    """Another answer of the same kind may lack the place; it stays as it is."""
    if not path:
        return to
    made = copy.deepcopy(whole)
    place: Any = made
    try:
        for key in path[:-1]:
            place = place[key]
        if without:
            del place[path[-1]]
        else:
            place[path[-1]] = to
    except LookupError:
        return whole
    return made


def check(update: Update, *, made: Chain) -> None:
    """Whatever is told is true, and whatever is not told has a reason."""
    if update.failure is not None:
        assert update.failure.reason in MISBEHAVED, update.failure
        assert (update.held, update.unread) == ((), ())
        return
    truth = made.truth()
    told = held(update)
    assert {key: truth[key] for key in told} == told
    assert told.keys() | {(one.account, one.token) for one in update.unread} == truth.keys()


def instead(of: str, change: Callable[[object], object]) -> Callable[[str, object], object]:
    """A twist of the answers of one path."""
    return lambda path, answer: change(answer) if path == of else answer


@dataclass(slots=True)
class Recorder:
    """The longest answer of a path."""

    answer: object = None

    def __call__(self, answer: object) -> object:
        self.answer = max(self.answer, answer, key=lambda one: len(json.dumps(one)))
        return answer


@pytest.mark.timeout(120)
@pytest.mark.parametrize("path", OF_BALANCES)
async def test_an_answer_with_one_wrong_place_never_becomes_a_wrong_number(path: str) -> None:
    made = busy()
    recorder = Recorder()
    async with nodes_on(made) as (node,):
        node.behaviour.twist = instead(path, recorder)
        settings: dict[str, object] = {"settle": "0s", "batch": 1 if path == "/account/get" else 100}
        async with connected([node], chain=made, **settings) as connector:
            assert held(await connector.read(made.watch())) == made.truth()
        changes = list(mutations(recorder.answer))
        assert len(changes) > MOST_CHANGES
        for change in random.Random(path).sample(changes, MOST_CHANGES):
            node.behaviour.twist = instead(path, change)
            async with connected([node], chain=made, **settings) as connector:
                check(await connector.read(made.watch()), made=made)


@pytest.mark.parametrize("body", BYTES.values(), ids=BYTES.keys())
@pytest.mark.parametrize("path", [*OF_BALANCES, "/account/unconfirmedTransactions"])
async def test_an_answer_that_is_no_object_of_nis_is_a_bad_answer(path: str, body: bytes) -> None:
    made = busy()
    made.ledger.announce(made.transfer("hot", "other", 5))
    async with nodes_on(made) as (node,):
        node.behaviour.twist = instead(path, lambda _: body)
        batch = 1 if path == "/account/get" else 100
        async with (
            connected([node], chain=made, batch=batch) as connector,
            following(connector, made.watch()) as updates,
        ):
            check(await anext(updates), made=made)
            while not connector.stats()[0].errors.get(Reason.BAD_ANSWER):  # the time limit of the test is the deadline
                await anext(updates)


async def test_history_that_makes_no_sense_is_a_bad_answer() -> None:
    made = busy()
    truth = made.truth(height=len(made.ledger.blocks) - 1)
    async with nodes_on(made) as (node,):
        node.behaviour.historical = True
        for body in (*BYTES.values(), b'{"data": []}', b'{"data": [{"data": [{"height": 1}]}]}'):
            node.behaviour.twist = instead("/account/historical/get/batch", partial(_changed, path=(), to=body))
            async with connected([node], chain=made, confirmations=2) as connector:
                update = await connector.read(made.watch())
                assert update.failure is not None
                assert update.failure.reason is Reason.BAD_ANSWER
        node.behaviour.twist = lambda _, answer: answer
        async with connected([node], chain=made, confirmations=2) as connector:
            told = held(await connector.read(made.watch()))
    assert len(told) == len(NAMES)
    assert {key: truth[key] for key in told} == told


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 403, 404, 418, 500, 502, 503])
@pytest.mark.parametrize(
    "path", ["/chain/last-block", "/block/at/public", "/account/get/batch", "/account/mosaic/owned"]
)
async def test_other_statuses_are_failures_of_whom_they_concern(path: str, status: int) -> None:
    made = busy()
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:
        node.behaviour.failing = {path: status}
        update = await connector.read(made.watch())
        check(update, made=made)
        if path in ("/chain/last-block", "/block/at/public"):
            assert update.failure is not None
        node.behaviour.failing = {}
        async with following(connector, made.watch()) as updates:
            async for update in updates:
                if update.failure is None:
                    break
    assert held(update) == made.truth()
