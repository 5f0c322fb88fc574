"""What transactions do to watched accounts, from the answers about them alone."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import Address, Party, Stage, Token, Watch
from connectors.symbol import wire
from connectors.symbol.address import raw_of
from connectors.symbol.networks import NETWORKS
from connectors.symbol.transfers import (
    MOST_PARTIES,
    Aliases,
    Teller,
    Whole,
    aliased_addresses,
    aliased_mosaics,
    wholes,
)
from daemon.replay.symbol.ledger import XYM, Person

ALICE, BOB, CAROL = (Person(name) for name in ("Alice", "Bob", "Carol"))
MAINNET = NETWORKS["mainnet"]
COIN = Token("symbol", None, 6)
NAME = "E74B99BA41F4AFEE"


def info(
    kind: int, signer: Person, *, hash_: str = "AA", index: int = 0, inner_of: str = "", **fields: object
) -> wire.TransactionInfo:
    meta: dict[str, object] = {"height": "5", "index": index}
    meta |= {"aggregateHash": inner_of * 32} if inner_of else {"hash": hash_ * 32}
    body = {"type": kind, "signerPublicKey": signer.key.hex(), "size": 176, **fields}
    return wire.TransactionInfo.model_validate({"meta": meta, "transaction": body})


def to(person: Person) -> str:
    return raw_of(person.address).hex()


def amounts(**units: int) -> list[dict[str, str]]:
    return [{"id": mosaic, "amount": str(value)} for mosaic, value in units.items()]


def one(*infos: wire.TransactionInfo, aliases: Aliases | None = None) -> Whole:
    (found,) = wholes(infos, network=MAINNET, aliases=aliases or Aliases())
    return found


def changes(whole: Whole, *watched: Person, fee: int | None = None) -> Mapping[Address, int]:
    watch = Watch("symbol", tuple(person.address for person in watched), (COIN,))
    teller = Teller(watch, XYM, frozenset(watch.accounts))
    movements = teller.movements(whole, stage=Stage.MINED, fee=fee)
    return dict(movements[0].changes) if movements else {}


def test_a_revocation_takes_from_the_holder_and_gives_to_the_mosaics_creator() -> None:
    whole = one(info(0x434D, ALICE, sourceAddress=to(BOB), mosaicId=XYM, amount="30"))
    assert changes(whole, ALICE, BOB) == {ALICE.address: 30, BOB.address: -30}


def test_a_hash_lock_takes_from_its_signer_and_names_nobody() -> None:
    whole = one(info(0x4148, ALICE, mosaicId=XYM, amount="10000000"))
    assert changes(whole, ALICE) == {ALICE.address: -10_000_000}
    assert whole.legs[0].target is None


@pytest.mark.parametrize("kind", [0x4252, 0x414E, 0x424D, 0x4141, 0x4241, 0xFFFF])
def test_a_transaction_of_another_type_moves_nothing_but_its_fee(kind: int) -> None:
    whole = one(info(kind, ALICE, recipientAddress=to(BOB), mosaicId=XYM, amount="7", mosaics=amounts(**{XYM: 3})))
    assert whole.legs == []
    assert changes(whole, ALICE, BOB) == {}
    assert changes(whole, ALICE, BOB, fee=100) == {ALICE.address: -100}


def test_a_transfer_to_oneself_changes_nothing_and_is_told_all_the_same() -> None:
    whole = one(info(0x4154, ALICE, recipientAddress=to(ALICE), mosaics=amounts(**{XYM: 3})))
    assert changes(whole, ALICE) == {ALICE.address: 0}


def test_amounts_of_nothing_are_no_movement() -> None:
    assert changes(one(info(0x4154, ALICE, recipientAddress=to(BOB), mosaics=amounts(**{XYM: 0}))), BOB) == {}


def test_what_is_within_an_aggregate_that_is_not_told_is_left_out() -> None:
    inner = info(0x4154, ALICE, inner_of="BB", recipientAddress=to(BOB), mosaics=amounts(**{XYM: 3}))
    assert wholes([inner], network=MAINNET, aliases=Aliases()) == []


def test_the_order_in_which_parts_are_told_does_not_matter() -> None:
    inner = info(0x4154, ALICE, inner_of="AA", recipientAddress=to(BOB), mosaics=amounts(**{XYM: 3}))
    outer = info(0x4141, CAROL)
    for order in ([inner, outer], [outer, inner]):
        assert changes(one(*order), ALICE, BOB, CAROL, fee=50) == {
            ALICE.address: -3,
            BOB.address: 3,
            CAROL.address: -50,
        }


def test_a_multisig_modification_names_whose_control_it_changes() -> None:
    whole = one(info(0x4141, ALICE), info(0x4155, BOB, inner_of="AA"))
    assert whole.changes_control == {BOB.address}


def test_the_namespaces_in_transactions_are_found() -> None:
    raw = bytes([0x69]) + bytes.fromhex(NAME)[::-1] + bytes(15)
    infos = [
        info(0x4154, ALICE, recipientAddress=raw.hex(), mosaics=amounts(**{NAME: 3, XYM: 4})),
        info(0x4148, ALICE, mosaicId="A95F1F8A96159516", amount="1"),
        info(0x4154, ALICE, recipientAddress=to(BOB)),
    ]
    assert aliased_mosaics(infos) == {NAME, "A95F1F8A96159516"}
    assert aliased_addresses(infos) == {raw}


@pytest.mark.parametrize(("index", "mosaic"), [(0, "1111111111111111"), (1, "1111111111111111"), (2, XYM), (9, XYM)])
def test_a_name_is_what_it_stood_for_at_the_transactions_place_in_the_block(index: int, mosaic: str) -> None:
    """Sources count from 1 (ReceiptSource.primaryId); a namespace can be pointed elsewhere within a block."""
    aliases = Aliases(mosaics={NAME: [(1, "1111111111111111"), (3, XYM)]})
    whole = one(
        info(0x4154, ALICE, index=index, recipientAddress=to(BOB), mosaics=amounts(**{NAME: 3})), aliases=aliases
    )
    assert whole.legs[0].mosaic == mosaic


def test_a_name_that_nobody_explains_moves_no_watched_token() -> None:
    whole = one(info(0x4154, ALICE, recipientAddress=to(BOB), mosaics=amounts(**{NAME: 3})))
    assert changes(whole, ALICE, BOB) == {}


def test_of_many_recipients_of_ours_all_are_named() -> None:
    people = [Person(f"customer {number}") for number in range(MOST_PARTIES + 20)]
    inner = [
        info(
            0x4154, ALICE, inner_of="AA", index=place, recipientAddress=to(person), mosaics=amounts(**{XYM: place + 1})
        )
        for place, person in enumerate(people)
    ]
    whole = one(info(0x4141, ALICE), *inner)
    teller = Teller(Watch("symbol", (ALICE.address,), (COIN,)), XYM, {ALICE.address})
    (movement,) = teller.movements(whole, stage=Stage.PENDING)
    assert len(movement.destinations) == MOST_PARTIES + 20
    assert movement.destinations[0] == Party(people[-1].address, MOST_PARTIES + 20)
    assert dict(movement.changes) == {ALICE.address: -sum(range(1, MOST_PARTIES + 21))}


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 10**15)), max_size=20))
def test_when_everybody_is_watched_transfers_add_up_to_nothing(payments: list[tuple[int, int, int]]) -> None:
    people = [ALICE, BOB, CAROL, Person("Dave")]
    inner = [
        info(0x4154, people[a], inner_of="AA", index=i, recipientAddress=to(people[b]), mosaics=amounts(**{XYM: units}))
        for i, (a, b, units) in enumerate(payments)
    ]
    moved = changes(one(info(0x4141, ALICE), *inner), *people)
    assert sum(moved.values()) == 0
    naive = dict.fromkeys((person.address for person in people), 0)
    for a, b, units in payments:
        naive[people[a].address] -= units
        naive[people[b].address] += units
    assert {account: units for account, units in naive.items() if units} == {
        account: units for account, units in moved.items() if units
    }
