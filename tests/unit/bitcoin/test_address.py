"""Addresses: every type on every network means its script and comes back from it in one form."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.bitcoin import base58, bech32
from connectors.bitcoin.address import address_of, canonical, canonical_on, script_of
from connectors.bitcoin.networks import NETWORKS, Network
from connectors.bitcoin.reference import bitcoinlib
from connectors.bitcoin.scripts import hash160, p2pk, p2pkh, p2sh, ripemd160_from, witness
from connectors.errors import BadAddress

BITCOIN, LITECOIN, DOGECOIN, CASH = (NETWORKS[name] for name in ("bitcoin", "litecoin", "dogecoin", "bitcoin-cash"))

BITFINEX = [
    (BITCOIN, "1Kr6QSydW9bFQG1mXiPNNu6WpJGmUa9i1g"),
    (BITCOIN, "3JZq4atUahhuA9rLhXLMhhTo133J9rF97j"),
    (BITCOIN, "bc1qgdjqv0av3q56jvd82tkdjpy7gdp9ut8tlqmgrpmv24sq90ecnvqqjwvw97"),
    (LITECOIN, "LXTQdps2Pf83WdAXMinboiqLsEjSWrwJCD"),
    (LITECOIN, "LNSFU7hmF6GP2AFdcrCgd4QvFimvspviSs"),
    (DOGECOIN, "DQQckuSMsiFjaAdGiNjvDyswcz9RWQU2xe"),
]
"""The wallets that the exchange publishes with their tiers."""

# BIP-350, "Test vectors for v0-v16 native segregated witness addresses".
SEGWIT = [
    ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", "0014751e76e8199196d454941c45d1b3a323f1433bd6"),
    (
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
    ),
    (
        "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
        "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
        "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    ),
]
FUTURE = [
    (
        "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
        "5128751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
    ),
    ("BC1SW50QGDZ25J", "6002751e"),
    ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", "5210751e76e8199196d454941c45d1b3a323"),
]

# The CashAddr specification, "Examples of address translation".
CASH_ADDRESSES = [
    ("1BpEi6DfDAUFd7GtittLSdBeYJvcoaVggu", "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"),
    ("1KXrWXciRDZUpQwQmuM1DbwsKDLYAYsVLR", "bitcoincash:qr95sy3j9xwd2ap32xkykttr4cvcu7as4y0qverfuy"),
    ("16w1D5WRVKJuZUsSRzdLp9w3YGcgoxDXb", "bitcoincash:qqq3728yw0y47sqn6l2na30mcw6zm78dzqre909m2r"),
    ("3CWFddi6m4ndiGyKqzYvsFYagqDLPVMTzC", "bitcoincash:ppm2qsznhks23z7629mms6s4cwef74vcwvn0h829pq"),
    ("3LDsS579y7sruadqu11beEJoTjdFiFCdX4", "bitcoincash:pr95sy3j9xwd2ap32xkykttr4cvcu7as4yc93ky28e"),
    ("31nwvkZwyPdgzjBJZXfDmSWsC4ZLKpYyUw", "bitcoincash:pqq3728yw0y47sqn6l2na30mcw6zm78dzq5ucqzc37"),
]
HASH = bytes.fromhex("F5BF48B397DAE70BE82B3CCA4793F8EB2B6CDAC9")
LONG_HASH = bytes.fromhex("3173EF6623C6B48FFD1A3DCC0CC6489B0A07BB47A37F47CFEF4FE69DE825C060")


def network_of(address: str) -> Network:
    return NETWORKS["testnet"] if address.startswith("tb1") else BITCOIN


@pytest.mark.parametrize(("network", "address"), BITFINEX, ids=lambda value: getattr(value, "name", value))
def test_published_exchange_addresses_are_their_own_canonical_form(network: Network, address: str) -> None:
    assert canonical(address, network=network) == address
    assert address_of(script_of(address, network=network), network=network) == address


@pytest.mark.parametrize(("address", "script"), SEGWIT)
def test_segwit_addresses_mean_the_scripts_of_bip_350(address: str, script: str) -> None:
    network = network_of(address)
    assert script_of(address, network=network).hex() == script
    assert canonical(address, network=network) == address.lower()
    assert address_of(bytes.fromhex(script), network=network) == address.lower()


@pytest.mark.parametrize(("address", "script"), FUTURE)
def test_a_witness_program_without_rules_is_named_but_not_watched(address: str, script: str) -> None:
    assert address_of(bytes.fromhex(script), network=BITCOIN) == address.lower()
    assert script_of(address, network=BITCOIN).hex() == script
    with pytest.raises(BadAddress, match=r"^is of witness version \d+ with \d+ bytes, which has no rules yet"):
        canonical(address, network=BITCOIN)


@pytest.mark.parametrize(("legacy", "cash"), CASH_ADDRESSES)
def test_both_forms_of_bitcoin_cash_are_one_address(legacy: str, cash: str) -> None:
    for written in (legacy, cash, cash.upper(), cash.removeprefix("bitcoincash:")):
        assert canonical(written, network=CASH) == cash
    assert script_of(cash, network=CASH) == script_of(legacy, network=BITCOIN)
    assert address_of(script_of(cash, network=CASH), network=CASH) == cash


def test_cashaddr_vectors_of_the_specification() -> None:
    assert bech32.encode_cash(0, HASH, prefix="bitcoincash") == "bitcoincash:qr6m7j9njldwwzlg9v7v53unlr4jkmx6eylep8ekg2"
    assert bech32.encode_cash(8, HASH, prefix="bchtest") == "bchtest:pr6m7j9njldwwzlg9v7v53unlr4jkmx6eyvwc0uz5t"
    long = "bitcoincash:qvch8mmxy0rtfrlarg7ucrxxfzds5pamg73h7370aa87d80gyhqxq5nlegake"
    assert bech32.decode_cash(long, prefix="bitcoincash") == (3, LONG_HASH)


def test_a_long_script_hash_of_bitcoin_cash_has_an_address() -> None:
    """P2SH with the double SHA-256 (CHIP-2022-05, since May 2023)."""
    address = address_of(p2sh(LONG_HASH), network=CASH)
    assert address is not None
    assert canonical(address, network=CASH) == address
    assert script_of(address, network=CASH) == b"\xaa\x20" + LONG_HASH + b"\x87"
    assert address_of(p2sh(LONG_HASH), network=BITCOIN) is None


def test_a_token_aware_cashaddr_is_the_plain_address() -> None:
    aware = bech32.encode_cash(16, HASH, prefix="bitcoincash")
    assert canonical(aware, network=CASH) == bech32.encode_cash(0, HASH, prefix="bitcoincash")


def test_the_old_script_address_of_litecoin_is_written_in_the_new_form() -> None:
    old = "3JZq4atUahhuA9rLhXLMhhTo133J9rF97j"
    new = canonical(old, network=LITECOIN)
    assert new.startswith("M")
    assert canonical(new, network=LITECOIN) == new
    assert script_of(new, network=LITECOIN) == script_of(old, network=BITCOIN)


def test_a_configuration_of_a_chain_decides_the_network() -> None:
    class Configured:
        network = "mainnet"

    assert canonical_on(Configured())(BITFINEX[0][1]) == BITFINEX[0][1]


# Whatever the hash.

unhurried = settings(deadline=None)

hashes = st.binary(min_size=20, max_size=20)
long_hashes = st.binary(min_size=32, max_size=32)
scripts = st.one_of(hashes.map(p2pkh), hashes.map(p2sh))
segwit_scripts = st.one_of(
    hashes.map(partial(witness, 0)), long_hashes.map(partial(witness, 0)), long_hashes.map(partial(witness, 1))
)


@unhurried
@given(st.sampled_from(list(NETWORKS.values())), scripts | segwit_scripts)
def test_an_address_of_a_script_means_that_script(network: Network, script: bytes) -> None:
    address = address_of(script, network=network)
    if address is None:
        assert not network.segwit
        assert script[0] in (0, 0x51)
    else:
        assert script_of(address, network=network) == script
        assert canonical(address, network=network) == address


@unhurried
@given(st.sampled_from([NETWORKS[name] for name in ("bitcoin", "testnet", "litecoin")]), scripts | segwit_scripts)
def test_scripts_and_addresses_are_bitcoinlibs(network: Network, script: bytes) -> None:
    address = address_of(script, network=network)
    parsed = bitcoinlib("keys").Address.parse(address, network=network.name)
    kinds = {0: "p2wpkh" if len(script) == 22 else "p2wsh", 0x51: "p2tr", 0x76: "p2pkh", 0xA9: "p2sh"}
    assert parsed.hash_bytes == script[{0: 2, 0x51: 2, 0x76: 3, 0xA9: 2}[script[0]] :][: len(parsed.hash_bytes)]
    assert parsed.script_type == kinds[script[0]]


@unhurried
@given(st.binary(max_size=64))
def test_whatever_has_an_address_comes_back_from_it(script: bytes) -> None:
    address = address_of(script, network=BITCOIN)
    assert address is None or script_of(address, network=BITCOIN) == script


@pytest.mark.parametrize(
    "script",
    [b"", b"\x6a\x01x", p2pk(b"\x02" * 33), b"\x00\x15" + bytes(21), b"\x51\x01x", p2pkh(bytes(20)) + b"\x00"],
    ids=["nothing", "OP_RETURN", "bare key", "version 0 of 21 bytes", "a program of 1 byte", "a byte too many"],
)
def test_a_script_of_no_known_form_has_no_address(script: bytes) -> None:
    assert address_of(script, network=BITCOIN) is None


@unhurried
@given(st.binary(max_size=80))
def test_base58_holds_what_was_put_in(payload: bytes) -> None:
    if payload:
        assert base58.decode(base58.encode(payload)) == payload


@unhurried
@given(st.integers(0, 16), st.binary(min_size=2, max_size=40))
def test_bech32_holds_what_was_put_in(version: int, program: bytes) -> None:
    if version == 0:
        program = program.ljust(20, b"\0")[:20]
    assert bech32.decode(bech32.encode(version, program, hrp="bc"), hrp="bc") == (version, program)


@unhurried
@given(st.binary(max_size=80))
def test_ripemd160_is_the_same_where_openssl_lacks_it(data: bytes) -> None:
    assert ripemd160_from(())(data) == ripemd160_from(("ripemd160",))(data)


def test_hash160_of_a_key_of_bip_84() -> None:
    key = bytes.fromhex("0330d54fd0dd420a6e5f8d3624f5f3482cae350f79d5f0753bf5beef9c2d91af3c")
    assert address_of(witness(0, hash160(key)), network=BITCOIN) == "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"
