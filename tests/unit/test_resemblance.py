"""Look-alikes: what is found, that nothing is missed, and how seldom chance looks like intent."""

import random
import re
import string
import tracemalloc
from collections.abc import Sequence
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Address
from daemon.detection.destinations import Destinations
from daemon.detection.resemblance import (
    ALONE,
    BASE32_LIKE,
    BASE58,
    BASE58_LIKE,
    BECH32,
    BECH32_LIKE,
    CASHADDR_LIKE,
    HEXADECIMAL,
    LEAST,
    NEM,
    SHORT,
    SYMBOL,
    TOLD,
    Alphabet,
    Ends,
    Growing,
    Parted,
    chance,
    compared,
    least_last,
    parted,
)
from daemon.model import Tier
from tests.build import inventory, wallet

LONG_AND_SHORT = [(BECH32_LIKE, True), (CASHADDR_LIKE, True), (BASE32_LIKE, False), (BASE58_LIKE, False)]
USUAL, FAKE = "1B6rJ6ZKfZmkqMyBGe5KR27oWkEbQdNM7P", "1B6rJRfjTXwEy36SCs5zofGMmdv2kdZw7P"  # of DMM's theft
FOUR = "abcd"
COARSE = Alphabet(2, 2, 2)
"""Of four characters, so that agreement by chance is common enough to be counted."""


def knowing(*addresses: str, chain: str = "bitcoin") -> Destinations:
    return Destinations(inventory(wallet("hot", Tier.HOT, 1)), {(chain, Address(one)): "broker" for one in addresses})


def drawn(source: random.Random, count: int) -> list[Address]:
    return [Address(f"0x{source.getrandbits(160):040x}") for _ in range(count)]


@pytest.mark.parametrize(
    ("address", "lead", "alphabet"),
    [
        ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x", HEXADECIMAL),
        ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", "bc1q", BECH32),
        ("bc1p5d7rjq7g6rdk2yhzks9smlaqtedr4dekq08ge8ztwac72sfr9rusxg3297", "bc1p", BECH32),
        (USUAL, "1", BASE58),
        ("3P8MfdM4pULv7ozdQvfwAqNF29zAjmnUYD", "3", BASE58),
        ("NC4C6PSUW5CLTDT5SXAGJDQJGZNESKFK5MCN77OG", "N", NEM),
        ("NATNE7Q5BITMUTRRN6IB4I7FLSDRDWZA34SQ33Y", "N", SYMBOL),
    ],
)
def test_what_all_addresses_of_a_kind_begin_with_tells_nothing(address: str, lead: str, alphabet: Alphabet) -> None:
    found = parted(address)
    assert found is not None
    assert (found.lead, found.alphabet) == (lead, alphabet)
    assert found.body.lower() == address[len(lead) :].lower()


@pytest.mark.parametrize("text", ["unknown", "", "76a914" + "00" * 20 + "88ac", "wpkh(xpub/0/*)", "hello world"])
def test_what_is_no_address_looks_like_nothing(text: str) -> None:
    assert parted(text) is None
    assert knowing(USUAL).looks_like("bitcoin", text) is None


@given(st.sampled_from(LONG_AND_SHORT), st.data())
@settings(max_examples=100, deadline=None)
def test_of_what_kind_an_address_may_be_its_length_says(
    kind: tuple[re.Pattern[str], bool], data: st.DataObject
) -> None:
    written, long = kind
    address = data.draw(st.from_regex(written, fullmatch=True))
    assert (len(address) > SHORT) is long
    assert parted(address) is not None


def test_dmms_address_looks_like_its_usual_one_among_a_million() -> None:
    one = parted(FAKE)
    assert one is not None
    found = compared(one, [Address(USUAL)], among=1_000_000)
    assert found is not None
    assert (found.known, found.first, found.last, found.alone) == (USUAL, 4, 2, False)


@pytest.mark.parametrize(("among", "alone"), [(1000, True), (100_000, False)])
def test_dmms_address_is_reason_enough_beside_an_allowlist_of_a_thousand(among: int, *, alone: bool) -> None:
    one = parted(FAKE)
    assert one is not None
    found = compared(one, [Address(USUAL)], among=among)
    assert found is not None
    assert found.alone is alone


def test_the_words_name_whom_it_looks_like() -> None:
    found = knowing(USUAL).looks_like("bitcoin", FAKE)
    assert found is not None
    assert found.says == f"looks like broker {USUAL} but is not it"


def test_an_address_does_not_look_like_itself_in_whatever_case_it_is_written() -> None:
    known = knowing("0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", chain="ethereum")
    assert known.looks_like("ethereum", "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed") is None
    found = known.looks_like("ethereum", "0x5AAEB605" + "0" * 24 + "EF1BEAED")
    assert found is not None
    assert (found.resemblance.first, found.resemblance.last) == (8, 8)


def test_an_address_of_another_chain_or_kind_is_not_looked_like() -> None:
    assert knowing(USUAL).looks_like("litecoin", FAKE) is None
    assert knowing("3" + USUAL[1:]).looks_like("bitcoin", FAKE) is None


@pytest.mark.parametrize(("first", "last", "found"), [(1, 20, False), (20, 1, False), (2, 20, True), (20, 2, True)])
def test_both_ends_must_agree_in_two_characters(first: int, last: int, *, found: bool) -> None:
    known, other = "0x" + "a" * 40, "0x" + "a" * first + "b" * (40 - first - last) + "a" * last
    assert (knowing(known, chain="e").looks_like("e", other) is not None) is found


# By chance.


@pytest.mark.parametrize("alphabet", [HEXADECIMAL, BASE58, BECH32, NEM, SYMBOL])
@pytest.mark.parametrize("magnitude", range(0, 25, 4))
@pytest.mark.parametrize("rarity", [TOLD, ALONE])
def test_among_so_many_the_chance_is_as_small_as_is_said_and_one_character_less_would_not_do(
    alphabet: Alphabet, magnitude: int, rarity: int
) -> None:
    needed = least_last(alphabet, magnitude=magnitude, rarity=rarity)
    assert chance(alphabet, needed) * 2**magnitude <= 2**-rarity
    fewer = tuple(max(LEAST, last - 1) if place >= LEAST else 0 for place, last in enumerate(needed))
    if needed[LEAST] > LEAST:
        assert chance(alphabet, fewer) * 2**magnitude > 2**-rarity


def test_the_chance_is_that_of_counting_every_pair_of_a_small_alphabet() -> None:
    """Eight characters of four: each of the 4**8 words against one, which stands for all."""
    needed = (0, 0, 4, 3, 2)
    like = 0
    for number in range(4**8):
        word = [(number >> 2 * place) % 4 for place in range(8)]
        first = next((at for at, one in enumerate(word) if one), 8)
        last = next((at for at, one in enumerate(reversed(word)) if one), 8)
        like += first >= LEAST and last >= needed[min(first, 4)]
    # The formula takes the ends as independent, which those of words that agree in six or more of eight hardly are.
    assert like / 4**8 == pytest.approx(chance(COARSE, needed), rel=0.1)


def test_of_random_payments_beside_random_known_addresses_as_few_look_alike_as_is_said() -> None:
    """100,000 payments, 1,024 known: at most 2**-12 of them, and about as many as are calculated, 17."""
    source = random.Random(20240531)
    known = Destinations(inventory(wallet("hot", Tier.HOT, 1)), {("e", one): "x" for one in drawn(source, 1024)})
    needed = least_last(HEXADECIMAL, magnitude=10, rarity=TOLD)
    expected = 100_000 * 1024 * chance(HEXADECIMAL, needed)
    found = sum(known.looks_like("e", one) is not None for one in drawn(source, 100_000))
    assert expected < 100_000 * 2**-12
    assert expected / 2 < found < expected * 2
    assert found <= 100_000 * 2**-12


# Against a naive scan.

WORDS = st.text(alphabet=FOUR, min_size=40, max_size=40).map(lambda text: Address("0x" + text))


def alike(kind: Parted, known: Sequence[Address]) -> set[tuple[int, int]]:
    """The (first, last) of everything that looks like it, by looking at everything."""
    needed = least_last(kind.alphabet, magnitude=max(0, len(known) - 1).bit_length(), rarity=TOLD)
    found = set()
    for address in known:
        first = next((at for at, (a, b) in enumerate(zip(kind.body, address[2:], strict=True)) if a != b), 40)
        last = next((at for at, (a, b) in enumerate(zip(kind.body[::-1], address[:1:-1], strict=True)) if a != b), 40)
        if first < 40 and first >= LEAST and last >= needed[min(first, len(needed) - 1)]:
            found.add((first, last))
    return found


@st.composite
def near(draw: st.DrawFn) -> tuple[list[Address], Address]:
    """Known addresses, some of them made to look like one payment's."""
    payment = draw(WORDS)
    known = draw(st.lists(WORDS, max_size=30, unique=True))
    for first, last in draw(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=12)):
        middle = draw(st.text(alphabet=FOUR, min_size=40 - first - last, max_size=40 - first - last))
        known.append(Address(payment[: 2 + first] + middle + payment[42 - last :]))
    return known, payment


@given(near())
@settings(max_examples=100, deadline=None)
def test_the_index_finds_what_a_scan_of_everything_finds(case: tuple[list[Address], Address]) -> None:
    known, payment = case
    one = parted(payment)
    assert one is not None
    expected = alike(one, known)
    ends = Ends(known, alphabet=HEXADECIMAL, lead="0x") if known else None
    found = compared(one, ends.candidates(one.body), among=len(known)) if ends else None
    best = max((first + last for first, last in expected), default=None)
    assert (found.first + found.last if found else None) == best


@given(near(), st.data())
@settings(max_examples=100, deadline=None)
def test_addresses_that_come_and_go_are_found_while_they_are_there(
    case: tuple[list[Address], Address], data: st.DataObject
) -> None:
    known, payment = case
    growing = Growing()
    for address in known:
        growing.add("e", address)
    gone = data.draw(st.lists(st.sampled_from(known), unique=True)) if known else []
    for address in gone:
        growing.discard("e", address)
        known.remove(address)
    one = parted(payment)
    assert one is not None
    assert growing.size("e", one) == len(known)
    best = max((first + last for first, last in alike(one, known)), default=None)
    found = compared(one, growing.candidates("e", one), among=len(known))
    assert (found.first + found.last if found else None) == best


def test_the_index_takes_no_more_than_32_bytes_for_each_address_beside_its_text() -> None:
    addresses = drawn(random.Random(1), 2**13 + 1)  # the size at which its tables are emptiest
    make = partial(Ends, addresses, alphabet=HEXADECIMAL, lead="0x")
    make()
    tracemalloc.start()
    kept = make()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(kept) == len(addresses)
    assert size < 34 * len(addresses)


def test_characters_that_are_no_base58_make_no_address() -> None:
    assert not set("0OIl") & set("".join(one for one in string.printable if parted("1" + one * 33)))
