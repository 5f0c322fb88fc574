"""Key expressions of descriptors (BIP-380, BIP-389): a public key, plain or extended, with its origin and its path."""

from __future__ import annotations

import re
from collections.abc import Sequence

from connectors.bitcoin import base58
from connectors.bitcoin.address import EXTENDED_PUBLIC, NOT_REPEATED, either, private_key
from connectors.bitcoin.derive import DEEPEST, HARDENED, ExtendedKey, is_public_key, is_x_only_key
from connectors.bitcoin.expressions import MULTISIG, SEGWIT, KeyExpression, Step
from connectors.bitcoin.networks import NETWORKS, Network
from connectors.errors import BadAddress

ORIGIN = re.compile(r"\[([0-9a-fA-F]{8})((?:/[0-9]{1,10}[h']?)*)\]")
STEP = re.compile(r"([0-9]{1,10})([h']?)")
HEXADECIMAL = re.compile(r"[0-9a-fA-F]+")
PRIVATE = f"is an extended private key, {NOT_REPEATED}"


def parse(text: str, *, around: tuple[str, ...], network: Network) -> KeyExpression:
    """`[origin]key/path/*` that stands inside the functions `around`.

    BadAddress completes a sentence that begins with "the key", and never repeats it.
    """
    origin, head, steps = _parts(text)
    if HEXADECIMAL.fullmatch(head):
        key = _plain(head, around=around)
        if steps:
            raise BadAddress("is no extended one, so that no path can follow it")
        return KeyExpression(origin + head.lower(), key)
    version, extended = _extended(head, network=network)
    functions, here = network.extended[version], _nested(around)
    if functions not in ("pkh", here):
        standard = _prefix(_standard(network))
        raise BadAddress(f"is a {_prefix(version)}, for {functions}; in {here} write it as {standard}")
    path, ranged = _path(steps)
    if extended.depth + len(path) + ranged > DEEPEST:
        raise BadAddress(f"has a path that leads deeper than {DEEPEST} levels")
    return KeyExpression(origin + extended.text(_standard(network)), extended, path, ranged)


def functions_of(text: str, *, network: Network) -> str:
    """The functions that a bare extended public key stands in by its version: `pkh`, `sh(wpkh)`, ... (SLIP-132)."""
    _, head, steps = _parts(text)
    if not EXTENDED_PUBLIC.match(head) and private_key(head) is None:
        raise BadAddress("expected a descriptor, such as wpkh(xpub…/<0;1>/*), or an extended public key alone")
    version, _ = _extended(head, network=network)
    if steps:
        functions = network.extended[version]
        raise BadAddress(
            f"a bare key has no path; expected a descriptor such as {functions.rstrip(')')}({head[:4]}…/0/*)"
        )
    return network.extended[version]


def _parts(text: str) -> tuple[str, str, list[str]]:
    """(origin in its canonical form, the key itself, the steps of its path)."""
    match = ORIGIN.match(text)
    if text.startswith("[") and match is None:
        raise BadAddress("has no origin of eight hex digits and a path in front, such as [d34db33f/84h/0h/0h]")
    head, *steps = text[match.end() if match else 0 :].split("/")
    if not head:
        raise BadAddress("is missing")
    return _origin(match) if match else "", head, steps


def _origin(match: re.Match[str]) -> str:
    steps = [STEP.fullmatch(step) for step in match[2].split("/")[1:]]
    if any(step is not None and int(step[1]) >= HARDENED for step in steps):
        raise BadAddress(f"has an origin with a step beyond {HARDENED - 1}")
    path = "".join(f"/{int(step[1])}{'h' if step[2] else ''}" for step in steps if step is not None)
    return f"[{match[1].lower()}{path}]"


def _plain(digits: str, *, around: tuple[str, ...]) -> bytes:
    """A public key in hexadecimal; within tr also its x coordinate alone."""
    if len(digits) == 64 and around[-1] == "tr":
        key = bytes.fromhex(digits)
        if not is_x_only_key(key):
            raise BadAddress("is no x coordinate of a point on the curve")
        return key
    if private_key(digits) is not None:
        raise BadAddress(f"has {len(digits)} hex digits, as a private key has, {NOT_REPEATED}")
    if len(digits) not in (66, 130):
        raise BadAddress(f"has {len(digits)} hex digits; a compressed public key has 66")
    key = bytes.fromhex(digits)
    if not is_public_key(key):
        raise BadAddress("is no point on the curve")
    if len(key) == 65 and SEGWIT & set(around):
        raise BadAddress("is not compressed, as keys in segwit have to be")
    return key


def _extended(text: str, *, network: Network) -> tuple[bytes, ExtendedKey]:
    """(version, key) of an extended public key of this network."""
    if (sort := private_key(text)) is not None:
        raise BadAddress(sort)
    try:
        payload = base58.decode(text)
    except BadAddress as error:
        raise BadAddress(f"can't be read: {error}") from None
    version = payload[:4]
    if len(payload) != 78:
        raise BadAddress(f"holds {len(payload)} bytes; an extended public key has 78")
    if payload[45] == 0:
        raise BadAddress(PRIVATE)
    if version not in network.extended:
        owners = [other.name for other in NETWORKS.values() if version in other.extended]
        known = f"is one of {either(owners)}" if owners else "has a version that no network has"
        raise BadAddress(f"{known}; expected one of {network.name}")
    return version, ExtendedKey.parse(payload[4:])


def _path(steps: Sequence[str]) -> tuple[tuple[Step, ...], bool]:
    """(steps, whether /* ends them). Hardened ones need the private key, so they are refused."""
    ranged = bool(steps) and steps[-1] == "*"
    path = tuple(_step(step) for step in (steps[:-1] if ranged else steps))
    if sum(isinstance(step, tuple) for step in path) > 1:
        raise BadAddress("has two multipath steps; BIP-389 allows one")
    return path, ranged


def _step(text: str) -> Step:
    if not text.startswith("<"):
        return _index(text)
    values = tuple(_index(part) for part in text[1:-1].split(";"))
    if not text.endswith(">") or len(values) < 2 or len(set(values)) < len(values):
        raise BadAddress("has a multipath step that is not of two or more different numbers, such as <0;1>")
    return values


def _index(text: str) -> int:
    match = STEP.fullmatch(text)
    if text in ("*h", "*'") or (match and match[2]):
        raise BadAddress(
            "has a hardened step behind it, which needs the private key; give the public key below that step"
        )
    if match is None or int(text) >= HARDENED:
        raise BadAddress(f"has a step in its path that is no number from 0 to {HARDENED - 1}")
    return int(text)


def _nested(functions: Sequence[str]) -> str:
    """`sh(wsh)` from sh, wsh and sortedmulti: the functions by which SLIP-132 tells keys apart."""
    outer = [function for function in functions if function not in MULTISIG]
    return "(".join(outer) + ")" * (len(outer) - 1)


def _standard(network: Network) -> bytes:
    """The version that extended keys are written with."""
    return next(iter(network.extended))


def _prefix(version: bytes) -> str:
    """The four characters that every key of this version begins with."""
    return base58.encode(version + bytes(74))[:4]
