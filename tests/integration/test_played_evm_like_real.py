"""Contract: the node answers in the shape in which a real anvil does, every method and many a refusal."""

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
ALICE, BOB, CAROL = ("0x" + digit * 40 for digit in "123")
SINGLETON = 0x5AFE
TOKEN = "0x" + "7" * 40
STRANGER = "0x" + "00" * 31 + "01"
BALANCE_OF_BOB = "0x70a08231" + BOB[2:].rjust(64, "0")
CHAIN_ID = 31337


@dataclass(frozen=True)
class Served:
    """A node on which nine tokens stand to Bob's name from the first block.

    In block 1, `paid`, Alice paid Bob one `coin` and Bob paid Alice three `tokens`; Carol has code and something in
    her first storage slot. Block 2 is empty. Another transaction of Alice's is `waiting`.
    """

    url: str
    paid: str
    coin: str
    tokens: str
    waiting: str


@pytest.fixture
async def anvil() -> AsyncIterator[Served]:
    async with AnvilNode(chain_id=CHAIN_ID) as node:
        await node.set_balances({ALICE: 10**20})
        await node.deploy(TOKEN, decimals=6, units={BOB: 9})
        await node.rpc("anvil_setCode", CAROL, "0x6001")
        await node.rpc("anvil_setStorageAt", CAROL, "0x0", f"0x{SINGLETON:064x}")
        coin = await node.send(ALICE, to=BOB, value=10**18)
        tokens = await node.send_token(BOB, contract=TOKEN, to=ALICE, units=3)
        await node.mine()
        _, paid = await node.head()
        await node.mine()
        waiting = await node.send(ALICE, to=BOB, value=5)
        yield Served(node.url, paid, coin, tokens, waiting)


@pytest.fixture
async def ours() -> AsyncIterator[Served]:
    chain = EvmLedger({(ALICE, None): 10**20, (BOB, TOKEN): 9}, time=MIDNIGHT)
    chain.set_code(CAROL, "0x6001")
    chain.set_storage(CAROL, slot=0, value=SINGLETON)
    coin, tokens = chain.pay(Transfer(ALICE, BOB, 10**18)), chain.pay(Transfer(BOB, ALICE, 3, TOKEN))
    paid = chain.mine(time=MIDNIGHT + timedelta(minutes=1))
    chain.mine(time=MIDNIGHT + timedelta(minutes=2))
    waiting = chain.pay(Transfer(ALICE, BOB, 5))
    async with Node(chain, chain_id=CHAIN_ID, tokens={TOKEN: TokenContract("USDC", 6)}) as node:
        yield Served(node.url, paid.hash, coin, tokens, waiting)


async def post(served: Served, body: object) -> tuple[int, object]:
    """HTTP status and the answer; PAID, COIN, TOKENS and WAITING in a request stand for the node's own hashes."""
    raw = body if isinstance(body, bytes) else _named(served, json.dumps(body)).encode()
    async with aiohttp.ClientSession() as session:
        headers = {"content-type": "application/json"}
        async with session.post(served.url, data=raw, headers=headers) as response:
            text = await response.read()
            return response.status, json.loads(text) if text else None


def _named(served: Served, text: str) -> str:
    names = {"PAID": served.paid, "COIN": served.coin, "TOKENS": served.tokens, "WAITING": served.waiting}
    for name, value in names.items():
        text = text.replace(name, value)
    return text


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
    "code of a contract": call("eth_getCode", CAROL, {"blockHash": "PAID"}),
    "block in full": call("eth_getBlockByHash", "PAID", True),
    "empty block in full": call("eth_getBlockByNumber", "latest", True),
    "pending block": call("eth_getBlockByNumber", "pending", False),
    "pending block in full": call("eth_getBlockByNumber", "pending", True),
    "missing block in full": call("eth_getBlockByNumber", "0x63", True),
    "transaction of coins": call("eth_getTransactionByHash", "COIN"),
    "transaction of tokens": call("eth_getTransactionByHash", "TOKENS"),
    "waiting transaction": call("eth_getTransactionByHash", "WAITING"),
    "missing transaction": call("eth_getTransactionByHash", STRANGER),
    "receipt of a waiting transaction": call("eth_getTransactionReceipt", "WAITING"),
    "receipt of a missing transaction": call("eth_getTransactionReceipt", STRANGER),
    "receipts of an empty block": call("eth_getBlockReceipts", "latest"),
    "receipts of a missing block": call("eth_getBlockReceipts", "0x63"),
    "logs at a hash": call("eth_getLogs", {"blockHash": "PAID"}),
    "logs at heights": call("eth_getLogs", {"fromBlock": "0x0", "toBlock": "0x2"}),
    "logs beyond the newest block": call("eth_getLogs", {"fromBlock": "0x1", "toBlock": "0x63"}),
    "logs of a contract": call("eth_getLogs", {"blockHash": "PAID", "address": [TOKEN]}),
    "logs by topic": call("eth_getLogs", {"blockHash": "PAID", "topics": [None, "0x" + BOB[2:].rjust(64, "0")]}),
    "logs that nobody made": call("eth_getLogs", {"blockHash": "PAID", "topics": [None, STRANGER]}),
    "logs of the newest block": call("eth_getLogs", {}),
    "storage at a hash": call("eth_getStorageAt", CAROL, "0x0", {"blockHash": "PAID"}),
    "storage by a long slot": call("eth_getStorageAt", CAROL, "0x" + "0" * 64, "latest"),
    "storage of nobody": call("eth_getStorageAt", BOB, "0x1", "latest"),
    "transactions sent": call("eth_getTransactionCount", ALICE, {"blockHash": "PAID"}),
    "transactions sent at first": call("eth_getTransactionCount", ALICE, "0x0"),
    "transactions sent and waiting": call("eth_getTransactionCount", ALICE, "pending"),
    "balance with what waits": call("eth_getBalance", BOB, "pending"),
    "mempool": call("txpool_content"),
    "mempool's size": call("txpool_status"),
    "syncing": call("eth_syncing"),
    "listening": call("net_listening"),
    "price of gas": call("eth_gasPrice"),
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
    "logs at an unknown hash": call("eth_getLogs", {"blockHash": STRANGER}),
    "logs at a hash and heights": call("eth_getLogs", {"blockHash": "PAID", "fromBlock": "0x1"}),
    "logs above the newest block": call("eth_getLogs", {"fromBlock": "0x63"}),
    "logs of no filter": call("eth_getLogs"),
    "logs of a short address": call("eth_getLogs", {"address": "0x12"}),
    "storage at no slot": call("eth_getStorageAt", CAROL),
    "storage at a nonsensical slot": call("eth_getStorageAt", CAROL, "nope", "latest"),
    "storage at an unknown hash": call("eth_getStorageAt", CAROL, "0x0", {"blockHash": STRANGER}),
    "code at an unknown hash": call("eth_getCode", CAROL, {"blockHash": STRANGER}),
    "transactions sent at an unknown hash": call("eth_getTransactionCount", ALICE, {"blockHash": STRANGER}),
    "short transaction hash": call("eth_getTransactionByHash", "0x12"),
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


SAME_VALUES = (
    "balance by hash",
    "balance of nobody",
    "balance with what waits",
    "token balance",
    "decimals",
    "chain id",
    "batch",
    "code of a contract",
    "storage at a hash",
    "storage by a long slot",
    "storage of nobody",
    "transactions sent",
    "transactions sent at first",
    "transactions sent and waiting",
    "mempool's size",
)


@pytest.mark.parametrize("name", SAME_VALUES)
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


RECEIPTS = {
    "of coins": call("eth_getTransactionReceipt", "COIN"),
    "of tokens": call("eth_getTransactionReceipt", "TOKENS"),
    "of a block": call("eth_getBlockReceipts", "PAID"),
    "of a block by object": call("eth_getBlockReceipts", {"blockHash": "PAID"}),
}


@pytest.mark.parametrize("body", RECEIPTS.values(), ids=RECEIPTS)
async def test_a_receipt_has_the_shape_of_anvils_but_for_two_fields(body: object, ours: Served, anvil: Served) -> None:
    """Only of blobs there is a blobGasPrice (execution-apis), and a blockTimestamp is in no receipt there."""
    status, answer = await post(ours, body)
    real_status, real = await post(anvil, body)
    assert (status, shape(answer)) == (real_status, shape(_without(real, {"blobGasPrice", "blockTimestamp"})))


def _without(answer: object, fields: set[str]) -> object:
    """Receipts that lack some fields; the logs in them stay as they are."""
    assert isinstance(answer, dict)
    result = answer["result"]
    few = [{key: value for key, value in one.items() if key not in fields} for one in _listed(result)]
    return answer | {"result": few if isinstance(result, list) else few[0]}


def _listed(result: object) -> list[dict[str, object]]:
    return result if isinstance(result, list) else [result]  # type: ignore[list-item]


@pytest.mark.parametrize("name", ["COIN", "TOKENS", "WAITING"])
async def test_a_transaction_says_the_same_on_both(name: str, ours: Served, anvil: Served) -> None:
    """Who paid whom how much and in which block; gas is each chain's own."""
    fields = ("type", "chainId", "nonce", "gasPrice", "from", "to", "value", "input", "blockNumber", "transactionIndex")
    told = []
    for served in (ours, anvil):
        _, answer = await post(served, call("eth_getTransactionByHash", name))
        assert isinstance(answer, dict)
        told.append({field: answer["result"][field] for field in fields})
    assert told[0] == told[1]


async def test_a_transfer_event_says_the_same_on_both(ours: Served, anvil: Served) -> None:
    fields = ("address", "topics", "data", "blockNumber", "transactionIndex", "logIndex", "removed")
    told = []
    for served in (ours, anvil):
        _, answer = await post(served, call("eth_getLogs", {"blockHash": "PAID"}))
        assert isinstance(answer, dict)
        told.append([{field: event[field] for field in fields} for event in answer["result"]])
    assert told[0] == told[1]
    assert len(told[0]) == 1


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
    # execution-apis: nor is the block of eth_getStorageAt.
    "storage at no block": (call("eth_getStorageAt", CAROL, "0x0"), None, -32602),
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


async def test_a_filter_of_more_topics_than_a_log_has_finds_nothing_as_on_geth(ours: Served, anvil: Served) -> None:
    """anvil takes null for a topic that is not there; geth (eth/filters/filter.go) wants the log to have as many."""
    found = []
    for served in (ours, anvil):
        _, answer = await post(served, call("eth_getLogs", {"blockHash": "PAID", "topics": [None, None, None, None]}))
        assert isinstance(answer, dict)
        found.append(len(answer["result"]))
    assert found == [0, 1]
