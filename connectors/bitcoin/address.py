"""Addresses of Bitcoin's family: what people write, the one form that everything else compares, and its script.

Witness versions: 0 (P2WPKH, P2WSH) and 1 of 32 bytes (P2TR) can be watched. Bitcoin Core also takes later versions and
other lengths as addresses to pay to (BIP-350), but they have no rules yet, anyone could spend from them: `canonical`
refuses them by name, while `address_of` names them, so that a payment to one can be reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from connectors.base import Address
from connectors.bitcoin import base58, bech32
from connectors.bitcoin.networks import NETWORKS, Network, named
from connectors.bitcoin.scripts import key_hash_of, p2pkh, p2sh, script_hash_of, witness, witness_of
from connectors.errors import BadAddress

LONGEST = 128
NOT_REPEATED = "which must never be given to pyrometer; not repeated here"
HEXADECIMAL = re.compile(r"(?:0x)?(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{128})", re.ASCII)
EXTENDED_PRIVATE = re.compile(r"(?:[xyzYZtuvUV]prv|[LMt]tpv|dgpv)[1-9A-HJ-NP-Za-km-z]{20,}")
WALLET_IMPORT = re.compile(r"[569cKLQT][1-9A-HJ-NP-Za-km-z]{50,51}")
ENCRYPTED = re.compile(r"6P[1-9A-HJ-NP-Za-km-z]{56}")
EXTENDED_PUBLIC = re.compile(r"[xyzYZtuvUV]pub|[LMt]tub|dgub")
SEGWIT_LIKE = re.compile(f"[a-z]{{1,20}}1[{bech32.CHARSET}]{{6,}}")
MWEB = ("ltcmweb1", "tmweb1")

CASH_KEY, CASH_SCRIPT, CASH_LONG_SCRIPT = 0, 8, 11
TOKEN_AWARE = 16
"""Added to the type byte of a CashAddr whose owner takes tokens as well; the script is the same."""


class OnNetwork(Protocol):
    """The configuration of a chain, as far as addresses need it."""

    @property
    def network(self) -> str: ...


def canonical_on(config: OnNetwork) -> Callable[[str], Address]:
    """`canonical` for the chain that is configured so."""
    return partial(canonical, network=named(config.network))


def contract_on(config: OnNetwork) -> Callable[[str], Address]:
    """Refuses whatever is named as a contract: the family has none that pyrometer reads."""

    def refuse(text: str) -> Address:  # noqa: ARG001 - whatever it is
        raise BadAddress(f"there are no contracts on {named(config.network).name}; expected the native coin alone")

    return refuse


def canonical(text: str, *, network: Network) -> Address:
    """The address in the one form that stands for its script: small letters, today's version byte, CashAddr.

    Raises BadAddress that says what is wrong in one line, naming the network that it belongs to where that is known.
    A text that could be a private key is never repeated.
    """
    try:
        script, written = _parse(text, network=network)
    except BadAddress as error:
        raise _clearer(text, network=network) or error from None
    if script[0] != 0 and (found := witness_of(script)) and (found.version > 1 or len(found.program) != 32):
        what = f"witness version {found.version} with {len(found.program)} bytes"
        raise BadAddress(f"is of {what}, which has no rules yet: anyone could spend from it, so it can't be watched")
    return Address(written)


def script_of(address: str, *, network: Network) -> bytes:
    """The output script that an address stands for. BadAddress when it is none of this network."""
    return _parse(address, network=network)[0]


def address_of(script: bytes, *, network: Network) -> Address | None:
    """The canonical address of an output script, None for a script that has none (a bare key, OP_RETURN, ...)."""
    if (digest := key_hash_of(script)) is not None:
        if network.cashaddr is not None:
            return Address(bech32.encode_cash(CASH_KEY, digest, prefix=network.cashaddr))
        return Address(base58.encode(bytes((network.p2pkh,)) + digest))
    if (digest := script_hash_of(script)) is not None:
        return _script_address(digest, network=network)
    found = witness_of(script)
    if found is None or network.hrp is None or (found.version == 0 and len(found.program) not in (20, 32)):
        return None
    return Address(bech32.encode(found.version, found.program, hrp=network.hrp))


def _script_address(digest: bytes, *, network: Network) -> Address | None:
    if network.cashaddr is not None:
        kind = CASH_SCRIPT if len(digest) == 20 else CASH_LONG_SCRIPT
        return Address(bech32.encode_cash(kind, digest, prefix=network.cashaddr))
    return Address(base58.encode(bytes((network.p2sh[0],)) + digest)) if len(digest) == 20 else None


def _parse(text: str, *, network: Network) -> tuple[bytes, str]:
    """(script, canonical text)."""
    if not text:
        raise BadAddress(f"expected an address of {network.name} ({network.looks}), found nothing")
    folded = text.lower()
    if network.hrp is not None and folded.startswith(f"{network.hrp}1"):
        version, program = bech32.decode(text, hrp=network.hrp)
        return witness(version, program), folded
    if network.cashaddr is not None and (":" in text or re.match("[qp][^A-Z]{41}|[QP][^a-z]{41}", text)):
        return _parse_cash(text, network=network)
    return _parse_base58(text, network=network)


def _parse_base58(text: str, *, network: Network) -> tuple[bytes, str]:
    payload = base58.decode(text)
    if len(payload) != 21:
        raise BadAddress(f"holds {len(payload)} bytes; an address has 21")
    version, digest = payload[0], payload[1:]
    if version != network.p2pkh and version not in network.p2sh:
        owners = [other.name for other in NETWORKS.values() if version in (other.p2pkh, *other.p2sh)]
        unknown = f"has version byte {version}, which is no network's here; expected {network.name} ({network.looks})"
        raise BadAddress(_stranger(owners, network=network) if owners else unknown)
    script = p2pkh(digest) if version == network.p2pkh else p2sh(digest)
    if network.cashaddr is None and version in (network.p2pkh, network.p2sh[0]):
        return script, text
    return script, address_of(script, network=network) or text


def _parse_cash(text: str, *, network: Network) -> tuple[bytes, str]:
    prefix = network.cashaddr or ""
    if ":" in text and text.partition(":")[0].lower() != prefix:
        raise BadAddress(f"has another prefix; expected {prefix}:")
    kind, digest = bech32.decode_cash(text, prefix=prefix)
    plain = kind & ~TOKEN_AWARE
    if (plain, len(digest)) not in ((CASH_KEY, 20), (CASH_SCRIPT, 20), (CASH_LONG_SCRIPT, 32)):
        raise BadAddress(f"is a CashAddr of type {kind >> 3} with {len(digest)} bytes, which no script is known for")
    script = p2pkh(digest) if plain == CASH_KEY else p2sh(digest)
    return script, bech32.encode_cash(plain, digest, prefix=prefix)


def private_key(text: str) -> str | None:
    """What sort of private key a text looks like, said without a character of it; None for anything else."""
    if HEXADECIMAL.fullmatch(text):
        return f"64 or 128 hex digits look like a private key, {NOT_REPEATED}"
    if EXTENDED_PRIVATE.match(text):
        return f"looks like an extended private key, {NOT_REPEATED}"
    if ENCRYPTED.fullmatch(text):
        return f"looks like an encrypted private key (BIP-38), {NOT_REPEATED}"
    if WALLET_IMPORT.fullmatch(text):
        return f"looks like a private key in wallet import format, {NOT_REPEATED}"
    return None


def _clearer(text: str, *, network: Network) -> BadAddress | None:
    """What the text is instead of an address of this network, None when that can't be said."""
    found = private_key(text) or _lookalike(text, network=network)
    return None if found is None else BadAddress(found)


def _lookalike(text: str, *, network: Network) -> str | None:
    """What a text that is no address of this network is instead, None when that can't be said."""
    folded = text.lower()
    here = f"{network.name} ({network.looks})"
    strangers = [other.name for other in NETWORKS.values() if _begins_as(other, folded)]
    sights = (
        (len(text) > LONGEST, f"is longer than {LONGEST} characters"),
        (any(map(str.isspace, text)), "holds white space; expected one address"),
        (EXTENDED_PUBLIC.match(text), "is an extended public key, not an address; give it as xpub of the wallet"),
        ("(" in text, "is a descriptor, not an address; give it as descriptor of the wallet"),
        (folded.startswith("0x"), f"begins with 0x as an Ethereum address does; expected one of {here}"),
        (folded.startswith(MWEB), "is an MWEB address: what it holds is hidden in the extension block"),
        (network.name not in strangers and strangers, _stranger(strangers, network=network)),
        (
            not strangers and text in (folded, text.upper()) and SEGWIT_LIKE.fullmatch(folded),
            f"has a prefix that no network has; expected one of {here}",
        ),
        (folded.startswith(f"{network.name}:") and not network.cashaddr, f"has {network.name}: in front; leave it out"),
    )
    return next((message for seen, message in sights if seen), None)


def _begins_as(network: Network, folded: str) -> bool:
    segwit, cash = f"{network.hrp}1", f"{network.cashaddr}:"
    return (network.segwit and folded.startswith(segwit)) or (bool(network.cashaddr) and folded.startswith(cash))


def _stranger(owners: list[str], *, network: Network) -> str:
    return f"is an address of {either(owners)}; expected one of {network.name} ({network.looks})"


def either(names: Sequence[str]) -> str:
    """`a, b or c`."""
    return " or ".join(part for part in (", ".join(names[:-1]), *names[-1:]) if part)
