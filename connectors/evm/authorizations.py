"""Whom the transactions of a block touch: senders, recipients, and who authorises code for itself (EIP-7702)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

import rlp  # type: ignore[import-untyped]
from eth_hash.auto import keccak
from eth_keys.datatypes import Signature
from eth_keys.exceptions import BadSignature
from eth_utils.exceptions import ValidationError

from connectors.base import Address
from connectors.evm import answers
from connectors.evm.answers import Raw

MAGIC = b"\x05"
"""What comes before an authorisation when it is signed (EIP-7702, "Parameters")."""


def touched(transactions: Iterable[Raw], *, accounts: Collection[str]) -> Iterator[tuple[Address, str]]:
    """Watched accounts with the transaction, each pair once and in the order of the block.

    What calls inside a transaction reach does not stand in it.
    """
    for raw in transactions:
        named = [str(raw.get("from")).lower(), str(raw.get("to")).lower()]
        listed = raw.get("authorizationList")
        if isinstance(listed, list):
            named += [authority for one in listed if (authority := authority_of(one)) is not None]
        for name in dict.fromkeys(named):
            if name in accounts:
                yield Address(name), str(raw.get("hash"))


def authority_of(raw: object) -> Address | None:
    """Who signed: ecrecover(keccak(MAGIC || rlp([chain_id, address, nonce])), y_parity, r, s), EIP-7702.

    None for one that nobody can have signed, which the chain passes over as well.
    """
    try:
        fields = answers.fields_of(raw)
        chain, nonce = answers.number(fields.get("chainId")), answers.number(fields.get("nonce"))
        delegate = bytes.fromhex(answers.address(fields.get("address"))[2:])
        parity, r, s = (answers.number(fields.get(name)) for name in ("yParity", "r", "s"))
        signed = keccak(MAGIC + rlp.encode([chain, delegate, nonce]))
        key = Signature(vrs=(parity, r, s)).recover_public_key_from_msg_hash(signed)
    except (ValueError, BadSignature, ValidationError):
        return None
    return Address(key.to_address())
