"""Derived keys are those of BIP-32, BIP-341 and bitcoinlib, at any index."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.bitcoin.address import address_of
from connectors.bitcoin.derive import ExtendedKey, is_public_key, is_x_only_key, taproot_output_key
from connectors.bitcoin.descriptors import PART, parse
from connectors.bitcoin.networks import NETWORKS
from connectors.bitcoin.reference import bitcoinlib
from connectors.errors import BadAddress
from tests.unit.bitcoin.published import (
    BIP_84,
    KEY,
    SLIP_132,
    UNCOMPRESSED,
    VECTOR_1,
    VECTOR_2,
    VECTOR_2_CHILD,
    extended,
)

XPUB = bytes.fromhex("0488b21e")
BITCOIN = NETWORKS["bitcoin"]

# BIP-32: what unhardened steps lead to. (parent, path, child).
STEPS = [
    (VECTOR_2, (0,), VECTOR_2_CHILD),
    (
        "xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw",
        (1,),
        "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ",
    ),
    (
        "xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5",
        (2, 1_000_000_000),
        "xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro49S8yGasTvXEYBVPamhGW6cFJodrTHy",
    ),
    (
        "xpub6ASAVgeehLbnwdqV6UKMHVzgqAG8Gr6riv3Fxxpj8ksbH9ebxaEyBLZ85ySDhKiLDBrQSARLq1uNRts8RuJiHjaDMBU4Zn9h8LZNnBC5y4a",
        (1,),
        "xpub6DF8uhdarytz3FWdA8TvFSvvAh8dP3283MY7p2V4SeE2wyWmG5mg5EwVvmdMVCQcoNJxGoWaU9DCWh89LojfZ537wTfunKau47EL2dhHKon",
    ),
    (
        "xpub6ERApfZwUNrhLCkDtcHTcxd75RbzS1ed54G1LkBUHQVHQKqhMkhgbmJbZRkrgZw4koxb5JaHWkY4ALHY2grBGRjaDMzQLcgJvLJuZZvRcEL",
        (2,),
        "xpub6FnCn6nSzZAw5Tw7cgR9bi15UV96gLZhjDstkXXxvCLsUXBGXPdSnLFbdpq8p9HmGsApME5hQTZ3emM2rnY5agb9rXpVGyy3bdW6EEgAtqt",
    ),
]


@pytest.mark.parametrize(("parent", "path", "child"), STEPS)
def test_unhardened_steps_lead_to_the_keys_of_bip_32(parent: str, path: tuple[int, ...], child: str) -> None:
    assert extended(parent).at(path).text(XPUB) == child


def test_a_key_is_written_as_it_was_read() -> None:
    for text in (VECTOR_1, VECTOR_2, VECTOR_2_CHILD):
        assert extended(text).text(XPUB) == text


def test_no_step_leads_nowhere() -> None:
    assert extended(VECTOR_1).at(()) == extended(VECTOR_1)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**31 - 20), st.integers(0, 20))
def test_children_in_bulk_are_the_children_one_by_one(start: int, count: int) -> None:
    key = extended(VECTOR_2_CHILD)
    one_by_one = [key.at((index,)) for index in range(start, start + count)]
    assert key.children(start, start + count) == one_by_one
    assert key.public_keys(start, start + count) == [child.key for child in one_by_one]


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (5, 4), (2**31, 2**31 + 1)])
def test_hardened_and_backward_indices_are_an_error(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="expected indices from 0 to 2147483648"):
        extended(VECTOR_1).public_keys(start, stop)


def test_a_key_at_depth_0_has_no_parent() -> None:
    payload = bytes(4) + b"\x01" + bytes(4) + bytes(32) + bytes.fromhex(KEY)
    with pytest.raises(BadAddress, match="is at depth 0 and yet names a parent"):
        ExtendedKey.parse(payload)


# Against bitcoinlib.

RANDOM = random.Random(380)
INDICES = sorted({0, 1, 2**31 - 1, *(RANDOM.randrange(2**31) for _ in range(200))})


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("account", "around", "witness_type"),
    [
        (BIP_84.plain, "pkh({}/0/*)", "legacy"),
        (SLIP_132.key, "sh(wpkh({}/0/*))", "p2sh-segwit"),
        (BIP_84.key, "wpkh({}/0/*)", "segwit"),
    ],
    ids=["pkh", "sh(wpkh)", "wpkh"],
)
def test_addresses_at_random_indices_are_bitcoinlibs(account: str, around: str, witness_type: str) -> None:
    descriptor = parse(around.format(account), network=BITCOIN)
    receiving = bitcoinlib("keys").HDKey(account, network="bitcoin", witness_type=witness_type).child_public(0)
    assert len(INDICES) > 200
    for index in INDICES:
        script = descriptor.scripts(index, index + 1)[0]
        assert address_of(script, network=BITCOIN) == receiving.child_public(index).address(), index


# Taproot.


@pytest.mark.parametrize(
    ("internal", "output"),
    [
        (  # BIP-341, wallet-test-vectors.json, the scriptPubKey without a script tree
            "d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d",
            "53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343",
        ),
        (  # BIP-86: receiving 0 and 1, change 0
            "cc8a4bc64d897bddc5fbc2f670f7a8ba0b386779106cf1223c6fc5d7cd6fc115",
            "a60869f0dbcf1dc659c9cecbaf8050135ea9e8cdc487053f1dc6880949dc684c",
        ),
        (
            "83dfe85a3151d2517290da461fe2815591ef69f2b18a2ce63f01697a8b313145",
            "a82f29944d65b86ae6b5e5cc75e294ead6c59391a1edc5e016e3498c67fc7bbb",
        ),
        (
            "399f1b2f4393f29a18c937859c5dd8a77350103157eb880f02e8c08214277cef",
            "882d74e5d0572d5a816cef0041a96b6c1de832f6f9676d9605c44d5e9a97d3dc",
        ),
    ],
)
def test_output_keys_of_taproot_are_the_published_ones(internal: str, output: str) -> None:
    assert taproot_output_key(bytes.fromhex(internal)).hex() == output


def test_the_address_of_bip_341_without_a_script_tree() -> None:
    internal = "d6889cb081036e0faefa3a35157ad71086b123b2b144b649798b494c300a961d"
    script = parse(f"tr({internal})", network=BITCOIN).scripts(0, 1)[0]
    assert address_of(script, network=BITCOIN) == "bc1p2wsldez5mud2yam29q22wgfh9439spgduvct83k3pm50fcxa5dps59h4z5"


# Points.


def test_only_points_in_their_two_forms_are_public_keys() -> None:
    good = (KEY, UNCOMPRESSED)
    bad = ("", "04" + KEY[2:], "05" + KEY[2:], "06" + UNCOMPRESSED[2:], UNCOMPRESSED[:-2], "02" + "ff" * 32, "00" * 33)
    assert [is_public_key(bytes.fromhex(key)) for key in good] == [True, True]
    assert [key for key in bad if is_public_key(bytes.fromhex(key))] == []


def test_an_x_coordinate_may_be_off_the_curve() -> None:
    assert is_x_only_key(bytes.fromhex(KEY[2:]))
    assert not is_x_only_key(b"\xff" * 32)
    assert not is_x_only_key(b"\x01" * 31)


# In parts.


@pytest.mark.parametrize("count", [PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 7])
def test_parts_derived_by_threads_come_back_in_order(count: int) -> None:
    descriptor = parse(f"wpkh({VECTOR_1}/0/*)", network=BITCOIN)
    scripts = descriptor.scripts(3, 3 + count)
    assert len(scripts) == count
    for place in (0, PART - 2, count - 1):
        assert scripts[place] == descriptor.scripts(3 + place, 4 + place)[0]
