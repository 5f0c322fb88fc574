"""The node's JSON-RPC: what each request is answered, by JSON-RPC 2.0, execution-apis and EIP-1898."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.replay.evm.ledger import EvmLedger, Transfer
from daemon.replay.evm.rpc import Rpc, TokenContract
from daemon.replay.evm.view import View
from daemon.replay.faults import Faults

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
ALICE, BOB = ("0x" + digit * 40 for digit in "ab")
TOKEN = "0x" + "7" * 40
JsonObject = dict[str, Any]
STRANGER = "0x" + "00" * 31 + "01"
BALANCE_OF_ALICE = "0x70a08231" + ALICE[2:].rjust(64, "0")
BALANCE_OF_BOB = "0x70a08231" + BOB[2:].rjust(64, "0")


def ledger(*, blocks: int = 2) -> EvmLedger:
    """Alice has 100 coins and 50 tokens; the first block moves 30 coins, the second 20 tokens, to Bob."""
    chain = EvmLedger({(ALICE, None): 100, (ALICE, TOKEN): 50}, time=MIDNIGHT)
    script = [[Transfer(ALICE, BOB, 30)], [Transfer(ALICE, BOB, 20, TOKEN)]]
    for number in range(1, blocks + 1):
        transfers = script[number - 1] if number <= len(script) else []
        chain.mine(transfers, time=MIDNIGHT + timedelta(minutes=number))
    return chain


def served(chain: EvmLedger, *, faults: Faults | None = None) -> Rpc:
    return Rpc(View(chain, faults=faults or Faults()), chain_id=31337, tokens={TOKEN: TokenContract("USDC", 6)})


def node(*, blocks: int = 2) -> Rpc:
    return served(ledger(blocks=blocks))


def post(rpc: Rpc, body: object) -> JsonObject:
    """The answer to one request."""
    answer = rpc.answer(json.dumps(body).encode())
    assert answer is not None
    decoded: JsonObject = json.loads(answer)
    return decoded


def ask(rpc: Rpc, method: str, *params: object) -> str:
    """The result of a call that gives a text."""
    answer = post(rpc, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    assert (answer["jsonrpc"], answer["id"]) == ("2.0", 1)
    result = answer["result"]
    assert isinstance(result, str)
    return result


def header(rpc: Rpc, method: str, *params: object) -> JsonObject | None:
    """The result of a call that gives a block or null."""
    answer = post(rpc, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    block: JsonObject | None = answer["result"]
    return block


def known(block: JsonObject | None) -> JsonObject:
    assert block is not None
    return block


def refusal(rpc: Rpc, method: str, *params: object) -> tuple[int, str]:
    answer = post(rpc, {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)})
    assert "result" not in answer
    return answer["error"]["code"], answer["error"]["message"]


def hash_at(rpc: Rpc, height: int) -> str:
    block_hash = known(header(rpc, "eth_getBlockByNumber", hex(height), False))["hash"]
    assert isinstance(block_hash, str)
    return block_hash


def test_who_and_where_it_is() -> None:
    rpc = node()
    assert ask(rpc, "eth_chainId") == "0x7a69"
    assert ask(rpc, "net_version") == "31337"
    assert ask(rpc, "web3_clientVersion").startswith("pyrometer-replay/")
    assert ask(rpc, "eth_blockNumber") == "0x2"


def test_the_newest_block_is_the_newest_at_once() -> None:
    chain = ledger()
    rpc = served(chain)
    chain.mine(time=MIDNIGHT + timedelta(minutes=9))
    assert ask(rpc, "eth_blockNumber") == "0x3"
    assert known(header(rpc, "eth_getBlockByNumber", "latest", False))["number"] == "0x3"


@pytest.mark.parametrize(
    ("tag", "height"),
    [("latest", 100), ("pending", 101), ("safe", 68), ("finalized", 36), ("earliest", 0), ("0x0", 0), ("0x2a", 42)],
)
def test_a_block_by_number_or_tag(tag: str, height: int) -> None:
    rpc = node(blocks=100)
    assert known(header(rpc, "eth_getBlockByNumber", tag, False))["number"] == hex(height)


@pytest.mark.parametrize("tag", ["safe", "finalized"])
def test_a_young_chain_is_final_at_its_first_block(tag: str) -> None:
    assert known(header(node(), "eth_getBlockByNumber", tag, False))["number"] == "0x0"


def test_a_header_belongs_to_its_block() -> None:
    rpc = node()
    block = known(header(rpc, "eth_getBlockByHash", hash_at(rpc, 1), False))
    assert block["hash"] == hash_at(rpc, 1)
    assert block["parentHash"] == hash_at(rpc, 0)
    assert int(block["timestamp"], 16) == int((MIDNIGHT + timedelta(minutes=1)).timestamp())
    assert len(block["transactions"]) == 1
    assert block == header(rpc, "eth_getBlockByNumber", "0x1", False)


def test_unknown_blocks_are_null() -> None:
    """A missing block is no error where blocks are asked for, as execution-apis has it."""
    assert header(node(), "eth_getBlockByNumber", "0x63", False) is None
    assert header(node(), "eth_getBlockByHash", STRANGER, False) is None


@pytest.mark.parametrize(("height", "units"), [(0, 100), (1, 70), (2, 70)])
def test_a_balance_by_number_and_by_hash(height: int, units: int) -> None:
    """The ways to name one block, two of EIP-1898 among them, give one balance."""
    rpc = node()
    paid = hash_at(rpc, height)
    for block in (hex(height), paid, {"blockNumber": hex(height)}, {"blockHash": paid}):
        assert ask(rpc, "eth_getBalance", ALICE, block) == hex(units)


def test_the_newest_block_is_meant_when_none_is_named() -> None:
    assert ask(node(), "eth_getBalance", BOB) == hex(30)
    assert ask(node(), "eth_call", {"to": TOKEN, "data": BALANCE_OF_BOB}) == f"0x{20:064x}"


def test_addresses_and_hashes_are_read_in_any_case() -> None:
    rpc = node()
    assert ask(
        rpc, "eth_getBalance", ALICE.replace("a", "A"), {"blockHash": "0x" + hash_at(rpc, 0)[2:].upper()}
    ) == hex(100)
    assert (
        ask(rpc, "eth_call", {"to": TOKEN, "data": "0x70A08231" + ALICE[2:].upper().rjust(64, "0")}) == f"0x{30:064x}"
    )


def test_requiring_a_canonical_block_is_understood() -> None:
    rpc = node()
    assert ask(rpc, "eth_getBalance", ALICE, {"blockHash": hash_at(rpc, 0), "requireCanonical": True}) == hex(100)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (BALANCE_OF_ALICE, f"0x{30:064x}"),
        ("0x18160ddd", f"0x{50:064x}"),
        ("0x313ce567", f"0x{6:064x}"),
        ("0x95d89b41", "0x" + f"{32:064x}" + f"{4:064x}" + b"USDC".hex().ljust(64, "0")),
    ],
    ids=["balanceOf", "totalSupply", "decimals", "symbol"],
)
@pytest.mark.parametrize("key", ["data", "input"])
def test_what_a_token_answers(data: str, answer: str, key: str) -> None:
    assert ask(node(), "eth_call", {"to": TOKEN, key: data}, "latest") == answer


def test_a_token_balance_is_read_at_the_named_block() -> None:
    rpc = node()
    call = {"to": TOKEN, "data": BALANCE_OF_ALICE}
    assert ask(rpc, "eth_call", call, {"blockHash": hash_at(rpc, 1)}) == f"0x{50:064x}"
    assert ask(rpc, "eth_call", call, {"blockHash": hash_at(rpc, 2)}) == f"0x{30:064x}"


def test_calling_an_account_without_code_gives_nothing() -> None:
    """Empty bytes, not zero: whoever decodes them must not find a balance."""
    assert ask(node(), "eth_call", {"to": BOB, "data": BALANCE_OF_ALICE}, "latest") == "0x"


def test_only_tokens_have_code() -> None:
    assert ask(node(), "eth_getCode", TOKEN, "latest") == "0xfe"
    assert ask(node(), "eth_getCode", BOB, "latest") == "0x"


def test_a_function_that_the_token_lacks_reverts() -> None:
    assert refusal(node(), "eth_call", {"to": TOKEN, "data": "0xdeadbeef"}, "latest") == (3, "execution reverted")
    assert refusal(node(), "eth_call", {"to": TOKEN, "data": "0x70a08231"}, "latest") == (3, "execution reverted")


@pytest.mark.parametrize("block", ["0x63", STRANGER, {"blockNumber": "0x63"}, {"blockHash": STRANGER}])
@pytest.mark.parametrize(
    ("method", "first"), [("eth_getBalance", ALICE), ("eth_call", {"to": TOKEN, "data": "0x313ce567"})]
)
def test_an_unknown_block_is_an_error_where_state_is_asked_for(block: object, method: str, first: object) -> None:
    assert refusal(node(), method, first, block) == (-32001, "Resource not found: header not found")


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("eth_getBalance", []),
        ("eth_getBalance", ["0x12", "latest"]),
        ("eth_getBalance", [5, "latest"]),
        ("eth_getBalance", [ALICE, "newest"]),
        ("eth_getBalance", [ALICE, 1]),
        ("eth_getBalance", [ALICE, "0x01"]),
        ("eth_getBalance", [ALICE, "0x"]),
        ("eth_getBalance", [ALICE, None]),
        ("eth_getBalance", [ALICE, {}]),
        ("eth_getBalance", [ALICE, {"blockHash": STRANGER, "blockNumber": "0x0"}]),
        ("eth_getBalance", [ALICE, {"blockHash": "0x12"}]),
        ("eth_call", []),
        ("eth_call", ["0x", "latest"]),
        ("eth_call", [{"data": "0x313ce567"}, "latest"]),
        ("eth_call", [{"to": TOKEN, "data": "0x313"}, "latest"]),
        ("eth_getBlockByNumber", ["latest"]),
        ("eth_getBlockByNumber", ["newest", False]),
        ("eth_getBlockByNumber", [None, False]),
        ("eth_getBlockByHash", ["latest", False]),
    ],
)
def test_bad_parameters_are_named_as_such(method: str, params: list[object]) -> None:
    assert refusal(node(), method, *params)[0] == -32602


def test_parameters_by_name_are_refused() -> None:
    """Ethereum's methods take them by position only."""
    answer = post(node(), {"jsonrpc": "2.0", "id": "x", "method": "eth_chainId", "params": {}})
    assert (answer["id"], answer["error"]["code"]) == ("x", -32602)


@pytest.mark.parametrize(
    "method", ["eth_sendRawTransaction", "eth_sendTransaction", "eth_accounts", "eth_nope", "__class__"]
)
def test_it_has_no_way_to_send_and_no_other_methods(method: str) -> None:
    assert refusal(node(), method)[0] == -32601


@pytest.mark.parametrize("body", [b"", b"{nope", b"\xff\xfe"])
def test_what_is_no_json_is_a_parse_error(body: bytes) -> None:
    answer = node().answer(body)
    assert answer is not None
    assert json.loads(answer) == {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}


@pytest.mark.parametrize(
    ("request_", "identity"),
    [
        (5, None),
        ([], None),
        ({"id": 1, "method": "eth_chainId"}, 1),
        ({"jsonrpc": "1.0", "id": 1, "method": "eth_chainId"}, 1),
        ({"jsonrpc": "2.0", "id": 1}, 1),
        ({"jsonrpc": "2.0", "id": 1, "method": 5}, 1),
    ],
)
def test_what_is_no_request_is_an_invalid_request(request_: object, identity: object) -> None:
    answer = post(node(), request_)
    assert (answer["id"], answer["error"]["code"]) == (identity, -32600)


def test_missing_parameters_are_none() -> None:
    assert post(node(), {"jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber"})["result"] == "0x2"


def test_a_batch_is_answered_in_order_each_for_itself() -> None:
    """One bad call never spoils its neighbours, and notifications get no answer."""
    batch = [
        {"jsonrpc": "2.0", "id": "a", "method": "eth_getBalance", "params": [ALICE, "latest"]},
        {"jsonrpc": "2.0", "method": "eth_blockNumber", "params": []},
        {"jsonrpc": "2.0", "id": 7, "method": "eth_nope", "params": []},
        "nonsense",
        {"jsonrpc": "2.0", "id": "b", "method": "eth_getBalance", "params": [BOB, "latest"]},
    ]
    raw = node().answer(json.dumps(batch).encode())
    assert raw is not None
    answers = json.loads(raw)
    told = [(answer["id"], answer.get("result", answer.get("error", {}).get("code"))) for answer in answers]
    assert told == [("a", hex(70)), (7, -32601), (None, -32600), ("b", hex(30))]


def test_notifications_alone_get_no_answer_at_all() -> None:
    notice = {"jsonrpc": "2.0", "method": "eth_chainId", "params": []}
    assert node().answer(json.dumps(notice).encode()) is None
    assert node().answer(json.dumps([notice, notice]).encode()) is None
