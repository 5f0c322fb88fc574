"""Descriptors: the scripts and expansions that the BIPs publish, one canonical form, and short forms of keys."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.bitcoin.address import address_of, script_of
from connectors.bitcoin.descriptors import CHARACTERS, canonical, checksum, descriptor_on, parse
from connectors.bitcoin.networks import NETWORKS, Network
from connectors.errors import BadAddress
from tests.unit.bitcoin.published import (
    BIP_49_TEST_NETWORK,
    BIP_84,
    BIP_86,
    KEY,
    KEY_ORIGIN,
    SCRIPTS,
    SLIP_132,
    UNCOMPRESSED,
    VECTOR_1,
    VECTOR_2,
    VECTOR_2_CHILD,
    VECTOR_2_DEEP,
    VECTOR_3,
    Account,
)

BITCOIN, TESTNET, LITECOIN, DOGECOIN, CASH = (
    NETWORKS[name] for name in ("bitcoin", "testnet", "litecoin", "dogecoin", "bitcoin-cash")
)


@pytest.mark.parametrize("descriptor", SCRIPTS)
def test_descriptors_stand_for_the_scripts_that_the_bips_publish(descriptor: str) -> None:
    expected = SCRIPTS[descriptor]
    assert [script.hex() for script in parse(descriptor, network=BITCOIN).scripts(0, len(expected))] == expected


@pytest.mark.parametrize("descriptor", SCRIPTS)
def test_a_canonical_form_is_canonical_and_means_the_same(descriptor: str) -> None:
    first = parse(descriptor, network=BITCOIN)
    again = parse(first.canonical, network=BITCOIN)
    assert again == first
    assert first.canonical[-9] == "#"
    assert again.scripts(0, 3) == first.scripts(0, 3)


@pytest.mark.parametrize(
    ("written", "short"),
    [
        (f"wpkh({VECTOR_1}/0/*)", "wpkh(xpub6…/0/*)#"),
        (f"sh(wpkh([d34db33f/49h/0h/0h]{VECTOR_1}/<0;1>/*))", "sh(wpkh([d34db33f/49h/0h/0h]xpub6…/<0;1>/*))#"),
        (f"wsh(sortedmulti(2,{VECTOR_1}/*,{KEY},{VECTOR_2}/*))", "wsh(sortedmulti(2,xpub6…/*,03a34…,xpub6…/*))#"),
    ],
)
def test_the_short_form_cuts_the_keys_and_keeps_the_checksum(written: str, short: str) -> None:
    descriptor = parse(written, network=BITCOIN)
    assert descriptor.short == short + descriptor.canonical[-8:]


# BIP-380.


def test_the_checksum_of_bip_380() -> None:
    assert checksum("raw(deadbeef)") == "89f8spxm"


def test_a_checksum_that_fits_is_taken() -> None:
    text = f"pkh({KEY})"
    assert canonical(f"{text}#{checksum(text)}", network=BITCOIN) == canonical(text, network=BITCOIN)


@settings(deadline=None)
@given(st.integers(0, 68), st.sampled_from(CHARACTERS))
def test_a_wrong_character_anywhere_breaks_the_checksum(place: int, other: str) -> None:
    text = f"pkh({KEY})"
    changed = text[:place] + other + text[place + 1 :]
    if changed != text:
        assert checksum(changed) != checksum(text)


@pytest.mark.parametrize(
    ("written", "form"),
    [
        (f"pkh([DEADBEEF/1/2'/3/4']{KEY})", f"pkh([deadbeef/1/2h/3/4h]{KEY})"),
        (f"pkh([deadbeef/0'/0h/0']{KEY.upper()})", f"pkh([deadbeef/0h/0h/0h]{KEY})"),
        (f"  pkh({KEY})\n", f"pkh({KEY})"),
        (f"pkh([00000000]{KEY})", f"pkh([00000000]{KEY})"),
        (f"wpkh({VECTOR_1}/007/*)", f"wpkh({VECTOR_1}/7/*)"),
        (f"wpkh({BIP_84.key}/0/*)", f"wpkh({BIP_84.plain}/0/*)"),
        (f"sh(wpkh({SLIP_132.key}/0/*))", f"sh(wpkh({SLIP_132.plain}/0/*))"),
    ],
    ids=["capital fingerprint", "mixed markers", "white space", "origin without path", "leading zeros", "zpub", "ypub"],
)
def test_spellings_of_one_descriptor_have_one_canonical_form(written: str, form: str) -> None:
    assert canonical(written, network=BITCOIN) == f"{form}#{checksum(form)}"


def test_a_configuration_of_a_chain_decides_the_network() -> None:
    class Configured:
        network = "mainnet"

    assert descriptor_on(Configured())(f"pkh({KEY})") == canonical(f"pkh({KEY})", network=BITCOIN)


# BIP-389.


@pytest.mark.parametrize(
    ("multipath", "expanded"),
    [
        (f"pk({VECTOR_3}/<0;1>)", [f"pk({VECTOR_3}/0)", f"pk({VECTOR_3}/1)"]),
        (
            f"wpkh([ffffffff/13h]{VECTOR_2_CHILD}/<1;3>/2/*)",
            [f"wpkh([ffffffff/13h]{VECTOR_2_CHILD}/1/2/*)", f"wpkh([ffffffff/13h]{VECTOR_2_CHILD}/3/2/*)"],
        ),
        (
            f"multi(2,{VECTOR_2_DEEP}/<1;2>/*,{VECTOR_3}/<3;4>/0/*)",
            [f"multi(2,{VECTOR_2_DEEP}/1/*,{VECTOR_3}/3/0/*)", f"multi(2,{VECTOR_2_DEEP}/2/*,{VECTOR_3}/4/0/*)"],
        ),
        (f"pkh({VECTOR_2}/<0;1;2>)", [f"pkh({VECTOR_2}/{branch})" for branch in (0, 1, 2)]),
        (
            f"sh(multi(2,{VECTOR_2_DEEP}/<1;2;3>/0/*,{VECTOR_3}/0/*,{VECTOR_1}/0/0/<3;4;5>/*))",
            [
                f"sh(multi(2,{VECTOR_2_DEEP}/{branch}/0/*,{VECTOR_3}/0/*,{VECTOR_1}/0/0/{branch + 2}/*))"
                for branch in (1, 2, 3)
            ],
        ),
    ],
)
def test_a_multipath_descriptor_expands_as_bip_389_says(multipath: str, expanded: list[str]) -> None:
    descriptor = parse(multipath, network=BITCOIN)
    singles = [parse(text, network=BITCOIN) for text in expanded]
    assert list(descriptor.branches) == singles
    assert descriptor.scripts(0, 2) == [script for single in singles for script in single.scripts(0, 2)]


def test_a_descriptor_without_multipath_is_its_only_branch() -> None:
    descriptor = parse(f"wpkh({VECTOR_1}/0/*)", network=BITCOIN)
    assert descriptor.branches == (descriptor,)


# Indices.


def test_scripts_of_a_range_are_those_of_its_indices() -> None:
    descriptor = parse(f"wpkh({VECTOR_1}/0/*)", network=BITCOIN)
    scripts = descriptor.scripts(0, 1234)
    assert len(set(scripts)) == 1234
    assert descriptor.scripts(400, 1100) == scripts[400:1100]
    assert descriptor.scripts(7, 7) == []
    assert descriptor.scripts(2**31 - 1, 2**31)[0] not in scripts


def test_one_that_is_not_ranged_has_its_script_at_index_0() -> None:
    descriptor = parse(f"wpkh({VECTOR_1}/0/5)", network=BITCOIN)
    assert not descriptor.ranged
    assert descriptor.scripts(0, 1000) == parse(f"wpkh({VECTOR_1}/0/*)", network=BITCOIN).scripts(5, 6)
    assert descriptor.scripts(1, 1000) == []


def test_indices_beyond_the_last_are_an_error() -> None:
    with pytest.raises(ValueError, match="expected indices from 0 to 2147483648"):
        parse(f"wpkh({VECTOR_1}/0/*)", network=BITCOIN).scripts(2**31 - 1, 2**31 + 1)


def test_a_multisig_may_mix_ranged_and_fixed_keys() -> None:
    descriptor = parse(f"wsh(multi(1,{KEY},{VECTOR_1}/*))", network=BITCOIN)
    assert descriptor.ranged
    assert len(set(descriptor.scripts(0, 3))) == 3


def test_sorting_makes_the_order_of_keys_not_matter() -> None:
    """BIP-67, BIP-383."""
    one = parse(f"wsh(sortedmulti(2,{VECTOR_1}/*,{VECTOR_2}/*))", network=BITCOIN).scripts(0, 20)
    other = parse(f"wsh(sortedmulti(2,{VECTOR_2}/*,{VECTOR_1}/*))", network=BITCOIN).scripts(0, 20)
    unsorted = parse(f"wsh(multi(2,{VECTOR_2}/*,{VECTOR_1}/*))", network=BITCOIN).scripts(0, 20)
    assert one == other
    assert one != unsorted


# Bare keys (SLIP-132).


@pytest.mark.parametrize("published", [BIP_84, BIP_86, SLIP_132], ids=lambda value: value.around)
def test_receiving_and_change_addresses_are_the_published_ones(published: Account) -> None:
    receiving, change = parse(published.descriptor, network=BITCOIN).branches
    found = [address_of(script, network=BITCOIN) for script in (*receiving.scripts(0, 2), *change.scripts(0, 1))]
    assert tuple(found[: len(published.addresses)]) == published.addresses


@pytest.mark.parametrize("published", [BIP_84, SLIP_132], ids=lambda value: value.around)
def test_a_bare_zpub_or_ypub_is_the_published_account(published: Account) -> None:
    assert canonical(published.key, network=BITCOIN) == canonical(published.descriptor, network=BITCOIN)


def test_the_address_of_bip_49_on_the_test_network() -> None:
    script = parse(BIP_49_TEST_NETWORK.key, network=TESTNET).scripts(0, 1)[0]
    assert address_of(script, network=TESTNET) == BIP_49_TEST_NETWORK.addresses[0]


@pytest.mark.parametrize(
    ("network", "prefix", "around"),
    [
        (BITCOIN, "xpub", "pkh({})"),
        (BITCOIN, "ypub", "sh(wpkh({}))"),
        (BITCOIN, "zpub", "wpkh({})"),
        (TESTNET, "tpub", "pkh({})"),
        (TESTNET, "upub", "sh(wpkh({}))"),
        (TESTNET, "vpub", "wpkh({})"),
        (LITECOIN, "Ltub", "pkh({})"),
        (LITECOIN, "Mtub", "sh(wpkh({}))"),
        (DOGECOIN, "dgub", "pkh({})"),
        (CASH, "xpub", "pkh({})"),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_bare_key_is_short_for_the_branches_of_its_kind(network: Network, prefix: str, around: str) -> None:
    versions = {BIP_84.extended.text(version)[:4]: version for version in network.extended}
    bare = BIP_84.extended.text(versions[prefix])
    plain = BIP_84.extended.text(next(iter(network.extended)))
    form = around.format(f"{plain}/<0;1>/*")
    assert canonical(bare, network=network) == f"{form}#{checksum(form)}"


def test_a_bare_key_may_tell_its_origin() -> None:
    form = f"wpkh([73c5da0a/84h/0h/0h]{BIP_84.plain}/<0;1>/*)"
    assert canonical(f"[73c5da0a/84'/0'/0']{BIP_84.key}", network=BITCOIN) == f"{form}#{checksum(form)}"


@pytest.mark.parametrize(("network", "first"), [(LITECOIN, "L"), (DOGECOIN, "D"), (CASH, "bitcoincash:q")])
def test_addresses_follow_the_network(network: Network, first: str) -> None:
    script = parse(BIP_84.plain, network=network).scripts(0, 1)[0]
    address = address_of(script, network=network)
    assert address is not None
    assert address.startswith(first)
    assert script_of(address, network=network) == script


@settings(deadline=None)
@given(st.text(alphabet=CHARACTERS + "é\n", max_size=200))
def test_any_text_is_a_descriptor_or_refused_in_one_line(text: str) -> None:
    try:
        parse(text, network=BITCOIN)
    except BadAddress as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 250


GRAMMAR = ("wpkh(", "sh(", "wsh(", "tr(", "multi(", "sortedmulti(", "pkh(", "2,", ",", ")", KEY, UNCOMPRESSED, VECTOR_1)
PARTS = (*GRAMMAR, KEY_ORIGIN, "/0", "/*", "/<0;1>", "h", "#")


@settings(deadline=None, max_examples=500)
@given(st.lists(st.sampled_from(PARTS), max_size=12))
def test_any_sequence_of_parts_is_a_descriptor_or_refused(parts: list[str]) -> None:
    try:
        descriptor = parse("".join(parts), network=BITCOIN)
    except BadAddress:
        return
    assert parse(descriptor.canonical, network=BITCOIN) == descriptor
    assert len(descriptor.scripts(0, 1)) == len(descriptor.branches)
