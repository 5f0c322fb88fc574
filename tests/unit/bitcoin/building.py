"""Writes transactions and blocks byte by byte and reads them back plainly: the oracle of the block reader."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from io import BytesIO

NOTHING = bytes(32) + b"\xff" * 4
EPOCH = 1_700_000_000
P2WPKH, P2TR, P2PKH, P2SH = "0014{}", "5120{}", "76a914{}88ac", "a914{}87"


def script(number: int, kind: str = P2WPKH) -> bytes:
    """A script of its own for every number, of the given kind."""
    return bytes.fromhex(kind.format(number.to_bytes(32 if kind == P2TR else 20, "big").hex()))


def size(number: int) -> bytes:
    """CompactSize, in the shortest form."""
    if number < 0xFD:
        return bytes([number])
    if number <= 0xFFFF:
        return b"\xfd" + number.to_bytes(2, "little")
    if number <= 0xFFFFFFFF:
        return b"\xfe" + number.to_bytes(4, "little")
    return b"\xff" + number.to_bytes(8, "little")


def lengthy(data: bytes) -> bytes:
    return size(len(data)) + data


def double_sha256(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


@dataclass(frozen=True)
class Tx:
    """A transaction to be written. `witness` holds one stack per input; `inputs` are (outpoint, script)."""

    inputs: Sequence[tuple[bytes, bytes]]
    outputs: Sequence[tuple[bytes, int]]
    witness: Sequence[Sequence[bytes]] = ()
    version: int = 2
    locktime: int = 0
    flags: int = 0
    after_witness: bytes = b""

    def body(self) -> bytes:
        inputs = b"".join(outpoint + lengthy(code) + b"\xff" * 4 for outpoint, code in self.inputs)
        outputs = b"".join(struct.pack("<Q", value) + lengthy(code) for code, value in self.outputs)
        return size(len(self.inputs)) + inputs + size(len(self.outputs)) + outputs

    def raw(self) -> bytes:
        flags = self.flags or (1 if self.witness else 0)
        marker = bytes([0, flags]) if flags else b""
        stacks = b"".join(size(len(stack)) + b"".join(map(lengthy, stack)) for stack in self.witness)
        head = self.version.to_bytes(4, "little") + marker + self.body()
        return head + stacks + self.after_witness + self.locktime.to_bytes(4, "little")

    def txid(self) -> bytes:
        return double_sha256(self.version.to_bytes(4, "little") + self.body() + self.locktime.to_bytes(4, "little"))

    def outpoint(self, index: int) -> bytes:
        return self.txid() + index.to_bytes(4, "little")


def coinbase(height: int, *outputs: tuple[bytes, int]) -> Tx:
    """A coinbase whose script holds the height, so that no two have the same id (BIP 34)."""
    return Tx([(NOTHING, b"\x04" + height.to_bytes(4, "little"))], outputs or [(script(0), 50)])


def pay(outpoint: bytes, *outputs: tuple[bytes, int], witness: bool = True) -> Tx:
    """A transaction that spends one coin."""
    return Tx([(outpoint, b"" if witness else b"\x51")], outputs, [[b"signature", b"key"]] if witness else ())


def merkle_root(txids: Sequence[bytes]) -> bytes:
    level = list(txids)
    while len(level) > 1:
        level += level[-1:] * (len(level) % 2)
        level = [double_sha256(level[at] + level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


@dataclass(frozen=True)
class BuiltBlock:
    """A block to be written. `proof` stands between header and transactions, `extension` after them."""

    txs: Sequence[Tx]
    parent: bytes = bytes(32)
    version: int = 0x20000000
    nonce: int = 0
    root: bytes | None = None
    proof: bytes = b""
    extension: bytes = b""
    time: int = field(default=EPOCH)

    def header(self) -> bytes:
        root = merkle_root([tx.txid() for tx in self.txs]) if self.root is None else self.root
        return struct.pack("<I32s32sIII", self.version, self.parent, root, self.time, 0x207FFFFF, self.nonce)

    def hash(self) -> bytes:
        return double_sha256(self.header())

    def raw(self) -> bytes:
        return self.header() + self.proof + size(len(self.txs)) + b"".join(tx.raw() for tx in self.txs) + self.extension


@dataclass(frozen=True)
class PlainTx:
    """What the oracle finds in a transaction."""

    txid: bytes
    inputs: tuple[bytes, ...]
    outputs: tuple[tuple[bytes, int], ...]


class _Stream(BytesIO):
    """Never gives less than asked for."""

    def exactly(self, length: int) -> bytes:
        data = self.read(length)
        if len(data) != length:
            raise EOFError
        return data

    def number(self) -> int:
        first = self.exactly(1)[0]
        if first < 0xFD:
            return first
        return int.from_bytes(self.exactly({0xFD: 2, 0xFE: 4, 0xFF: 8}[first]), "little")


def plainly(raw: bytes) -> list[PlainTx]:
    """Every transaction of a Bitcoin block, read field by field and written again for its id."""
    stream = _Stream(raw)
    stream.exactly(80)
    return [_transaction(stream) for _ in range(stream.number())]


def _transaction(stream: _Stream) -> PlainTx:
    tx = Tx((), (), version=int.from_bytes(stream.exactly(4), "little"))
    number, segwit = stream.number(), False
    if number == 0:
        segwit = stream.exactly(1) == b"\x01"
        number = stream.number()
    inputs = [(stream.exactly(36), stream.exactly(stream.number()), stream.exactly(4)) for _ in range(number)]
    outputs = []
    for _ in range(stream.number()):
        value = int.from_bytes(stream.exactly(8), "little")
        outputs.append((stream.exactly(stream.number()), value))
    if segwit:
        for _ in inputs:
            for _ in range(stream.number()):
                stream.exactly(stream.number())
    locktime = stream.exactly(4)
    written = b"".join(outpoint + lengthy(code) + sequence for outpoint, code, sequence in inputs)
    body = size(len(inputs)) + written + replace(tx, outputs=outputs).body()[1:]
    txid = double_sha256(tx.version.to_bytes(4, "little") + body + locktime)
    return PlainTx(txid, tuple(outpoint for outpoint, _, _ in inputs), tuple(outputs))
