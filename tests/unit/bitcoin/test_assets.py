"""Assets on a chain of Bitcoin's family: its own coin, of eight decimals, and nothing else."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from connectors.base import Token
from daemon.errors import ConfigError
from daemon.model import Inventory
from daemon.reload import load_whole

GOOD = """
entity: E
currency: JPY
chains: {coins: {kind: bitcoin, network: litecoin, node: "http://127.0.0.1:9332"}}
assets:
  LTC: {tokens: [{chain: coins}]}
wallets: {w: {chain: coins, tier: hot, addresses: ["LXTQdps2Pf83WdAXMinboiqLsEjSWrwJCD"]}}
"""


def read(folder: Path, *, old: str = "", new: str = "") -> Inventory:
    """The inventory with `new` in place of `old`."""
    path = folder / "p.yaml"
    path.write_text(GOOD.replace(old, new))
    return load_whole(path, env={}, now=datetime(2026, 11, 23, tzinfo=UTC)).setup.inventory


def test_the_native_coin_has_eight_decimals(tmp_path: Path) -> None:
    assert read(tmp_path).assets == {"LTC": (Token("coins", None, 8),)}


NO_CONTRACTS = "there are no contracts on litecoin; expected the native coin alone"
ELSEWHERE = "decimals of a native coin belong to its chain; expected a contract, or no decimals"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "{chain: coins}]",
            "{chain: coins}, {chain: coins, contract: '31', decimals: 8}]",
            f"6: assets.LTC.tokens[1].contract: {NO_CONTRACTS}",
        ),
        (
            "{chain: coins}]",
            "{chain: coins, contract: '0xdAC17F958D2ee523a2206206994597C13D831ec7', decimals: 6}]",
            f"6: assets.LTC.tokens[0].contract: {NO_CONTRACTS}",
        ),
        (
            "{chain: coins}]",
            "{chain: coins, contract: LXTQdps2Pf83WdAXMinboiqLsEjSWrwJCD, decimals: 8}]",
            f"6: assets.LTC.tokens[0].contract: {NO_CONTRACTS}",
        ),
        ("{chain: coins}]", "{chain: coins, decimals: 6}]", f"6: assets.LTC.tokens[0]: {ELSEWHERE}"),
        ("litecoin,", "litecoin, decimals: 6,", "4: chains.coins.decimals: unknown key"),
    ],
    ids=["a contract", "one of Ethereum", "an address", "decimals of the token", "decimals of the chain"],
)
def test_a_contract_and_other_decimals_are_refused_in_one_line(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, old=old, new=new)
    assert str(caught.value) == f"{tmp_path}/p.yaml:{message}"
