"""From wallets and address files to what is watched: order, duplicates, and errors with file, line and column."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from eth_utils.address import is_checksum_address
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.base import Address, Token
from connectors.errors import BadAddress
from daemon import inventory
from daemon.document import TAKES_NONE
from daemon.errors import ConfigError
from daemon.model import Inventory, Owner, Tier
from daemon.settings import Settings, load

A, B, C = (
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
)
USDT = "0xdAC17F958D2ee523a2206206994597C13D831ec7"

HEAD = f"""\
entity: Example Exchange KK
currency: JPY
chains:
  ethereum: {{kind: evm, chain_id: 1, endpoints: ["http://h"]}}
  second: {{kind: evm, chain_id: 2, endpoints: ["http://h"], decimals: 8}}
assets:
  ETH: {{tokens: [{{chain: ethereum}}]}}
  TWO: {{tokens: [{{chain: second}}]}}
  USDT: {{tokens: [{{chain: ethereum, contract: "{USDT}", decimals: 6}}]}}
wallets:
"""


def canonical(text: str) -> Address:
    """EIP-55 as the connector does it: one case is taken as it is, mixed case must be the checksum."""
    digits = text.removeprefix("0x")
    if not text.startswith("0x") or len(digits) != 40 or not set(digits.lower()) <= set("0123456789abcdef"):
        raise BadAddress("expected 0x and 40 hexadecimal digits")
    if digits not in (digits.lower(), digits.upper()) and not is_checksum_address(text):
        raise BadAddress("the checksum is wrong")
    return Address(text.lower())


def descriptor(text: str) -> Address:
    """In place of a connector's: `pkh(...)`, whatever stands in it, with its checksum left out."""
    if not text.startswith("pkh("):
        raise BadAddress("expected a descriptor")
    return Address(text.partition("#")[0])


def read(settings: Settings, *, folder: Path, canonical: Callable[[str], Address] = canonical) -> Inventory:
    """The chain called `second` has descriptors, the other none."""
    return inventory.build(
        settings,
        base=folder,
        canonical=dict.fromkeys(settings.chains, canonical),
        descriptor={"ethereum": None, "second": descriptor},
        contract=dict.fromkeys(settings.chains, canonical),
    )


def build(folder: Path, wallets: str, **files: str | bytes) -> Inventory:
    """An inventory of these wallets; `files` become `<name>.txt` beside the configuration."""
    for name, content in files.items():
        (folder / f"{name}.txt").write_bytes(content if isinstance(content, bytes) else content.encode())
    (folder / "p.yaml").write_text(HEAD + wallets)
    settings = load(folder / "p.yaml", env={})
    return read(settings, folder=folder)


def complaint(folder: Path, wallets: str, **files: str | bytes) -> str:
    with pytest.raises(ConfigError) as caught:
        build(folder, wallets, **files)
    return str(caught.value).removeprefix(f"{folder}/")


FROM_FILE = "  a: {chain: ethereum, tier: hot, addresses_file: a.txt}\n"


def test_wallets_assets_and_watches_come_out_in_the_order_of_the_file(tmp_path: Path) -> None:
    made = build(
        tmp_path,
        f"  hot: {{chain: ethereum, tier: hot, addresses: ['{B}', '{A}']}}\n"
        f"  else: {{chain: second, tier: cold, owner: guarantee, custodian: Trust, addresses: ['{A}']}}\n"
        f"  warm: {{chain: ethereum, tier: warm, addresses: ['{C.lower()}']}}\n",
    )
    assert made.wallets["hot"].accounts == (B.lower(), A.lower())
    other = made.wallets["else"]
    assert (other.chain, other.tier, other.owner, other.custodian) == ("second", Tier.COLD, Owner.GUARANTEE, "Trust")
    assert made.assets == {
        "ETH": (Token("ethereum", None, 18),),
        "TWO": (Token("second", None, 8),),
        "USDT": (Token("ethereum", USDT.lower(), 6),),
    }
    assert made.watches["ethereum"].accounts == (B.lower(), A.lower(), C.lower())
    assert made.watches["ethereum"].tokens == (Token("ethereum", None, 18), Token("ethereum", USDT.lower(), 6))
    assert made.watches["second"].accounts == (A.lower(),)
    assert made.asset_of[Token("ethereum", USDT.lower(), 6)] == "USDT"


def test_the_same_address_on_two_chains_are_two_accounts(tmp_path: Path) -> None:
    made = build(
        tmp_path,
        f"  one: {{chain: ethereum, tier: hot, addresses: ['{A}']}}\n"
        f"  two: {{chain: second, tier: hot, addresses: ['{A}']}}\n",
    )
    address = Address(A.lower())
    assert made.wallet_of == {("ethereum", address): "one", ("second", address): "two"}


def test_a_chain_without_a_wallet_is_not_watched(tmp_path: Path) -> None:
    made = build(tmp_path, f"  one: {{chain: ethereum, tier: hot, addresses: ['{A}']}}\n")
    assert list(made.watches) == ["ethereum"]


@pytest.mark.parametrize(
    "content",
    [
        f"{A}\n{B}\n",
        f"{A}\r\n{B}",
        f"\ufeff{A}\n{B}\n",
        f"# deposits\n\n  {A}  # user 1\n\t{B}#user 2\n   \n# the end",
        f"{A.lower()}\n0x{B[2:].upper()}\n",
    ],
    ids=["plain", "CRLF, no last newline", "byte order mark", "comments and labels", "other cases"],
)
def test_an_address_file_has_one_address_a_line(tmp_path: Path, content: str) -> None:
    assert build(tmp_path, FROM_FILE, a=content).wallets["a"].accounts == (A.lower(), B.lower())


@given(st.lists(st.integers(0, 2**160 - 1), min_size=1, max_size=30, unique=True), st.data())
@settings(deadline=None)
def test_whatever_stands_around_the_addresses_all_of_them_are_found(numbers: list[int], data: st.DataObject) -> None:
    blanks = st.sampled_from(("", "\n", "# note\n", "   \r\n"))
    labels = st.sampled_from(("\n", "\r\n", "  \n", " # label\n", "\t#\n"))
    addresses = [f"0x{number:040x}" for number in numbers]
    content = "".join(data.draw(blanks) + address + data.draw(labels) for address in addresses)
    with tempfile.TemporaryDirectory() as folder:
        assert build(Path(folder), FROM_FILE, a=content).wallets["a"].accounts == tuple(addresses)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (f"{A}\n0x12\n", "a.txt:2:1: expected 0x and 40 hexadecimal digits"),
        (f"# x\n  {A[:-1]}E\n", "a.txt:2:3: the checksum is wrong"),
        (f"\ufeff{A}1", "a.txt:1:1: expected 0x and 40 hexadecimal digits"),
        (f"{A} {B}\n", "a.txt:1:44: expected one address a line, and a # before a label"),
        (f"{A},{B}\n", "a.txt:1:1: expected 0x and 40 hexadecimal digits"),
        (f"{A}\n\n{A.lower()}\n", f"a.txt:3: {A.lower()} already stands in wallet a (a.txt:1)"),
        ("", "p.yaml:11: wallets.a.addresses_file: the file holds no address"),
        ("# none\n\n", "p.yaml:11: wallets.a.addresses_file: the file holds no address"),
        (f"{A}\n".encode() + b"\xff\n", "a.txt:2: is not UTF-8"),
        (f"{A}\n#{'x' * 2000}\n", "a.txt:2: the line is longer than 1000 bytes"),
        (f"{A}\n{'12' * 32}\n", f"a.txt:2: looks like a private key in hexadecimal; {TAKES_NONE}"),
        (f"{A} # {' '.join(['zoo'] * 12)}\n", f"a.txt:1: the comment looks like a seed phrase; {TAKES_NONE}"),
    ],
)  # fmt: skip
def test_a_bad_line_is_named_with_file_line_and_column(tmp_path: Path, content: str | bytes, message: str) -> None:
    assert complaint(tmp_path, FROM_FILE, a=content) == message


def test_a_missing_file_is_named_at_its_key(tmp_path: Path) -> None:
    message = "p.yaml:11: wallets.a.addresses_file: the file can't be read: no such file or directory"
    assert complaint(tmp_path, FROM_FILE) == message


def test_a_folder_is_no_address_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    message = "p.yaml:11: wallets.a.addresses_file: the file can't be read: is a directory"
    assert complaint(tmp_path, FROM_FILE) == message


def test_a_bad_inline_address_is_named_with_its_line_and_place(tmp_path: Path) -> None:
    wallets = f"  a:\n    chain: ethereum\n    tier: hot\n    addresses:\n      - '{A}'\n      - '{B[:-1]}'\n"
    assert complaint(tmp_path, wallets) == "p.yaml:16: wallets.a.addresses[1]: expected 0x and 40 hexadecimal digits"


def test_a_bad_contract_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        HEAD.replace(USDT, USDT[:-1]) + f"  a: {{chain: ethereum, tier: hot, addresses: ['{A}']}}\n"
    )
    with pytest.raises(ConfigError, match=r"p.yaml:9: assets.USDT.tokens\[0\].contract: expected 0x and 40"):
        read(load(tmp_path / "p.yaml", env={}), folder=tmp_path)


def test_two_spellings_of_one_contract_are_one_token(tmp_path: Path) -> None:
    def forgiving(text: str) -> Address:
        return canonical("0x" + text.removeprefix("0x"))

    text = HEAD.replace(
        "wallets:", f"  BIS: {{tokens: [{{chain: ethereum, contract: '{USDT[2:]}', decimals: 6}}]}}\nwallets:"
    )
    (tmp_path / "p.yaml").write_text(text + f"  a: {{chain: ethereum, tier: hot, addresses: ['{A}']}}\n")
    with pytest.raises(ConfigError, match=r"p.yaml:10: assets.BIS.tokens\[0\]: this token belongs to USDT already"):
        read(load(tmp_path / "p.yaml", env={}), folder=tmp_path, canonical=forgiving)


def test_an_address_in_two_wallets_is_named_at_both_places(tmp_path: Path) -> None:
    inline = f"  eth-hot-1: {{chain: ethereum, tier: hot, addresses: ['{B}', '{A}']}}\n"
    second = A.lower()
    assert complaint(tmp_path, inline + FROM_FILE, a=f"{C}\n{A}\n") == (
        f"a.txt:2: {second} already stands in wallet eth-hot-1 (wallets.eth-hot-1.addresses[1])"
    )
    assert complaint(tmp_path, FROM_FILE + inline, a=f"# x\n\n{C}\n{A}\n") == (
        f"p.yaml:12: wallets.eth-hot-1.addresses[1]: {second} already stands in wallet a (a.txt:4)"
    )
    other = "  b: {chain: ethereum, tier: cold, addresses_file: b.txt}\n"
    assert complaint(tmp_path, FROM_FILE + other, a=f"{B}\n{A}\n", b=f"{A}\n") == (
        f"b.txt:1: {second} already stands in wallet a (a.txt:2)"
    )


def test_an_address_on_one_chain_under_two_names_would_count_twice(tmp_path: Path) -> None:
    text = HEAD.replace("chain_id: 2", "chain_id: 1") + f"  a: {{chain: ethereum, tier: hot, addresses: ['{A}']}}\n"
    (tmp_path / "p.yaml").write_text(text + f"  b: {{chain: second, tier: cold, addresses: ['{A}']}}\n")
    with pytest.raises(ConfigError, match=r"wallets.b.addresses\[0\]: 0x.* already stands in wallet a"):
        read(load(tmp_path / "p.yaml", env={}), folder=tmp_path)


def test_an_address_may_stand_on_two_chains(tmp_path: Path) -> None:
    one = f"  a: {{chain: ethereum, tier: hot, addresses: ['{A}']}}\n"
    other = f"  b: {{chain: second, tier: cold, addresses: ['{A}']}}\n"
    assert build(tmp_path, one + other).wallet_of.keys() == {("ethereum", A.lower()), ("second", A.lower())}


def test_files_count_from_the_base_and_are_called_as_written(tmp_path: Path) -> None:
    (tmp_path / "wallets").mkdir()
    (tmp_path / "wallets" / "a.txt").write_text(f"{A}\nnonsense\n")
    assert complaint(tmp_path, FROM_FILE.replace("a.txt", "wallets/a.txt")).startswith("wallets/a.txt:2:1: ")


@pytest.mark.timeout(60)
def test_a_hundred_thousand_addresses_are_no_matter(tmp_path: Path) -> None:
    content = "".join(f"0x{number:040x}\n" for number in range(100_000))
    made = build(tmp_path, FROM_FILE, a=content)
    assert len(made.wallets["a"].accounts) == len(made.wallet_of) == 100_000


# Descriptors.


@pytest.mark.parametrize(
    ("source", "accounts"),
    [
        ("descriptor: 'pkh(a)#checksum'", ("pkh(a)",)),
        ("descriptors: ['pkh(b)', 'pkh(a)']", ("pkh(b)", "pkh(a)")),
        ("xpub: 'pkh(c)'", ("pkh(c)",)),
    ],
)
def test_descriptors_are_accounts_in_their_canonical_form(
    tmp_path: Path, source: str, accounts: tuple[str, ...]
) -> None:
    made = build(tmp_path, f"  one: {{chain: second, tier: cold, {source}, gap_limit: 7}}\n")
    assert made.wallets["one"].accounts == made.watches["second"].accounts == accounts
    assert made.watches["second"].gap_limits == dict.fromkeys(accounts, 7)


def test_a_gap_limit_is_the_wallets_own_and_20_by_default(tmp_path: Path) -> None:
    made = build(
        tmp_path,
        "  one: {chain: second, tier: cold, descriptor: pkh(a), gap_limit: 100}\n"
        "  two: {chain: second, tier: cold, descriptor: pkh(b)}\n"
        f"  three: {{chain: second, tier: cold, addresses: ['{A}']}}\n"
        f"  four: {{chain: ethereum, tier: cold, addresses: ['{A}']}}\n",
    )
    assert made.watches["second"].gap_limits == {Address("pkh(a)"): 100, Address("pkh(b)"): 20}
    assert made.watches["ethereum"].gap_limits == {}


@pytest.mark.parametrize(
    ("wallets", "message"),
    [
        (
            "  a: {chain: second, tier: hot, descriptor: nonsense}\n",
            "p.yaml:11: wallets.a.descriptor: expected a descriptor",
        ),
        (
            "  a:\n    chain: second\n    tier: hot\n    descriptors:\n      - pkh(a)\n      - nonsense\n",
            "p.yaml:16: wallets.a.descriptors[1]: expected a descriptor",
        ),
        ("  a: {chain: second, tier: hot, xpub: nonsense}\n", "p.yaml:11: wallets.a.xpub: expected a descriptor"),
        (
            "  a: {chain: ethereum, tier: hot, xpub: pkh(a)}\n",
            "p.yaml:11: wallets.a.xpub: chain ethereum has no descriptors; expected addresses",
        ),
        (
            "  a: {chain: second, tier: hot, addresses: [pkh(a)]}\n",
            "p.yaml:11: wallets.a.addresses[0]: expected 0x and 40 hexadecimal digits",
        ),
        (
            "  a: {chain: second, tier: hot, descriptor: pkh(a)}\n  b: {chain: second, tier: hot, xpub: 'pkh(a)#x'}\n",
            "p.yaml:12: wallets.b.xpub: pkh(a) already stands in wallet a (wallets.a.descriptor)",
        ),
        (
            "  a: {chain: second, tier: hot, descriptors: [pkh(b), pkh(a), pkh(b)]}\n",
            "p.yaml:11: wallets.a.descriptors[2]: pkh(b) already stands in wallet a (wallets.a.descriptors[0])",
        ),
    ],
)
def test_a_bad_descriptor_is_named_at_its_key(tmp_path: Path, wallets: str, message: str) -> None:
    assert complaint(tmp_path, wallets) == message


def test_who_is_to_control_a_wallet_is_read_into_the_names_and_the_form_of_facts(tmp_path: Path) -> None:
    said = f"{{owners: ['{B}', '{A}'], threshold: 2, modules: [], guard: none, implementation: '{C}'}}"
    made = build(tmp_path, f"  a: {{chain: ethereum, tier: cold, addresses: ['{A}'], expected: {said}}}\n")
    assert made.wallets["a"].expected == (
        (("owner",), (B.lower(), A.lower())),
        (("threshold", "minimum", "minApproval"), ("2",)),
        (("implementation", "singleton"), (C.lower(),)),
        (("module",), ()),
        (("guard",), ()),
    )


@pytest.mark.parametrize(
    ("said", "place"), [("owners: ['0x12']", "owners[0]"), ("guard: nobody", "guard")], ids=["in a list", "alone"]
)
def test_who_is_to_control_a_wallet_must_be_addresses(tmp_path: Path, said: str, place: str) -> None:
    found = complaint(tmp_path, f"  a: {{chain: ethereum, tier: cold, addresses: ['{A}'], expected: {{{said}}}}}\n")
    assert f"wallets.a.expected.{place}: expected 0x and 40 hexadecimal digits" in found


def test_who_is_to_control_a_wallet_can_not_be_said_where_nobody_tells(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(
        HEAD.replace("chain_id: 1,", 'chain_id: 1, controls: "off",')
        + f"  a: {{chain: ethereum, tier: cold, addresses: ['{A}'], expected: {{threshold: 2}}}}\n"
    )
    with pytest.raises(ConfigError, match=r"wallets\.a\.expected: on this chain nobody tells who controls accounts"):
        load(tmp_path / "p.yaml", env={})
