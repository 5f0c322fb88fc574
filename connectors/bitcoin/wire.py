"""Walks over the bytes of transactions: where each begins and ends, which inputs it has, which outputs are watched.

Running off the end of the bytes raises IndexError or struct.error, for `serial.reading` to turn into BadAnswer, so that
the loops need no check of their own. Every turn of a loop consumes a byte at least, and no count is believed that the
bytes left could not hold.
"""

import struct
from array import array
from collections.abc import Container
from hashlib import sha256
from typing import NamedTuple

from connectors.bitcoin import mweb
from connectors.bitcoin.cashtokens import PREFIX, without_token
from connectors.bitcoin.forms import BlockForm
from connectors.bitcoin.serial import LONG_SIZE, compact_size, count, refuse

SMALLEST_INPUT = 41  # outpoint 36, empty script 1, sequence 4
SMALLEST_OUTPUT = 9  # value 8, empty script 1
SMALLEST_TRANSACTION = 4 + 1 + SMALLEST_INPUT + 1 + SMALLEST_OUTPUT + 4
WITNESS, MWEB = 1, 8  # flags of the extended form

_value_and_size = struct.Struct("<QB").unpack_from


class Match(NamedTuple):
    """An output that pays a watched script: transaction and output by their position, value in units."""

    transaction: int
    output: int
    value: int
    script: bytes


class Walk:
    """Collects, transaction after transaction, offsets into `raw`.

    - `starts`, `ends`: of each transaction; `bodies`: just past its outputs, where witnesses or the lock time follow.
    - `inputs`: of each input's outpoint, in order.
    - `matches`: the outputs whose script is in `scripts`.
    - `hogex`: positions of the transactions that are flagged as Litecoin's HogEx.
    """

    __slots__ = ("_pool", "_scripts", "_view", "bodies", "ends", "form", "hogex", "inputs", "matches", "raw", "starts")

    def __init__(self, raw: bytes, *, form: BlockForm, scripts: Container[bytes] = (), pool: bool = False) -> None:
        """`pool`: the transactions are not in a block, so that they may carry what Litecoin's blocks keep elsewhere."""
        self.raw = raw
        self._view = memoryview(raw)
        self.form = form
        self._scripts = scripts
        self._pool = pool
        self.starts = array("Q")
        self.bodies = array("Q")
        self.ends = array("Q")
        self.inputs = array("Q")
        self.matches: list[Match] = []
        self.hogex: list[int] = []

    def transactions(self, at: int) -> int:
        """Walks over a counted list of transactions that begins at `at`; says where it ends."""
        number, at = count(self.raw, at, each=SMALLEST_TRANSACTION)
        for _ in range(number):
            at = self.transaction(at)
        return at

    def transaction(self, at: int) -> int:
        """Walks over the transaction that begins at `at`; says where it ends (BIP 144 for the witness form)."""
        self.starts.append(at)
        at += 4
        flags = 0
        if self.raw[at] == 0:
            flags = self._flags(at)
            at += 2
        first = len(self.inputs)
        at = self._outputs(self._inputs(at))
        self.bodies.append(at)
        if flags & WITNESS:
            at = self._witnesses(at, len(self.inputs) - first)
        if flags & MWEB:
            at = self._mweb(at)
        self.ends.append(at + 4)
        return at + 4

    def txid(self, position: int) -> bytes:
        """The id of a walked transaction: the hash of `stripped`, without a copy of it."""
        digest = sha256()
        for part in self._without_witness(position):
            digest.update(part)
        return sha256(digest.digest()).digest()

    def stripped(self, position: int) -> bytes:
        """A walked transaction without marker, flags and witnesses."""
        return b"".join(self._without_witness(position))

    def _without_witness(self, position: int) -> tuple[memoryview, ...]:
        view, start, body, end = self._view, self.starts[position], self.bodies[position], self.ends[position]
        if view[start + 4]:
            return (view[start:end],)
        return view[start : start + 4], view[start + 6 : body], view[end - 4 : end]

    def witness_size(self, position: int) -> int:
        """How many bytes of a walked transaction are marker, flags and witnesses: those that count a quarter (BIP 141).

        Litecoin's MWEB data has a weight of its own; where both are, the byte that marks the HogEx is counted too.
        """
        start, body, end = self.starts[position], self.bodies[position], self.ends[position]
        has_witness = self.raw[start + 4] == 0 and self.raw[start + 5] & WITNESS
        return 2 + end - 4 - body if has_witness else 0

    def _flags(self, at: int) -> int:
        flags = self.raw[at + 1]
        allowed = (WITNESS if self.form.witness else 0) | (MWEB if self.form.mweb else 0)
        if flags == 0 or not allowed:
            refuse("a transaction has no inputs")
        if flags & ~allowed:
            refuse("a transaction carries data of an unknown kind")
        return flags

    def _inputs(self, at: int) -> int:
        raw, found = self.raw, self.inputs.append
        number, at = count(raw, at, each=SMALLEST_INPUT)
        if number == 0:
            refuse("a transaction has no inputs")
        for _ in range(number):
            found(at)
            size = raw[at + 36]
            if size < LONG_SIZE:
                at += 41 + size
            else:
                size, at = compact_size(raw, at + 36)
                at += size + 4
        return at

    def _outputs(self, at: int) -> int:
        raw, scripts, tokens = self.raw, self._scripts, self.form.tokens
        number, at = count(raw, at, each=SMALLEST_OUTPUT)
        if number == 0:
            refuse("a transaction has no outputs")
        total = 0
        for index in range(number):
            value, size = _value_and_size(raw, at)
            at += 9
            if size >= LONG_SIZE:
                size, at = compact_size(raw, at - 1)
            total += value
            script = raw[at : at + size]
            at += size
            if tokens and script[:1] == PREFIX:
                script = without_token(script)
            if script in scripts:
                self.matches.append(Match(len(self.starts) - 1, index, value, script))
        if total > self.form.max_money:
            refuse("a transaction pays more than there is")
        return at

    def _witnesses(self, at: int, inputs: int) -> int:
        raw, start = self.raw, at
        for _ in range(inputs):
            number = raw[at]
            at += 1
            if number >= LONG_SIZE:
                number, at = count(raw, at - 1, each=1)
            for _ in range(number):
                size = raw[at]
                at += 1
                if size >= LONG_SIZE:
                    size, at = compact_size(raw, at - 1)
                at += size
        if at - start == inputs:
            refuse("a transaction is flagged for witnesses and has none")
        return at

    def _mweb(self, at: int) -> int:
        """Past the optional MWEB transaction. In a block it is absent and marks the HogEx (Litecoin, transaction.h)."""
        present = self.raw[at]
        if present == 0:
            self.hogex.append(len(self.starts) - 1)
            return at + 1
        if present != 1 or not self._pool:
            refuse("a transaction in a block carries an MWEB transaction")
        return mweb.after_transaction(self.raw, at + 1)
