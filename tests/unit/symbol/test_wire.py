"""Answers of real nodes are understood: figures that mainnet told, and the examples of the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from pydantic import TypeAdapter

from connectors.base import Address
from connectors.errors import BadAnswer
from connectors.symbol import wire
from connectors.symbol.address import of_public_key, of_raw, raw_of
from connectors.symbol.networks import NETWORKS
from connectors.symbol.transfers import Aliases, wholes
from tests.unit.connectors.server import transport_to

TRANSFER = {
    "meta": {
        "height": "5763959",
        "hash": "FAEEB0420BF639D4ACB6C2934BF22C3F5AB71DED20D4EAB986CF2C18B914C12F",
        "merkleComponentHash": "FAEEB0420BF639D4ACB6C2934BF22C3F5AB71DED20D4EAB986CF2C18B914C12F",
        "index": 0,
        "timestamp": "173164582867",
        "feeMultiplier": 1136,
    },
    "transaction": {
        "size": 176,
        "signerPublicKey": "AB7F7D44A60051C5657932A8FBB4C2D81D0764236E84A0F3398AEDEBB6BC2BC2",
        "version": 1,
        "network": 104,
        "type": 16724,
        "maxFee": "200000",
        "deadline": "173168162072",
        "recipientAddress": "68026181AB5533B1EA507508A79B08F381429C83B6B7B2AB",
        "mosaics": [{"id": "6BED913FA20223F8", "amount": "24999800064"}],
    },
    "id": "6AA23EA210F2331B401CFB6E",
}
"""A transfer on mainnet, in block 5763959."""

INNER = {
    "meta": {
        "height": "5763944",
        "aggregateHash": "1B39E0DDA84039ECBB33F14E1937C68493E4076366D5DDD68F63D8AD4D19D402",
        "aggregateId": "6AA23D1010F2331B401CFB4C",
        "index": 1,
        "timestamp": "173164180834",
        "feeMultiplier": 2503,
    },
    "transaction": {
        "signerPublicKey": "7BCD4A5360129A0AC32889511578151CE39928AE21C41374DC9362D32B7E7EF3",
        "version": 1,
        "network": 104,
        "type": 16724,
        "recipientAddress": "68B42DCBE0230181A62572D84F78ACC8AF22155F3D15ED52",
        "message": "005472616E7366657220746F206120636F6C642077616C6C6574",
        "mosaics": [{"id": "6BED913FA20223F8", "amount": "0"}],
    },
    "id": "6AA23D1010F2331B401CFB4E",
}
"""A transfer within an aggregate on mainnet, in block 5763944."""


def test_the_properties_of_mainnet_are_understood() -> None:
    answer = {
        "network": {"identifier": "mainnet", "epochAdjustment": "1615853185s"},
        "chain": {"currencyMosaicId": "0x6BED'913F'A202'23F8", "blockGenerationTargetTime": "30s"},
        "plugins": {},
    }
    properties = wire.Properties.model_validate(answer)
    assert properties.network.epochAdjustment == datetime(2021, 3, 16, 0, 6, 25, tzinfo=UTC)
    assert properties.chain.currencyMosaicId == "6BED913FA20223F8"


def test_a_chain_of_mainnet_is_understood() -> None:
    answer = {
        "height": "5763675",
        "scoreHigh": "38",
        "scoreLow": "14560906222554778389",
        "latestFinalizedBlock": {
            "finalizationEpoch": 4004,
            "finalizationPoint": 38,
            "height": "5763656",
            "hash": "819D3E3E9D0A6D1FFB64B5FED0EDD0676866DDA509AE79B267AC126DD442FBC3",
        },
    }
    chain = wire.ChainInfo.model_validate(answer)
    assert (chain.height, chain.latestFinalizedBlock.height) == (5763675, 5763656)
    assert (chain.scoreHigh, chain.scoreLow) == (38, 14560906222554778389)


def test_a_transfer_of_mainnet_is_understood() -> None:
    info = wire.TransactionInfo.model_validate(TRANSFER)
    (whole,) = wholes([info], network=NETWORKS["mainnet"], aliases=Aliases())
    (leg,) = whole.legs
    assert whole.hash == TRANSFER["meta"]["hash"]  # type: ignore[index]
    assert (whole.size, leg.units, leg.mosaic) == (176, 24999800064, "6BED913FA20223F8")
    assert leg.source == of_public_key(info.transaction.signerPublicKey, network=NETWORKS["mainnet"])
    assert leg.target == of_raw(bytes.fromhex("68026181AB5533B1EA507508A79B08F381429C83B6B7B2AB"))


def test_a_transfer_within_an_aggregate_has_no_hash_of_its_own_and_belongs_to_its_aggregate() -> None:
    info = wire.TransactionInfo.model_validate(INNER)
    assert (info.meta.hash, info.transaction.size) == (None, None)
    assert info.meta.aggregateHash == INNER["meta"]["aggregateHash"]  # type: ignore[index]
    assert wholes([info], network=NETWORKS["mainnet"], aliases=Aliases()) == []


def test_the_example_of_an_account_in_the_openapi_document_is_understood() -> None:
    answer = {
        "account": {
            "address": "TADP6C2GVEG654OP5LZI32P2GYJSCMEGQBYB7QY",
            "mosaics": [{"id": "0DC67FBE1CAD29E3", "amount": "123456"}],
        },
        "id": "string",
    }
    whose = wire.AddressedAccount.model_validate(answer).account.address
    assert of_raw(whose) == Address("TADP6C2GVEG654OP5LZI32P2GYJSCMEGQBYB7QY")
    assert whose == raw_of(whose.hex())
    (mosaic,) = wire.AccountPurse.model_validate(answer).account.mosaics
    assert (mosaic.id, mosaic.amount) == ("0DC67FBE1CAD29E3", 123456)


@pytest.mark.parametrize("text", ["0", "18446744073709551615"])
def test_a_number_of_64_bits_is_taken(text: str) -> None:
    assert TypeAdapter(wire.Uint64).validate_python(text) == int(text)


@pytest.mark.parametrize(
    "value", ["18446744073709551616", "-1", "+1", " 1", "1 ", "1.0", "1e3", "", "0x1", "١", 1, 1.0]
)
def test_what_is_no_number_of_64_bits_is_not(value: object) -> None:
    with pytest.raises(ValueError, match=r"expected a (whole number as text|number of at most 64 bits)"):
        TypeAdapter(wire.Uint64).validate_python(value)


@pytest.mark.parametrize("text", ["1615853185", "1615853185ms", "-5s", "1.5s", "9999999999999s", "999999999999s", "s"])
def test_what_is_no_beginning_of_a_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected (seconds, such as|a time before)"):
        wire.NetworkPart.model_validate({"epochAdjustment": text})


@pytest.mark.parametrize("text", ["6BED913FA20223F8", "0x6BED913FA20223F8", "0x6BED'913F'A202", "symbol.xym", ""])
def test_what_is_no_id_as_in_a_properties_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an id such as"):
        wire.ChainPart.model_validate({"currencyMosaicId": text})


async def test_a_malformed_answer_names_the_route_and_the_place_and_is_counted() -> None:
    async with transport_to("http://127.0.0.1:9") as transport:
        with pytest.raises(BadAnswer) as caught:
            wire.understood({"height": 5}, TypeAdapter(wire.ChainInfo), by=transport, of="/chain/info")
        assert "node: malformed answer to /chain/info: height: " in str(caught.value)
        assert sum(transport.stats().errors.values()) == 1
