"""What is no block is refused, with BadAnswer and a sentence that says why, as Bitcoin Core would refuse it."""

import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest

from connectors.bitcoin.block import read_block
from connectors.bitcoin.forms import BITCOIN, BITCOIN_CASH, DOGECOIN, LITECOIN, BlockForm
from connectors.bitcoin.transaction import read_transaction
from connectors.errors import BadAnswer
from tests.unit.bitcoin.building import NOTHING, BuiltBlock, Tx, coinbase, pay, script, size

OURS, THEIRS = script(1), script(2)
OLD_COIN = bytes(range(32)) + bytes(4)
COINBASE = coinbase(1)
HEADER_END = 80


def refused(raw: bytes, *, form: BlockForm = BITCOIN, verify: bool = False) -> str:
    """The sentence with which a block is refused."""
    with pytest.raises(BadAnswer) as error:
        read_block(raw, form=form, outpoints={OLD_COIN}, scripts={OURS}, verify=verify)
    return str(error.value)


def one(tx: Tx) -> bytes:
    return BuiltBlock([COINBASE, tx]).raw()


GOOD = one(pay(OLD_COIN, (OURS, 7)))


def with_size(encoded: bytes, *, at: int) -> bytes:
    """The good block with the byte at `at` replaced."""
    return GOOD[:at] + encoded + GOOD[at + 1 :]


def test_the_good_block_that_these_are_made_of_is_good() -> None:
    assert len(read_block(GOOD, form=BITCOIN, outpoints={OLD_COIN}, scripts={OURS}, verify=True).created) == 1


@pytest.mark.parametrize(
    "encoded", ["fd0200", "fdfc00", "fe02000000", "feffff0000", "ff0200000000000000", "ffffffffff00000000"]
)
def test_a_number_longer_than_it_need_be_is_refused(encoded: str) -> None:
    assert "shortest form" in refused(with_size(bytes.fromhex(encoded), at=HEADER_END))


@pytest.mark.parametrize("encoded", ["fe01000002", "feffffffff", "ff0000000001000000", "ffffffffffffffffff"])
def test_a_number_larger_than_any_message_is_refused(encoded: str) -> None:
    assert "larger than any message" in refused(with_size(bytes.fromhex(encoded), at=HEADER_END))


@pytest.mark.parametrize("at", [HEADER_END, HEADER_END + 5, HEADER_END + 5 + 36 + 11])
@pytest.mark.parametrize("number", [0xFC, 0xFFFF, 0x2000000])
def test_more_than_the_bytes_left_can_hold_is_refused(at: int, number: int) -> None:
    """Of transactions, of the coinbase's inputs, of its outputs."""
    assert "bytes left" in refused(with_size(size(number), at=at)) or number == 0xFC


def test_every_prefix_is_refused() -> None:
    for length in range(len(GOOD)):
        assert refused(GOOD[:length])


@pytest.mark.parametrize("more", [b"\x00", b"\xff", GOOD])
def test_trailing_bytes_are_refused(more: bytes) -> None:
    assert "does not end where the bytes do" in refused(GOOD + more)


@pytest.mark.parametrize(
    ("tx", "why"),
    [
        (Tx([], [(OURS, 7)] * 2), "unknown kind"),  # no inputs: the count of the outputs reads as flags
        (Tx([], [], after_witness=bytes(60)), "no inputs"),
        (Tx([], [(OURS, 7)], flags=1), "no inputs"),
        (Tx([(OLD_COIN, b"")], []), "no outputs"),
        (Tx([(OLD_COIN, b"")], [(OURS, 7)], [[]]), "has none"),
        (Tx([(OLD_COIN, b"")] * 2, [(OURS, 7)], [[], []]), "has none"),
        (Tx([(OLD_COIN, b"")], [(OURS, 7)], [[b"x"]], flags=2), "unknown kind"),
        (Tx([(OLD_COIN, b"")], [(OURS, 7)], [[b"x"]], flags=3), "unknown kind"),
        (Tx([(OLD_COIN, b"")], [(OURS, 7)], [[b"x"]], flags=9), "unknown kind"),
        (Tx([(OLD_COIN, b"")] * 2, [(OURS, 7)]), "one coin twice"),
        (Tx([(NOTHING, b"\x00\x00")], [(OURS, 7)]), "second coinbase"),
        (Tx([(OLD_COIN, b""), (NOTHING, b"")], [(OURS, 7)]), "second coinbase"),
    ],
)
def test_a_transaction_that_cannot_be_is_refused(tx: Tx, why: str) -> None:
    assert why in refused(one(tx))


@pytest.mark.parametrize(
    ("form", "most"),
    [
        (BITCOIN, 21_000_000 * 10**8),
        (BITCOIN_CASH, 21_000_000 * 10**8),
        (LITECOIN, 84_000_000 * 10**8),
        (DOGECOIN, 10_000_000_000 * 10**8),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
@pytest.mark.parametrize(
    "parts", [lambda most: [most + 1], lambda most: [most, 1], lambda _: [2**64 - 1], lambda _: [2**63]]
)
def test_more_money_than_there_is_is_refused(form: BlockForm, most: int, parts: Callable[[int], list[int]]) -> None:
    """In one output or in the sum of a transaction; the most itself passes."""
    whole = BuiltBlock([COINBASE, pay(OLD_COIN, (OURS, most), witness=False)], version=4)
    events = read_block(whole.raw(), form=form, outpoints=(), scripts={OURS})
    assert events.created[0].value == most
    more = BuiltBlock([COINBASE, pay(OLD_COIN, *((OURS, value) for value in parts(most)), witness=False)], version=4)
    assert "more than there is" in refused(more.raw(), form=form)


def test_a_block_without_transactions_is_refused() -> None:
    assert "begin with a coinbase" in refused(BuiltBlock([], root=bytes(32)).raw())


@pytest.mark.parametrize(
    "first",
    [
        pay(OLD_COIN, (OURS, 7)),
        Tx([(NOTHING, b"\x00\x00"), (OLD_COIN, b"")], [(OURS, 7)]),
        Tx([(NOTHING, b"\x00\x00"), (NOTHING, b"\x00\x00")], [(OURS, 7)]),
        Tx([(NOTHING, b"\x00")], [(OURS, 7)]),
        Tx([(NOTHING, b"\x00" * 101)], [(OURS, 7)]),
        Tx([(NOTHING[:-1] + b"\xfe", b"\x00\x00")], [(OURS, 7)]),
    ],
)
def test_a_block_begins_with_a_coinbase(first: Tx) -> None:
    assert "begin with a coinbase" in refused(BuiltBlock([first, pay(OLD_COIN, (THEIRS, 1))]).raw())


def test_the_same_coin_spent_by_two_transactions_is_refused() -> None:
    block = BuiltBlock([COINBASE, pay(OLD_COIN, (THEIRS, 7)), pay(OLD_COIN, (THEIRS, 8))])
    assert "one coin twice" in refused(block.raw())


def test_a_coin_spent_further_up_than_it_is_created_is_refused() -> None:
    first = pay(bytes(36), (OURS, 7))
    assert "before it creates" in refused(BuiltBlock([COINBASE, pay(first.outpoint(0), (THEIRS, 7)), first]).raw())


def test_another_block_than_the_one_asked_for_is_refused() -> None:
    asked = bytes(range(32))
    with pytest.raises(BadAnswer, match=f"came for {asked[::-1].hex()}"):
        read_block(GOOD, form=BITCOIN, outpoints=(), scripts=(), asked=asked)


def test_transactions_that_the_header_does_not_commit_to_are_refused_when_verified() -> None:
    """And believed otherwise: the amount of a watched coin was changed on the way."""
    root = BuiltBlock([COINBASE, pay(OLD_COIN, (OURS, 7))])
    forged = replace(root, txs=[COINBASE, pay(OLD_COIN, (OURS, 8))], root=bytes(32)).raw()
    forged = root.header() + forged[HEADER_END:]
    assert "not those of its header" in refused(forged, verify=True)
    assert read_block(forged, form=BITCOIN, outpoints=(), scripts={OURS}).created[0].value == 8


def test_a_list_lengthened_to_the_same_merkle_root_is_refused() -> None:
    """CVE-2012-2459: of three transactions the last counts twice, so four with the last one doubled share the root."""
    txs = [COINBASE, pay(bytes(36), (THEIRS, 1)), pay(OLD_COIN, (THEIRS, 7))]
    honest = BuiltBlock(txs)
    longer = BuiltBlock([*txs, txs[-1]])
    assert honest.header() == longer.header()
    unwatched = read_block(honest.raw(), form=BITCOIN, outpoints=(), scripts=(), verify=True)
    assert unwatched.header.hash == honest.hash()
    with pytest.raises(BadAnswer, match="one transaction twice"):
        read_block(longer.raw(), form=BITCOIN, outpoints=(), scripts=(), verify=True)


def test_a_watched_payment_that_stands_in_the_block_twice_is_refused() -> None:
    tx = pay(bytes(36), (OURS, 7))
    assert "one transaction twice" in refused(BuiltBlock([COINBASE, tx, tx]).raw())


@pytest.mark.parametrize("form", [BITCOIN_CASH, DOGECOIN], ids=lambda form: form.name)
def test_witnesses_are_refused_where_there_are_none(form: BlockForm) -> None:
    block = BuiltBlock([COINBASE, pay(OLD_COIN, (OURS, 7))], version=4)
    assert "no inputs" in refused(block.raw(), form=form)


def test_a_transaction_alone_ends_where_the_bytes_do() -> None:
    raw = pay(OLD_COIN, (OURS, 7)).raw()
    assert read_transaction(raw, form=BITCOIN) is not None
    for wrong in [raw + b"\x00", *(raw[:length] for length in range(len(raw)))]:
        with pytest.raises(BadAnswer):
            read_transaction(wrong, form=BITCOIN)


def hostile_blocks() -> dict[str, bytes]:
    """Some 100 kB each, of as many small things as fit, or announcing more than there is."""
    many = 2_500
    small = [Tx([(at.to_bytes(36, "big"), b"")], [(b"", 0)]) for at in range(1, many)]
    counted = BuiltBlock([COINBASE], root=bytes(32)).raw()
    return {
        "transactions": BuiltBlock([COINBASE, *small], root=bytes(32)).raw(),
        "inputs": one(Tx([(at.to_bytes(36, "big"), b"") for at in range(1, many)], [(b"", 0)])),
        "outputs": one(Tx([(OLD_COIN, b"")], [(b"\x51\x52", 0)] * 4 * many)),
        "witness items": one(Tx([(OLD_COIN, b"")], [(b"", 0)], [[b""] * 100_000])),
        "announced transactions": counted[:HEADER_END] + size(0x2000000) + b"\x00" * 100_000,
        "announced inputs": counted[:HEADER_END] + b"\x01" + b"\x01\x00\x00\x00" + size(0x2000000) + b"\x01" * 100_000,
        "a script of 4 GB": counted[: HEADER_END + 42] + b"\xfe\xff\xff\xff\xff" + b"\x00" * 100_000,
        "ones": b"\x01" * 100_000,
        "largest bytes": b"\xff" * 100_000,
    }


@pytest.mark.parametrize(("name", "raw"), hostile_blocks().items(), ids=hostile_blocks())
def test_memory_stays_below_twice_the_input(name: str, raw: bytes) -> None:
    """Whatever the block announces; what is watched and found comes on top, and here nothing is."""
    tracemalloc.start()
    try:
        with suppress(BadAnswer):
            read_block(raw, form=BITCOIN, outpoints=(), scripts=(), verify=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * len(raw), f"{name}: {peak / len(raw):.2f} times the input"
