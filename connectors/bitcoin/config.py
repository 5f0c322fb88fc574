"""Configuration of a chain of Bitcoin's family: which network, and the node, Electrum and Esplora servers to ask."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from connectors.bitcoin.networks import named
from connectors.config import AN_INSTANT, Duration, Endpoint, EndpointConfig, ReadingConfig, Strict

PORTS = {"tcp": 50001, "ssl": 50002}
"""Where Electrum servers listen when nothing else is said."""


class BitcoinNodeConfig(EndpointConfig):
    """Bitcoin Core or its kin. A bare URL stands for `{url: ...}`."""

    zmq: str | None = Field(
        None, pattern=r"^tcp://\S+:\d+$", description="where it publishes hashblock and rawtx; default: it is polled"
    )


class ElectrumConfig(Strict):
    """An Electrum server. A bare URL stands for `{url: ...}`."""

    url: str = Field(description="`ssl://host:port`, or `tcp://host:port` inside your own network")
    name: str = Field(
        "",
        pattern=r"^[A-Za-z0-9._:\[\]-]{0,100}$",
        description="how metrics, logs and alerts call it; default: host and port of the URL",
    )
    certificate: Path | None = Field(
        None, description="file with the server's own certificate, which alone is then good; default: known authorities"
    )
    requests_per_second: float | None = Field(
        None, gt=0, le=1e6, description="ceiling on requests a second; default: none"
    )

    @field_validator("url")
    @classmethod
    def _is_server(cls, value: str) -> str:
        try:
            parts = urlsplit(value)
            good = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
        except ValueError:
            good = False
        if not good or parts.path or parts.query or parts.fragment or parts.username or any(map(str.isspace, value)):
            raise ValueError("expected ssl://host:port or tcp://host:port")
        return value

    @property
    def host(self) -> str:
        return str(urlsplit(self.url).hostname)

    @property
    def port(self) -> int:
        parts = urlsplit(self.url)
        return parts.port or PORTS[parts.scheme]

    @property
    def encrypted(self) -> bool:
        return urlsplit(self.url).scheme == "ssl"

    @property
    def provider(self) -> str:
        """The name that may be shown."""
        return self.name or f"{self.host}:{self.port}"


def _from_url(value: object) -> object:
    return {"url": value} if isinstance(value, str) else value


BitcoinNode = Annotated[BitcoinNodeConfig, BeforeValidator(_from_url, json_schema_input_type=str | BitcoinNodeConfig)]
ElectrumServer = Annotated[ElectrumConfig, BeforeValidator(_from_url, json_schema_input_type=str | ElectrumConfig)]


class BitcoinConfig(ReadingConfig):
    """A chain of Bitcoin's family. The sources are preferred in this order: node, electrum, esplora."""

    kind: Literal["bitcoin"]
    network: str = Field(description="bitcoin, testnet, signet, regtest, litecoin, dogecoin, bitcoin-cash, ...")
    node: BitcoinNode | None = Field(None, description="Bitcoin Core or its kin, 0.21 or newer")
    electrum: tuple[ElectrumServer, ...] = Field((), description="Electrum servers, protocol 1.4")
    esplora: tuple[Endpoint, ...] = Field((), description="Esplora servers: the URL before /blocks/tip/hash")
    poll: Duration = Field(
        timedelta(seconds=5), gt=AN_INSTANT, description="how often the nodes are asked for their newest block"
    )
    max_tip_age: Duration = Field(
        timedelta(hours=3), gt=AN_INSTANT, description="nodes whose newest block is older than this stand still"
    )
    scan_timeout: Duration = Field(
        timedelta(minutes=30), gt=AN_INSTANT, description="deadline of one scan of the node's unspent outputs"
    )
    rescan: Duration = Field(
        timedelta(days=1),
        gt=AN_INSTANT,
        description="how often all coins are found anew and compared with those that were followed",
    )
    state: Path | None = Field(
        None, description="file of this chain alone that keeps the coins over a restart; default: they are found anew"
    )

    @model_validator(mode="before")
    @classmethod
    def _some_source(cls, value: object) -> object:
        if isinstance(value, dict) and not any(value.get(source) for source in ("node", "electrum", "esplora")):
            raise ValueError("expected at least one of node, electrum, esplora")
        return value

    @field_validator("network")
    @classmethod
    def _is_network(cls, value: str) -> str:
        return named(value).name

    @model_validator(mode="after")
    def _newest_block_of_electrum(self) -> Self:
        if self.electrum and self.confirmations > 1:
            raise ValueError("confirmations: an Electrum server tells coins as of its newest block only; leave it at 1")
        return self

    @property
    def providers(self) -> tuple[str, ...]:
        nodes = () if self.node is None else (self.node.provider,)
        servers = tuple(server.provider for server in self.electrum)
        return (*nodes, *servers, *(server.provider for server in self.esplora))

    @property
    def decimals(self) -> int:
        """Of the native coin."""
        return 8

    @property
    def identity(self) -> tuple[str, str]:
        """The kind and the network."""
        return self.kind, self.network

    @property
    def reader(self) -> str:
        """How balances are read, for people."""
        sources = {"node": self.node is not None, "electrum": bool(self.electrum), "esplora": bool(self.esplora)}
        return "+".join(name for name, used in sources.items() if used)
