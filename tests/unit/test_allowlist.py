"""Whom wallets may pay beside each other: read as wallets' addresses are, with errors that say where."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.errors import ConfigError
from daemon.reload import Loaded, load_whole

A, B, C = (
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
)
HEAD = f"""\
entity: Example Exchange KK
currency: JPY
chains:
  ethereum: {{kind: evm, chain_id: 1, endpoints: ["http://h"]}}
  bitcoin: {{kind: bitcoin, network: bitcoin, electrum: ["ssl://h:50002"]}}
assets: {{ETH: {{tokens: [{{chain: ethereum}}]}}}}
wallets: {{hot: {{chain: ethereum, tier: hot, addresses: ["{A}"]}}}}
destinations:
"""


def loaded(folder: Path, destinations: str, *, files: Mapping[str, str] | None = None) -> Loaded:
    for name, content in (files or {}).items():
        (folder / name).write_text(content)
    (folder / "p.yaml").write_text(HEAD + destinations)
    return load_whole(folder / "p.yaml", env={}, now=datetime(2026, 11, 23, tzinfo=UTC))


def complaint(folder: Path, destinations: str, *, files: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, destinations, files=files)
    return str(caught.value).removeprefix(f"{folder}/")


def test_destinations_are_known_in_their_chains_own_form(tmp_path: Path) -> None:
    made = loaded(
        tmp_path,
        f"  broker: {{chain: ethereum, addresses: ['{B}']}}\n"
        "  miner: {chain: bitcoin, addresses: ['BC1QAR0SRRR7XFKVY5L643LYDNW9RE59GTZZWF5MDQ']}\n"
        "  bank: {chain: ethereum, addresses_file: bank.txt}\n",
        files={"bank.txt": f"# one\n{C} # theirs\n"},
    )
    known = made.setup.destinations
    assert known is not None
    assert known.known("ethereum", B.lower())
    assert known.known("ethereum", C.lower())
    assert known.known("ethereum", A.lower())  # our own
    assert known.known("bitcoin", "bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq")
    assert not known.known("bitcoin", B.lower())
    assert not known.known("ethereum", "0x" + "1" * 40)


@pytest.mark.parametrize(
    ("destinations", "message"),
    [
        (
            f"  b: {{chain: ethereum, addresses: ['{B[:-1]}']}}\n",
            "p.yaml:9: destinations.b.addresses[0]: expected 40 hex digits after 0x, found 39",
        ),
        (
            f"  b: {{chain: ethereum, addresses: ['{B}', '{B.lower()}']}}\n",
            f"p.yaml:9: destinations.b.addresses[1]: {B.lower()} already stands in destination b "
            "(destinations.b.addresses[0])",
        ),
        (
            f"  b: {{chain: ethereum, addresses_file: a.txt}}\n  c: {{chain: ethereum, addresses: ['{C}']}}\n",
            f"p.yaml:10: destinations.c.addresses[0]: {C.lower()} already stands in destination b (a.txt:2)",
        ),
        (
            f"  b: {{chain: ethereum, addresses: ['{A}']}}\n",
            f"p.yaml:9: destinations.b.addresses[0]: {A.lower()} is of wallet hot; expected addresses of others alone",
        ),
        (
            "  b: {chain: ethereum, addresses_file: none.txt}\n",
            "p.yaml:9: destinations.b.addresses_file: the file can't be read: no such file or directory",
        ),
        (
            "  b: {chain: ethereum, addresses_file: bad.txt}\n",
            "bad.txt:1:1: expected 0x followed by 40 hex digits",
        ),
    ],
)
def test_what_is_wrong_with_destinations_is_said_in_one_line(tmp_path: Path, destinations: str, message: str) -> None:
    files = {"a.txt": f"# two\n{C}\n", "bad.txt": "12\n"}
    assert complaint(tmp_path, destinations, files=files).startswith(message)


def test_without_destinations_only_our_own_are_known(tmp_path: Path) -> None:
    known = loaded(tmp_path, "  {}\n").setup.destinations
    assert known is not None
    assert known.known("ethereum", A.lower())
    assert not known.known("ethereum", B.lower())


def test_the_same_file_read_again_means_the_same_and_another_destination_does_not(tmp_path: Path) -> None:
    one = f"  broker: {{chain: ethereum, addresses: ['{B}']}}\n"
    before, again = (loaded(tmp_path, one).setup.destinations for _ in range(2))
    assert before == again
    assert before != loaded(tmp_path, one.replace(B, C)).setup.destinations
