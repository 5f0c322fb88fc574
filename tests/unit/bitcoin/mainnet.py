"""Real mainnet blocks, where they are kept beside the checkout (or PYROMETER_BLOCKS says), and bitcoinlib's view."""

import os
import tempfile
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.real import ROOT

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


@dataclass(frozen=True)
class LibraryTx:
    """A transaction as bitcoinlib sees it, hashes in internal byte order."""

    txid: bytes
    inputs: tuple[bytes, ...]
    outputs: tuple[tuple[bytes, int], ...]


def by_bitcoinlib(raw: bytes) -> list[LibraryTx]:
    """The transactions of a block, parsed by bitcoinlib: whole blocks take seconds."""
    block = import_block_parser().parse_bytes(raw, parse_transactions=True)
    return [
        LibraryTx(
            bytes.fromhex(tx.txid)[::-1],
            tuple(one.prev_txid[::-1] + one.output_n[::-1] for one in tx.inputs),
            tuple((one.lock_script, one.value) for one in tx.outputs),
        )
        for tx in block.transactions
    ]


def import_block_parser():  # type: ignore[no-untyped-def]  # noqa: ANN201 - untyped, as bitcoinlib is
    """bitcoinlib's Block. It writes files and warns when imported; both are kept away from here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.environ.setdefault("BCL_DATA_DIR", tempfile.mkdtemp(prefix="bitcoinlib-"))
        from bitcoinlib.blocks import Block

    return Block
