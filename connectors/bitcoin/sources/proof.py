"""Whether what a provider gives for a transaction is that transaction: its id is the hash of what it does."""

from __future__ import annotations

from typing import NamedTuple

from connectors.bitcoin.forms import BlockForm
from connectors.bitcoin.transaction import Transaction, read_transaction
from connectors.errors import BadAnswer
from connectors.standing import Standing

TXID = 32


class Outpoint(NamedTuple):
    """An output of a transaction, by its place."""

    txid: bytes
    vout: int


def outpoint(packed: bytes) -> Outpoint:
    """From the 36 bytes by which an input names what it spends."""
    return Outpoint(packed[:TXID], int.from_bytes(packed[TXID:], "little"))


def proven(raw: bytes, *, txid: bytes, form: BlockForm, by: Standing) -> bytes:
    """`raw`, if it is the transaction with this id; BadAnswer, counted against the provider, if not.

    What happens wholly inside Litecoin's extension block has its id from there, and is not proven; it moves nothing
    that can be watched.
    """
    understood(raw, txid=txid, form=form, by=by)
    return raw


def understood(raw: bytes, *, txid: bytes, form: BlockForm, by: Standing) -> Transaction | None:
    """The transaction with this id, None for one wholly inside Litecoin's extension block.

    BadAnswer, counted against the provider, when `raw` is none or another one.
    """
    try:
        transaction = read_transaction(raw, form=form)
    except BadAnswer as error:
        raise by.blame(BadAnswer(f"{by.provider}: gave no transaction: {error}")) from None
    if transaction is not None and transaction.txid != txid:
        text = f"{by.provider}: gave transaction {transaction.txid[::-1].hex()} for {txid[::-1].hex()}"
        raise by.blame(BadAnswer(text))
    return transaction
