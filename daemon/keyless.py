"""Law 4: a text that looks like a private key, a seed phrase or an xprv is recognised, so that it can be refused.

Nothing here repeats what it found: every answer names a sort of secret, never the text or a part of it.
"""

import hashlib
import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
DIGIT = {character: value for value, character in enumerate(BASE58)}

SHORTEST = 47
"""Characters of the shortest line that holds a whole key or phrase: twelve words of three letters."""

HEXADECIMAL = re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{128})(?![0-9a-fA-F])")
# Extended keys: SLIP-132 and the prefixes of Litecoin and Dogecoin; a cut-off one counts as well.
PATTERNS = (
    (re.compile(r"PRIVATE KEY|OPENSSH KEY", re.IGNORECASE), "a PEM private key"),
    (re.compile(r'"ciphertext"'), "an Ethereum keystore"),
    (
        re.compile(r"(?<![0-9a-fA-F])(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{128})(?![0-9a-fA-F])"),
        "a private key in hexadecimal",
    ),
    (re.compile(rf"(?:[xyzYZtuvUV]prv|[LMt]tpv|dgpv)[{BASE58}]{{43,}}"), "an extended private key"),
    (re.compile(rf"(?<![{BASE58}])6P[{BASE58}]{{56}}(?![{BASE58}])"), "an encrypted private key"),  # BIP-38
)
# The first characters that the versions below lead to.
WALLET_IMPORT = re.compile(rf"(?=([569cKLQT][{BASE58}]{{50,51}}))")
VERSIONS = frozenset((0x80, 0xEF, 0xB0, 0x9E, 0xF1))  # Bitcoin, its test networks, Litecoin, Dogecoin, its test network
BETWEEN_WORDS = re.compile(r"[\s,;.:|/\\\-_\d()\[\]\"'+=#]+")
PHRASE_LENGTHS = (12, 15, 18, 21, 24)  # BIP-39; a longer run of such words holds one

PROSE = frozenset(("the", "and", "for", "from", "are", "were", "not", "has", "had", "his", "its"))
"""Words of three letters and more that no list of seed words has: they tell sentences from phrases."""

SECRET_NAMES = frozenset(
    (
        *("privatekey", "privkey", "secretkey", "signingkey", "spendkey", "masterkey", "wif", "keystore", "ciphertext"),
        *("seed", "seedphrase", "seedwords", "mnemonic", "mnemonicphrase", "recoveryphrase", "bip39", "kdfparams"),
        *("xprv", "yprv", "zprv", "tprv", "uprv", "vprv", "xpriv", "tpriv"),
    )
)


def key_material(text: str, *, hexadecimal: bool = True) -> str | None:
    """What sort of secret stands somewhere in `text`, in words, or None.

    `hexadecimal` is False where 64 such digits are expected and no key: a hash, or an API key in a URL's own file.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    joined = "".join(text.split())  # a key broken over lines
    for sight in (text, joined):
        for pattern, sort in PATTERNS:
            if (hexadecimal or pattern is not HEXADECIMAL) and pattern.search(sight):
                return sort
        if any(_is_wallet_import(match[1]) for match in WALLET_IMPORT.finditer(sight)):
            return "a private key in wallet import format"
    return "a seed phrase" if _longest_run(BETWEEN_WORDS.split(text)) >= PHRASE_LENGTHS[0] else None


def key_material_in_list(items: Sequence[str]) -> str | None:
    """What sort of secret the items make together: a phrase written as a list of its words; None for other lists."""
    return "a seed phrase" if len(items) in PHRASE_LENGTHS and _longest_run(items) == len(items) else None


def secret_name(name: str) -> bool:
    """Whether a key of this name asks for what pyrometer must not be given, `private_key` or `mnemonic`."""
    return re.sub(r"[^a-z0-9]", "", name.lower()) in SECRET_NAMES


def _longest_run(words: Sequence[str]) -> int:
    """How many words in a row could stand in a BIP-39 list: 3 to 8 letters, all small or all capital."""
    breaks = [-1, *(place for place, word in enumerate(words) if word and not _could_be_listed(word)), len(words)]
    return max(sum(1 for word in words[start + 1 : end] if word) for start, end in pairwise(breaks))


def _could_be_listed(word: str) -> bool:
    return 3 <= len(word) <= 8 and word.isalpha() and (word == word.lower() or word.isupper()) and word not in PROSE


def _is_wallet_import(candidate: str) -> bool:
    """Whether the first 51 (uncompressed) or 52 (compressed) characters are base58check of a version and a key."""
    return _checks(candidate[:51], size=37) or (len(candidate) == 52 and _checks(candidate, size=38))


def _checks(text: str, *, size: int) -> bool:
    number = 0
    for character in text:
        number = number * 58 + DIGIT[character]
    if number.bit_length() > size * 8:
        return False
    raw = number.to_bytes(size, "big")
    digest = hashlib.sha256(hashlib.sha256(raw[:-4]).digest()).digest()
    return raw[0] in VERSIONS and digest[:4] == raw[-4:]
