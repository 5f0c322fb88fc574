"""The registry: what is not used is not imported, and every kind has what its line promises."""

import subprocess
import sys
from typing import get_args

import pytest
from pydantic import TypeAdapter

from connectors import CONNECTORS, AnyChainConfig
from connectors.errors import BadAddress


def imported_by(code: str) -> set[str]:
    """Top-level modules in a fresh interpreter after it ran the code."""
    report = f"{code}; import sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(
        subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True).stdout.split()
    )


def test_the_registry_and_the_addresses_are_had_without_web3() -> None:
    code = f"import connectors; connectors.CONNECTORS['evm'].canonical(None)('0x{'ab' * 20}')"
    assert "web3" not in imported_by(code)


@pytest.mark.timeout(120)  # the first import after an installation compiles a thousand modules
def test_a_connection_needs_web3() -> None:
    assert "web3" in imported_by("import connectors; connectors.CONNECTORS['evm'].connect")


def test_every_kind_of_configuration_has_its_connector() -> None:
    models = get_args(get_args(AnyChainConfig)[0])
    kinds = {get_args(model.model_fields["kind"].annotation)[0] for model in models}
    assert kinds == set(CONNECTORS)


SMALLEST: dict[str, dict[str, object]] = {
    "bitcoin": {"network": "bitcoin", "esplora": ["http://h"]},
    "evm": {"chain_id": 1, "endpoints": ["http://h"]},
    "nem": {"endpoints": ["http://h"]},
    "symbol": {"network": "mainnet", "endpoints": ["http://h"]},
}


def test_a_kind_without_descriptors_reads_none() -> None:
    config = TypeAdapter[AnyChainConfig](AnyChainConfig).validate_python({"kind": "evm", **SMALLEST["evm"]})
    assert CONNECTORS["evm"].descriptor(config) is None


@pytest.mark.parametrize("kind", sorted(CONNECTORS))
def test_every_kind_refuses_what_is_no_address(kind: str) -> None:
    config = TypeAdapter[AnyChainConfig](AnyChainConfig).validate_python({"kind": kind, **SMALLEST[kind]})
    with pytest.raises(BadAddress):
        CONNECTORS[kind].canonical(config)("nobody")


def test_tokens_are_named_by_addresses_or_in_the_manner_of_the_chain() -> None:
    read = TypeAdapter[AnyChainConfig](AnyChainConfig).validate_python
    evm, nem = (read({"kind": kind, **SMALLEST[kind]}) for kind in ("evm", "nem"))
    assert CONNECTORS["evm"].contract(evm)("0x" + "AB" * 20) == "0x" + "ab" * 20
    assert CONNECTORS["nem"].contract(nem)("Exchange:Coin") == "exchange:coin"
    with pytest.raises(BadAddress):
        CONNECTORS["nem"].canonical(nem)("exchange:coin")


@pytest.mark.parametrize("kind", sorted(CONNECTORS))
def test_every_kind_refuses_what_is_no_name_of_a_token(kind: str) -> None:
    config = TypeAdapter[AnyChainConfig](AnyChainConfig).validate_python({"kind": kind, **SMALLEST[kind]})
    with pytest.raises(BadAddress):
        CONNECTORS[kind].contract(config)("nothing")


def test_on_a_chain_with_mosaics_an_address_is_no_name_of_a_token() -> None:
    config = TypeAdapter[AnyChainConfig](AnyChainConfig).validate_python({"kind": "symbol", **SMALLEST["symbol"]})
    symbol = CONNECTORS["symbol"]
    address = "NATNE7Q5BITMUTRRN6IB4I7FLSDRDWZA34SQ33Y"
    assert symbol.canonical(config)(address) == address
    with pytest.raises(BadAddress):
        symbol.contract(config)(address)
    assert symbol.contract(config)("6bed913fa20223f8") == "6BED913FA20223F8"
