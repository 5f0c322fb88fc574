"""The configuration of a NEM chain: what is refused, and what stands for what."""

import pytest
from pydantic import ValidationError

from connectors.nem.config import NemConfig
from connectors.nem.networks import NETWORKS

SMALLEST: dict[str, object] = {"kind": "nem", "endpoints": ["http://127.0.0.1:7890"]}


def test_the_first_block_is_the_networks_unless_another_is_named() -> None:
    assert NemConfig.model_validate(SMALLEST).nemesis_hash == NETWORKS["mainnet"].nemesis
    assert NemConfig.model_validate({**SMALLEST, "network": "testnet"}).nemesis_hash == NETWORKS["testnet"].nemesis
    assert NemConfig.model_validate({**SMALLEST, "nemesis": "ab" * 32}).nemesis_hash == "ab" * 32


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("network", "mijin"),
        ("nemesis", "AB" * 32),
        ("nemesis", "ab" * 31),
        ("confirmations", 0),
        ("confirmations", 361),
        ("agree", 2),
        ("batch", 0),
        ("sweep", "0s"),
        ("settle", "-1s"),
        ("pending_accounts", -1),
        ("endpoints", []),
        ("endpoints", ["ftp://x"]),
    ],
)
def test_what_can_not_work_is_refused_by_name(key: str, value: object) -> None:
    NemConfig.model_validate(SMALLEST)
    with pytest.raises(ValidationError) as caught:
        NemConfig.model_validate({**SMALLEST, key: value})
    assert key in str(caught.value)
