"""Headers, names of scripts and single transactions, by the examples that their documents give."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from connectors.bitcoin.forms import BITCOIN
from connectors.bitcoin.sources.base import block_hash, electrum_hash, esplora_hash, parse_header
from connectors.bitcoin.sources.identity import Asked, Identity
from connectors.bitcoin.sources.proof import outpoint, proven
from connectors.bitcoin.transaction import read_transaction
from connectors.circuit import Circuit
from connectors.errors import BadAnswer, Misconfigured, Unavailable
from connectors.quorum import Header
from connectors.standing import Standing
from tests.integration.purse import SPENDABLE, Lock, Money, transaction
from tests.unit.bitcoin.lines import GENESIS, GENESIS_HEADER

HEADER = bytes.fromhex(GENESIS_HEADER)
COINBASE = bytes.fromhex(
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65"
    "732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062"
    "616e6b73ffffffff0100f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4c"
    "ef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)
"""Bitcoin's first transaction."""

COINBASE_ID = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
PAY_TO_SATOSHI = bytes.fromhex("76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac")
"""The example of the Electrum protocol's basics: the script of 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa."""

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def standing() -> Standing:
    return Standing("node", circuit=Circuit("node", chain="btc", clock=lambda: 0.0, rng=lambda: 0.5))


def test_a_header_tells_hash_parent_and_time() -> None:
    header = parse_header(HEADER, height=0)
    assert header == Header(0, GENESIS, "00" * 32, datetime(2009, 1, 3, 18, 15, 5, tzinfo=UTC))


def test_what_follows_a_header_of_a_merge_mined_block_does_not_change_its_hash() -> None:
    assert block_hash(HEADER + b"auxpow") == GENESIS
    assert parse_header(HEADER + b"auxpow", height=0).hash == GENESIS


@pytest.mark.parametrize("length", range(80))
def test_a_shorter_header_is_none(length: int) -> None:
    with pytest.raises(ValueError, match="80 bytes"):
        parse_header(HEADER[:length], height=0)


def test_scripts_are_named_as_each_protocol_does() -> None:
    assert electrum_hash(PAY_TO_SATOSHI) == "8b01df4e368ea28f8dc0423bcf7a4923e3a12d307c875e47a0cfbf90b5c39161"
    assert bytes.fromhex(esplora_hash(PAY_TO_SATOSHI)) == bytes.fromhex(electrum_hash(PAY_TO_SATOSHI))[::-1]


@pytest.mark.parametrize("kind", SPENDABLE)
def test_transactions_of_every_kind_are_taken_apart(kind: str) -> None:
    lock = Lock(kind, 1)
    raw = transaction([Money(b"\xaa" * 32, 3, 5_000, lock)] * 2, [(lock.script, 4_000), (PAY_TO_SATOSHI, 500)])
    found = read_transaction(raw, form=BITCOIN)
    assert found is not None
    assert [outpoint(one) for one in found.inputs()] == [(b"\xaa" * 32, 3)] * 2
    assert list(found.outputs()) == [(lock.script, 4_000), (PAY_TO_SATOSHI, 500)]


def test_a_transaction_is_proven_by_its_id() -> None:
    judge = standing()
    assert proven(COINBASE, txid=bytes.fromhex(COINBASE_ID)[::-1], form=BITCOIN, by=judge) == COINBASE
    with pytest.raises(BadAnswer, match=f"gave transaction {COINBASE_ID}"):
        proven(COINBASE, txid=b"\x00" * 32, form=BITCOIN, by=judge)
    with pytest.raises(BadAnswer, match="gave no transaction"):
        proven(b"", txid=b"\x00" * 32, form=BITCOIN, by=judge)
    assert sum(judge.stats().errors.values()) == 2


# ── identity ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Provider:
    """Holds the genesis block and another one, and counts how often it is asked."""

    def __init__(self) -> None:
        self.standing = standing()
        self.asked: list[int] = []
        self.connections = 1

    async def header_at(self, height: int) -> Header | None:
        self.asked.append(height)
        hashes = {0: GENESIS, 5: "55" * 32}
        return Header(height, hashes[height], "00" * 32, NOW) if height in hashes else None

    async def prove(self, identity: Identity) -> None:
        await identity.prove(self.header_at, connections=lambda: self.connections)

    def identity(self, anchors: dict[int, str], *, depth: int = 0) -> Identity:
        return Identity(self.standing, asked=Asked(anchors, depth=depth), now=lambda: NOW)


async def test_the_anchors_are_asked_for_once_a_connection_and_again_after_a_failure() -> None:
    provider = Provider()
    identity = provider.identity({5: "55" * 32, 0: GENESIS})
    await provider.prove(identity)
    await provider.prove(identity)
    assert provider.asked == [0, 5]
    provider.connections += 1
    await provider.prove(identity)
    assert provider.asked == [0, 5] * 2
    provider.standing.circuit.failed(Unavailable("away"))
    await provider.prove(identity)
    assert provider.asked == [0, 5] * 3


@pytest.mark.parametrize(
    ("anchors", "error", "words"),
    [
        ({0: "00" * 32}, Misconfigured, "another chain: block 0"),
        ({0: GENESIS, 5: "66" * 32}, Misconfigured, "another chain: block 5"),
        ({0: GENESIS, 9: "66" * 32}, Unavailable, "has not come as far as block 9"),
    ],
)
async def test_another_chain_is_told_from_one_that_lags(
    anchors: dict[int, str], error: type[Exception], words: str
) -> None:
    provider = Provider()
    with pytest.raises(error, match=words):
        await provider.prove(provider.identity(anchors))
    assert sum(provider.standing.stats().errors.values()) == 1


def test_a_header_must_be_the_one_that_was_asked_for_and_of_the_past() -> None:
    identity = Provider().identity({})
    assert identity.header(HEADER, height=0, expected=GENESIS).hash == GENESIS
    with pytest.raises(BadAnswer, match="for block 11"):
        identity.header(HEADER, height=0, expected="11" * 32)
    with pytest.raises(BadAnswer, match="80 bytes"):
        identity.header(HEADER[:-1], height=0)
    late = int((NOW + timedelta(hours=3)).timestamp()).to_bytes(4, "little")
    with pytest.raises(BadAnswer, match="from the future"):
        identity.header(HEADER[:68] + late + HEADER[72:], height=0)


async def test_reading_deep_never_goes_below_the_genesis_block() -> None:
    provider = Provider()
    newest = Header(2, "22" * 32, "11" * 32, NOW)
    assert (await provider.identity({}, depth=6).as_deep_as_asked(newest, provider.header_at)).height == 0
    with pytest.raises(BadAnswer, match="lacks blocks"):
        await provider.identity({}, depth=1).as_deep_as_asked(newest, provider.header_at)
