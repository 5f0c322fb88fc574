"""What is no address of the network is refused with a message of its own, and never repeated when it may be a key."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from connectors.bitcoin import base58, bech32
from connectors.bitcoin.address import canonical
from connectors.bitcoin.networks import NETWORKS, Network
from connectors.errors import BadAddress
from tests.unit.key_material import encrypted, extended, keys, pieces, wallet_import

BITCOIN, TESTNET, LITECOIN, DOGECOIN, CASH = (
    NETWORKS[name] for name in ("bitcoin", "testnet", "litecoin", "dogecoin", "bitcoin-cash")
)
LEGACY = "1Kr6QSydW9bFQG1mXiPNNu6WpJGmUa9i1g"
SCRIPT = "3JZq4atUahhuA9rLhXLMhhTo133J9rF97j"
KEY_HASH = "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"
LONG = "bc1qgdjqv0av3q56jvd82tkdjpy7gdp9ut8tlqmgrpmv24sq90ecnvqqjwvw97"
TAPROOT = "bc1p5cyxnuxmeuwuvkwfem96lqzszd02n6xdcjrs20cac6yqjjwudpxqkedrcr"
CASH_ADDRESS = "bitcoincash:qpm2qsznhks23z7629mms6s4cwef74vcwvy22gdx6a"
LITE, DOGE = "LXTQdps2Pf83WdAXMinboiqLsEjSWrwJCD", "DQQckuSMsiFjaAdGiNjvDyswcz9RWQU2xe"

CHECKSUM = "the checksum does not fit: a character is wrong, missing or too many"
ON_BITCOIN = "expected one of bitcoin (1…, 3… or bc1…)"
ON_LITECOIN = "expected one of litecoin (L…, M… or ltc1…)"
PRIVATE = "which must never be given to pyrometer; not repeated here"
NO_RULES = "which has no rules yet: anyone could spend from it, so it can't be watched"
PADDING = "does not end on a whole byte: bits are left over that should be none or zero"


def checksummed(data: str, *, constant: int, hrp: str = "bc") -> str:
    """A bech32 text of any content, well or ill formed, whose checksum comes to `constant`."""
    values = bytes(bech32.CHARSET.index(character) for character in data)
    expanded = bytes([*(code >> 5 for code in hrp.encode()), 0, *(code & 31 for code in hrp.encode())])
    register = bech32.register_after([*expanded, *values, *bytes(6)], bech32.SEGWIT) ^ constant
    return f"{hrp}1{data}" + "".join(bech32.CHARSET[value] for value in bech32.split(register, count=6))


BROKEN = {
    # The text as a whole.
    "nothing": (BITCOIN, "", "expected an address of bitcoin (1…, 3… or bc1…), found nothing"),
    "spaces around": (BITCOIN, f" {LEGACY}", "holds white space; expected one address"),
    "two addresses": (BITCOIN, f"{LEGACY} {SCRIPT}", "holds white space; expected one address"),
    "far too long": (BITCOIN, LEGACY * 4, "is longer than 128 characters"),
    "a payment link": (BITCOIN, f"bitcoin:{LEGACY}", "has bitcoin: in front; leave it out"),
    "an Ethereum address": (BITCOIN, "0x" + "ab" * 20, f"begins with 0x as an Ethereum address does; {ON_BITCOIN}"),
    "an extended public key": (
        BITCOIN,
        "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs",
        "is an extended public key, not an address; give it as xpub of the wallet",
    ),
    "a descriptor": (
        BITCOIN,
        f"addr({LEGACY})",
        "is a descriptor, not an address; give it as descriptor of the wallet",
    ),
    "an MWEB address": (
        LITECOIN,
        "ltcmweb1qqvnf8h8l3zqkqlq7l9nd5znqctmqglpvhv5q6mzjkslmqqtfkxeyqsu9h",
        "is an MWEB address: what it holds is hidden in the extension block",
    ),
    # Base 58.
    "a wrong character": (BITCOIN, LEGACY[:-1] + "h", CHECKSUM),
    "a wrong character of a script's": (BITCOIN, SCRIPT[:5] + "b" + SCRIPT[6:], CHECKSUM),
    "two characters changed places": (BITCOIN, LEGACY[:4] + LEGACY[5] + LEGACY[4] + LEGACY[6:], CHECKSUM),
    "a character lost": (BITCOIN, LEGACY[:-1], CHECKSUM),
    "a character too many": (BITCOIN, LEGACY + "g", CHECKSUM),
    "small letters only": (BITCOIN, LEGACY.lower(), CHECKSUM),
    "an O": (BITCOIN, "1O" + LEGACY[2:], "expected base58, found 'O' at place 2; base58 has no 0, O, I and l"),
    "an l at the end": (
        BITCOIN,
        SCRIPT[:-1] + "l",
        f"expected base58, found 'l' at place {len(SCRIPT)}; base58 has no 0, O, I and l",
    ),
    "a dash": (BITCOIN, LEGACY[:9] + "-" + LEGACY[10:], "expected base58, found '-' at place 10"),
    "a letter of another alphabet": (BITCOIN, "1К" + LEGACY[2:], "expected base58, found '\\u041a' at place 2"),
    "cut off": (BITCOIN, "1Kr6Q", "is cut off: too short for a checksum"),
    "a hash too short": (BITCOIN, base58.encode(bytes(20)), "holds 20 bytes; an address has 21"),
    "a hash too long": (BITCOIN, base58.encode(bytes(33)), "holds 33 bytes; an address has 21"),
    "a version of nobody's": (
        BITCOIN,
        base58.encode(bytes((99,)) + bytes(20)),
        "has version byte 99, which is no network's here; expected bitcoin (1…, 3… or bc1…)",
    ),
    # Base 58 of another network.
    "of Litecoin": (BITCOIN, LITE, f"is an address of litecoin; {ON_BITCOIN}"),
    "of Dogecoin": (BITCOIN, DOGE, f"is an address of dogecoin; {ON_BITCOIN}"),
    "of the test networks": (
        BITCOIN,
        base58.encode(bytes((111,)) + bytes(20)),
        f"is an address of testnet, testnet4, signet, regtest or litecoin-testnet; {ON_BITCOIN}",
    ),
    "of Bitcoin on Litecoin": (LITECOIN, LEGACY, f"is an address of bitcoin or bitcoin-cash; {ON_LITECOIN}"),
    "of Bitcoin on Dogecoin": (
        DOGECOIN,
        SCRIPT,
        "is an address of bitcoin, litecoin or bitcoin-cash; expected one of dogecoin (D…, 9… or A…)",
    ),
    # Bech32.
    "one character wrong": (BITCOIN, KEY_HASH[:-1] + "q", CHECKSUM),
    "one character lost": (BITCOIN, LONG[:20] + LONG[21:], CHECKSUM),
    "one character doubled": (BITCOIN, LONG[:20] + LONG[19:], CHECKSUM),
    "taproot with one wrong": (BITCOIN, TAPROOT.replace("y", "z", 1), CHECKSUM),
    "mixed case": (
        BITCOIN,
        KEY_HASH[:10] + KEY_HASH[10:].upper(),
        "mixes small and capital letters; expected one case throughout",
    ),
    "a capital prefix": (
        BITCOIN,
        "BC1" + KEY_HASH[3:],
        "mixes small and capital letters; expected one case throughout",
    ),
    "a b": (BITCOIN, KEY_HASH[:9] + "b" + KEY_HASH[10:], "expected bech32, found 'b' at place 10"),
    "a 1 for an l": (BITCOIN, KEY_HASH[:15] + "1" + KEY_HASH[16:], "expected bech32, found '1' at place 16"),
    "an é": (BITCOIN, KEY_HASH[:9] + "é" + KEY_HASH[10:], "expected bech32, found '\\xe9' at place 10"),
    "nothing behind the prefix": (BITCOIN, "bc1", "is cut off: too short for a witness version and a checksum"),
    "a checksum alone": (BITCOIN, "bc1gmk9yu", "is cut off: too short for a witness version and a checksum"),
    "longer than bech32": (BITCOIN, "bc1" + "q" * 90, "is longer than the 90 characters that bech32 allows"),
    "bech32 for version 1": (
        BITCOIN,
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd",
        "its checksum is bech32, but witness version 1 takes bech32m (BIP-350)",
    ),
    "bech32 for version 16, capitals": (
        BITCOIN,
        "BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL",
        "its checksum is bech32, but witness version 16 takes bech32m (BIP-350)",
    ),
    "bech32m for version 0": (
        BITCOIN,
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh",
        "its checksum is bech32m, but witness version 0 takes bech32 (BIP-350)",
    ),
    "witness version 17": (
        BITCOIN,
        "BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R",
        "has witness version 17; there are 0 to 16",
    ),
    "a program of one byte": (BITCOIN, "bc1pw5dgrnzv", "holds 1 bytes; a witness program has 2 to 40"),
    "a program of 41 bytes": (
        BITCOIN,
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav",
        "holds 41 bytes; a witness program has 2 to 40",
    ),
    "version 0 of 16 bytes": (
        BITCOIN,
        "BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P",
        "holds 16 bytes; witness version 0 takes 20 or 32",
    ),
    "five bits left over": (
        BITCOIN,
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf",
        PADDING,
    ),
    "a bit left over that is set": (
        TESTNET,
        "tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j",
        PADDING,
    ),
    "a later version": (
        BITCOIN,
        "bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs",
        f"is of witness version 2 with 16 bytes, {NO_RULES}",
    ),
    "pay to anchor": (
        BITCOIN,
        "bc1pfeessrawgf",
        f"is of witness version 1 with 2 bytes, {NO_RULES}",
    ),
    # Bech32 of another network.
    "segwit of Litecoin": (
        BITCOIN,
        "ltc1qw508d6qejxtdg4y5r3zarvary0c5xw7kgmn4n9",
        f"is an address of litecoin; {ON_BITCOIN}",
    ),
    "segwit of the test networks": (
        BITCOIN,
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        f"is an address of testnet, testnet4 or signet; {ON_BITCOIN}",
    ),
    "segwit of regtest": (
        BITCOIN,
        "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
        f"is an address of regtest; {ON_BITCOIN}",
    ),
    "segwit of Bitcoin on Litecoin": (LITECOIN, KEY_HASH, f"is an address of bitcoin; {ON_LITECOIN}"),
    "segwit where there is none": (
        DOGECOIN,
        KEY_HASH,
        "is an address of bitcoin; expected one of dogecoin (D…, 9… or A…)",
    ),
    "an unknown prefix": (
        BITCOIN,
        "tc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq5zuyut",
        f"has a prefix that no network has; {ON_BITCOIN}",
    ),
    "a Lightning invoice": (BITCOIN, "lnbc1" + KEY_HASH[4:], f"has a prefix that no network has; {ON_BITCOIN}"),
    "segwit of Bitcoin on a test network": (
        TESTNET,
        TAPROOT,
        "is an address of bitcoin; expected one of testnet (m…, n…, 2… or tb1…)",
    ),
    # CashAddr.
    "of Bitcoin Cash": (BITCOIN, CASH_ADDRESS, f"is an address of bitcoin-cash; {ON_BITCOIN}"),
    "CashAddr with a wrong character": (CASH, CASH_ADDRESS[:-1] + "q", CHECKSUM),
    "CashAddr without prefix, with a wrong character": (CASH, CASH_ADDRESS[12:-1] + "q", CHECKSUM),
    "CashAddr of the test network": (
        CASH,
        "bchtest:pr6m7j9njldwwzlg9v7v53unlr4jkmx6eyvwc0uz5t",
        "has another prefix; expected bitcoincash:",
    ),
    "CashAddr of mixed case": (
        CASH,
        CASH_ADDRESS[:20] + CASH_ADDRESS[20:].upper(),
        "mixes small and capital letters; expected one case throughout",
    ),
    "CashAddr cut off": (CASH, CASH_ADDRESS[:18], "is cut off or too long for a CashAddr"),
    "CashAddr of an unknown type": (
        CASH,
        bech32.encode_cash(40, bytes(20), prefix="bitcoincash"),
        "is a CashAddr of type 5 with 20 bytes, which no script is known for",
    ),
    "CashAddr whose size is not its hash's": (
        CASH,
        bech32.encode_cash(0, bytes(32), prefix="bitcoincash"),
        "is a CashAddr of type 0 with 32 bytes, which no script is known for",
    ),
}


@pytest.mark.parametrize("sort", BROKEN)
def test_what_is_wrong_is_said_in_one_line(sort: str) -> None:
    network, text, message = BROKEN[sort]
    with pytest.raises(BadAddress) as caught:
        canonical(text, network=network)
    assert str(caught.value) == message


def test_there_are_at_least_forty_ways_to_be_wrong() -> None:
    assert len({text for _, text, _ in BROKEN.values()}) >= 40
    assert len({message for _, _, message in BROKEN.values()}) >= 40


# Any address with any character replaced.

ADDRESSES = [
    (BITCOIN, LEGACY),
    (BITCOIN, SCRIPT),
    (BITCOIN, KEY_HASH),
    (BITCOIN, LONG),
    (BITCOIN, TAPROOT),
    (LITECOIN, LITE),
    (DOGECOIN, DOGE),
    (CASH, CASH_ADDRESS),
]


@settings(deadline=None, max_examples=500)
@given(st.sampled_from(ADDRESSES), st.data())
def test_one_character_replaced_is_never_an_address(address: tuple[Network, str], data: st.DataObject) -> None:
    network, text = address
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(sorted(set(base58.ALPHABET + bech32.CHARSET) - {text[place]})))
    with pytest.raises(BadAddress):
        canonical(text[:place] + other + text[place + 1 :], network=network)


@settings(deadline=None)
@given(st.sampled_from(list(NETWORKS.values())), st.text(max_size=150))
@example(BITCOIN, "bc1İ")
@example(CASH, "::")
@example(CASH, "bitcoincash:")
@example(BITCOIN, "1")
def test_any_text_is_an_address_or_refused_in_one_line(network: Network, text: str) -> None:
    try:
        canonical(text, network=network)
    except BadAddress as error:
        assert "\n" not in str(error)
        assert len(str(error)) < 200


@settings(deadline=None)
@given(st.text(alphabet=bech32.CHARSET, min_size=1, max_size=80), st.sampled_from((bech32.BECH32, bech32.BECH32M)))
def test_a_good_checksum_alone_makes_no_address(data: str, constant: int) -> None:
    """What passes is of version 0 with 20 or 32 bytes, or taproot."""
    try:
        address = canonical(checksummed(data, constant=constant), network=BITCOIN)
    except BadAddress:
        return
    version, program = bech32.decode(address, hrp="bc")
    assert (version, len(program)) in ((0, 20), (0, 32), (1, 32))


# Keys.

forms = st.one_of(
    keys.map(bytes.hex),
    keys.map(lambda key: "0x" + key.hex()),
    keys.map(lambda key: key.hex() * 2),
    st.builds(wallet_import, keys, version=st.sampled_from((0x80, 0xEF, 0xB0, 0x9E)), compressed=st.booleans()),
    st.builds(extended, keys, version=st.sampled_from(("0488ade4", "049d7878", "04b2430c", "04358394", "02fac398"))),
    keys.map(encrypted),
)


@settings(deadline=None)
@given(st.sampled_from(list(NETWORKS.values())), forms)
def test_a_private_key_is_refused_by_its_sort_and_never_repeated(network: Network, secret: str) -> None:
    with pytest.raises(BadAddress) as caught:
        canonical(secret, network=network)
    assert str(caught.value).endswith(PRIVATE)
    assert not [piece for piece in pieces(secret) if piece in str(caught.value)]
    assert caught.value.__cause__ is None


@settings(deadline=None)
@given(forms, st.data())
def test_a_private_key_with_a_slip_is_not_repeated_either(secret: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(secret) - 1))
    wrong = secret[:place] + data.draw(st.sampled_from("0OIl-z")) + secret[place + 1 :]
    with pytest.raises(BadAddress) as caught:
        canonical(wrong, network=BITCOIN)
    assert not [piece for piece in pieces(secret) if piece in str(caught.value)]
