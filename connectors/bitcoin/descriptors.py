"""Output descriptors (BIP-380 to 386 and 389) and bare extended public keys: what people write, and its one form.

Read are pk, pkh, wpkh, sh, wsh, multi, sortedmulti and the key path of tr, with raw and extended public keys. The
canonical form has h for hardened steps of origins, the network's own version on extended keys, and its checksum.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial, reduce
from itertools import chain

from connectors.base import Address
from connectors.bitcoin import keys
from connectors.bitcoin.address import OnNetwork, address_of
from connectors.bitcoin.bech32 import CHARSET, Code, register_after, split
from connectors.bitcoin.expressions import MULTISIG, SEGWIT, Expression, KeyExpression
from connectors.bitcoin.networks import Network, named
from connectors.errors import BadAddress

LONGEST = 8000
FIRST = 100
"""Indices of each branch by which descriptors are compared: any that is in use has paid or been paid there."""
PART = 500
"""Scripts that one thread derives at a time."""
MOST_KEYS = {"": 3, "sh": 15, "wsh": 20}
"""Of a multisig, by what it stands in (BIP-383)."""
LARGEST_REDEEM_SCRIPT = 520

STANDS_IN: Mapping[str, frozenset[str]] = {
    "pk": frozenset(("", "sh", "wsh")),
    "pkh": frozenset(("", "sh", "wsh")),
    "wpkh": frozenset(("", "sh")),
    "sh": frozenset(("",)),
    "wsh": frozenset(("", "sh")),
    "multi": frozenset(("", "sh", "wsh")),
    "sortedmulti": frozenset(("", "sh", "wsh")),
    "tr": frozenset(("",)),
}
"""Function → where it may stand: by itself, in sh(), in wsh()."""

REFUSED: Mapping[str, str] = {
    "combo": "stands for up to four scripts a key; write those in use as descriptors of their own",
    "raw": "says nothing about its keys; write the descriptor of its script",
    "addr": "is one address; write it under addresses",
    "rawtr": "says nothing about its keys; write its address under addresses",
    "musig": "is not read; write the aggregate key, or the address under addresses",
    "multi_a": "stands in a script tree of tr(), which is not read",
    "sortedmulti_a": "stands in a script tree of tr(), which is not read",
    **dict.fromkeys(
        (
            "and_v",
            "and_b",
            "and_n",
            "andor",
            "or_b",
            "or_c",
            "or_d",
            "or_i",
            "thresh",
            "older",
            "after",
            "pk_k",
            "pk_h",
        ),
        "is miniscript, which is not read; write its addresses under addresses",
    ),
}
"""Function → why it is not read."""

ORIGIN = re.compile(r"\[([0-9a-fA-F]{8})((?:/[0-9]{1,10}[h']?)*)\]")
STEP = re.compile(r"([0-9]{1,10})([h']?)")
NAME = re.compile(r"[a-z0-9_]{1,20}")

PUBLIC_KEY = re.compile(r"[0-9a-fA-F]+")
OPENING = re.compile(r"([A-Za-z0-9_]{1,20})\(")
THRESHOLD = re.compile(r"[0-9]{1,3}(?=,)")
KEY = re.compile(r"[^,)(]*")
LONG_KEY = re.compile(r"([0-9A-Za-z]{5})[0-9A-Za-z]{20,}")

CHARACTERS = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
CHECKSUM = Code(40, (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD))


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One output descriptor. `canonical` is its text with checksum, the account that it is."""

    expression: Expression
    canonical: Address

    @classmethod
    def of(cls, expression: Expression) -> Descriptor:
        text = expression.text()
        return cls(expression, Address(f"{text}#{checksum(text)}"))

    @property
    def short(self) -> str:
        """As people know it again: its keys are cut after five characters, its checksum is whole."""
        return LONG_KEY.sub(r"\1…", self.canonical)

    @property
    def ranged(self) -> bool:
        """Whether it stands for a script at every index, or for one script alone."""
        return any(key.ranged for key in self.expression.all_keys())

    @property
    def branches(self) -> tuple[Descriptor, ...]:
        """The descriptors that a multipath one stands for (`<0;1>`: receiving, change); itself alone without multipath.

        Each has indices, and so a gap limit, of its own.
        """
        count = max(key.branches for key in self.expression.all_keys())
        return tuple(Descriptor.of(self.expression.branch(number)) for number in range(count)) or (self,)

    def scripts(self, start: int, stop: int) -> list[bytes]:
        """The output scripts at the indices from `start` up to, not including, `stop`; one branch after the other.

        One that is not ranged has a single script, at index 0.
        """
        if not self.ranged:
            start, stop = min(start, 1), min(stop, 1)
        return [script for branch in self.branches for script in _scripts(branch.expression, start, stop)]


def _scripts(expression: Expression, start: int, stop: int) -> Iterable[bytes]:
    """By as many threads as there are processors: libsecp256k1 does nearly all of it without the interpreter's lock."""
    if stop - start <= PART:
        return expression.scripts(start, stop)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        starts = range(start, stop, PART)
        return chain.from_iterable(pool.map(lambda at: expression.scripts(at, min(at + PART, stop)), starts))


def descriptor_on(config: OnNetwork) -> Callable[[str], Address]:
    """`canonical` for the chain that is configured so."""
    return partial(canonical, network=named(config.network))


def first_addresses_on(config: OnNetwork) -> Callable[[Address], list[Address]]:
    """What gives the addresses at the FIRST indices of a canonical descriptor, in hex the scripts of pk() and multi(),
    which have none: two that are the same written otherwise have them in common."""
    network = named(config.network)

    def first(account: Address) -> list[Address]:
        scripts = parse(account, network=network).scripts(0, FIRST)
        return [address_of(script, network=network) or Address(script.hex()) for script in scripts]

    return first


def canonical(text: str, *, network: Network) -> Address:
    """The canonical form of a descriptor or a bare extended public key; see `parse`."""
    return parse(text, network=network).canonical


def parse(text: str, *, network: Network) -> Descriptor:
    """The descriptor that a text is, its checksum verified when there is one.

    A bare extended public key is short for `/<0;1>/*` of it in the functions that its version stands for (SLIP-132):
    pkh for xpub, sh(wpkh) for ypub, wpkh for zpub, and so on. BadAddress says what is wrong in one line and where,
    and never repeats a key.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise BadAddress(f"is longer than {LONGEST} characters")
    body = _without_checksum(text)
    if "(" not in body:
        body = _long_form(body, network=network)
    reader = _Reader(body, network=network)
    expression = reader.expression(())
    reader.end()
    counts = {key.branches for key in expression.all_keys() if key.branches}
    if len(counts) > 1:
        raise BadAddress("the multipath steps of its keys have different numbers of values (BIP-389)")
    return Descriptor.of(expression)


def checksum(body: str) -> str:
    """The eight characters behind the # of a descriptor (BIP-380)."""
    symbols: list[int] = []
    places = [CHARACTERS.index(character) for character in body]
    for start in range(0, len(places), 3):
        three = places[start : start + 3]
        group = reduce(lambda sum_, place: sum_ * 3 + (place >> 5), three, 0)
        symbols += [*(place & 31 for place in three), group]
    register = register_after([*symbols, *bytes(8)], CHECKSUM) ^ 1
    return "".join(CHARSET[value] for value in split(register, count=8))


def _without_checksum(text: str) -> str:
    body, mark, given = text.partition("#")
    strange = next((place for place, character in enumerate(body, start=1) if character not in CHARACTERS), None)
    if strange is not None:
        raise BadAddress(f"holds a character at place {strange} that no descriptor has")
    if mark and (len(given) != 8 or not set(given) <= set(CHARSET)):
        raise BadAddress("expected a checksum of 8 small letters and digits after #")
    if mark and given != checksum(body):
        raise BadAddress("the checksum after # does not fit: a character of the descriptor or of its checksum is wrong")
    return body


def _long_form(text: str, *, network: Network) -> str:
    """The descriptor that a bare extended public key is short for."""
    functions = keys.functions_of(text, network=network)
    if functions.endswith(("wsh", "wsh)")):
        raise BadAddress("is one key of a multisig; expected a descriptor with all of its keys")
    opening = functions.rstrip(")") + "("
    return f"{opening}{text}/<0;1>/*{')' * opening.count('(')}"


class _Reader:
    """Reads one expression from the start of a text; places count from 1."""

    def __init__(self, text: str, *, network: Network) -> None:
        self._text = text
        self._at = 0
        self._network = network

    def expression(self, around: tuple[str, ...]) -> Expression:
        """The expression at this place, inside these functions."""
        function = self._function(around)
        inside = (*around, function)
        if function in ("sh", "wsh"):
            found = Expression(function, inner=self.expression(inside))
        elif function in MULTISIG:
            found = self._multisig(inside)
        else:
            found = Expression(function, (self._key(inside),))
            if function == "tr" and self._next() == ",":
                raise self._error("a script tree in tr() is not read; write its addresses under addresses")
        self._expect(")")
        return found

    def end(self) -> None:
        if self._next():
            raise self._error("expected the end of the descriptor")

    def _function(self, around: tuple[str, ...]) -> str:
        match = OPENING.match(self._text, self._at)
        if match is None:
            raise self._error(f"expected a function such as {'pkh' if around else 'wpkh'}(…)")
        name = match[1]
        if name in REFUSED:
            raise self._error(f"{name}() {REFUSED[name]}")
        if name not in STANDS_IN:
            near = difflib.get_close_matches(name, STANDS_IN, n=1)
            raise self._error(f"no function is called {name}{f'; did you mean {near[0]}?' if near else ''}")
        if (around[-1] if around else "") not in STANDS_IN[name]:
            raise self._error(f"{name}() can't stand in {around[-1]}()")
        if name in SEGWIT and not self._network.segwit:
            raise self._error(f"{name}() needs segwit, which {self._network.name} does not have")
        self._at = match.end()
        return name

    def _multisig(self, around: tuple[str, ...]) -> Expression:
        start = self._at
        digits = THRESHOLD.match(self._text, start)
        if digits is None:
            raise self._error(f"expected the number of signatures that {around[-1]}() takes, and a comma")
        self._at = digits.end()
        found: list[KeyExpression] = []
        while self._next() == ",":
            self._at += 1
            found.append(self._key(around))
        if problem := _problem(int(digits[0]), found, around=around):
            self._at = start
            raise self._error(problem)
        return Expression(around[-1], tuple(found), int(digits[0]))

    def _key(self, around: tuple[str, ...]) -> KeyExpression:
        match = KEY.match(self._text, self._at)
        text = match[0] if match else ""
        if self._text.startswith("(", self._at + len(text)):
            raise self._error(f"{around[-1]}() takes a key, not another function")
        try:
            key = keys.parse(text, around=around, network=self._network)
        except BadAddress as error:
            raise self._error(f"the key {error}") from None
        self._at += len(text)
        return key

    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _expect(self, character: str) -> None:
        if self._next() != character:
            raise self._error(f"expected {character}")
        self._at += 1

    def _error(self, message: str) -> BadAddress:
        return BadAddress(f"at place {self._at + 1}: {message}")


def _problem(threshold: int, found: Sequence[KeyExpression], *, around: tuple[str, ...]) -> str | None:
    """What is wrong with a multisig of these keys, the last function of `around`; None when it is well."""
    name, where = around[-1], around[-2] if len(around) > 1 else ""
    if not 1 <= threshold <= len(found):
        return f"expected 1 to {len(found)} signatures for {len(found)} keys, found {threshold}"
    size = 3 + sum(1 + (len(key.key) if isinstance(key.key, bytes) else 33) for key in found)
    if len(found) > MOST_KEYS[where] or (where == "sh" and size > LARGEST_REDEEM_SCRIPT):
        return f"{name}() {f'in {where}()' if where else 'by itself'} can't have {len(found)} such keys"
    return None
