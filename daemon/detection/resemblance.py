"""Which known address another one is made to look like: the same beginning and end, and not the same.

People compare the first and the last characters. Who wants to be mistaken for a known address makes keys until those
agree; that two agree by chance gets likelier with the number of known ones. Only characters that could be others are
counted, each by its bits: of `1B6rJ...` and `1B6rJ...` the leading 1 says nothing.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from connectors.base import Address
from daemon.value import value

TOLD = 12
"""One payment in 2**this says "looks like" by chance, where it is a case anyway."""

ALONE = 20
"""One payment in 2**this is a case by chance where nothing but the resemblance makes it one: with 100,000 withdrawals
a day to other destinations, one in ten days."""

LEAST = 2
"""Characters that must agree at either end."""

STEP = 0.25


class Alphabet(NamedTuple):
    """How many bits the characters of a body tell, the `first` and the `last` apart, where their values are fewer."""

    each: float
    first: float
    last: float


HEXADECIMAL = Alphabet(4, 4, 4)
BECH32 = Alphabet(5, 5, 5)
CASHADDR = Alphabet(5, 2, 5)  # CashAddr: behind the type stand 3 of its bits, and 2 of the hash
NEM = Alphabet(5, 2, 5)  # 200 bits in 40 characters; the network's 8 bits take one character and 3 bits
SYMBOL = Alphabet(5, 2, 2)  # 192 bits in 39 characters: 3 bits of the last one are nought
BASE58 = Alphabet(5.85, 4.5, 5.85)  # log2(58); 2**192 / 58**33 × 58 values of the first behind the version
BASE58_TEST = Alphabet(5.85, 2.5, 5.85)  # the versions of test networks lie between two characters

BECH32_LIKE = re.compile(r"([a-z]{1,20}1[a-z0-9])([a-z0-9]{38,})")
CASHADDR_LIKE = re.compile(r"([a-z]{1,20}:[a-z0-9])([a-z0-9]{41,})")
BASE32_LIKE = re.compile(r"[A-Z2-7]{39,40}")
BASE58_LIKE = re.compile(r"[1-9A-HJ-NP-Za-km-z]{26,35}")
LONG = (BECH32_LIKE, BECH32), (CASHADDR_LIKE, CASHADDR)
SYMBOLS_LENGTH = 39
SHORT = 40
"""What is longer is of the first two kinds, and what is not is of the others."""


@value
class Parted:
    """An address as `lead`, which all of its kind have, and the `body` that tells them apart."""

    lead: str
    body: str
    alphabet: Alphabet


def parted(address: str) -> Parted | None:
    """None for what is no address as people write it: a script, a descriptor, `unknown`."""
    if address.startswith(("0x", "0X")):
        return Parted("0x", address[2:].lower(), HEXADECIMAL)
    if len(address) > SHORT:
        for written, alphabet in LONG:
            if match := written.fullmatch(address):
                lead, body = match.groups()
                return Parted(lead, body, alphabet)
        return None
    if BASE32_LIKE.fullmatch(address):
        return Parted(address[0], address[1:], SYMBOL if len(address) == SYMBOLS_LENGTH else NEM)
    if BASE58_LIKE.fullmatch(address):
        at = 2 if address[0] == "2" else 1
        return Parted(address[:at], address[at:], BASE58_TEST if address[0] in "mn2" else BASE58)
    return None


class Resemblance(NamedTuple):
    """A known address that another one looks like: so many characters behind what all have in common, and at the end,
    agree. `alone` says whether that is reason enough."""

    known: Address
    first: int
    last: int
    bits: float
    alone: bool


@lru_cache(maxsize=4096)
def least_last(alphabet: Alphabet, *, magnitude: int, rarity: int) -> tuple[int, ...]:
    """By how many of the first characters agree: how many of the last must, so that one of 2**`magnitude` known
    addresses looks so by chance to at most one payment in 2**`rarity`. More of the first need no more than the last.

    With p of the first and s of the last characters agreeing, bits(p) + bits(s) must reach a limit, at which
    2**magnitude × Σ over p of (chance of exactly p) × (chance of at least s(p)) is at most 2**-rarity. That limit lies
    some two bits above magnitude + rarity: there is more than one way to agree in so many.
    """
    limit = float(magnitude + rarity)
    while True:
        found = _table(alphabet, limit=limit)
        if chance(alphabet, found) * 2**magnitude <= 2.0**-rarity:
            return found
        limit += STEP


def chance(alphabet: Alphabet, needed: Sequence[int]) -> float:
    """That two addresses, each as likely as any other, agree so far; exact where characters are independent."""
    sums = 0.0
    for first in range(LEAST, len(needed)):
        exactly = 2.0 ** -_first_bits(alphabet, first)
        if first < len(needed) - 1:
            exactly -= 2.0 ** -_first_bits(alphabet, first + 1)
        sums += exactly * 2.0 ** -_last_bits(alphabet, needed[first])
    return sums


def _table(alphabet: Alphabet, *, limit: float) -> tuple[int, ...]:
    needed = [0] * LEAST
    while needed[-1] != LEAST:
        last = LEAST
        while _first_bits(alphabet, len(needed)) + _last_bits(alphabet, last) < limit:
            last += 1
        needed.append(last)
    return tuple(needed)


def _first_bits(alphabet: Alphabet, count: int) -> float:
    return alphabet.first + alphabet.each * (count - 1)


def _last_bits(alphabet: Alphabet, count: int) -> float:
    return alphabet.last + alphabet.each * (count - 1)


def compared(one: Parted, known: Iterable[Address], *, among: int) -> Resemblance | None:
    """The known address of its kind that it resembles most, if any that it isn't; `among` so many of its kind."""
    lead, body = len(one.lead), one.body
    begins, ends = body[:LEAST], body[-LEAST:]
    best: Resemblance | None = None
    for address in known:
        if not (address.startswith(begins, lead) and address.endswith(ends)):
            continue  # nearly all that were found by a hash
        other = address[lead:]
        if other == body:
            continue
        magnitude = _magnitude(among)
        told = least_last(one.alphabet, magnitude=magnitude, rarity=TOLD)
        alone = least_last(one.alphabet, magnitude=magnitude, rarity=ALONE)
        first, last = _common(body, other), _common(body[::-1], other[::-1])
        if first < LEAST or last < told[min(first, len(told) - 1)]:
            continue
        bits = _first_bits(one.alphabet, first) + _last_bits(one.alphabet, last)
        if best is None or bits > best.bits:
            best = Resemblance(address, first, last, bits, last >= alone[min(first, len(alone) - 1)])
    return best


def _common(one: str, other: str) -> int:
    """How many of the first characters agree."""
    count = 0
    for ours, theirs in zip(one, other, strict=False):
        if ours != theirs:
            break
        count += 1
    return count


class Ends:
    """Canonical addresses of one kind, found by what they begin and end with. Made once: beside its text 24 to 32 bytes
    for each.

    Where p of the first and s of the last characters agree, either p is large or s is: two tables, each by many of the
    one and the LEAST of the other, so that hardly any address has to be compared.
    """

    def __init__(self, addresses: Sequence[Address], *, alphabet: Alphabet, lead: str) -> None:
        needed = least_last(alphabet, magnitude=_magnitude(len(addresses)), rarity=TOLD)
        half = (LEAST + len(needed)) // 2
        sides = [(half, LEAST)] if half == LEAST else [(half, LEAST), (LEAST, needed[half - 1])]
        self._tables = [_Table(addresses, skip=len(lead), first=first, last=last) for first, last in sides]
        self._size = len(addresses)

    def __len__(self) -> int:
        return self._size

    def candidates(self, body: str) -> list[Address]:
        """All that may look like this body; few others, and some of them twice."""
        found: list[Address] = []
        for table in self._tables:
            found += table.of(body)
        return found


class _Table:
    """Addresses by a hash of their `first` and `last` characters behind those that are `skip`ped."""

    def __init__(self, addresses: Sequence[Address], *, skip: int, first: int, last: int) -> None:
        self._first, self._last = first, last
        self._mask = (1 << max(1, _magnitude(len(addresses)))) - 1
        beyond = skip + first
        places = array("I", (hash(one[skip:beyond] + one[-last:]) & self._mask for one in addresses))
        counts = [0] * (self._mask + 2)
        for place in places:
            counts[place + 1] += 1
        self._starts = array("I", accumulate(counts))
        free = array("I", self._starts)
        self._addresses = list(addresses)
        for place, one in zip(places, addresses, strict=True):
            self._addresses[free[place]] = one
            free[place] += 1

    def of(self, body: str) -> Sequence[Address]:
        place = hash(body[: self._first] + body[-self._last :]) & self._mask
        return self._addresses[self._starts[place] : self._starts[place + 1]]


def _magnitude(count: int) -> int:
    """The least n for which there are at most 2**n."""
    return max(0, count - 1).bit_length()


def _ends(body: str) -> str:
    return body[:LEAST] + body[-LEAST:]


class Growing:
    """As Ends, of few addresses that come and go: some 400 bytes for each. Mutable."""

    def __init__(self) -> None:
        self._by_ends: dict[tuple[str, str, str], list[Address]] = {}
        self._sizes: dict[tuple[str, str], int] = {}

    def add(self, chain: str, address: Address) -> None:
        one = parted(address)
        if one is not None:
            self._by_ends.setdefault((chain, one.lead, _ends(one.body)), []).append(address)
            self._sizes[chain, one.lead] = self._sizes.get((chain, one.lead), 0) + 1

    def discard(self, chain: str, address: Address) -> None:
        """One that was added."""
        one = parted(address)
        if one is not None:
            key = (chain, one.lead, _ends(one.body))
            self._by_ends[key].remove(address)
            if not self._by_ends[key]:
                del self._by_ends[key]
            self._sizes[chain, one.lead] -= 1

    def size(self, chain: str, one: Parted) -> int:
        """How many there are of its kind."""
        return self._sizes.get((chain, one.lead), 0)

    def candidates(self, chain: str, one: Parted) -> Sequence[Address]:
        return self._by_ends.get((chain, one.lead, _ends(one.body)), ())


def by_kind(keys: Iterable[tuple[str, Address]]) -> Iterator[tuple[tuple[str, str], Ends]]:
    """(chain, lead) → all of that kind; what is no address as people write it is left out."""
    kinds: dict[tuple[str, str], list[Address]] = {}
    alphabets: dict[str, Alphabet] = {"0x": HEXADECIMAL}
    for chain, address in keys:
        if address.startswith("0x"):  # a million of them, perhaps
            kinds.setdefault((chain, "0x"), []).append(address)
        elif one := parted(address):
            alphabets[one.lead] = one.alphabet
            kinds.setdefault((chain, one.lead), []).append(address)
    for kind, addresses in kinds.items():
        yield kind, Ends(addresses, alphabet=alphabets[kind[1]], lead=kind[1])
