"""Configuration of a chain of Bitcoin's family: what is taken, and what is refused in which words."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from connectors.bitcoin.config import BitcoinConfig

NODE = "http://user:hunter2@127.0.0.1:8332"
ELECTRUM = "ssl://electrum.example"
ESPLORA = "https://esplora.example/api"


def config(**keys: object) -> BitcoinConfig:
    return BitcoinConfig.model_validate({"kind": "bitcoin", "network": "bitcoin", **keys})


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, "expected at least one of node, electrum, esplora"),
        ({"electrum": [], "esplora": []}, "expected at least one of node, electrum, esplora"),
        ({"node": NODE, "network": "bitcoins"}, "did you mean bitcoin?"),
        ({"node": NODE, "agree": 2}, "agree: 2 needs at least 2 endpoints, found 1"),
        (
            {"electrum": [ELECTRUM, ELECTRUM]},
            "two endpoints are called electrum.example:50002; give each a `name` of its",
        ),
        ({"electrum": [ELECTRUM], "confirmations": 2}, "an Electrum server tells coins as of its newest block only"),
        ({"electrum": ["http://electrum.example"]}, "expected ssl://host:port or tcp://host:port"),
        ({"electrum": ["ssl://user@electrum.example"]}, "expected ssl://host:port or tcp://host:port"),
        ({"electrum": ["ssl://electrum.example/path"]}, "expected ssl://host:port or tcp://host:port"),
        ({"electrum": ["ssl://electrum.example:0"]}, "expected ssl://host:port or tcp://host:port"),
        ({"electrum": ["ssl://electrum.example:99999"]}, "expected ssl://host:port or tcp://host:port"),
        ({"esplora": ["ftp://esplora.example"]}, "expected an http:// or https:// URL"),
        ({"node": {"url": NODE, "zmq": "http://127.0.0.1:1"}}, "String should match pattern"),
        ({"node": NODE, "rescan": "0s"}, "greater than"),
        ({"node": NODE, "nodes": []}, "Extra inputs are not permitted"),
    ],
)
def test_what_does_not_fit_is_refused_in_words(keys: dict[str, object], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        config(**keys)
    assert expected in str(caught.value)
    assert "hunter2" not in str(caught.value.errors(include_input=False))


def test_sources_stand_in_the_order_in_which_they_are_preferred() -> None:
    wanted = config(esplora=[ESPLORA], electrum=[ELECTRUM], node={"url": NODE, "name": "core"})
    assert wanted.providers == ("core", "electrum.example:50002", "esplora.example")
    assert wanted.reader == "node+electrum+esplora"


def test_a_server_has_the_usual_port_of_its_protocol() -> None:
    wanted = config(electrum=["tcp://one.example", "ssl://two.example", "ssl://[::1]:7"])
    assert [(server.host, server.port, server.encrypted) for server in wanted.electrum] == [
        ("one.example", 50001, False),
        ("two.example", 50002, True),
        ("::1", 7, True),
    ]


def test_a_network_may_be_named_otherwise() -> None:
    assert config(node=NODE, network="mainnet").network == "bitcoin"


def test_coins_have_eight_decimals_on_every_chain_of_the_family() -> None:
    assert {config(node=NODE, network=name).decimals for name in ("bitcoin", "litecoin", "dogecoin")} == {8}
