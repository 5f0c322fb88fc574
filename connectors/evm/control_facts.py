"""Who can move an account, out of its code and storage alone: nothing that the account itself could lie about is asked.

Sources: EIP-7702 (delegation), EIP-1967 and EIP-1822 (proxies), `org.zeppelinos.proxy` of OpenZeppelin's zos-lib from
before EIP-1967, and the published contracts of Safe 1.0.0 to 1.5.0: singleton, modules, owners, their count, threshold
and nonce are the slots 0 to 5 in all of them (contracts/GnosisSafe.sol or Safe.sol, and base/), the lists are linked
from SENTINEL on, and guards and fallback handler stand at hashes (libraries/StorageSlots.sol).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from eth_hash.auto import keccak

from connectors.base import Address, Control
from connectors.jsonrpc import Call

SINGLE = "single"
CONTRACT = "contract"
PROXY = "proxy"
DELEGATED = "delegated"
SAFE = "safe"

DELEGATION = "0xef0100"  # and 20 bytes: EIP-7702, "delegation indicator"
SINGLETON, MODULES, OWNERS, COUNT, THRESHOLD, NONCE = range(6)
SENTINEL = 1
"""Where the linked lists of a Safe begin and end (OwnerManager.sol, ModuleManager.sol)."""

MOST_LINKED = 100
"""Owners or modules of a Safe that are read; each that is new takes an exchange. A longer list is told as far."""

IMPLEMENTATION_CALL = "0x5c60da1b"
"""implementation(), which a beacon answers to every proxy that asks it (EIP-1967, "Beacon contract address")."""


def _hashed(name: str, *, less: int = 0) -> int:
    return int.from_bytes(keccak(name.encode())) - less


GUARD = _hashed("guard_manager.guard.address")  # since 1.3.0
MODULE_GUARD = _hashed("module_manager.module_guard.address")  # since 1.5.0
FALLBACK_HANDLER = _hashed("fallback_manager.handler.address")  # since 1.1.0
BEACON = _hashed("eip1967.proxy.beacon", less=1)

PROXY_SLOTS: Mapping[str, tuple[int, ...]] = {
    "implementation": (
        _hashed("eip1967.proxy.implementation", less=1),
        _hashed("PROXIABLE"),  # EIP-1822
        _hashed("org.zeppelinos.proxy.implementation"),
    ),
    "beacon": (BEACON,),
    "admin": (_hashed("eip1967.proxy.admin", less=1), _hashed("org.zeppelinos.proxy.admin")),
}
SAFE_SLOTS: Mapping[str, int] = {"guard": GUARD, "module_guard": MODULE_GUARD, "fallback_handler": FALLBACK_HANDLER}


class Question(NamedTuple):
    """One thing that a node is asked of an address: a word of its storage at `slot`, or what else `method` gives."""

    address: str
    method: str = "eth_getStorageAt"
    slot: int = 0

    def call(self, block: str) -> Call:
        """At the block with this hash (EIP-1898)."""
        at = {"blockHash": block}
        if self.method == "eth_getStorageAt":
            return self.method, (self.address, f"0x{self.slot:064x}", at)
        if self.method == "eth_call":
            return self.method, ({"to": self.address, "data": IMPLEMENTATION_CALL}, at)
        return self.method, (self.address, at)


Told = Mapping[Question, str]
"""What a node has answered: hex, with 0x."""


def code_of(account: str) -> Question:
    return Question(account, "eth_getCode")


def control_of(account: Address, told: Told) -> Control | tuple[Question, ...]:
    """Who controls the account; or what else must be asked to tell. Raises ValueError for what is no answer.

    A Safe is what is laid out as one: whose threshold is at least 1 and at most the number of its owners, of whom there
    are as many as it says. What is broken on purpose is no Safe any more, which is a change as well.
    """
    code = told.get(code_of(account))
    if code is None:
        return (code_of(account),)
    if code == "0x":
        return Control(account, SINGLE, ())
    reading = _Reading(account, told)
    facts = [*_code_facts(code), *_proxy_facts(reading)]
    safe = _safe_facts(reading)
    if reading.missing:
        return tuple(reading.missing)
    if safe is not None:
        return Control(account, SAFE, (*facts, *safe))
    if code.startswith(DELEGATION):
        return Control(account, DELEGATED, tuple(facts))
    return Control(account, PROXY if len(facts) > 1 else CONTRACT, tuple(facts))


def asked_first(account: str) -> tuple[Question, ...]:
    """What is asked of every account with code."""
    slots = [*range(6), *SAFE_SLOTS.values(), *(slot for slots in PROXY_SLOTS.values() for slot in slots)]
    heads = (_entry(MODULES, SENTINEL), _entry(OWNERS, SENTINEL))
    return (code_of(account), *(Question(account, slot=slot) for slot in (*slots, *heads)))


class _Reading:
    """An account's words, and which of them are missing; those stand for 0 until they are there."""

    def __init__(self, account: str, told: Told) -> None:
        self._account = account
        self._told = told
        self.missing: dict[Question, None] = {}

    def word(self, slot: int) -> int:
        answer = self._answer(Question(self._account, slot=slot))
        return 0 if answer is None else int(answer, 16)

    def implementation_of(self, beacon: str) -> str:
        """What the beacon answers; empty where it does not answer as one."""
        answer = self._answer(Question(beacon, "eth_call"))
        return "" if answer is None or len(answer) != 66 else _address(int(answer, 16))

    def members(self, slot: int) -> list[int] | None:
        """Of the linked list at this slot; None where it does not come to an end."""
        found: list[int] = []
        at = self.word(_entry(slot, SENTINEL))
        while at not in (0, SENTINEL) and len(found) < MOST_LINKED:
            found.append(at)
            at = self.word(_entry(slot, at))
        return found if at == SENTINEL or len(found) == MOST_LINKED else None

    def _answer(self, question: Question) -> str | None:
        answer = self._told.get(question)
        if answer is None:
            self.missing[question] = None
        return answer


def _code_facts(code: str) -> Iterator[tuple[str, str]]:
    if code.startswith(DELEGATION) and len(code) == len(DELEGATION) + 40:
        yield "delegate", f"0x{code[len(DELEGATION) :]}"
    else:
        yield "code", f"0x{keccak(bytes.fromhex(code[2:])).hex()}"


def _proxy_facts(reading: _Reading) -> list[tuple[str, str]]:
    facts = [
        (name, _address(word))
        for name, slots in PROXY_SLOTS.items()
        for word in [reading.word(slot) for slot in slots]
        if word
    ]
    beacons = [value for name, value in facts if name == "beacon"]
    return facts + [("beacon_implementation", reading.implementation_of(beacon)) for beacon in beacons]


def _safe_facts(reading: _Reading) -> list[tuple[str, str]] | None:
    """None for what is no Safe."""
    singleton, count, threshold, nonce = (reading.word(slot) for slot in (SINGLETON, COUNT, THRESHOLD, NONCE))
    others = [(name, _address(word)) for name, slot in SAFE_SLOTS.items() if (word := reading.word(slot))]
    heads = [reading.word(_entry(slot, SENTINEL)) for slot in (MODULES, OWNERS)]
    if singleton == 0 or singleton >> 160 or not 1 <= threshold <= count or heads[1] == 0:
        return None
    owners, modules = reading.members(OWNERS), reading.members(MODULES)
    if owners is None or len(owners) != min(count, MOST_LINKED):
        return None
    return [
        ("singleton", _address(singleton)),
        ("threshold", str(threshold)),
        *_named("owner", owners),
        *_named("module", modules or ()),
        *others,
        ("nonce", str(nonce)),
    ]


def _named(name: str, words: Iterable[int]) -> Iterator[tuple[str, str]]:
    """In order of the addresses: in a list, members change their place when others come."""
    for word in sorted(words):
        yield name, _address(word)


def _entry(slot: int, key: int) -> int:
    """Where a mapping at `slot` holds the value of `key` (Solidity, "Layout of State Variables in Storage")."""
    return int.from_bytes(keccak(key.to_bytes(32) + slot.to_bytes(32)))


def _address(word: int) -> str:
    """A word that should be an address; what stands above its 20 bytes is shown, too."""
    return f"0x{word:040x}"
