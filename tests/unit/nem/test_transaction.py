"""Transactions: their bytes and hashes as published, what they move, and whom they name."""

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.nem.address import address_of
from connectors.nem.networks import NETWORKS
from connectors.nem.pending import TRANSACTION
from connectors.nem.transaction import Cosignature, Flow
from daemon.replay.nem_ledger import hash_of
from daemon.replay.nem_transactions import Notary
from tests.unit.nem import published, vectors
from tests.unit.nem.ed25519 import fits

NOTARY = Notary(NETWORKS["testnet"])
ALICE, BOB, CAROL = (NOTARY.person(name) for name in ("alice", "bob", "carol"))


@pytest.mark.parametrize("name", vectors.BODIES)
def test_the_bytes_of_every_kind_of_transaction_are_the_published_ones(name: str) -> None:
    told = vectors.told(name)
    inside_of_multisig_only = told["type"] == 0x1002
    transaction = Cosignature.model_validate(told) if inside_of_multisig_only else TRANSACTION.validate_python(told)
    assert transaction.serial(signed=True).hex() == vectors.payload(name)


def test_the_vectors_hold_every_kind_of_transaction_that_there_is() -> None:
    told = [vectors.told(name) for name in vectors.BODIES]
    kinds = {one["type"] for one in told} | {one["otherTrans"]["type"] for one in told if "otherTrans" in one}
    assert kinds == {0x101, 0x801, 0x1001, 0x1002, 0x1004, 0x2001, 0x4001, 0x4002}


def test_the_hash_of_a_real_transaction_is_the_one_that_the_chain_knows_it_by() -> None:
    transaction = TRANSACTION.validate_python(published.APOSTILLE)
    assert transaction.hash() == published.APOSTILLE_HASH


@pytest.mark.parametrize("told", [published.APOSTILLE, published.BLOCK_1051051["transactions"][0]])
def test_a_real_signature_fits_the_bytes_that_we_hash(told: dict[str, Any]) -> None:
    transaction = TRANSACTION.validate_python(told)
    assert transaction.signature is not None
    assert fits(transaction.signature, message=transaction.serial(signed=False), key=transaction.signer)
    assert not fits(transaction.signature, message=transaction.serial(signed=False) + b"!", key=transaction.signer)


def test_a_plain_transfer_moves_its_amount() -> None:
    transaction = TRANSACTION.validate_python(NOTARY.transfer(ALICE, to=BOB.address, units=5, time=1))
    assert list(transaction.flows()) == [Flow(ALICE.address, BOB.address, None, 5)]
    assert (transaction.debtor, transaction.fees) == (ALICE.address, 50_000)


def test_with_mosaics_the_amount_multiplies_their_quantities_and_is_no_xem_itself() -> None:
    told = NOTARY.transfer(ALICE, to=BOB.address, units=2_500_000, time=1, mosaics={"a:b": 10, "nem:xem": 3, "a:c": 1})
    flows = list(TRANSACTION.validate_python(told).flows())
    assert [(flow.mosaic, flow.units) for flow in flows] == [("a:b", 25), (None, 7), ("a:c", 2)]


def test_a_version_2_transfer_without_mosaics_moves_its_amount_of_xem() -> None:
    told = NOTARY.transfer(ALICE, to=BOB.address, units=7, time=1, mosaics={})
    assert [flow.units for flow in TRANSACTION.validate_python(told).flows()] == [7]


def test_a_multisig_transaction_is_paid_by_the_multisig_account_with_all_its_fees() -> None:
    inner = NOTARY.transfer(ALICE, to=BOB.address, units=9, time=1)
    told = NOTARY.multisig(CAROL, inner=inner, inner_hash=hash_of(inner), cosigners=[BOB])
    transaction = TRANSACTION.validate_python(told)
    assert (transaction.debtor, transaction.fees) == (ALICE.address, 50_000 + 150_000 + 150_000)
    assert list(transaction.flows()) == [Flow(ALICE.address, BOB.address, None, 9)]
    assert {transaction.signed_by, *transaction.named()} == {ALICE.address, BOB.address, CAROL.address}


def test_the_hash_of_a_multisig_transaction_stays_the_same_while_cosignatures_come_in() -> None:
    inner = NOTARY.transfer(ALICE, to=BOB.address, units=9, time=1)
    alone = NOTARY.multisig(CAROL, inner=inner, inner_hash=hash_of(inner))
    joined = NOTARY.multisig(CAROL, inner=inner, inner_hash=hash_of(inner), cosigners=[BOB])
    assert hash_of(alone) == hash_of(joined)


def test_sinks_remote_accounts_and_cosignatories_are_named() -> None:
    told = [
        NOTARY.namespace(ALICE, part="a", time=1),
        NOTARY.mosaic_definition(ALICE, name="a:b", divisibility=0, supply=1, time=1),
        NOTARY.importance_transfer(ALICE, remote=BOB, time=1),
        NOTARY.modification(ALICE, add=[BOB, CAROL], minimum=1, time=1),
    ]
    rental, creation, remote, cosignatories = (set(TRANSACTION.validate_python(one).named()) for one in told)
    assert NOTARY.person("the sink of rental fees").address in rental
    assert NOTARY.person("the sink of creation fees").address in creation
    assert remote == {BOB.address}
    assert cosignatories == {BOB.address, CAROL.address}


def test_the_address_of_a_signer_is_that_of_the_transactions_network() -> None:
    transaction = TRANSACTION.validate_python(published.APOSTILLE)
    assert transaction.signed_by == address_of(transaction.signer, version=0x68)
    assert transaction.signed_by.startswith("N")


GOOD = NOTARY.transfer(ALICE, to=BOB.address, units=5, time=1)


@pytest.mark.parametrize(
    "change",
    [
        {"type": 0x9999},
        {"type": "257"},
        {"type": None},
        {"amount": -1},
        {"amount": 2**63},
        {"amount": 1.5},
        {"amount": "5"},
        {"amount": True},
        {"fee": -1},
        {"deadline": 2**31},
        {"timeStamp": -1},
        {"version": 2**31},
        {"recipient": BOB.address[:-1] + "A"},
        {"recipient": BOB.address.lower()},
        {"recipient": 5},
        {"signer": "00"},
        {"signer": "zz" * 32},
        {"signature": "00"},
        {"message": {"type": 1}},
        {"message": {"type": 1, "payload": "0"}},
        {"message": []},
        {"version": GOOD["version"], "mosaics": [{"mosaicId": {"name": "x"}, "quantity": 1}]},
    ],
    ids=str,
)
def test_a_malformed_transaction_is_refused(change: dict[str, object]) -> None:
    TRANSACTION.validate_python(GOOD)
    with pytest.raises(ValidationError):
        TRANSACTION.validate_python({**GOOD, **change})


def test_in_a_block_a_transaction_without_signature_is_none() -> None:
    told = {key: value for key, value in GOOD.items() if key != "signature"}
    with pytest.raises(ValueError, match="has a signature"):
        TRANSACTION.validate_python(told).serial(signed=True)
