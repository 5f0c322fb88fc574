"""The table of networks: genesis hashes that follow from their headers, and agreement with bitcoinlib's table."""

from dataclasses import dataclass

import pytest

from connectors.bitcoin import base58
from connectors.bitcoin.networks import NETWORKS, named
from connectors.bitcoin.reference import bitcoinlib
from connectors.bitcoin.serial import double_sha256


@dataclass(frozen=True)
class Header:
    """What differs between genesis blocks, from each node's chainparams.cpp."""

    merkle_root: str
    time: int
    bits: int
    nonce: int

    @property
    def hash(self) -> str:
        parts = ((1, 4), (0, 32), (int(self.merkle_root, 16), 32), (self.time, 4), (self.bits, 4), (self.nonce, 4))
        return double_sha256(b"".join(value.to_bytes(size, "little") for value, size in parts))[::-1].hex()


SATOSHI = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
LITECOIN = "97ddfbbae6be97fd6cdf3e7ca13232a3afff2353e29badfab7f73011edd4ced9"
HEADERS = {
    "bitcoin": Header(SATOSHI, 1231006505, 0x1D00FFFF, 2083236893),
    "testnet": Header(SATOSHI, 1296688602, 0x1D00FFFF, 414098458),
    "testnet4": Header(
        "7aa0a7ae1e223414cb807e40cd57e667b718e42aaf9306db9102fe28912b7b4e", 1714777860, 0x1D00FFFF, 393743547
    ),
    "signet": Header(SATOSHI, 1598918400, 0x1E0377AE, 52613770),
    "regtest": Header(SATOSHI, 1296688602, 0x207FFFFF, 2),
    "litecoin": Header(LITECOIN, 1317972665, 0x1E0FFFF0, 2084524493),
    "litecoin-testnet": Header(LITECOIN, 1486949366, 0x1E0FFFF0, 293345),
    "dogecoin": Header(
        "5b2a3f53f605d62c53e62932dac6925e3d74afa5a4b459745c36d42d0ed26a69", 1386325540, 0x1E0FFFF0, 99943
    ),
    "bitcoin-cash": Header(SATOSHI, 1231006505, 0x1D00FFFF, 2083236893),
}


def test_every_network_has_a_header_to_check() -> None:
    assert HEADERS.keys() == NETWORKS.keys()


@pytest.mark.parametrize("name", NETWORKS)
def test_a_genesis_hash_is_the_hash_of_its_header(name: str) -> None:
    assert NETWORKS[name].genesis == HEADERS[name].hash


def test_no_two_networks_have_the_same_anchors() -> None:
    """And those that share a genesis part at one height, so that one question tells them apart."""
    anchors = [network.anchors for network in NETWORKS.values()]
    assert len({tuple(each.items()) for each in anchors}) == len(anchors)
    for each in anchors:
        twins = [other for other in anchors if other[0] == each[0]]
        assert len({tuple(twin) for twin in twins}) == 1


def test_the_fork_of_bitcoin_cash_is_the_first_block_with_another_hash() -> None:
    assert NETWORKS["bitcoin-cash"].fork == (
        478_559,
        "000000000000000000651ef99cb9fcbe0dadde1d424bd9f15ff20136191a5eec",
    )


# bitcoinlib.

SAME_AS = {
    **{name: name for name in ("bitcoin", "testnet", "testnet4", "signet", "litecoin", "dogecoin")},
    "litecoin-testnet": "litecoin_testnet",
}
"""Ours → bitcoinlib's. It has no Bitcoin Cash, and its regtest has the base58 and extended versions of the main network
(`chainparams.cpp` of Bitcoin Core: 111, 196, tpub)."""


@pytest.mark.parametrize("name", SAME_AS)
def test_address_versions_are_bitcoinlibs(name: str) -> None:
    ours, peer = NETWORKS[name], bitcoinlib("networks").NETWORK_DEFINITIONS[SAME_AS[name]]
    assert f"{ours.p2pkh:02X}" == peer["prefix_address"]
    assert f"{ours.p2sh[0]:02X}" == peer["prefix_address_p2sh"]


@pytest.mark.parametrize("name", set(SAME_AS) - {"dogecoin"})
def test_segwit_prefixes_are_bitcoinlibs(name: str) -> None:
    """But for Dogecoin, to which it gives one: Dogecoin Core has segwit disabled and no prefix."""
    assert NETWORKS[name].hrp == bitcoinlib("networks").NETWORK_DEFINITIONS[SAME_AS[name]]["prefix_bech32"]


def test_the_old_script_version_of_litecoin_is_bitcoinlibs_legacy_network() -> None:
    legacy = bitcoinlib("networks").NETWORK_DEFINITIONS["litecoin_legacy"]["prefix_address_p2sh"]
    assert int(legacy, 16) in NETWORKS["litecoin"].p2sh


def test_the_segwit_prefix_of_regtest_is_bitcoinlibs() -> None:
    assert NETWORKS["regtest"].hrp == bitcoinlib("networks").NETWORK_DEFINITIONS["regtest"]["prefix_bech32"]


@pytest.mark.parametrize("name", SAME_AS)
def test_extended_public_versions_of_bitcoinlib_are_known(name: str) -> None:
    peer = bitcoinlib("networks").NETWORK_DEFINITIONS[SAME_AS[name]]["prefixes_wif"]
    public = {bytes.fromhex(row[0]) for row in peer if row[2] == "public"}
    assert public <= NETWORKS[name].extended.keys()


SLIP_132 = {
    "bitcoin": ["xpub", "ypub", "zpub", "Ypub", "Zpub"],
    "testnet": ["tpub", "upub", "vpub", "Upub", "Vpub"],
    "litecoin": ["xpub", "ypub", "zpub", "Ypub", "Zpub", "Ltub", "Mtub"],
    "litecoin-testnet": ["tpub", "upub", "vpub", "Upub", "Vpub", "ttub"],
    "dogecoin": ["dgub", "xpub"],
    "bitcoin-cash": ["xpub"],
}
FORMS = dict(zip("xyzYZ", ("pkh", "sh(wpkh)", "wpkh", "sh(wsh)", "wsh"), strict=True))


@pytest.mark.parametrize("name", SLIP_132)
def test_versions_make_the_prefixes_that_people_know(name: str) -> None:
    written = [base58.encode(version + bytes(74))[:4] for version in NETWORKS[name].extended]
    assert written == SLIP_132[name]


def test_a_version_says_what_a_bare_key_stands_in() -> None:
    forms = {base58.encode(version + bytes(74))[0]: form for version, form in NETWORKS["bitcoin"].extended.items()}
    assert forms == FORMS


# By name.


def test_mainnet_is_bitcoins() -> None:
    assert named("mainnet") is named("bitcoin") is NETWORKS["bitcoin"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("litcoin", "did you mean litecoin?"),
        ("signett", "did you mean signet?"),
        ("bitcoin_cash", "did you mean bitcoin-cash?"),
        ("?", "expected one of mainnet, bitcoin, testnet, "),
    ],
)
def test_a_network_that_is_none_gets_the_nearest_name(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        named(name)


def test_blocks_are_of_the_form_that_segwit_allows() -> None:
    assert [name for name, network in NETWORKS.items() if network.block.witness != network.segwit] == []


def test_blocks_differ_by_network() -> None:
    assert [name for name, network in NETWORKS.items() if network.block.mweb] == ["litecoin", "litecoin-testnet"]
    assert [name for name, network in NETWORKS.items() if network.block.auxpow] == ["dogecoin"]
    assert [name for name, network in NETWORKS.items() if network.block.tokens] == ["bitcoin-cash"]
