"""Finds the end of a merged-mining proof, which Dogecoin puts between a block's header and its transactions.

The layout is Dogecoin Core's (auxpow.h: CMerkleTx, CAuxPow). The proof itself is the node's business: a block is asked
for by its hash, and the hash covers the header alone.
"""

from connectors.bitcoin.forms import LITECOIN, BlockForm
from connectors.bitcoin.serial import count
from connectors.bitcoin.wire import Walk

VERSION_AUXPOW = 0x100  # pureheader.h: the bit of the header's version that says a proof follows
HASH, INDEX, HEADER = 32, 4, 80

PARENT = BlockForm("parent of a merged-mined block", LITECOIN.max_money, witness=True)


def after_proof(raw: bytes, at: int) -> int:
    """Where the proof that begins at `at` ends.

    It is: the parent's coinbase transaction, the parent's hash, the branch from that transaction to the parent's root,
    its index, the branch from our hash to the root of the chains, its index, the parent's header.
    """
    at = Walk(raw, form=PARENT).transaction(at) + HASH
    at = _after_branch(raw, at)
    return _after_branch(raw, at) + HEADER


def _after_branch(raw: bytes, at: int) -> int:
    length, at = count(raw, at, each=HASH)
    return at + length * HASH + INDEX
