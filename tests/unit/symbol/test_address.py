"""Symbol addresses and mosaic ids: what is taken, and the exact words for what is not."""

import base64
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import BadAddress
from connectors.symbol.address import (
    canonical,
    canonical_on,
    contract_on,
    is_proper,
    mosaic_id,
    of_public_key,
    of_raw,
    raw_of,
)
from connectors.symbol.networks import NETWORKS

MAINNET, TESTNET = NETWORKS["mainnet"], NETWORKS["testnet"]

VECTORS = [
    (
        "2E834140FD66CF87B254A693A2C7862C819217B676D3943267156625E816EC6F",
        "NATNE7Q5BITMUTRRN6IB4I7FLSDRDWZA34SQ33Y",
        "TATNE7Q5BITMUTRRN6IB4I7FLSDRDWZA37JGO5Q",
    ),
    (
        "4875FD2E32875D1BC6567745F1509F0F890A1BF8EE59FA74452FA4183A270E03",
        "NDR6EW2WBHJQDYMNGFX2UBZHMMZC5PGL2YCZOQQ",
        "TDR6EW2WBHJQDYMNGFX2UBZHMMZC5PGL2YBO3KA",
    ),
    (
        "9F780097FB6A1F287ED2736A597B8EA7F08D20F1ECDB9935DE6694ECF1C58900",
        "NCOXVZMAZJTT4I3F7EAZYGNGR77D6WPTRH6SYIQ",
        "TCOXVZMAZJTT4I3F7EAZYGNGR77D6WPTRE3VIBQ",
    ),
    (
        "0815926E003CDD5AF0113C0E067262307A42CD1E697F53B683F7E5F9F57D72C9",
        "NDZ4373ASEGJ7S7GQTKF26TIIMC7HK5EWFDDCHA",
        "TDZ4373ASEGJ7S7GQTKF26TIIMC7HK5EWEPHRSI",
    ),
    (
        "3683B3E45E76870CFE076E47C2B34CE8E3EAEC26C8AA7C1ED752E3E840AF8A27",
        "NDI5I7Z3BRBAAHTZHGONGOXX742CW4W5QAZ4BMQ",
        "TDI5I7Z3BRBAAHTZHGONGOXX742CW4W5QCY5ZUA",
    ),
    (
        "4F593111964B37A9CAC59D2A70BC959AE9269589B75FBD640145EB0038960540",
        "NAA6RO4ZAPEDGTCVADE3G4C7SWAE3DBQ4SCMOAI",
        "TAA6RO4ZAPEDGTCVADE3G4C7SWAE3DBQ4RTFBQY",
    ),
]
"""Public key, address on mainnet, on testnet: symbol/symbol, tests/vectors/symbol/crypto/1.test-address.json."""

DOCUMENTED = [
    (
        "mainnet",
        "NAVORTEX3IPBAUWQBBI3I3BDIOS4AVHPZLCFC7Y",
    ),  # harvestNetworkFeeSinkAddress of mainnet's /network/properties
    ("testnet", "TADP6C2GVEG654OP5LZI32P2GYJSCMEGQBYB7QY"),  # openapi-symbol.yml, Address
    ("testnet", "TAOXUJOTTW3W5XTBQMQEX3SQNA6MCUVGXLXR3TA"),  # openapi-symbol.yml, UnresolvedAddress
]

GOOD = VECTORS[0][1]
HYPHENATED = "NATNE7-Q5BITM-UTRRN6-IB4I7F-LSDRDW-ZA34SQ-33Y"
KEY = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"  # anvil's well-known first key

CHECKSUM = "the checksum does not fit: one of the characters is wrong"
SECRET = "64 hex digits look like a private key, which must never be given to pyrometer; not repeated here"
ALIAS = "this stands for a namespace, whose owner can point it elsewhere; expected an address"
NAME = "names are not resolved, their owners can point them elsewhere; expected an address"
HYPHENS = "expected hyphens after every six characters, or none"
SPACE = "expected an address without white space around it"
MAIN = "this chain is mainnet, whose addresses begin with N"
ALPHABET = "expected the letters A to Z and the digits 2 to 7, found"

BROKEN = [
    ("", "expected an address, found nothing"),
    ("N", "expected 39 characters, found 1"),
    (GOOD[:-1], "expected 39 characters, found 38"),
    (GOOD + "AA", "expected 39 characters, found 41"),
    ("NALICELC4CCCCPFZBTSZ4SVOCUAYHTNEZJC5KIR7", "40 characters are an address of NEM (NIS1); expected 39"),
    (" " + GOOD, SPACE),
    (GOOD + "\n", SPACE),
    (GOOD.lower(), "expected capital letters"),
    (GOOD[:5] + "1" + GOOD[6:], f"{ALPHABET} '1' at place 6"),
    (GOOD[:5] + "0" + GOOD[6:], f"{ALPHABET} '0' at place 6"),
    (GOOD[:5] + "8" + GOOD[6:], f"{ALPHABET} '8' at place 6"),
    (GOOD[:5] + "А" + GOOD[6:], f"{ALPHABET} '\\u0410' at place 6"),  # a Cyrillic А
    (GOOD[:5] + "٣" + GOOD[6:], f"{ALPHABET} '\\u0663' at place 6"),  # an Arabic 3
    (HYPHENATED[:-1], HYPHENS),
    (GOOD[:13] + "-" + GOOD[13:], HYPHENS),
    (HYPHENATED.replace("-", "--"), HYPHENS),
    (GOOD[:-1] + "Z", "no address ends with Z: the last letter is wrong; it can be one of A, I, Q and Y"),
    (GOOD[:-1] + "A", CHECKSUM),
    (GOOD[:10] + "A" + GOOD[11:], CHECKSUM),
    (GOOD[:10] + GOOD[11] + GOOD[10] + GOOD[12:], CHECKSUM),
    (HYPHENATED.replace("Q5BITM", "Q5BITN"), CHECKSUM),
    ("NBUTOBVX5JQDCV6UEPCPFHWWOAOPOCLA5AY5FLI", CHECKSUM),  # mainnet's first sink of fees, a slip of 2021
    (VECTORS[0][2], f"is an address of testnet; {MAIN}"),
    ("PATNE7Q5BITMUTRRN6IB4I7FLSDRDWZA35OETNI", f"is an address of no public network; {MAIN}"),
    ("THBIMC3THGH5RUYAAAAAAAAAAAAAAAAAAAAAAAA", ALIAS),
    ("symbol.xym", NAME),
    (GOOD.ljust(44, "A"), "expected 39 characters, found 44"),
    (raw_of(GOOD).hex(), "48 hex digits are how nodes write an address; expected its 39 letters and digits"),
    (KEY, SECRET),
    (KEY.upper(), SECRET),
    ("0x" + KEY, SECRET),
    ("test test test test test test test test test test test junk", "expected 39 characters, found 59"),
    ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "expected 39 characters, found 42"),
]


@dataclass(frozen=True, slots=True)
class On:
    network: str


@pytest.mark.parametrize(("key", "mainnet", "testnet"), VECTORS)
def test_the_published_vectors_come_out(key: str, mainnet: str, testnet: str) -> None:
    assert of_public_key(bytes.fromhex(key), network=MAINNET) == mainnet
    assert of_public_key(bytes.fromhex(key), network=TESTNET) == testnet
    assert canonical(mainnet, network=MAINNET) == mainnet
    assert canonical(testnet, network=TESTNET) == testnet


@pytest.mark.parametrize(("network", "text"), DOCUMENTED)
def test_the_addresses_of_the_documentation_are_taken(network: str, text: str) -> None:
    assert canonical_on(On(network))(text) == text


def test_a_hyphenated_address_is_the_same_account() -> None:
    assert canonical(HYPHENATED, network=MAINNET) == GOOD


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_a_broken_address_is_refused_in_exact_words(text: str, message: str) -> None:
    with pytest.raises(BadAddress) as caught:
        canonical(text, network=MAINNET)
    assert str(caught.value) == message


def test_an_address_of_mainnet_is_refused_on_testnet_by_name() -> None:
    with pytest.raises(
        BadAddress, match="is an address of mainnet; this chain is testnet, whose addresses begin with T"
    ):
        canonical_on(On("testnet"))(GOOD)


@pytest.mark.parametrize("text", [KEY, "0x" + KEY, "test test test test test test test test test test test junk"])
def test_what_may_be_a_secret_is_not_repeated(text: str) -> None:
    with pytest.raises(BadAddress) as caught:
        canonical(text, network=MAINNET)
    assert not any(text[place : place + 6] in str(caught.value) for place in range(len(text) - 5))


@given(st.integers(0, 38), st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
def test_every_single_wrong_character_is_found(place: int, mark: str) -> None:
    text = GOOD[:place] + mark + GOOD[place + 1 :]
    if text == GOOD:
        return
    with pytest.raises(BadAddress):
        canonical(text, network=MAINNET)


@given(st.text(max_size=60))
def test_any_text_is_either_an_address_or_refused(text: str) -> None:
    with pytest.raises(BadAddress):
        canonical(text, network=MAINNET)


@given(st.binary(min_size=24, max_size=24))
def test_24_bytes_come_back_from_both_of_their_forms(raw: bytes) -> None:
    assert raw_of(of_raw(raw)) == raw_of(raw.hex()) == raw_of(raw.hex().upper()) == raw
    assert of_raw(raw) == base64.b32encode(raw).decode().rstrip("=")


@pytest.mark.parametrize("text", ["", GOOD[:-1], GOOD + "A", "zz" * 24, "ab" * 23, "ab" * 25, GOOD[:-1] + "Z"])
def test_what_is_no_form_of_24_bytes_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="expected an address of 48 hexadecimal digits"):
        raw_of(text)


def test_24_bytes_are_proper_with_network_and_checksum_only() -> None:
    raw = raw_of(GOOD)
    assert is_proper(raw, network=MAINNET)
    assert not is_proper(raw, network=TESTNET)
    assert not is_proper(raw[:-1] + bytes([raw[-1] ^ 1]), network=MAINNET)
    assert not is_proper(raw[:-1], network=MAINNET)


@pytest.mark.parametrize("text", ["6BED913FA20223F8", "6bed913fa20223f8", "0x6BED913FA20223F8"])
def test_a_mosaic_is_the_same_in_any_case_and_with_0x(text: str) -> None:
    assert contract_on(On("mainnet"))(text) == "6BED913FA20223F8"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a mosaic's id, 16 hexadecimal digits"),
        ("6BED913FA20223F", "expected a mosaic's id, 16 hexadecimal digits"),
        ("6BED913FA20223F80", "expected a mosaic's id, 16 hexadecimal digits"),
        ("6BED'913F'A202'23F8", "expected a mosaic's id, 16 hexadecimal digits"),
        ("symbol.xym", "expected a mosaic's id, 16 hexadecimal digits"),
        (GOOD, "expected a mosaic's id, 16 hexadecimal digits"),
        ("E74B99BA41F4AFEE", "this is a namespace, whose owner can point it elsewhere; expected the mosaic's own id"),
    ],
)
def test_what_is_no_mosaic_is_refused_in_exact_words(text: str, message: str) -> None:
    with pytest.raises(BadAddress) as caught:
        mosaic_id(text)
    assert str(caught.value) == message
