"""Contract: the node answers the requests of a balance reader in the shape in which a real anvil does."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from daemon.replay.evm.ledger import EvmLedger, Transfer
from daemon.replay.evm.node import Node
from daemon.replay.evm.rpc import TokenContract
from tests.integration.anvil import AnvilNode

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
ALICE, BOB = ("0x" + digit * 40 for digit in "12")
TOKEN = "0x" + "7" * 40
STRANGER = "0x" + "00" * 31 + "01"
BALANCE_OF_BOB = "0x70a08231" + BOB[2:].rjust(64, "0")
CHAIN_ID = 31337


@dataclass(frozen=True)
class Served:
    """A node and the hash of its block 1, where Alice paid Bob one coin and nine tokens stand to Bob's name."""

    url: str
    paid: str


@pytest.fixture
async def anvil() -> AsyncIterator[Served]:
    async with AnvilNode(chain_id=CHAIN_ID) as node:
        await node.set_balances({ALICE: 10**20})
        await node.deploy(TOKEN, decimals=6, units={BOB: 9})
        await node.send(ALICE, to=BOB, value=10**18)
        await node.mine()
        _, paid = await node.head()
        await node.mine()
        yield Served(node.url, paid)


@pytest.fixture
async def ours() -> AsyncIterator[Served]:
    chain = EvmLedger({(ALICE, None): 10**20, (BOB, TOKEN): 9}, time=MIDNIGHT)
    paid = chain.mine([Transfer(ALICE, BOB, 10**18)], time=MIDNIGHT + timedelta(minutes=1))
    chain.mine(time=MIDNIGHT + timedelta(minutes=2))
    async with Node(chain, chain_id=CHAIN_ID, tokens={TOKEN: TokenContract("USDC", 6)}) as node:
        yield Served(node.url, paid.hash)


async def post(served: Served, body: object) -> tuple[int, object]:
    """HTTP status and the answer; `PAID` anywhere in the request stands for the node's own hash of block 1."""
    raw = body if isinstance(body, bytes) else json.dumps(body).replace("PAID", served.paid).encode()
    async with aiohttp.ClientSession() as session:
        headers = {"content-type": "application/json"}
        async with session.post(served.url, data=raw, headers=headers) as response:
            text = await response.read()
            return response.status, json.loads(text) if text else None


def call(method: str, *params: object, identity: object = 1) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": identity, "method": method, "params": list(params)}


def shape(value: object) -> object:
    """Keys and kinds of value: data by its length, quantities as such; of errors the code, and that there is a text."""
    if isinstance(value, dict):
        if "code" in value and "message" in value:
            return {key: entry if key == "code" else type(entry).__name__ for key, entry in value.items()}
        return {key: shape(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [shape(entry) for entry in value]
    if isinstance(value, str) and value.startswith("0x"):
        return f"{len(value) // 2 - 1} bytes" if len(value) >= 18 else "quantity"
    return type(value).__name__


READS = {
    "chain id": call("eth_chainId"),
    "network": call("net_version"),
    "version": call("web3_clientVersion"),
    "height": call("eth_blockNumber"),
    "newest block": call("eth_getBlockByNumber", "latest", False),
    "block with a transfer": call("eth_getBlockByNumber", "0x1", False),
    "first block": call("eth_getBlockByNumber", "earliest", False),
    "safe block": call("eth_getBlockByNumber", "safe", False),
    "finalized block": call("eth_getBlockByNumber", "finalized", False),
    "missing block": call("eth_getBlockByNumber", "0x63", False),
    "block by hash": call("eth_getBlockByHash", "PAID", False),
    "missing hash": call("eth_getBlockByHash", STRANGER, False),
    "balance now": call("eth_getBalance", BOB, "latest"),
    "balance by number": call("eth_getBalance", BOB, "0x1"),
    "balance by number object": call("eth_getBalance", BOB, {"blockNumber": "0x1"}),
    "balance by plain hash": call("eth_getBalance", BOB, "PAID"),
    "balance by hash": call("eth_getBalance", BOB, {"blockHash": "PAID"}),
    "balance by canonical hash": call("eth_getBalance", BOB, {"blockHash": "PAID", "requireCanonical": True}),
    "balance of nobody": call("eth_getBalance", STRANGER[:42], "latest"),
    "token balance": call("eth_call", {"to": TOKEN, "data": BALANCE_OF_BOB}, {"blockHash": "PAID"}),
    "token balance by input": call("eth_call", {"to": TOKEN, "input": BALANCE_OF_BOB}, "latest"),
    "token balance, no block": call("eth_call", {"to": TOKEN, "data": BALANCE_OF_BOB}),
    "decimals": call("eth_call", {"to": TOKEN, "data": "0x313ce567"}, "latest"),
    "call without code": call("eth_call", {"to": BOB, "data": "0x313ce567"}, "latest"),
    "code of an account": call("eth_getCode", BOB, "latest"),
    "text id": call("eth_chainId", identity="a"),
    "null id": call("eth_chainId", identity=None),
    "no params": {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId"},
    "batch": [call("eth_chainId", identity=1), call("eth_getBalance", BOB, {"blockHash": "PAID"}, identity=2)],
    "batch with a refusal": [call("eth_chainId", identity=1), call("eth_nope", identity=2)],
    "batch with a notification": [call("eth_chainId"), {"jsonrpc": "2.0", "method": "eth_chainId", "params": []}],
}

REFUSALS = {
    "unknown hash": call("eth_getBalance", BOB, {"blockHash": STRANGER}),
    "call at an unknown hash": call("eth_call", {"to": TOKEN, "data": "0x313ce567"}, {"blockHash": STRANGER}),
    "unknown method": call("eth_nope"),
    "no parameters": call("eth_getBalance"),
    "short address": call("eth_getBalance", "0x12", "latest"),
    "unknown tag": call("eth_getBalance", BOB, "newest"),
    "empty block object": call("eth_getBalance", BOB, {}),
    "no call": call("eth_call"),
    "short contract": call("eth_call", {"to": "0x12"}, "latest"),
    "no flag": call("eth_getBlockByNumber", "latest"),
    "parameters by name": {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": {}},
    "no version": {"id": 1, "method": "eth_chainId"},
    "old version": {"jsonrpc": "1.0", "id": 1, "method": "eth_chainId"},
    "no method": {"jsonrpc": "2.0", "id": 1},
    "method of a wrong type": {"jsonrpc": "2.0", "id": 1, "method": 5},
    "a number": 5,
    "an empty batch": [],
    "function that the token lacks": call("eth_call", {"to": TOKEN, "data": "0xdeadbeef"}, "latest"),
}


@pytest.mark.parametrize("body", READS.values(), ids=READS)
async def test_a_reading_has_the_shape_of_anvils(body: object, ours: Served, anvil: Served) -> None:
    status, answer = await post(ours, body)
    real_status, real = await post(anvil, body)
    assert (status, shape(answer)) == (real_status, shape(real))


@pytest.mark.parametrize(
    "name", ["balance by hash", "balance of nobody", "token balance", "decimals", "chain id", "batch"]
)
async def test_the_same_story_gives_the_same_values(name: str, ours: Served, anvil: Served) -> None:
    """Not only the shape: what Alice paid Bob reads the same on both."""
    assert await post(ours, READS[name]) == await post(anvil, READS[name])


@pytest.mark.parametrize("body", REFUSALS.values(), ids=REFUSALS)
async def test_a_refusal_has_the_code_of_anvils(body: object, ours: Served, anvil: Served) -> None:
    status, answer = await post(ours, body)
    real_status, real = await post(anvil, body)
    assert isinstance(real, dict)
    assert "error" in real
    assert (status, shape(answer)) == (real_status, shape(real))


async def test_a_notification_gets_nothing_on_both(ours: Served, anvil: Served) -> None:
    notice = {"jsonrpc": "2.0", "method": "eth_chainId", "params": []}
    assert await post(ours, notice) == await post(anvil, notice) == (204, None)


DIFFERENCES = {
    # EIP-1898 recommends -32001 for a block that is not found, by whatever name; anvil says so for hashes only.
    "unknown number": (call("eth_getBalance", BOB, "0x63"), -32001, -32602),
    # JSON-RPC 2.0, section 5.1: -32700 is what can't be parsed.
    "no JSON": (b"{nope", -32700, -32600),
    # execution-apis: a quantity has no leading zeros.
    "leading zero": (call("eth_getBalance", BOB, "0x01"), -32602, None),
    # execution-apis, src/eth/state.yaml: the block of eth_getBalance is not required.
    "no block": (call("eth_getBalance", BOB), None, -32602),
    # A scripted ledger has transfers, not signed transactions, and says so instead of inventing them.
    "full transactions": (call("eth_getBlockByNumber", "latest", True), -32602, None),
    # Read-only by design.
    "accounts": (call("eth_accounts"), -32601, None),
}


@pytest.mark.parametrize(("body", "our_code", "anvils_code"), DIFFERENCES.values(), ids=DIFFERENCES)
async def test_where_it_differs_from_anvil_it_is_on_purpose(
    body: object, our_code: int | None, anvils_code: int | None, ours: Served, anvil: Served
) -> None:
    """When anvil changes its mind, this says which difference is gone."""
    assert (await code(ours, body), await code(anvil, body)) == (our_code, anvils_code)


async def code(served: Served, body: object) -> int | None:
    """The error's code, None for a result."""
    _, answer = await post(served, body)
    assert isinstance(answer, dict)
    error = answer.get("error")
    return None if error is None else int(error["code"])
