"""Real mainnet blocks, where they are kept beside the checkout (or PYROMETER_BLOCKS says), and bitcoinlib's view."""

import importlib
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from tests.real import ROOT
from tests.unit.bitcoin.building import PlainTx

OLD = "block-277647.blk"  # December 2013, before segwit: 213 transactions
FULL = "block-0000000000000000001602407ac49862a7bca9d00f7f402db20b7be2f5de59d2.blk"  # 3,315 transactions
HEAVY = "block-00000000000000000021868c2cefc52a480d173c849412fe81c4e5ab806f94ab.blk"  # 2.2 MB, most of it witnesses
ALL = (OLD, FULL, HEAVY)
HEX = ROOT / "tests" / "data" / "bitcoin"


def find_block(name: str) -> Path | None:
    told = os.environ.get("PYROMETER_BLOCKS")
    path = (Path(told) if told else ROOT.parent / "shared" / "data" / "bitcoin") / name
    return path if path.is_file() else None


def real_block(name: str) -> bytes:
    """The raw block; the test is skipped where it is not kept. Blocks are data, not programs: CI may lack them."""
    path = find_block(name)
    if path is None:
        pytest.skip(f"{name} is not here: point PYROMETER_BLOCKS at a folder that holds it (getblock <hash> 0)")
    return path.read_bytes()


def recorded(name: str) -> bytes:
    """Bytes of another chain of the family, recorded as hex."""
    return bytes.fromhex((HEX / name).read_text())


class LibraryInput(Protocol):
    prev_txid: bytes
    output_n: bytes


class LibraryOutput(Protocol):
    value: int
    lock_script: bytes


class LibraryTx(Protocol):
    """What is looked at of bitcoinlib's transactions; hashes and numbers are big-endian there."""

    txid: str
    inputs: Sequence[LibraryInput]
    outputs: Sequence[LibraryOutput]


def bitcoinlib_parser() -> Callable[[bytes], Sequence[LibraryTx]]:
    """bitcoinlib's reader of whole blocks. It writes files and warns when imported; both are kept away from here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ.setdefault("BCL_DATA_DIR", tempfile.mkdtemp(prefix="bitcoinlib-"))
        parse = importlib.import_module("bitcoinlib.blocks").Block.parse_bytes

    def transactions(raw: bytes) -> Sequence[LibraryTx]:
        found: Sequence[LibraryTx] = parse(raw, parse_transactions=True).transactions
        return found

    return transactions


def by_bitcoinlib(raw: bytes) -> list[PlainTx]:
    """The transactions of a block as bitcoinlib sees them, in our byte order. Takes 1 ms a transaction."""
    return [
        PlainTx(
            bytes.fromhex(tx.txid)[::-1],
            tuple(one.prev_txid[::-1] + one.output_n[::-1] for one in tx.inputs),
            tuple((one.lock_script, one.value) for one in tx.outputs),
        )
        for tx in bitcoinlib_parser()(raw)
    ]
