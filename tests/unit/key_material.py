"""Every sort of key material that must be refused, made up anew for each test: no key here was ever used."""

import hashlib
from collections.abc import Sequence

from hypothesis import strategies as st

from daemon.keyless import BASE58

WORDS = (
    "abandon",
    "zebra",
    "vivid",
    "quantum",
    "bicycle",
    "jelly",
    "muffin",
    "olympic",
    "puzzle",
    "vacuum",
    "yellow",
    "zoo",
)
"""Words of the BIP-39 list that no message of ours contains."""

EXTENDED = {
    "xprv": "0488ade4",
    "yprv": "049d7878",
    "zprv": "04b2430c",
    "Yprv": "0295b005",
    "Zprv": "02aa7a99",
    "tprv": "04358394",
    "uprv": "044a4e28",
    "vprv": "045f18bc",
}
"""Version bytes of extended private keys (SLIP-132)."""

WALLET_IMPORT = (0x80, 0xEF, 0xB0, 0x9E, 0xF1)
"""Version bytes: Bitcoin, its test networks, Litecoin, Dogecoin, its test network."""


def base58check(payload: bytes) -> str:
    """An independent encoder: the payload with its checksum, in base 58."""
    raw = payload + hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = BASE58[digit] + text
    return "1" * (len(raw) - len(raw.lstrip(b"\0"))) + text


def wallet_import(key: bytes, *, version: int, compressed: bool) -> str:
    return base58check(bytes([version]) + key + (b"\x01" if compressed else b""))


def extended(key: bytes, *, version: str) -> str:
    """An extended private key at depth 0 whose chain code is its key."""
    return base58check(bytes.fromhex(version) + bytes(9) + key + b"\0" + key)


def encrypted(key: bytes) -> str:
    """The form of a BIP-38 key."""
    return base58check(bytes.fromhex("0142c0") + key + bytes(4))


def pem(key: bytes) -> str:
    return f"-----BEGIN EC PRIVATE KEY-----\n{key.hex()[:48]}\n-----END EC PRIVATE KEY-----"


def keystore(key: bytes) -> str:
    return f'{{"version": 3, "crypto": {{"cipher": "aes-128-ctr", "ciphertext": "{key.hex()[:60]}"}}}}'


def phrase(words: Sequence[str], *, between: str) -> str:
    return between.join(words)


keys = st.binary(min_size=32, max_size=32).filter(lambda key: int.from_bytes(key, "big") > 0 and len(set(key)) > 8)
phrases = st.builds(
    phrase,
    st.sampled_from((12, 15, 18, 21, 24)).flatmap(
        lambda length: st.lists(st.sampled_from(WORDS), min_size=length, max_size=length)
    ),
    between=st.sampled_from((" ", ", ", "  ", "-", "\n", " \n ")),
)
one_line = st.one_of(
    keys.map(bytes.hex),
    keys.map(lambda key: "0x" + key.hex()),
    keys.map(lambda key: key.hex().upper()),
    keys.map(lambda key: (key + key).hex()),
    st.builds(wallet_import, keys, version=st.sampled_from(WALLET_IMPORT), compressed=st.booleans()),
    st.builds(extended, keys, version=st.sampled_from(sorted(EXTENDED.values()))),
    keys.map(encrypted),
    phrases.filter(lambda text: "\n" not in text),
    keys.map(keystore),
)
any_form = st.one_of(one_line, phrases, keys.map(pem))


def pieces(secret: str) -> set[str]:
    """What no message may contain: every twelve characters in a row; of a phrase, every word."""
    if any(word in secret for word in WORDS):
        return {word for word in WORDS if word in secret}
    return {secret[start : start + 12] for start in range(max(1, len(secret) - 11))}
