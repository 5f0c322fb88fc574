"""A block as one node tells it: what is asked for it, and which answers are none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from connectors.base import Address, Watch
from connectors.errors import BadAnswer, ConnectorError, NodeError, Unavailable
from connectors.evm.mined import MOST_SINGLE, Mined, read_block
from connectors.evm.transfers import Flow
from connectors.follow import UnknownBlock
from tests.unit.evm.crafted import (
    COIN,
    COLD,
    HOT,
    STRANGER,
    THIEF,
    USDT,
    WATCH,
    Script,
    block,
    log,
    name_of,
    node_of,
    receipt,
    teller,
    transaction,
    transferring,
)


async def read(script: Script, *, watch: Watch = WATCH, senders: Sequence[Address] = ()) -> Mined:
    return await read_block(node_of(script), block=name_of(1), teller=teller(watch), senders=senders)


def script_of(*transactions: dict[str, Any], receipts: Sequence[Any] = (), logs: Sequence[Any] = ()) -> Script:
    script = Script()
    script.add(block(1, *transactions), receipts=receipts, logs=logs)
    return script


PAID = transaction(1, HOT, to=THIEF, value=5)
DEPOSIT = transaction(2, STRANGER, to=str(USDT.contract), data=transferring(COLD, 7))
ELSEWHERE = transaction(3, STRANGER, to=THIEF, value=9)


async def test_a_block_without_us_costs_one_exchange_and_holds_nothing() -> None:
    script = script_of(ELSEWHERE)
    found = await read(script)
    assert (found.deeds, found.sent) == ((), ())
    assert script.asked == ["eth_getBlockByHash", "eth_getLogs"]


async def test_where_no_token_is_watched_no_logs_are_asked_for() -> None:
    script = script_of(ELSEWHERE)
    await read(script, watch=Watch("eth", WATCH.accounts, (COIN,)))
    assert script.asked == ["eth_getBlockByHash"]


async def test_a_payment_takes_a_receipt_and_a_token_deposit_takes_none() -> None:
    script = script_of(PAID, DEPOSIT, receipts=[receipt(1)], logs=[log(2, STRANGER, COLD, units=7)])
    found = await read(script)
    assert [(deed.token, deed.flows, deed.fee) for deed in found.deeds] == [
        (COIN, (Flow(HOT, THIEF, 5),), 42_000),
        (USDT, (Flow(STRANGER, COLD, 7),), None),
    ]
    assert script.asked.count("eth_getTransactionReceipt") == 1


async def test_where_only_tokens_are_watched_no_receipts_are_asked_for() -> None:
    script = script_of(PAID, DEPOSIT, logs=[log(2, STRANGER, COLD, units=7)])
    found = await read(script, watch=Watch("eth", WATCH.accounts, (USDT,)))
    assert [deed.token for deed in found.deeds] == [USDT]
    assert script.asked == ["eth_getBlockByHash", "eth_getLogs"]


async def test_a_token_call_that_failed_is_noted_though_it_moved_nothing() -> None:
    """So that it waits no more."""
    found = await read(script_of(DEPOSIT))
    assert (found.deeds, [name for name, _ in found.sent]) == ((), [DEPOSIT["hash"]])


async def test_transactions_of_those_whose_others_wait_are_noted() -> None:
    found = await read(script_of(ELSEWHERE), senders=[STRANGER])
    assert found.sent == ((ELSEWHERE["hash"], (STRANGER, 0)),)


async def test_withdrawals_in_gwei_and_who_made_the_block_are_known_where_they_are_ours() -> None:
    script = Script()
    withdrawals = [{"address": HOT, "amount": "0x2"}, {"address": STRANGER, "amount": "0x3"}]
    script.add(block(1, withdrawals=withdrawals, miner=COLD))
    found = await read(script)
    assert (found.withdrawn, found.rewarded) == (((HOT, 2 * 10**9),), COLD)


async def test_addresses_in_capitals_are_ours_as_well() -> None:
    shouted = {**PAID, "from": "0x" + HOT[2:].upper()}
    found = await read(script_of(shouted, receipts=[receipt(1)]))
    assert found.deeds[0].payer == HOT


# ── many receipts ───────────────────────────────────────────────────────────────────────────────────────────────────


def payout(count: int) -> Script:
    sent = [transaction(number, HOT, to=THIEF, value=1, nonce=number) for number in range(count)]
    return script_of(*sent, receipts=[receipt(number) for number in range(count)])


@pytest.mark.parametrize(("count", "asked"), [(MOST_SINGLE, "eth_getTransactionReceipt"), (26, "eth_getBlockReceipts")])
async def test_few_receipts_are_asked_for_one_by_one_and_many_at_once(count: int, asked: str) -> None:
    script = payout(count)
    found = await read(script)
    assert len(found.deeds) == count
    assert set(script.asked[2:]) == {asked}


async def test_a_node_that_gives_no_receipts_of_a_block_is_asked_one_by_one() -> None:
    script = payout(40)
    script.edit = lambda method, _, result: (
        NodeError("node: no (-32601)", code=-32601) if method == "eth_getBlockReceipts" else result
    )
    assert len((await read(script)).deeds) == 40


async def test_fewer_receipts_than_the_block_has_transactions_are_a_bad_answer() -> None:
    script = payout(40)
    script.edit = lambda method, _, result: (
        result[1:] if method == "eth_getBlockReceipts" and isinstance(result, list) else result
    )
    with pytest.raises(BadAnswer, match="39 receipts of a block with 40"):
        await read(script)


# ── what can't be ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["eth_getBlockByHash", "eth_getTransactionReceipt"])
async def test_a_node_that_lacks_the_block_or_what_came_of_it_does_not_know_the_block(method: str) -> None:
    script = script_of(PAID, receipts=[receipt(1)])
    script.edit = lambda asked, _, result: None if asked == method else result
    with pytest.raises(UnknownBlock):
        await read(script)


async def test_receipts_that_are_null_as_a_whole_are_an_unknown_block() -> None:
    script = payout(40)
    script.edit = lambda asked, _, result: None if asked == "eth_getBlockReceipts" else result
    with pytest.raises(UnknownBlock):
        await read(script)


async def test_a_log_that_the_receipt_tells_and_the_list_of_logs_does_not_is_a_bad_answer() -> None:
    moved = log(1, HOT, THIEF, units=5)
    call = transaction(1, HOT, to=str(USDT.contract), data=transferring(THIEF, 5))
    with pytest.raises(BadAnswer, match="differ from those in its receipt"):
        await read(script_of(call, receipts=[receipt(1, logs=[moved])]))
    with pytest.raises(BadAnswer, match="differ from those in its receipt"):
        await read(script_of(call, receipts=[receipt(1)], logs=[moved]))
    assert (await read(script_of(call, receipts=[receipt(1, logs=[moved])], logs=[moved]))).deeds


LIES: dict[str, tuple[str, object]] = {
    "another block": ("eth_getBlockByHash", block(2)),
    "no object": ("eth_getBlockByHash", "0x1"),
    "no transactions": ("eth_getBlockByHash", {**block(1), "transactions": None}),
    "hashes alone": ("eth_getBlockByHash", {**block(1), "transactions": [name_of(5)]}),
    "no parent": ("eth_getBlockByHash", {**block(1), "parentHash": None}),
    "no height": ("eth_getBlockByHash", {**block(1), "number": None}),
    "too high": ("eth_getBlockByHash", {**block(1), "number": hex(2**63)}),
    "too late": ("eth_getBlockByHash", {**block(1), "timestamp": hex(2**60)}),
    "half a payment": ("eth_getBlockByHash", block(1, {**PAID, "value": None})),
    "odd call data": ("eth_getBlockByHash", block(1, {**PAID, "input": "0x123"})),
    "a withdrawal to nobody": ("eth_getBlockByHash", block(1, withdrawals=[{"amount": "0x1"}])),
    "logs that are none": ("eth_getLogs", {"logs": []}),
    "logs of another block": ("eth_getLogs", [log(2, STRANGER, COLD, units=7, height=2)]),
    "logs of another contract": ("eth_getLogs", [log(2, STRANGER, COLD, units=7, address="0x" + "ee" * 20)]),
    "a log of no transaction": ("eth_getLogs", [log(77, STRANGER, COLD, units=7)]),
    "a receipt of another": ("eth_getTransactionReceipt", receipt(9)),
}


@pytest.mark.parametrize("lie", sorted(LIES))
async def test_an_answer_that_can_not_be_is_bad_and_counted(lie: str) -> None:
    script = script_of(PAID, receipts=[receipt(1)])
    where, what = LIES[lie]
    script.edit = lambda method, _, result: what if method == where else result
    node = node_of(script)
    with pytest.raises(BadAnswer) as caught:
        await read_block(node, block=name_of(1), teller=teller(), senders=())
    assert str(caught.value).startswith("node: ")
    assert sum(node.transport.stats().errors.values()) == 1


@pytest.mark.parametrize("error", [Unavailable("down"), NodeError("node: unknown block", code=-32000)], ids=repr)
async def test_an_error_in_the_place_of_an_answer_is_raised(error: ConnectorError) -> None:
    for failing in ("eth_getBlockByHash", "eth_getLogs", "eth_getTransactionReceipt"):
        script = script_of(PAID, receipts=[receipt(1)])
        script.edit = lambda method, _, result, failing=failing: error if method == failing else result
        with pytest.raises(type(error)):
            await read(script)
