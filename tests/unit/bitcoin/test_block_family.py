"""The forms of the family: Litecoin's extension block, Dogecoin's merged mining, Bitcoin Cash's tokens."""

from dataclasses import replace

import pytest

from connectors.bitcoin.block import read_block
from connectors.bitcoin.cashtokens import without_token
from connectors.bitcoin.forms import BITCOIN, BITCOIN_CASH, DOGECOIN, LITECOIN, BlockForm
from connectors.bitcoin.transaction import Output, read_transaction
from connectors.errors import BadAnswer
from tests.unit.bitcoin.building import BuiltBlock, Tx, coinbase, lengthy, pay, script, size
from tests.unit.bitcoin.mainnet import recorded

OURS, THEIRS = script(1), script(2)
OLD_COIN = bytes(range(32)) + bytes(4)
LITECOIN_BLOCK = recorded("litecoin-2383209.hex")
LITECOIN_TXIDS = [
    "2b3f140c330a4367ba48bda85543171d40bb7f825fc028b2da1e751e952a5ac9",
    "237f0d5ef5a58ed285623f67bf4d1ebcc520c5370fac0cfb10c4e00753f96aeb",
    "1e447efc190e81933c59652f8bfd3ee9a09405dba4a7480f5f27cec7fa954b88",
    "1ea32ada0ac03ede6df9cbb22b00c620e618a61c66b166996b4861a716cb6317",
    "efae3cce0283dcb9ed698bbce59e3545a2086d8772dc23bf19520ac58a451f4e",
    "12c31af07ceb2db08e3493b3022b399d660ca06844a9aab56647d534933b1017",
    "1187a66260e18bdc1185f805964fc9b53c584e2b328616c25ea441a56ec4fcbc",
    "fbcbab14f31bc094410e300b0e7be55c415a18bdee5a5285df52b17acda245df",
]
LITECOIN_VSIZES = [209, 225, 190, 224, 141, 144, 165, 94]
DOGECOIN_HEADER = recorded("dogecoin-4505708-header.hex")


class Everything:
    """Watches whatever comes."""

    def __contains__(self, key: object) -> bool:
        return True


def assert_every_prefix_is_refused(raw: bytes, *, form: BlockForm) -> None:
    read_block(raw, form=form, outpoints=(), scripts=())
    for length in range(len(raw)):
        with pytest.raises(BadAnswer):
            read_block(raw[:length], form=form, outpoints=(), scripts=())


def test_a_real_litecoin_block_is_read_to_the_last_byte() -> None:
    """Block 2383209: its id, its merkle root, all transaction ids and sizes as Litecoin Core names them."""
    events = read_block(LITECOIN_BLOCK, form=LITECOIN, outpoints=(), scripts=Everything(), verify=True)
    assert events.header.hash[::-1].hex() == "0e6ab03c6ffc04a9bd9dc85a3e216a09f8d42b6f0bf0ce009c47c2c1347e11c2"
    assert [tx.txid[::-1].hex() for tx in events.transactions] == LITECOIN_TXIDS
    assert [tx.vsize for tx in events.transactions] == LITECOIN_VSIZES


def test_the_hogex_is_a_transaction_like_others() -> None:
    """Its first output is the balance of the whole extension block."""
    hogex = read_block(LITECOIN_BLOCK, form=LITECOIN, outpoints=(), scripts=Everything()).transactions[-1]
    address = bytes.fromhex("5820fc7da6da9aeb7186c6fcdd7d9b770de8b93f8116820e6441f370b3c92b29ca53")
    assert list(hogex.outputs()) == [Output(address, 793199220526)]


def test_every_prefix_of_a_litecoin_block_is_refused() -> None:
    """Also within the extension block, where nothing of ours can be."""
    assert_every_prefix_is_refused(LITECOIN_BLOCK, form=LITECOIN)


def test_a_litecoin_block_is_no_bitcoin_block() -> None:
    with pytest.raises(BadAnswer, match="unknown kind"):
        read_block(LITECOIN_BLOCK, form=BITCOIN, outpoints=(), scripts=())


def varint(number: int) -> bytes:
    """Bitcoin Core's VARINT: base 128, most significant first, each continued digit less one."""
    digits = [number & 0x7F]
    while number > 0x7F:
        number = (number >> 7) - 1
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


INPUT = b"\x00" + bytes(32 + 33 + 33 + 64)
INPUT_WITH_ALL = b"\x03" + bytes(32 + 33 + 33 + 33) + lengthy(b"extra") + bytes(64)
OUTPUT = bytes(33 + 33 + 33) + b"\x00" + bytes(675 + 64)
OUTPUT_WITH_ALL = bytes(33 + 33 + 33) + b"\x03" + bytes(33 + 1 + 8 + 16) + lengthy(b"x" * 300) + bytes(675 + 64)
KERNEL = b"\x00" + bytes(33 + 64)
PEG_OUT = varint(2**40) + lengthy(OURS)
KERNEL_WITH_ALL = (
    b"\x3f" + varint(1000) + varint(2**50) + b"\x02" + PEG_OUT * 2 + varint(2_383_209)
    + bytes(33) + lengthy(b"more") + bytes(33 + 64)
)  # fmt: skip
BODY = b"".join(
    [b"\x02", INPUT, INPUT_WITH_ALL, b"\x02", OUTPUT, OUTPUT_WITH_ALL, b"\x02", KERNEL, KERNEL_WITH_ALL]
)  # fmt: skip
EXTENSION = b"\x01" + varint(2_383_209) + bytes(5 * 32) + varint(12_555) + varint(700_000) + BODY
HOGEX = Tx([(OLD_COIN, b"")], [(THEIRS, 9), (OURS, 8)], flags=8, after_witness=b"\x00")


def litecoin_block(*txs: Tx, extension: bytes = EXTENSION) -> bytes:
    return BuiltBlock([coinbase(1), *txs], extension=extension).raw()


def test_an_extension_block_with_everything_in_it_is_passed_over() -> None:
    """And what the HogEx pegs out to us is a coin."""
    events = read_block(litecoin_block(HOGEX), form=LITECOIN, outpoints={OLD_COIN}, scripts={OURS}, verify=True)
    assert [(created.outpoint, created.value) for created in events.created] == [(HOGEX.outpoint(1), 8)]
    assert [spend.txid for spend in events.spent] == [HOGEX.txid()]


def test_an_extension_block_that_is_cut_off_is_refused() -> None:
    assert_every_prefix_is_refused(litecoin_block(HOGEX), form=LITECOIN)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (litecoin_block(HOGEX) + b"\x00", "does not end"),
        (litecoin_block(HOGEX, extension=b"\x02" + EXTENSION[1:]), "neither absent nor present"),
        (litecoin_block(HOGEX, extension=b"\x01" + b"\xff" * 12 + EXTENSION[1:]), "larger than 64 bits"),
        (litecoin_block(HOGEX, extension=EXTENSION.replace(PEG_OUT, varint(2**40) + b"\x00")), "pays no script"),
        (litecoin_block(HOGEX, pay(OLD_COIN, (OURS, 1))), "not its last"),
        (litecoin_block(HOGEX, replace(HOGEX, inputs=[(bytes(36), b"")])), "not its last"),
        (litecoin_block(replace(HOGEX, after_witness=b"\x01" + bytes(64) + BODY)), "carries an MWEB transaction"),
        (litecoin_block(replace(HOGEX, flags=12)), "unknown kind"),
    ],
)
def test_an_extension_block_that_cannot_be_is_refused(raw: bytes, why: str) -> None:
    with pytest.raises(BadAnswer, match=why):
        read_block(raw, form=LITECOIN, outpoints=(), scripts=())


def test_an_absent_extension_block_is_one_byte() -> None:
    raw = litecoin_block(HOGEX, extension=b"\x00")
    assert read_block(raw, form=LITECOIN, outpoints=(), scripts={OURS}).created[0].value == 8


def test_a_litecoin_block_before_the_extension_is_plain() -> None:
    raw = litecoin_block(pay(OLD_COIN, (OURS, 7)), extension=b"")
    assert read_block(raw, form=LITECOIN, outpoints=(), scripts={OURS}, verify=True).created[0].value == 7


def test_a_waiting_litecoin_transaction_may_carry_mweb_data() -> None:
    tx = Tx([(OLD_COIN, b"")], [(OURS, 5)], [[b"signature"]], flags=9, after_witness=b"\x01" + bytes(64) + BODY)
    found = read_transaction(tx.raw(), form=LITECOIN)
    assert found is not None
    assert (found.txid, list(found.outputs())) == (tx.txid(), [Output(OURS, 5)])


def test_a_waiting_transaction_wholly_inside_the_extension_concerns_nobody() -> None:
    tx = Tx([], [], flags=8, after_witness=b"\x01" + bytes(64) + BODY)
    assert read_transaction(tx.raw(), form=LITECOIN) is None


def dogecoin_block(*txs: Tx, version: int = 0x00620104, proof: bytes = b"") -> BuiltBlock:
    return BuiltBlock([coinbase(1), *txs], version=version, proof=proof)


DOGECOIN_TX = pay(OLD_COIN, (OURS, 7), witness=False)


def test_a_real_dogecoin_header_is_passed_over() -> None:
    """Block 4505708: its id covers the first 80 bytes alone. Its transactions are replaced by ours."""
    raw = DOGECOIN_HEADER + dogecoin_block(DOGECOIN_TX).raw()[80:]
    asked = bytes.fromhex("550393336f0a33a1678ecf15c87877848bed03b8c23f18b530fb03b30813440f")[::-1]
    events = read_block(raw, form=DOGECOIN, outpoints={OLD_COIN}, scripts={OURS}, asked=asked)
    assert [(created.outpoint, created.position) for created in events.created] == [(DOGECOIN_TX.outpoint(0), 1)]
    assert [spend.outpoint for spend in events.spent] == [OLD_COIN]


def test_the_parents_coinbase_is_nobodys_income() -> None:
    """It pays a script in another chain, whatever it looks like here."""
    events = read_block(
        DOGECOIN_HEADER + dogecoin_block().raw()[80:], form=DOGECOIN, outpoints=(), scripts=Everything()
    )
    assert [created.value for created in events.created] == [50]


def test_every_prefix_of_a_merged_mined_block_is_refused() -> None:
    assert_every_prefix_is_refused(DOGECOIN_HEADER + dogecoin_block().raw()[80:], form=DOGECOIN)


def test_a_proof_may_be_of_a_parent_with_witnesses() -> None:
    parent = replace(coinbase(1), witness=[[bytes(32)]])
    proof = parent.raw() + bytes(32) + b"\x00" + bytes(4) + size(300) + bytes(300 * 32) + bytes(4) + bytes(80)
    block = dogecoin_block(DOGECOIN_TX, proof=proof)
    events = read_block(block.raw(), form=DOGECOIN, outpoints=(), scripts={OURS}, verify=True)
    assert events.created[0].value == 7


@pytest.mark.parametrize("version", [1, 2, 0x00620004])
def test_a_dogecoin_block_mined_alone_has_no_proof(version: int) -> None:
    raw = dogecoin_block(DOGECOIN_TX, version=version).raw()
    assert read_block(raw, form=DOGECOIN, outpoints=(), scripts={OURS}, verify=True).created[0].value == 7


def test_a_bitcoin_block_may_have_the_bit_that_announces_a_proof_elsewhere() -> None:
    """Version bits are free for miners to roll (BIP 320)."""
    raw = dogecoin_block(DOGECOIN_TX, version=0x20000100).raw()
    assert read_block(raw, form=BITCOIN, outpoints=(), scripts={OURS}, verify=True).created[0].value == 7


def token(bits: int, rest: bytes = b"") -> bytes:
    """A token prefix with a category of its own (CHIP-2022-02-CashTokens, "Token Prefix Validation")."""
    return b"\xef" + b"\xbb" * 32 + bytes([bits]) + rest


VALID = [
    token(0x10, b"\x01"),
    token(0x10, b"\xfc"),
    token(0x10, b"\xfd\xfd\x00"),
    token(0x10, b"\xfe\x00\x00\x01\x00"),
    token(0x10, b"\xff" + (2**63 - 1).to_bytes(8, "little")),
    token(0x20),
    token(0x21),
    token(0x22),
    token(0x30, b"\x01"),
    token(0x60, b"\x01\xcc"),
    token(0x62, b"\x28" + b"\xcc" * 40),
    token(0x72, b"\x0a" + b"\xcc" * 10 + b"\xfd\xff\xff"),
]
INVALID = [
    b"\xef",
    token(0x10),
    token(0x10, b"\x00"),
    token(0x10, b"\xfd\x01\x00"),
    token(0x10, b"\xff" + (2**63).to_bytes(8, "little")),
    token(0x00),
    token(0x11, b"\x01"),
    token(0x23),
    token(0x40, b"\x01\xcc"),
    token(0x50, b"\x01\xcc\x01"),
    token(0x60, b"\x00"),
    token(0x80),
    token(0xA0),
]


@pytest.mark.parametrize("prefix", VALID, ids=bytes.hex)
def test_a_payment_with_tokens_pays_the_script_behind_them(prefix: bytes) -> None:
    tx = pay(OLD_COIN, (prefix + OURS, 7), witness=False)
    block = BuiltBlock([coinbase(1), tx]).raw()
    events = read_block(block, form=BITCOIN_CASH, outpoints=(), scripts={OURS}, verify=True)
    assert [(created.outpoint, created.script, created.value) for created in events.created] == [
        (tx.outpoint(0), OURS, 7)
    ]
    assert list(events.transactions[0].outputs()) == [Output(OURS, 7)]


@pytest.mark.parametrize("prefix", INVALID, ids=bytes.hex)
def test_what_only_looks_like_a_token_is_part_of_the_script(prefix: bytes) -> None:
    assert without_token(prefix + OURS) == prefix + OURS


@pytest.mark.parametrize("cut", range(1, 60))
def test_a_token_that_is_cut_off_is_part_of_the_script(cut: int) -> None:
    whole = token(0x72, b"\x28" + b"\xcc" * 40 + b"\xfd\xff\xff")
    assert without_token(whole[:-cut]) == whole[:-cut]


@pytest.mark.parametrize("form", [BITCOIN, LITECOIN, DOGECOIN], ids=lambda form: form.name)
def test_elsewhere_a_token_is_part_of_the_script(form: BlockForm) -> None:
    block = BuiltBlock([coinbase(1), pay(OLD_COIN, (VALID[0] + OURS, 7), witness=False)], version=4).raw()
    assert read_block(block, form=form, outpoints=(), scripts={OURS}).created == ()
