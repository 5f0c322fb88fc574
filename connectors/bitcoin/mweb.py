"""Finds the end of Litecoin's MWEB data: nothing watched can be in it, but a cut-off or padded block must be seen.

The layout is Litecoin Core's (libmw: Header.h, TxBody.h, Input.h, Output.h, Kernel.h, PegOutCoin.h; LIP-0002 to 0004).
What it pegs out to scripts stands in the HogEx transaction, which is read like any other.
"""

from collections.abc import Callable

from connectors.bitcoin.serial import after_varint, compact_size, count, refuse

HASH, COMMITMENT, PUBLIC_KEY, SIGNATURE, RANGE_PROOF = 32, 33, 33, 64, 675
ROOTS_AND_OFFSETS = 5 * HASH  # output, kernel and leaf set root; kernel and stealth offset

STEALTH_KEY, INPUT_EXTRA = 0x01, 0x02
SMALLEST_INPUT = 1 + HASH + COMMITMENT + PUBLIC_KEY + SIGNATURE

STANDARD_FIELDS, OUTPUT_EXTRA = 0x01, 0x02
STANDARD_FIELDS_SIZE = PUBLIC_KEY + 1 + 8 + 16  # key exchange key, view tag, masked value, masked nonce
BEFORE_MESSAGE = COMMITMENT + 2 * PUBLIC_KEY
SMALLEST_OUTPUT = BEFORE_MESSAGE + 1 + RANGE_PROOF + SIGNATURE

FEE, PEG_IN, PEG_OUT, HEIGHT_LOCK, STEALTH_EXCESS, KERNEL_EXTRA = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
SMALLEST_KERNEL = 1 + COMMITMENT + SIGNATURE
SMALLEST_PEG_OUT = 3  # amount 1, script of one byte 2

Step = Callable[[bytes, int], int]


def after_block(raw: bytes, at: int) -> int:
    """Where the optional extension block that begins at `at` ends."""
    present = raw[at]
    if present == 0:
        return at + 1
    if present != 1:
        refuse("an extension block is neither absent nor present")
    at = after_varint(raw, at + 1) + ROOTS_AND_OFFSETS  # the height stands first
    return _after_body(raw, after_varint(raw, after_varint(raw, at)))


def after_transaction(raw: bytes, at: int) -> int:
    """Where an MWEB transaction ends: kernel offset, stealth offset, body."""
    return _after_body(raw, at + 2 * HASH)


def _after_body(raw: bytes, at: int) -> int:
    at = _after_list(raw, at, each=SMALLEST_INPUT, step=_after_input)
    at = _after_list(raw, at, each=SMALLEST_OUTPUT, step=_after_output)
    return _after_list(raw, at, each=SMALLEST_KERNEL, step=_after_kernel)


def _after_list(raw: bytes, at: int, *, each: int, step: Step) -> int:
    number, at = count(raw, at, each=each)
    for _ in range(number):
        at = step(raw, at)
    return at


def _after_bytes(raw: bytes, at: int) -> int:
    size, at = compact_size(raw, at)
    return at + size


def _after_input(raw: bytes, at: int) -> int:
    features = raw[at]
    at += SMALLEST_INPUT - SIGNATURE
    if features & STEALTH_KEY:
        at += PUBLIC_KEY
    if features & INPUT_EXTRA:
        at = _after_bytes(raw, at)
    return at + SIGNATURE


def _after_output(raw: bytes, at: int) -> int:
    at += BEFORE_MESSAGE
    features = raw[at]
    at += 1
    if features & STANDARD_FIELDS:
        at += STANDARD_FIELDS_SIZE
    if features & OUTPUT_EXTRA:
        at = _after_bytes(raw, at)
    return at + RANGE_PROOF + SIGNATURE


def _after_kernel(raw: bytes, at: int) -> int:
    features = raw[at]
    at += 1
    if features & FEE:
        at = after_varint(raw, at)
    if features & PEG_IN:
        at = after_varint(raw, at)
    if features & PEG_OUT:
        at = _after_list(raw, at, each=SMALLEST_PEG_OUT, step=_after_peg_out)
    if features & HEIGHT_LOCK:
        at = after_varint(raw, at)
    if features & STEALTH_EXCESS:
        at += PUBLIC_KEY
    if features & KERNEL_EXTRA:
        at = _after_bytes(raw, at)
    return at + COMMITMENT + SIGNATURE


def _after_peg_out(raw: bytes, at: int) -> int:
    size, at = compact_size(raw, after_varint(raw, at))
    if size == 0:
        refuse("an MWEB peg-out pays no script")
    return at + size
