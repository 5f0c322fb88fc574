"""Configuration of a Symbol chain, and what the daemon makes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from connectors.base import Token
from connectors.symbol.config import SymbolConfig
from daemon.errors import ConfigError
from daemon.reload import load_whole

SMALLEST = {"kind": "symbol", "network": "mainnet", "endpoints": ["http://127.0.0.1:3000"]}

DOCUMENT = """
entity: E
currency: JPY
chains:
  symbol: {{kind: symbol, network: mainnet, endpoints: ["http://127.0.0.1:3000"]}}
assets:
  XYM: {{tokens: [{{chain: symbol}}]}}
  GOLD: {{tokens: [{{chain: symbol, contract: "{contract}", decimals: 2}}]}}
wallets:
  cold: {{chain: symbol, tier: cold, addresses: ["{address}"]}}
"""
GOOD = {"contract": "0x0dc67fbe1cad29e3", "address": "NATNE7-Q5BITM-UTRRN6-IB4I7F-LSDRDW-ZA34SQ-33Y"}


def test_what_is_left_out_fits_the_chain() -> None:
    config = SymbolConfig.model_validate(SMALLEST)
    assert (config.poll, config.settle) == (timedelta(seconds=5), timedelta(seconds=2))
    assert (config.confirmations, config.finalized, config.decimals) == (1, False, 6)
    assert (config.providers, config.reader) == (("127.0.0.1:3000",), "rest")


@pytest.mark.parametrize("network", ["", "Mainnet", "bitcoin", "private"])
def test_another_network_than_the_public_two_is_refused(network: str) -> None:
    with pytest.raises(ValidationError):
        SymbolConfig.model_validate({**SMALLEST, "network": network})


def test_finality_needs_a_tip_age_that_final_blocks_can_have() -> None:
    with pytest.raises(ValidationError, match="raise max_tip_age to 1h"):
        SymbolConfig.model_validate({**SMALLEST, "finalized": True})
    assert SymbolConfig.model_validate({**SMALLEST, "finalized": True, "max_tip_age": "1h"}).finalized


def test_a_block_can_not_be_asked_to_stand_for_as_long_as_blocks_last() -> None:
    with pytest.raises(ValidationError, match="settle"):
        SymbolConfig.model_validate({**SMALLEST, "settle": "11s"})


def test_mosaics_and_addresses_of_a_file_come_out_in_their_canonical_form(tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(DOCUMENT.format(**GOOD))
    inventory = load_whole(path, env={}, now=datetime.now(UTC)).setup.inventory
    assert inventory.watches["symbol"].accounts == ("NATNE7Q5BITMUTRRN6IB4I7FLSDRDWZA34SQ33Y",)
    assert set(inventory.watches["symbol"].tokens) == {
        Token("symbol", None, 6),
        Token("symbol", "0DC67FBE1CAD29E3", 2),
    }


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"contract": "NATNE7Q5BITMUTRRN6IB4I7FLSDRDWZA34SQ33Y"}, "expected a mosaic's id, 16 hexadecimal digits"),
        ({"contract": "E74B99BA41F4AFEE"}, "this is a namespace"),
        ({"address": "6BED913FA20223F8"}, "expected 39 characters, found 16"),
        ({"address": "TATNE7Q5BITMUTRRN6IB4I7FLSDRDWZA37JGO5Q"}, "is an address of testnet"),
    ],
)
def test_a_mosaic_is_no_address_and_an_address_no_mosaic(tmp_path: Path, wrong: dict[str, str], message: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(DOCUMENT.format(**{**GOOD, **wrong}))
    with pytest.raises(ConfigError, match=message):
        load_whole(path, env={}, now=datetime.now(UTC))
