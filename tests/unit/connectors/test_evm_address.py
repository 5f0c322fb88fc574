"""EVM addresses: what is taken, and the exact words for what is not."""

import time
from collections.abc import Callable

import pytest

from connectors.errors import BadAddress
from connectors.evm.address import canonical

GOOD = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"  # the first example of EIP-55
LOWER = GOOD.lower()
KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"  # anvil's well-known first key

CHECKSUM = (
    "the checksum in the case of the letters does not fit: a digit is wrong, or it is "
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
)
PREFIX = "expected 0x followed by 40 hex digits"
SECRET = "64 hex digits look like a private key, which must never be given to pyrometer; not repeated here"
ZERO = "the zero address is nobody's account"

EIP55 = [
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
]

BROKEN = [
    ("", PREFIX),
    ("0x", "expected 40 hex digits after 0x, found 0"),
    ("0x0", "expected 40 hex digits after 0x, found 1"),
    (LOWER[:-1], "expected 40 hex digits after 0x, found 39"),
    (LOWER + "0", "expected 40 hex digits after 0x, found 41"),
    (LOWER[2:], PREFIX),
    ("0X" + LOWER[2:], PREFIX),
    (" " + LOWER, PREFIX),
    (LOWER + " ", "expected 40 hex digits after 0x, found 41"),
    (LOWER + "\n", "expected 40 hex digits after 0x, found 41"),
    (LOWER[:-1] + "\n", "expected hex digits after 0x, found '\\n' at place 42"),
    (LOWER[:-1] + "g", "expected hex digits after 0x, found 'g' at place 42"),
    ("0xO" + LOWER[3:], "expected hex digits after 0x, found 'O' at place 3"),
    (LOWER[:10] + "_" + LOWER[11:], "expected hex digits after 0x, found '_' at place 11"),
    (LOWER[:10] + "а" + LOWER[11:], "expected hex digits after 0x, found '\\u0430' at place 11"),  # a Cyrillic а
    (LOWER[:10] + "١" + LOWER[11:], "expected hex digits after 0x, found '\\u0661' at place 11"),  # an Arabic 1
    ("0x5aaeb6053F3E94C9b9A09f33669435E7Ef1BeAed", CHECKSUM),
    ("0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAEd", CHECKSUM),
    (GOOD.swapcase().replace("0X", "0x"), CHECKSUM),
    ("0x" + "0" * 40, ZERO),
    (KEY, SECRET),
    ("0x" + KEY, SECRET),
    ("0X" + KEY.upper(), SECRET),
    ("test test test test test test test test test test test junk", PREFIX),
    ("vitalik.eth", PREFIX),
    ("bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq", PREFIX),
    ("T" + "A" * 33, PREFIX),
]


@pytest.mark.parametrize("text", EIP55)
def test_the_examples_of_eip_55_are_taken(text: str) -> None:
    assert canonical(text) == text.lower()


@pytest.mark.parametrize("text", [LOWER, "0x" + LOWER[2:].upper(), GOOD])
def test_lower_upper_and_checksummed_case_are_the_same_account(text: str) -> None:
    assert canonical(text) == LOWER


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_broken_address_is_refused_in_exact_words(text: str, message: str) -> None:
    with pytest.raises(BadAddress) as caught:
        canonical(text)
    assert str(caught.value) == message


@pytest.mark.parametrize("text", [text for text, message in BROKEN if message in (SECRET, PREFIX) and len(text) > 20])
def test_what_may_be_a_secret_is_not_repeated(text: str) -> None:
    with pytest.raises(BadAddress) as caught:
        canonical(text)
    assert not any(text[i : i + 6].lower() in str(caught.value).lower() for i in range(len(text) - 5))


def test_lower_case_addresses_cost_little_more_than_looking_at_them() -> None:
    """Compared with lower-casing them, about the least that anything could do; the best of some trials."""
    texts = [f"0x{number + 1:040x}" for number in range(20_000)]

    def seconds(step: Callable[[str], str]) -> float:
        started = time.perf_counter()
        assert [step(text) for text in texts] == texts
        return time.perf_counter() - started

    ratios = [seconds(canonical) / seconds(str.lower) for _ in range(7)]
    assert min(ratios) < 20
