"""Answers of an EVM node that are made by hand: blocks, receipts and logs, and a node that gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.base import Address, Held, Tip, Token, Update, Watch
from connectors.config import EndpointConfig
from connectors.errors import ConnectorError, NodeError
from connectors.evm.node import Asked, EvmNode
from connectors.evm.reckoning import Reckoning
from connectors.evm.transfers import TRANSFER_EVENT, Teller
from connectors.jsonrpc import Call, Node
from connectors.transport import Transport
from tests.unit.connectors.server import FakeTime

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COIN = Token("eth", None, 18)
USDT = Token("eth", "0x" + "dd" * 20, 6)
HOT, COLD, SAFE = (Address(f"0x{number:040x}") for number in (0xA1, 0xA2, 0xA3))
STRANGER, THIEF = Address("0x" + "57" * 20), Address("0x" + "be" * 20)
WATCH = Watch("eth", (HOT, COLD, SAFE), (COIN, USDT))
Json = dict[str, Any]


def teller(watch: Watch = WATCH) -> Teller:
    return Teller(watch, accounts=Reckoning(watch).accounts)


def name_of(number: int, *, branch: str = "a") -> str:
    return f"0x{number:062x}{ord(branch):02x}"


def tip(height: int, *, branch: str = "a") -> Tip:
    return Tip(height, name_of(height, branch=branch), datetime.fromtimestamp(1_700_000_000 + height, tz=UTC))


def word(value: int | str) -> str:
    """32 bytes in hex, without 0x."""
    return f"{int(value, 16) if isinstance(value, str) else value:064x}"


def transaction(
    number: int,
    sender: str,
    *,
    to: str | None,
    value: int = 0,
    data: str = "0x",
    nonce: int = 0,
    **fields: object,
) -> Json:
    """Transaction `number`, whose hash is made of it."""
    made = {"hash": f"0x{number:064x}", "from": sender, "to": to, "value": hex(value), "input": data}
    return {**made, "nonce": hex(nonce), "gasPrice": "0x1", "blockHash": None, **fields}


def transferring(to: str, units: int) -> str:
    return "0xa9059cbb" + word(to) + word(units)


def log(number: int, source: str, to: str, *, units: int, height: int = 1, **fields: object) -> Json:
    """The Transfer event of transaction `number`."""
    made = {"address": USDT.contract, "topics": [TRANSFER_EVENT, "0x" + word(source), "0x" + word(to)]}
    made |= {"data": "0x" + word(units), "blockHash": name_of(height), "transactionHash": f"0x{number:064x}"}
    return {**made, "removed": False, **fields}


def receipt(number: int, *, height: int = 1, **fields: object) -> Json:
    made = {"transactionHash": f"0x{number:064x}", "blockHash": name_of(height), "status": "0x1", "logs": []}
    return {**made, "gasUsed": "0x5208", "effectiveGasPrice": "0x2", "contractAddress": None, **fields}


def block(height: int, *transactions: Json, branch: str = "a", parent: str | None = None, **fields: object) -> Json:
    return {
        "hash": name_of(height, branch=branch),
        "parentHash": parent or name_of(height - 1, branch=branch),
        "number": hex(height),
        "timestamp": hex(1_700_000_000 + height),
        "miner": "0x" + "00" * 20,
        "transactions": list(transactions),
        "withdrawals": [],
        **fields,
    }


@dataclass
class Script:
    """What a node answers. `edit` may make another result of any, or an error."""

    blocks: dict[str, Json] = field(default_factory=dict)
    receipts: dict[str, Json] = field(default_factory=dict)
    logs: list[Json] = field(default_factory=list)
    traces: dict[str, object] = field(default_factory=dict)
    pool: list[Json] = field(default_factory=list)
    edit: Callable[[str, Sequence[Any], object], object] | None = None
    asked: list[str] = field(default_factory=list)

    def add(self, made: Json, *, receipts: Sequence[Json] = (), logs: Sequence[Json] = ()) -> None:
        self.blocks[made["hash"]] = made
        self.receipts |= {one["transactionHash"]: one for one in receipts}
        self.logs += logs

    def answer(self, method: str, params: Sequence[Any]) -> object:
        self.asked.append(method)
        result = self._plain(method, params)
        return result if self.edit is None else self.edit(method, params, result)

    def _plain(self, method: str, params: Sequence[Any]) -> object:
        if method in self.traces:
            return self.traces[method]
        known: Mapping[str, Callable[[], object]] = {
            "eth_chainId": lambda: "0x1",
            "web3_clientVersion": lambda: "Geth/v1.16.0",
            "eth_getBlockByHash": lambda: self.blocks.get(params[0]),
            "eth_getLogs": lambda: [one for one in self.logs if one["blockHash"] == params[0]["blockHash"]],
            "eth_getTransactionReceipt": lambda: self.receipts.get(params[0]),
            "eth_getBlockReceipts": lambda: self._receipts_of(params[0]["blockHash"]),
            "eth_blockNumber": lambda: hex(max(int(one["number"], 16) for one in self.blocks.values())),
            "eth_getTransactionByHash": lambda: next((one for one in self.pool if one["hash"] == params[0]), None),
            "txpool_status": lambda: {"pending": hex(len(self.pool)), "queued": "0x0"},
            "txpool_content": lambda: {"pending": {one["hash"]: {"0": one} for one in self.pool}, "queued": {}},
        }
        if method not in known:
            return NodeError(f"node: the method {method} does not exist (-32601)", code=-32601)
        return known[method]()

    def _receipts_of(self, block: str) -> list[Json]:
        return [one for one in self.receipts.values() if one["blockHash"] == block]


class ScriptedNode(Node):
    """The real node class with the wire cut out."""

    def __init__(self, script: Script, *, transport: Transport) -> None:
        super().__init__(transport)
        self._script = script

    async def call(self, method: str, params: Sequence[object] = ()) -> object:
        result = self._script.answer(method, params)
        if isinstance(result, ConnectorError):
            raise result
        return result

    async def long_call(
        self,
        method: str,
        params: Sequence[object],
        *,
        ceiling: int,
        deadline: float | None = None,
    ) -> object:
        return await self.call(method, params)

    async def batch(self, calls: Sequence[Call]) -> list[object]:
        return [self._script.answer(method, params) for method, params in calls]


def node_of(script: Script, *, name: str = "node", time: FakeTime | None = None) -> EvmNode:
    endpoint = EndpointConfig.model_validate({"url": "http://127.0.0.1:9", "name": name})
    timing = (time or FakeTime()).timing()
    transport = Transport(endpoint, chain="eth", timeout=timedelta(seconds=1), timing=timing)
    asked = Asked(chain_id=1, depth=0, batch=10)
    return EvmNode(ScriptedNode(script, transport=transport), asked=asked, now=lambda: NOW)


def update(at: Tip | None, *, complete: bool = False, **units: int) -> Update:
    """What accounts hold of the coin, by `hot`, `cold` and `safe`."""
    accounts = {"hot": HOT, "cold": COLD, "safe": SAFE}
    held = tuple(Held(accounts[name], COIN, value) for name, value in units.items())
    return Update("eth", NOW, tip=at, held=held, complete=complete)
