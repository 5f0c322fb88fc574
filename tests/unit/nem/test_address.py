"""NEM addresses: published ones are read in every form that people write, broken ones are refused by reason."""

import random
from base64 import b32encode

import pytest

from connectors.errors import BadAddress
from connectors.nem.address import address_of, canonical, canonical_on, contract_on, keccak256
from connectors.nem.config import NemConfig
from connectors.nem.networks import NETWORKS
from tests.unit.nem.published import ADDRESSES, COINCHECK, THIEF

MAINNET, TESTNET = NETWORKS["mainnet"], NETWORKS["testnet"]
HYPHENATED = "NC3BI3-DNMR2P-GEOOMP-2NKXQG-SAKMS7-GYRKVA-5CSZ"


def forged(network_byte: int, *, length: int = 20) -> str:
    """With a checksum that fits."""
    raw = bytes((network_byte,)) + bytes(length)
    return b32encode(raw + keccak256(raw)[:4]).decode()


@pytest.mark.parametrize("address", [COINCHECK, THIEF, *(pair[0] for pair in ADDRESSES.values())])
def test_published_addresses_of_mainnet_are_read_as_they_stand(address: str) -> None:
    assert canonical(address, network=MAINNET) == address


@pytest.mark.parametrize("address", [pair[1] for pair in ADDRESSES.values()])
def test_published_addresses_of_testnet_are_read_as_they_stand(address: str) -> None:
    assert canonical(address, network=TESTNET) == address


@pytest.mark.parametrize("key", ADDRESSES)
def test_the_address_of_a_published_public_key_is_the_published_one(key: str) -> None:
    raw = bytes.fromhex(key)
    assert (address_of(raw, version=0x68), address_of(raw, version=0x98)) == ADDRESSES[key]


@pytest.mark.parametrize("text", [HYPHENATED, HYPHENATED.lower(), COINCHECK.lower()])
def test_hyphens_and_small_letters_make_no_difference(text: str) -> None:
    assert canonical(text, network=MAINNET) == COINCHECK


def test_the_configured_network_decides() -> None:
    endpoints = {"kind": "nem", "endpoints": ["http://x"]}
    assert canonical_on(NemConfig.model_validate(endpoints))(COINCHECK) == COINCHECK
    with pytest.raises(BadAddress, match="expected one of testnet"):
        canonical_on(NemConfig.model_validate({**endpoints, "network": "testnet"}))(COINCHECK)


BROKEN = {
    "": "expected an address, found nothing",
    COINCHECK[:-1] + "A": "the checksum in its last characters does not fit: a character is wrong",
    COINCHECK[:-2]: "expected 40 characters, found 38",
    COINCHECK + "A": "expected 40 characters, found 41",
    COINCHECK[:-1]: "has 39 characters as an address of Symbol does; one of NEM has 40",
    COINCHECK.replace("3", "1"): "expected letters A to Z and digits 2 to 7, found '1' at place 3",
    COINCHECK[:5] + "é" + COINCHECK[6:]: "expected letters A to Z and digits 2 to 7, found '\\xe9' at place 6",
    "TDD2CT6LQLIYQ56KIXI3ENTM6EK3D44P5KZPFMK2": (
        "is an address of testnet; expected one of mainnet, which begins with N"
    ),
    "MDD2CT6LQLIYQ56KIXI3ENTM6EK3D44P5LDT7JHT": (
        "is an address of mijin, a private network; expected one of mainnet, which begins with N"
    ),
    "A" + COINCHECK[1:]: "begins with A; expected one of mainnet, which begins with N",
    forged(0x69): "begins with NE, which stands for network byte 0x69; mainnet's is 0x68",
    " " + COINCHECK: "holds white space; expected one address",
    HYPHENATED.replace("-", " "): "holds white space; expected one address",
    "-" + HYPHENATED: "has a hyphen with nothing before or behind it",
    HYPHENATED.replace("-", "--"): "has a hyphen with nothing before or behind it",
    COINCHECK[:20] + COINCHECK[20:].lower(): "mixes capitals and small letters, so it was not copied from anywhere",
    "0x742d35Cc6634C0532925a3b844Bc454e4438f44e": "begins with 0x as an Ethereum address does; expected one of NEM",
    "a" * 64: "64 hex digits look like a private key, which must never be given to pyrometer, or a public key; not"
    " repeated here",
    "00" + "b" * 64: "64 hex digits look like a private key, which must never be given to pyrometer, or a public key;"
    " not repeated here",
    "exchange:coin": "has a colon as the name of a mosaic does; expected an address",
    "bc1qgdjqv0av3q56jvd82tkdjpy7gdp9ut8tlqmgrpmv24sq90ecnvqqjwvw97": (
        "expected letters A to Z and digits 2 to 7, found '1' at place 3"
    ),
}


@pytest.mark.parametrize(("text", "reason"), BROKEN.items(), ids=range(len(BROKEN)))
def test_a_broken_address_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(BadAddress) as caught:
        canonical(text, network=MAINNET)
    assert str(caught.value) == reason


def test_there_are_twenty_broken_ones_at_least() -> None:
    assert len(BROKEN) >= 20


@pytest.mark.parametrize("address", [COINCHECK, THIEF])
def test_a_single_wrong_character_is_told_as_one_wherever_it_stands(address: str) -> None:
    chance = random.Random(4)
    for place in range(2, 40):
        wrong = chance.choice([mark for mark in "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567" if mark != address[place]])
        with pytest.raises(BadAddress, match="the checksum in its last characters does not fit"):
            canonical(address[:place] + wrong + address[place + 1 :], network=MAINNET)


@pytest.mark.parametrize("address", [COINCHECK, THIEF])
def test_two_characters_that_changed_places_are_told_as_a_wrong_one(address: str) -> None:
    for place in range(2, 39):
        first, second = address[place], address[place + 1]
        if first != second:
            with pytest.raises(BadAddress, match="the checksum in its last characters does not fit"):
                canonical(address[:place] + second + first + address[place + 2 :], network=MAINNET)


def test_the_beginning_of_one_address_and_the_end_of_another_are_none() -> None:
    for place in range(5, 36):
        with pytest.raises(BadAddress, match="the checksum in its last characters does not fit"):
            canonical(COINCHECK[:place] + THIEF[place:], network=MAINNET)


@pytest.mark.parametrize("key", ["a" * 64, "00" + "c" * 64, "d" * 128])
def test_what_may_be_a_private_key_is_never_repeated(key: str) -> None:
    with pytest.raises(BadAddress) as caught:
        canonical(key, network=MAINNET)
    assert key[2:10] not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"), [("dim:coin", "dim:coin"), ("A.B.c:My Coin's", "a.b.c:my coin's"), ("a_1:x-y", "a_1:x-y")]
)
def test_the_names_of_mosaics_are_read_in_small_letters(text: str, name: str) -> None:
    assert contract_on(None)(text) == name


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("dim", "expected a mosaic as namespace:name"),
        (COINCHECK, "expected a mosaic as namespace:name"),
        ("nem:xem", "nem:xem is the chain's own coin; leave contract and decimals out"),
        ("a.b.c.d:x", "a namespace has at most 3 parts, found 4"),
        ("a..c:x", "part 2 of the namespace is none: small letters, digits, _ and -, up to 64"),
        (":x", "part 1 of the namespace is none: small letters, digits, _ and -, up to 16"),
        ("abcdefghijklmnopq:x", "part 1 of the namespace is none: small letters, digits, _ and -, up to 16"),
        ("dim:", "the mosaic's name is none: small letters, digits, _, -, ' and blanks, up to 32"),
        ("dim:coin:x", "the mosaic's name is none: small letters, digits, _, -, ' and blanks, up to 32"),
        ("dim:" + "x" * 33, "the mosaic's name is none: small letters, digits, _, -, ' and blanks, up to 32"),
    ],
)
def test_what_is_no_mosaic_is_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(BadAddress) as caught:
        contract_on(None)(text)
    assert str(caught.value) == reason
