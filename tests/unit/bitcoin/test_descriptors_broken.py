"""What is no descriptor is refused with the place and what was expected; keys are never repeated."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.bitcoin import base58
from connectors.bitcoin.descriptors import parse
from connectors.bitcoin.networks import NETWORKS, Network
from connectors.errors import BadAddress
from tests.unit.bitcoin.published import (
    BIP_49_TEST_NETWORK,
    BIP_84,
    KEY,
    SIXTEEN,
    SLIP_132,
    UNCOMPRESSED,
    VECTOR_1,
    VECTOR_2,
)
from tests.unit.key_material import extended as extended_private
from tests.unit.key_material import keys, pieces, wallet_import

BITCOIN, LITECOIN, DOGECOIN, CASH = (NETWORKS[name] for name in ("bitcoin", "litecoin", "dogecoin", "bitcoin-cash"))
NO_DESCRIPTOR = "expected a descriptor, such as wpkh(xpub…/<0;1>/*), or an extended public key alone"
CHECKSUM = "the checksum after # does not fit: a character of the descriptor or of its checksum is wrong"
CHECKSUM_FORM = "expected a checksum of 8 small letters and digits after #"
STEP = "the key has a step in its path that is no number from 0 to 2147483647"
HARDENED = "the key has a hardened step behind it, which needs the private key; give the public key below that step"
MULTIPATH = "the key has a multipath step that is not of two or more different numbers, such as <0;1>"
ORIGIN = "the key has no origin of eight hex digits and a path in front, such as [d34db33f/84h/0h/0h]"
OFF_THE_CURVE = "02" + "ff" * 32
ZPUB = BIP_84.key


def again(text: str, *, depth: int | None = None, parent: bytes | None = None, version: str = "0488b21e") -> str:
    """The extended key with other values in it and a good checksum."""
    raw = bytearray(base58.decode(text))
    raw[:4] = bytes.fromhex(version)
    if depth is not None:
        raw[4] = depth
    if parent is not None:
        raw[5:9] = parent
    return base58.encode(bytes(raw))


BROKEN = {
    # As a whole.
    "nothing": (BITCOIN, "", "is missing"),
    "a word": (BITCOIN, "cold", NO_DESCRIPTOR),
    "an address": (BITCOIN, BIP_84.addresses[0], NO_DESCRIPTOR),
    "far too long": (BITCOIN, "wpkh(" * 2000, "is longer than 8000 characters"),
    "a letter of another alphabet": (BITCOIN, f"wpkh({KEY}é)", "holds a character at place 72 that no descriptor has"),
    "a character left": (BITCOIN, f"wpkh({KEY}))", "at place 73: expected the end of the descriptor"),
    "no end": (BITCOIN, f"wpkh({KEY}", "at place 72: expected )"),
    # BIP-380: checksums.
    "an empty checksum": (BITCOIN, f"wpkh({KEY})#", CHECKSUM_FORM),
    "a checksum of 7": (BITCOIN, f"wpkh({KEY})#89f8spx", CHECKSUM_FORM),
    "a checksum of 9": (BITCOIN, f"wpkh({KEY})#89f8spxmx", CHECKSUM_FORM),
    "two marks": (BITCOIN, f"wpkh({KEY})##9f8spxm", CHECKSUM_FORM),
    "another's checksum": (BITCOIN, f"wpkh({KEY})#89f8spxm", CHECKSUM),
    "a checksum behind a bare key": (BITCOIN, f"{ZPUB}#89f8spxm", CHECKSUM),
    # Functions.
    "a misspelt function": (BITCOIN, f"wpk({KEY})", "at place 1: no function is called wpk; did you mean wpkh?"),
    "a capital": (BITCOIN, f"WPKH({KEY})", "at place 1: no function is called WPKH"),
    "a misspelt inner one": (
        BITCOIN,
        f"wsh(sortedmult(1,{KEY}))",
        "at place 5: no function is called sortedmult; did you mean sortedmulti?",
    ),
    "no function": (BITCOIN, f"({KEY})", "at place 1: expected a function such as wpkh(…)"),
    "a space": (BITCOIN, f"sh( pkh({KEY}))", "at place 4: expected a function such as pkh(…)"),
    "combo": (
        BITCOIN,
        f"combo({KEY})",
        "at place 1: combo() stands for up to four scripts a key; write those in use as descriptors of their own",
    ),
    "raw": (
        BITCOIN,
        "raw(deadbeef)#89f8spxm",
        "at place 1: raw() says nothing about its keys; write the descriptor of its script",
    ),
    "addr": (
        BITCOIN,
        f"addr({BIP_84.addresses[0]})",
        "at place 1: addr() is one address; write it under addresses",
    ),
    "rawtr": (
        BITCOIN,
        f"rawtr({KEY})",
        "at place 1: rawtr() says nothing about its keys; write its address under addresses",
    ),
    "musig": (
        BITCOIN,
        f"musig({KEY},{KEY})",
        "at place 1: musig() is not read; write the aggregate key, or the address under addresses",
    ),
    "a script tree": (
        BITCOIN,
        f"tr({KEY},pk({KEY}))",
        "at place 70: a script tree in tr() is not read; write its addresses under addresses",
    ),
    "miniscript": (
        BITCOIN,
        f"wsh(and_v(v:pk({KEY}),older(100)))",
        "at place 5: and_v() is miniscript, which is not read; write its addresses under addresses",
    ),
    # BIP-381, BIP-382, BIP-386: what stands in what.
    "a key in sh": (BITCOIN, f"sh({KEY})", "at place 4: expected a function such as pkh(…)"),
    "a key in wsh": (BITCOIN, f"wsh({KEY})", "at place 5: expected a function such as pkh(…)"),
    "pk in pkh": (BITCOIN, f"pkh(pk({KEY}))", "at place 5: pkh() takes a key, not another function"),
    "wsh in wpkh": (BITCOIN, f"wpkh(wsh(pkh({KEY})))", "at place 6: wpkh() takes a key, not another function"),
    "sh in sh": (BITCOIN, f"sh(sh(pkh({KEY})))", "at place 4: sh() can't stand in sh()"),
    "wpkh in wsh": (BITCOIN, f"wsh(wpkh({KEY}))", "at place 5: wpkh() can't stand in wsh()"),
    "wsh in wsh": (BITCOIN, f"sh(wsh(wsh(pkh({KEY}))))", "at place 8: wsh() can't stand in wsh()"),
    "tr in sh": (BITCOIN, f"sh(tr({KEY}))", "at place 4: tr() can't stand in sh()"),
    "uncompressed in wpkh": (
        BITCOIN,
        f"wpkh({UNCOMPRESSED})",
        "at place 6: the key is not compressed, as keys in segwit have to be",
    ),
    "uncompressed in wsh": (
        BITCOIN,
        f"sh(wsh(pk({UNCOMPRESSED})))",
        "at place 11: the key is not compressed, as keys in segwit have to be",
    ),
    "uncompressed in tr": (
        BITCOIN,
        f"tr({UNCOMPRESSED})",
        "at place 4: the key is not compressed, as keys in segwit have to be",
    ),
    "segwit on Dogecoin": (
        DOGECOIN,
        f"wpkh({KEY})",
        "at place 1: wpkh() needs segwit, which dogecoin does not have",
    ),
    "taproot on Bitcoin Cash": (
        CASH,
        f"tr({KEY})",
        "at place 1: tr() needs segwit, which bitcoin-cash does not have",
    ),
    # BIP-383.
    "no number of signatures": (
        BITCOIN,
        f"multi(a,{KEY})",
        "at place 7: expected the number of signatures that multi() takes, and a comma",
    ),
    "no signatures": (BITCOIN, f"multi(0,{KEY})", "at place 7: expected 1 to 1 signatures for 1 keys, found 0"),
    "more signatures than keys": (
        BITCOIN,
        f"wsh(multi(3,{KEY},{VECTOR_1}))",
        "at place 11: expected 1 to 2 signatures for 2 keys, found 3",
    ),
    "a multisig without keys": (
        BITCOIN,
        "multi(1)",
        "at place 7: expected the number of signatures that multi() takes, and a comma",
    ),
    "16 keys in sh": (
        BITCOIN,
        f"sh(multi(16,{','.join(SIXTEEN)}))",
        "at place 10: multi() in sh() can't have 16 such keys",
    ),
    "8 uncompressed keys in sh": (
        BITCOIN,
        f"sh(multi(1,{','.join([UNCOMPRESSED] * 8)}))",
        "at place 10: multi() in sh() can't have 8 such keys",
    ),
    "21 keys in wsh": (
        BITCOIN,
        f"wsh(sortedmulti(1,{','.join([KEY] * 21)}))",
        "at place 17: sortedmulti() in wsh() can't have 21 such keys",
    ),
    "4 keys alone": (
        BITCOIN,
        f"multi(1,{','.join([KEY] * 4)})",
        "at place 7: multi() by itself can't have 4 such keys",
    ),
    # Keys.
    "no key": (BITCOIN, "wpkh()", "at place 6: the key is missing"),
    "a key cut off": (
        BITCOIN,
        f"wpkh({KEY[:-2]})",
        "at place 6: the key has 64 hex digits, as a private key has, which must never be given to pyrometer; "
        "not repeated here",
    ),
    "a key of 40 digits": (
        BITCOIN,
        f"wpkh({KEY[:40]})",
        "at place 6: the key has 40 hex digits; a compressed public key has 66",
    ),
    "a key off the curve": (BITCOIN, f"wpkh({OFF_THE_CURVE})", "at place 6: the key is no point on the curve"),
    "a hybrid key": (BITCOIN, f"pkh(06{UNCOMPRESSED[2:]})", "at place 5: the key is no point on the curve"),
    "an x off the curve": (
        BITCOIN,
        f"tr({'ff' * 32})",
        "at place 4: the key is no x coordinate of a point on the curve",
    ),
    "a path behind a plain key": (
        BITCOIN,
        f"wpkh({KEY}/0)",
        "at place 6: the key is no extended one, so that no path can follow it",
    ),
    "a wrong character in an xpub": (
        BITCOIN,
        f"wpkh({VECTOR_1[:-1]}9/0/*)",
        "at place 6: the key can't be read: the checksum does not fit: a character is wrong, missing or too many",
    ),
    "an address for a key": (
        BITCOIN,
        "wpkh(1Kr6QSydW9bFQG1mXiPNNu6WpJGmUa9i1g)",
        "at place 6: the key holds 21 bytes; an extended public key has 78",
    ),
    "of the test network": (
        BITCOIN,
        f"sh(wpkh({BIP_49_TEST_NETWORK.key}/0/*))",
        "at place 9: the key is one of testnet, testnet4, signet, regtest or litecoin-testnet; expected one of bitcoin",
    ),
    "of Litecoin": (
        BITCOIN,
        f"pkh({again(VECTOR_1, version='019da462')}/0/*)",
        "at place 5: the key is one of litecoin; expected one of bitcoin",
    ),
    "of nobody": (
        BITCOIN,
        f"pkh({again(VECTOR_1, version='01020304')}/0/*)",
        "at place 5: the key has a version that no network has; expected one of bitcoin",
    ),
    "a zpub in pkh": (
        BITCOIN,
        f"pkh({ZPUB}/0/*)",
        "at place 5: the key is a zpub, for wpkh; in pkh write it as xpub",
    ),
    "a zpub in sh(wpkh)": (
        BITCOIN,
        f"sh(wpkh({ZPUB}/0/*))",
        "at place 9: the key is a zpub, for wpkh; in sh(wpkh) write it as xpub",
    ),
    "a zpub in a multisig": (
        BITCOIN,
        f"wsh(sortedmulti(1,{ZPUB}/0/*))",
        "at place 19: the key is a zpub, for wpkh; in wsh write it as xpub",
    ),
    "a ypub in tr": (
        BITCOIN,
        f"tr({SLIP_132.key}/0/*)",
        "at place 4: the key is a ypub, for sh(wpkh); in tr write it as xpub",
    ),
    # BIP-32, test vector 5.
    "a root that has a parent": (
        BITCOIN,
        f"pkh({again(VECTOR_1, parent=bytes(3) + bytes([1]))}/*)",
        "at place 5: the key is at depth 0 and yet names a parent or an index",
    ),
    "a point off the curve": (
        BITCOIN,
        f"pkh({base58.encode(bytes.fromhex('0488b21e') + bytes(41) + bytes.fromhex(OFF_THE_CURVE))}/*)",
        "at place 5: the key holds no public key on the curve",
    ),
    "deeper than there is": (
        BITCOIN,
        f"pkh({again(VECTOR_2, depth=254)}/0/*)",
        "at place 5: the key has a path that leads deeper than 255 levels",
    ),
    # Origins.
    "a star in the origin": (BITCOIN, f"wpkh([deadbeef/0h/*]{KEY})", f"at place 6: {ORIGIN}"),
    "a trailing slash in the origin": (BITCOIN, f"wpkh([deadbeef/0h/]{KEY})", f"at place 6: {ORIGIN}"),
    "a fingerprint of 7": (BITCOIN, f"wpkh([deadbef/0h]{KEY})", f"at place 6: {ORIGIN}"),
    "a fingerprint of 9": (BITCOIN, f"wpkh([deadbeeef/0h]{KEY})", f"at place 6: {ORIGIN}"),
    "another marker": (BITCOIN, f"wpkh([deadbeef/0f]{KEY})", f"at place 6: {ORIGIN}"),
    "a capital marker": (BITCOIN, f"wpkh([deadbeef/0H]{KEY})", f"at place 6: {ORIGIN}"),
    "no hex fingerprint": (BITCOIN, f"wpkh([gaaaaaaa]{KEY})", f"at place 6: {ORIGIN}"),
    "a multipath origin": (BITCOIN, f"wpkh([deadbeef/<0;1>]{KEY})", f"at place 6: {ORIGIN}"),
    "an origin beyond the last index": (
        BITCOIN,
        f"wpkh([deadbeef/2147483648]{KEY})",
        "at place 6: the key has an origin with a step beyond 2147483647",
    ),
    "an origin alone": (BITCOIN, "wpkh([deadbeef])", "at place 6: the key is missing"),
    "two origins": (
        BITCOIN,
        f"wpkh([aaaaaaaa][aaaaaaaa]{VECTOR_1})",
        "at place 6: the key can't be read: expected base58, found '[' at place 1",
    ),
    "half an origin": (
        BITCOIN,
        f"wpkh(aaaaaaaa]{VECTOR_1})",
        "at place 6: the key can't be read: expected base58, found ']' at place 9",
    ),
    # Paths.
    "a hardened step": (BITCOIN, f"wpkh({VECTOR_1}/3h/*)", f"at place 6: {HARDENED}"),
    "hardened children": (BITCOIN, f"wpkh({VECTOR_1}/3/*')", f"at place 6: {HARDENED}"),
    "a hardened branch": (BITCOIN, f"wpkh({VECTOR_1}/<0h;1>/*)", f"at place 6: {HARDENED}"),
    "an index out of range": (BITCOIN, f"wpkh({VECTOR_1}/2147483648)", f"at place 6: {STEP}"),
    "a word for an index": (BITCOIN, f"wpkh({VECTOR_1}/1aa)", f"at place 6: {STEP}"),
    "a negative index": (BITCOIN, f"wpkh({VECTOR_1}/-1)", f"at place 6: {STEP}"),
    "an empty step": (BITCOIN, f"wpkh({VECTOR_1}//*)", f"at place 6: {STEP}"),
    "a star in the middle": (BITCOIN, f"wpkh({VECTOR_1}/*/0)", f"at place 6: {STEP}"),
    # BIP-389.
    "two multipath steps": (
        BITCOIN,
        f"pkh({VECTOR_2}/<0;1>/<2;3>)",
        "at place 5: the key has two multipath steps; BIP-389 allows one",
    ),
    "an empty multipath": (BITCOIN, f"wpkh({VECTOR_2}/<>/*)", f"at place 6: {STEP}"),
    "no multipath start": (BITCOIN, f"wpkh({VECTOR_2}/0>/*)", f"at place 6: {STEP}"),
    "no multipath end": (BITCOIN, f"wpkh({VECTOR_2}/<0/*)", f"at place 6: {STEP}"),
    "no index in the multipath": (BITCOIN, f"wpkh({VECTOR_2}/<0;>/*)", f"at place 6: {STEP}"),
    "one value": (BITCOIN, f"wpkh({VECTOR_2}/<0>/*)", f"at place 6: {MULTIPATH}"),
    "a value twice": (BITCOIN, f"wpkh({VECTOR_2}/<0;1;0>/*)", f"at place 6: {MULTIPATH}"),
    "multipaths of different lengths": (
        BITCOIN,
        f"sh(multi(2,{VECTOR_1}/<1;2;3>/0/*,{VECTOR_2}/0/*,{VECTOR_2}/<3;4>/*))",
        "the multipath steps of its keys have different numbers of values (BIP-389)",
    ),
    # Bare keys.
    "a bare key with a path": (
        BITCOIN,
        f"{ZPUB}/0/*",
        "a bare key has no path; expected a descriptor such as wpkh(zpub…/0/*)",
    ),
    "a bare key of a multisig": (
        BITCOIN,
        again(ZPUB, version="02aa7ed3"),
        "is one key of a multisig; expected a descriptor with all of its keys",
    ),
    "a bare key of a nested multisig": (
        LITECOIN,
        again(ZPUB, version="0295b43f"),
        "is one key of a multisig; expected a descriptor with all of its keys",
    ),
    "a bare key of another network": (
        DOGECOIN,
        ZPUB,
        "is one of bitcoin or litecoin; expected one of dogecoin",
    ),
}


@pytest.mark.parametrize("sort", BROKEN)
def test_what_is_wrong_is_said_in_one_line(sort: str) -> None:
    network, text, message = BROKEN[sort]
    with pytest.raises(BadAddress) as caught:
        parse(text, network=network)
    assert str(caught.value) == message


AROUND = (
    *("{}", "wpkh({})", "sh(wpkh({}/0/*))", f"wsh(sortedmulti(1,{KEY},{{}}))", "pkh({}/0h)"),
    *("tr({})", "tr([deadbeef/0h]{}/<0;1>/*)"),
)
PRIVATE = st.one_of(
    st.builds(wallet_import, keys, version=st.sampled_from((0x80, 0xEF, 0xB0, 0x9E)), compressed=st.booleans()),
    st.builds(extended_private, keys, version=st.sampled_from(("0488ade4", "049d7878", "04b2430c", "02fac398"))),
    keys.map(bytes.hex),
)


@settings(deadline=None)
@given(st.sampled_from([BITCOIN, LITECOIN]), st.sampled_from(AROUND), PRIVATE)
def test_a_private_key_anywhere_is_refused_and_never_repeated(network: Network, around: str, secret: str) -> None:
    """But for 64 hex digits in tr(), which are a public key there."""
    try:
        parse(around.format(secret), network=network)
    except BadAddress as error:
        assert "private key" in str(error) or "tr(" in around
        assert not [piece for piece in pieces(secret) if piece in str(error)]
        assert error.__cause__ is None
    else:
        assert around.startswith("tr(")


@settings(deadline=None)
@given(keys, st.binary(min_size=4, max_size=4))
def test_an_extended_private_key_of_any_version_is_known_by_its_content(key: bytes, version: bytes) -> None:
    secret = extended_private(key, version=version.hex())
    with pytest.raises(BadAddress, match=r"(is|looks like) an extended private key, "):
        parse(f"wpkh({secret}/0/*)", network=BITCOIN)
