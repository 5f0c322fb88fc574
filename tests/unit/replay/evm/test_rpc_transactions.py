"""The node's answers about transactions, receipts, logs, code and storage, and about what waits."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.replay.evm.forms import FULL_BLOOM, NO_BLOOM, TRANSFER_EVENT, gas
from daemon.replay.evm.ledger import EvmLedger, Transfer
from daemon.replay.evm.rpc import Rpc, TokenContract
from daemon.replay.evm.view import View
from daemon.replay.faults import Faults

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
ALICE, BOB, CAROL = ("0x" + digit * 40 for digit in "abc")
USDC, LINK = "0x" + "7" * 40, "0x" + "8" * 40
STRANGER = "0x" + "00" * 31 + "01"
FEE = 10**15


class Played:
    """Block 1: a coin to Bob with a fee; two USDC to Bob, then three LINK to Carol. Block 2: nothing. One waits."""

    def __init__(self) -> None:
        genesis = {(ALICE, None): 10**20, (ALICE, USDC): 50, (ALICE, LINK): 60}
        self.ledger = EvmLedger(genesis, time=MIDNIGHT)
        moves = [Transfer(ALICE, BOB, 10**18, fee=FEE), Transfer(ALICE, BOB, 2, USDC), Transfer(ALICE, CAROL, 3, LINK)]
        self.coin, self.usdc, self.link = (self.ledger.pay(move) for move in moves)
        self.ledger.set_code(CAROL, "0x6001")
        self.ledger.set_storage(CAROL, slot=0, value=0x5AFE)
        self.block = self.ledger.mine(time=MIDNIGHT + timedelta(minutes=1))
        self.empty = self.ledger.mine(time=MIDNIGHT + timedelta(minutes=2))
        self.waiting = self.ledger.pay(Transfer(ALICE, BOB, 7, USDC))
        self.faults = Faults()
        tokens = {USDC: TokenContract("USDC", 6), LINK: TokenContract("LINK", 18)}
        self.rpc = Rpc(View(self.ledger, faults=self.faults), chain_id=31337, tokens=tokens)

    def answer(self, method: str, *params: object) -> dict[str, Any]:
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
        raw = self.rpc.answer(json.dumps(request).encode())
        assert raw is not None
        decoded: dict[str, Any] = json.loads(raw)
        return decoded

    def ask(self, method: str, *params: object) -> Any:  # noqa: ANN401 - a JSON value
        answer = self.answer(method, *params)
        assert "error" not in answer, answer
        return answer["result"]

    def code(self, method: str, *params: object) -> int:
        """Of the refusal."""
        return int(self.answer(method, *params)["error"]["code"])


@pytest.fixture
def played() -> Played:
    return Played()


def padded(account: str) -> str:
    return "0x" + account[2:].rjust(64, "0")


# ── transactions and receipts ───────────────────────────────────────────────────────────────────────────────────────


def test_a_coins_transfer_names_whom_it_pays_and_how_much(played: Played) -> None:
    told = played.ask("eth_getTransactionByHash", played.coin)
    assert (told["from"], told["to"], int(told["value"], 16), told["input"]) == (ALICE, BOB, 10**18, "0x")
    assert (told["blockHash"], told["blockNumber"], told["transactionIndex"]) == (played.block.hash, "0x1", "0x0")
    assert (told["hash"], told["nonce"], told["chainId"]) == (played.coin, "0x0", "0x7a69")


def test_a_tokens_transfer_is_a_call_of_its_contract(played: Played) -> None:
    told = played.ask("eth_getTransactionByHash", played.usdc)
    assert (told["from"], told["to"], told["value"], told["nonce"]) == (ALICE, USDC, "0x0", "0x1")
    assert told["input"] == "0xa9059cbb" + padded(BOB)[2:] + f"{2:064x}"


def test_what_waits_is_in_no_block_and_has_no_receipt(played: Played) -> None:
    told = played.ask("eth_getTransactionByHash", played.waiting)
    assert (told["blockHash"], told["blockNumber"], told["transactionIndex"]) == (None, None, None)
    assert played.ask("eth_getTransactionReceipt", played.waiting) is None


def test_nobody_knows_a_strangers_transaction(played: Played) -> None:
    assert played.ask("eth_getTransactionByHash", STRANGER) is None
    assert played.ask("eth_getTransactionReceipt", STRANGER) is None


def test_gas_used_times_its_price_is_the_fee_to_the_unit(played: Played) -> None:
    told = played.ask("eth_getTransactionReceipt", played.coin)
    assert int(told["gasUsed"], 16) * int(told["effectiveGasPrice"], 16) == FEE
    sent = played.ask("eth_getTransactionByHash", played.coin)
    assert (sent["gas"], sent["gasPrice"]) == (told["gasUsed"], told["effectiveGasPrice"])


@pytest.mark.parametrize("fee", [0, 1, 21_000, 63 * 10**12, 10**15, 10**18 + 1, 123_456_789_000])
@pytest.mark.parametrize("token", [None, USDC])
def test_any_fee_is_gas_times_price(fee: int, token: str | None) -> None:
    used, price = gas(Transfer(ALICE, BOB, 1, token, fee))
    assert used * price == fee
    assert used >= (min(fee, 21_000) or 21_000)


def test_a_receipt_tells_the_transfer_event_of_a_token(played: Played) -> None:
    told = played.ask("eth_getTransactionReceipt", played.link)
    assert (told["status"], told["from"], told["to"], told["contractAddress"]) == ("0x1", ALICE, LINK, None)
    (event,) = told["logs"]
    assert (event["address"], int(event["data"], 16)) == (LINK, 3)
    assert event["topics"] == [TRANSFER_EVENT, padded(ALICE), padded(CAROL)]
    assert (event["logIndex"], event["transactionIndex"], event["transactionHash"]) == ("0x1", "0x2", played.link)
    assert played.ask("eth_getTransactionReceipt", played.coin)["logs"] == []


@pytest.mark.parametrize("named", ["hash", "number", "object"])
def test_a_blocks_receipts_add_up_to_its_gas(played: Played, named: str) -> None:
    block = {"hash": played.block.hash, "number": "0x1", "object": {"blockHash": played.block.hash}}[named]
    told = played.ask("eth_getBlockReceipts", block)
    assert [one["transactionHash"] for one in told] == [played.coin, played.usdc, played.link]
    used = [int(one["gasUsed"], 16) for one in told]
    assert [int(one["cumulativeGasUsed"], 16) for one in told] == [sum(used[: place + 1]) for place in range(3)]
    assert int(played.ask("eth_getBlockByNumber", "0x1", False)["gasUsed"], 16) == sum(used)


def test_a_block_that_is_not_there_has_no_receipts(played: Played) -> None:
    assert played.ask("eth_getBlockReceipts", "0x63") is None
    assert played.ask("eth_getBlockReceipts", STRANGER) is None


# ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_block_in_full_has_the_transactions_that_it_lists_by_hash(played: Played) -> None:
    brief = played.ask("eth_getBlockByHash", played.block.hash, False)
    full = played.ask("eth_getBlockByHash", played.block.hash, True)
    assert full["transactions"] == [played.ask("eth_getTransactionByHash", name) for name in brief["transactions"]]
    assert brief == full | {"transactions": brief["transactions"]}


def test_a_blocks_filter_never_denies_a_log_that_is_there(played: Played) -> None:
    """Whoever skips blocks by their bloom filter must not skip one with a transfer."""
    assert played.ask("eth_getBlockByNumber", "0x1", False)["logsBloom"] == FULL_BLOOM
    assert played.ask("eth_getBlockByNumber", "0x2", False)["logsBloom"] == NO_BLOOM


def test_the_pending_block_is_what_waits_on_top_of_the_newest(played: Played) -> None:
    told = played.ask("eth_getBlockByNumber", "pending", True)
    assert (told["number"], told["parentHash"]) == ("0x3", played.empty.hash)
    assert [one["hash"] for one in told["transactions"]] == [played.waiting]


# ── logs ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_logs_of_a_block_at_its_hash(played: Played) -> None:
    told = played.ask("eth_getLogs", {"blockHash": played.block.hash})
    assert [event["transactionHash"] for event in told] == [played.usdc, played.link]
    assert [event["logIndex"] for event in told] == ["0x0", "0x1"]
    assert played.ask("eth_getLogs", {"blockHash": played.empty.hash}) == []


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({}, "usdc link"),
        ({"address": USDC}, "usdc"),
        ({"address": USDC.upper().replace("X", "x")}, "usdc"),
        ({"address": [USDC, LINK]}, "usdc link"),
        ({"address": []}, "usdc link"),
        ({"address": BOB}, ""),
        ({"topics": []}, "usdc link"),
        ({"topics": [TRANSFER_EVENT]}, "usdc link"),
        ({"topics": [STRANGER]}, ""),
        ({"topics": [[STRANGER, TRANSFER_EVENT]]}, "usdc link"),
        ({"topics": [None, padded(ALICE)]}, "usdc link"),
        ({"topics": [None, None, padded(CAROL)]}, "link"),
        ({"topics": [None, None, [padded(BOB), padded(CAROL)]], "address": [USDC]}, "usdc"),
        ({"topics": [None, None, None, None]}, ""),
    ],
)
def test_logs_are_told_by_contract_and_topics(played: Played, wanted: dict[str, object], found: str) -> None:
    """The fields of a filter are all of them needed, what stands in one list is each enough (execution-apis)."""
    told = played.ask("eth_getLogs", {"fromBlock": "earliest", "toBlock": "latest", **wanted})
    names = {played.usdc: "usdc", played.link: "link"}
    assert " ".join(names[event["transactionHash"]] for event in told) == found


@pytest.mark.parametrize(
    ("range_", "count"),
    [
        ({}, 0),
        ({"fromBlock": "0x1"}, 2),
        ({"fromBlock": "0x1", "toBlock": "0x1"}, 2),
        ({"fromBlock": "0x1", "toBlock": "0x63"}, 2),
        ({"fromBlock": "0x2"}, 0),
        ({"fromBlock": "0x0", "toBlock": "0x0"}, 0),
    ],
)
def test_logs_are_told_by_heights_the_newest_when_none_is_named(
    played: Played, range_: dict[str, str], count: int
) -> None:
    assert len(played.ask("eth_getLogs", range_)) == count


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ([], -32602),
        (["latest"], -32602),
        ([{"blockHash": STRANGER}], -32000),
        ([{"blockHash": "0x12"}], -32602),
        ([{"blockHash": STRANGER, "fromBlock": "0x1"}], -32602),
        ([{"fromBlock": "0x2", "toBlock": "0x1"}], -32602),
        ([{"fromBlock": "0x63"}], -32602),
        ([{"fromBlock": "newest"}], -32602),
        ([{"address": "0x12"}], -32602),
        ([{"address": 5}], -32602),
        ([{"topics": "0x"}], -32602),
        ([{"topics": ["0x12"]}], -32602),
    ],
)
def test_a_filter_that_means_nothing_is_refused(played: Played, params: list[object], code: int) -> None:
    assert played.code("eth_getLogs", *params) == code


# ── state ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("slot", ["0x0", "0x00", "0x" + "00" * 32])
def test_a_storage_slot_is_read_at_a_block(played: Played, slot: str) -> None:
    """The slot as a quantity or as 32 bytes; both are in use."""
    at = {"blockHash": played.block.hash}
    assert played.ask("eth_getStorageAt", CAROL, slot, at) == f"0x{0x5AFE:064x}"
    assert played.ask("eth_getStorageAt", CAROL, slot, "0x0") == f"0x{0:064x}"
    assert played.ask("eth_getStorageAt", CAROL, slot) == f"0x{0x5AFE:064x}"
    assert played.ask("eth_getStorageAt", BOB, slot, at) == f"0x{0:064x}"


@pytest.mark.parametrize("params", [[], [CAROL], [CAROL, "nope"], [CAROL, "0x" + "0" * 65], [CAROL, 0], [CAROL, "0x"]])
def test_a_slot_that_can_not_be_is_refused(played: Played, params: list[object]) -> None:
    assert played.code("eth_getStorageAt", *params) == -32602


def test_code_is_read_at_a_block(played: Played) -> None:
    assert [played.ask("eth_getCode", CAROL, height) for height in ("0x0", "0x1")] == ["0x", "0x6001"]
    assert [played.ask("eth_getCode", account, "latest") for account in (USDC, ALICE)] == ["0xfe", "0x"]


def test_who_sent_how_much_is_counted_at_a_block(played: Played) -> None:
    counts = [played.ask("eth_getTransactionCount", ALICE, block) for block in ("0x0", "0x1", "latest", "pending")]
    assert counts == ["0x0", "0x3", "0x3", "0x4"]
    assert played.ask("eth_getTransactionCount", BOB) == "0x0"


def test_pending_state_counts_what_waits(played: Played) -> None:
    call = {"to": USDC, "data": "0x70a08231" + padded(BOB)[2:]}
    assert [int(played.ask("eth_call", call, block), 16) for block in ("latest", "pending")] == [2, 9]
    assert played.ask("eth_getBalance", BOB, "pending") == hex(10**18)


# ── the mempool, and who asks ───────────────────────────────────────────────────────────────────────────────────────


def test_the_mempool_is_told_by_sender_and_nonce(played: Played) -> None:
    waiting = played.ask("eth_getTransactionByHash", played.waiting)
    assert played.ask("txpool_content") == {"pending": {ALICE: {"3": waiting}}, "queued": {}}
    assert played.ask("txpool_status") == {"pending": "0x1", "queued": "0x0"}
    played.ledger.mine(time=MIDNIGHT + timedelta(minutes=3))
    assert played.ask("txpool_content") == {"pending": {}, "queued": {}}


def test_tools_that_look_around_are_told_that_all_is_well(played: Played) -> None:
    assert [played.ask(method) for method in ("eth_syncing", "net_listening", "eth_gasPrice")] == [False, True, "0x0"]


# ── a node that is behind, and one that lies ────────────────────────────────────────────────────────────────────────


def test_a_node_that_is_behind_tells_the_chain_as_it_was(played: Played) -> None:
    """Newer hashes it does not know, nor the transactions in them, nor what waits now."""
    played.faults.behind = 2
    first = played.ledger.block(0)
    assert first is not None
    assert played.ask("eth_blockNumber") == "0x0"
    assert played.ask("eth_getBlockByNumber", "latest", False)["hash"] == first.hash
    assert played.ask("eth_getBlockByNumber", "0x1", False) is None
    assert played.ask("eth_getBlockByHash", played.block.hash, False) is None
    assert played.code("eth_getBalance", BOB, {"blockHash": played.block.hash}) == -32001
    assert played.code("eth_getLogs", {"blockHash": played.block.hash}) == -32000
    assert [played.ask("eth_getBalance", BOB, block) for block in ("latest", "pending")] == ["0x0", "0x0"]
    assert played.ask("eth_getTransactionCount", ALICE, "pending") == "0x0"
    assert [played.ask("eth_getTransactionByHash", name) for name in (played.coin, played.waiting)] == [None, None]
    assert played.ask("txpool_status")["pending"] == "0x0"


def test_a_node_that_is_behind_knows_what_is_old_enough(played: Played) -> None:
    played.faults.behind = 1
    assert played.ask("eth_getBalance", BOB, {"blockHash": played.block.hash}) == hex(10**18)
    assert played.ask("eth_getTransactionByHash", played.coin)["blockNumber"] == "0x1"


def test_a_node_can_not_be_behind_the_first_block(played: Played) -> None:
    played.faults.behind = 99
    assert played.ask("eth_blockNumber") == "0x0"


def test_a_liar_tells_other_balances_at_true_hashes(played: Played) -> None:
    at = {"blockHash": played.block.hash}
    call = {"to": USDC, "data": "0x70a08231" + padded(BOB)[2:]}
    truth = [int(played.ask("eth_getBalance", BOB, at), 16), int(played.ask("eth_call", call, at), 16)]
    header = played.ask("eth_getBlockByHash", played.block.hash, True)
    played.faults.lying = True
    lies = [int(played.ask("eth_getBalance", BOB, at), 16), int(played.ask("eth_call", call, at), 16)]
    assert (truth, lies) == ([10**18, 2], [10**18 + 10**16 + 1, 3])
    assert played.ask("eth_getBlockByHash", played.block.hash, True) == header


def test_a_liar_tells_an_emptied_account_as_full_as_it_was(played: Played) -> None:
    """The lie that would hide a theft."""
    played.ledger.mine([Transfer(ALICE, CAROL, 57, LINK)], time=MIDNIGHT + timedelta(minutes=3))
    call = {"to": LINK, "data": "0x70a08231" + padded(ALICE)[2:]}
    assert int(played.ask("eth_call", call, "latest"), 16) == 0
    played.faults.lying = True
    assert int(played.ask("eth_call", call, "latest"), 16) == 60
