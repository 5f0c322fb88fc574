"""Who controls an account of the small chain: a Safe in its storage, or a plain account that delegates to code.

Slots as in connectors.evm.control_facts, which says where they are published; a test holds the hashes to Keccak-256.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from daemon.replay.evm.ledger import Change, CodeSet, StorageSet

SINGLETON, COUNT, THRESHOLD = 0, 3, 4
OWNERS = (0xA1, 0xA2, 0xA3, 0xA4, 0xA5, 0xA6)
"""Six of nobody, as many as Bybit's cold wallet had."""

SIGNERS = 3
SENTINEL = 1

ENTRIES = (
    0xE90B7BCEB6E7DF5418FB78D8EE546E97C83A08BBCCC01A0644D599CCD2A7C2E0,
    0x1F3740A279CF2D77F66BCBCD8CA9363A902FBA240CC78BDB7FDC53F368015D5A,
    0x1F8F8C9A16B6FB9576447447FF18B7F195F89A6440DE288C917034355527AACB,
    0x4E34E9D358EA445F9436C5CE52F1ECB60520275001FB739D49FF53DD8613EDD0,
    0xBE7C73881BB540298CF6D0D20B4402671CF4F288D670496E07FA8993E45526D9,
    0xF8574CF3C349F90F8C30510C55185A6F6509C253A18544C34AD6DE7BB11452E0,
    0x8815953A5BE92B738E22A90BE6CC9187F490D3956F5EEF058DF9B19632DEBB63,
)
"""Where the list of owners holds what comes after SENTINEL and after each of OWNERS."""

MODULES_END = 0xCC69885FDA6BCC1A4ACE058B4A62BF5E179EA78FD58A1CCD71C22CC9B688792F
"""Where the list of modules, which is empty, begins and ends."""

GUARD = 0x4A204F620C8C5CCDCA3FD54D003BADD85BA500436A431F0CBDA4F558C93C34C8

PROXY = "0xfe"
"""There is code, and nobody should run it."""

DELEGATION = "0xef0100"
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
NONE = "none"


def controlled(account: str, *, what: str, to: str) -> Iterator[Change]:
    """What changes when `what` becomes `to`. Nothing for what can't be shown: lists in words, cosignatories."""
    known = to == NONE or ADDRESS.fullmatch(to)
    value = int(to, 16) if ADDRESS.fullmatch(to) else 0
    if what == "delegate" and known:
        yield CodeSet(account, "0x" if to == NONE else DELEGATION + to[2:].lower())
    elif what in ("implementation", "guard") and known:
        yield StorageSet(account, SINGLETON if what == "implementation" else GUARD, value)
    elif what == "threshold" and to.isdecimal():
        yield StorageSet(account, THRESHOLD, int(to))


def dressed(controls: Sequence[tuple[str, str, str]]) -> Iterable[Change]:
    """Each account as it is at first; those that are no plain ones are a Safe of OWNERS."""
    safes = dict.fromkeys(account for account, what, _ in controls if what != "delegate")
    for account in safes:
        yield from _safe(account)
    for account, what, value in controls:
        yield from controlled(account, what=what, to=value)


def _safe(account: str) -> Iterator[Change]:
    yield CodeSet(account, PROXY)
    yield StorageSet(account, SINGLETON, SENTINEL)
    yield StorageSet(account, COUNT, len(OWNERS))
    yield StorageSet(account, THRESHOLD, SIGNERS)
    yield StorageSet(account, MODULES_END, SENTINEL)
    for slot, owner in zip(ENTRIES, (*OWNERS, SENTINEL), strict=True):
        yield StorageSet(account, slot, owner)
