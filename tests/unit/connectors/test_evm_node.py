"""An EVM node's identity, headers and balances, from answers good and bad; every failure is a ConnectorError."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.base import Address, Token, Watch
from connectors.config import EndpointConfig
from connectors.errors import BadAnswer, ConnectorError, Misconfigured, NodeError, Reason, Unavailable
from connectors.evm.node import Asked, EvmNode
from connectors.evm.reader import read_balances
from connectors.follow import Keys, UnknownBlock
from connectors.jsonrpc import Call, Node
from connectors.quorum import Flaw, Value
from connectors.transport import Transport
from tests.unit.connectors.server import FakeTime

NOW = datetime(2026, 1, 1, tzinfo=UTC)
COIN = Token("eth", None, 18)
COPPER = Token("eth", "0x" + "c0" * 20, 6)
ACCOUNTS = tuple(Address(f"0x{number:040x}") for number in (1, 2, 3))
WATCH = Watch("eth", ACCOUNTS, (COIN, COPPER))
REVERTED = NodeError("node: execution reverted (3)", code=3)
REFUSED = NodeError("node: no (-32000)", code=-32000)


def name_of(height: int) -> str:
    return f"0x{height:064x}"


def block(height: int, **other: object) -> dict[str, object]:
    seconds = int(NOW.timestamp()) - 1000 + height
    return {
        "number": hex(height),
        "hash": name_of(height),
        "parentHash": name_of(height - 1) if height else "0x" + "0" * 64,
        "timestamp": hex(seconds),
        "extraData": "0x" + "ee" * 97,  # as long as on proof-of-authority chains
        **other,
    }


@dataclass
class Script:
    """What the node answers: a chain of `top` blocks, and results or errors by method or account."""

    top: int = 10
    chain_id: object = "0x1"
    newest: Callable[[], object] | None = None
    decimals: object = f"0x{6:064x}"
    balance: dict[Address, object] = field(default_factory=dict)
    token: dict[Address, object] = field(default_factory=dict)
    version: object = "Geth/v1.16.0"
    asked: list[str] = field(default_factory=list)
    forgets_after: int = 10**9

    def answer(self, method: str, params: Sequence[Any]) -> object:
        self.asked.append(method)
        if method == "eth_chainId":
            return self.chain_id
        if method == "web3_clientVersion":
            return self.version
        if method.startswith("eth_getBlockBy"):
            return self._block(params[0])
        if method == "eth_getBalance":
            return self.balance.get(params[0], "0x5")
        data = params[0]["data"]
        if data == "0x313ce567":
            return self.decimals
        return self.token.get(Address("0x" + data[-40:]), f"0x{7:064x}")

    def _block(self, which: str) -> object:
        if which == "latest":
            return self.newest() if self.newest else block(self.top)
        height = int(which, 16)
        known = height <= self.top and len(self.asked) <= self.forgets_after
        return block(height) if known else None


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

    async def batch(self, calls: Sequence[Call]) -> list[object]:
        return [self._script.answer(method, params) for method, params in calls]


def node_of(script: Script, *, depth: int = 0, batch: int = 2) -> EvmNode:
    endpoint = EndpointConfig.model_validate({"url": "http://127.0.0.1:9", "name": "node"})
    transport = Transport(endpoint, chain="eth", timeout=timedelta(seconds=1), timing=FakeTime().timing())
    asked = Asked(chain_id=1, depth=depth, batch=batch)
    return EvmNode(ScriptedNode(script, transport=transport), asked=asked, now=lambda: NOW)


async def balances(script: Script, *, block: str = name_of(10), watch: Watch = WATCH) -> list[Value]:
    return await read_balances(node_of(script), keys=Keys.all_of(watch), block=block)


def reasons(values: list[Value]) -> list[Reason | int]:
    return [value.reason if isinstance(value, Flaw) else value for value in values]


# ── identity ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_chain_id_is_asked_once_while_connection_and_node_hold() -> None:
    script = Script()
    node = node_of(script)
    for _ in range(3):
        await node.head()
    assert script.asked.count("eth_chainId") == 1


async def test_the_chain_id_is_asked_again_after_a_new_connection_and_after_a_failure() -> None:
    script = Script()
    node = node_of(script)
    await node.head()
    node.transport.connections += 1
    await node.head()
    assert script.asked.count("eth_chainId") == 2
    node.transport.circuit.failed(Unavailable("down"))
    await node.head()
    assert script.asked.count("eth_chainId") == 3


async def test_a_node_of_another_chain_is_misconfigured_and_named() -> None:
    with pytest.raises(Misconfigured) as caught:
        await node_of(Script(chain_id="0x5")).head()
    assert str(caught.value) == "node: is on chain 5, configured is chain 1"


@pytest.mark.parametrize("chain_id", [None, 1.5, [], {}, "0x", "mainnet", True], ids=repr)
async def test_a_chain_id_that_is_none_is_a_bad_answer(chain_id: object) -> None:
    with pytest.raises(BadAnswer):
        await node_of(Script(chain_id=chain_id)).head()


async def test_a_node_that_does_not_tell_its_version_is_read_all_the_same() -> None:
    assert (await node_of(Script(version=REFUSED)).head()).height == 10


# ── headers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_head_is_the_newest_block() -> None:
    head = await node_of(Script()).head()
    assert (head.height, head.hash, head.parent) == (10, name_of(10), name_of(9))


@pytest.mark.parametrize(("depth", "height"), [(1, 9), (9, 1), (10, 0), (50, 0)])
async def test_with_confirmations_the_head_is_that_much_deeper(depth: int, height: int) -> None:
    assert (await node_of(Script(), depth=depth).head()).height == height


async def test_a_head_a_little_ahead_of_our_clock_is_taken_and_one_from_the_future_is_not() -> None:
    seconds = int(NOW.timestamp())
    assert (await node_of(Script(newest=lambda: block(10, timestamp=hex(seconds + 60)))).head()).height == 10
    with pytest.raises(BadAnswer, match=r"its newest block 10 is from the future: 2026-01-01T00:01:01\+00:00"):
        await node_of(Script(newest=lambda: block(10, timestamp=hex(seconds + 61)))).head()


async def test_a_refused_head_means_that_the_node_can_not_be_read() -> None:
    with pytest.raises(Unavailable) as caught:
        await node_of(Script(newest=lambda: REFUSED)).head()
    assert caught.value.reason is Reason.NODE_ERROR


async def test_a_node_without_a_newest_block_is_a_bad_answer() -> None:
    with pytest.raises(BadAnswer, match="has no newest block"):
        await node_of(Script(newest=lambda: None)).head()


@pytest.mark.parametrize("key", ["number", "hash", "parentHash", "timestamp"])
@pytest.mark.parametrize("value", [None, "", "0x", "zz", 5.5, [], "-0x1", "0x" + "f" * 70])
async def test_a_header_with_one_field_spoilt_is_a_bad_answer(key: str, value: object) -> None:
    with pytest.raises(BadAnswer):
        await node_of(Script(newest=lambda: block(10, **{key: value}))).head()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70) | st.just(name_of(3)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([*block(1), "transactions", "logsBloom", "difficulty", "withdrawals", "uncles", "size"])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(newest=JSON | st.dictionaries(FIELDS, JSON).map(lambda fields: block(10, **fields)))
async def test_whatever_json_comes_for_a_header_nothing_but_our_errors_leaves(newest: object) -> None:
    try:
        head = await node_of(Script(newest=lambda: newest)).head()
    except ConnectorError:
        return
    assert head.height >= 0
    assert len(head.hash) == len(head.parent) == 66


async def test_a_block_at_another_height_than_asked_is_a_bad_answer() -> None:
    class Liar(Script):
        def _block(self, which: str) -> object:
            return block(8)

    with pytest.raises(BadAnswer, match="gave block 8 for block 5"):
        await node_of(Liar()).header_at(5)


async def test_blocks_between_are_fetched_in_one_batch() -> None:
    node = node_of(Script())
    assert [header.height for header in await node.headers_between(5, 9)] == [6, 7, 8]
    with pytest.raises(BadAnswer, match="lacks a block between 8 and 15"):
        await node.headers_between(8, 15)
    assert await node.header_at(11) is None


# ── balances ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_every_account_is_read_for_every_token() -> None:
    assert await balances(Script()) == [5, 7, 5, 7, 5, 7]


async def test_nothing_to_read_asks_for_no_balance() -> None:
    script = Script()
    assert await balances(script, watch=Watch("eth", (), (COIN,))) == []
    assert "eth_getBalance" not in script.asked


async def test_one_refused_account_spoils_no_other() -> None:
    values = await balances(Script(balance={ACCOUNTS[1]: REFUSED}))
    assert reasons(values) == [5, 7, Reason.NODE_ERROR, 7, 5, 7]


@pytest.mark.parametrize("garbage", [None, "", "0x", "zz", "-0x5", 5, [], "0x" + "f" * 65])
async def test_garbage_for_one_account_is_a_bad_answer_for_it_alone(garbage: object) -> None:
    assert reasons(await balances(Script(balance={ACCOUNTS[0]: garbage}))) == [Reason.BAD_ANSWER, 7, 5, 7, 5, 7]


@pytest.mark.parametrize("short", ["0x5", "0x" + "0" * 62, "0x" + "0" * 66, None])
async def test_a_token_balance_of_another_length_is_a_bad_answer_for_it_alone(short: object) -> None:
    assert reasons(await balances(Script(token={ACCOUNTS[0]: short}))) == [5, Reason.BAD_ANSWER, 5, 7, 5, 7]


async def test_a_token_without_a_contract_is_said_to_have_none_and_the_coin_stands() -> None:
    script = Script(decimals="0x", token=dict.fromkeys(ACCOUNTS, "0x"))
    assert reasons(await balances(script)) == [5, Reason.NO_CONTRACT] * 3


async def test_every_call_failing_is_a_failure_of_the_node_and_not_zeros() -> None:
    script = Script(decimals=REFUSED, balance=dict.fromkeys(ACCOUNTS, REFUSED), token=dict.fromkeys(ACCOUNTS, REFUSED))
    with pytest.raises(Unavailable) as caught:
        await balances(script)
    assert caught.value.reason is Reason.NODE_ERROR
    assert str(caught.value).startswith("node: every one of 6 balances failed, first: ")


async def test_a_second_look_at_a_few_accounts_may_fail_for_all_of_them() -> None:
    script = Script(balance={ACCOUNTS[1]: REFUSED})
    values = await read_balances(node_of(script), keys=Keys(WATCH, [2]), block=name_of(10))
    assert reasons(values) == [Reason.NODE_ERROR]


async def test_another_block_than_the_one_asked_for_by_hash_is_a_bad_answer() -> None:
    class Liar(Script):
        def _block(self, which: str) -> object:
            return block(8)

    with pytest.raises(BadAnswer, match="for block 0x0"):
        await balances(Liar())


async def test_a_block_that_the_node_lacks_is_unknown() -> None:
    with pytest.raises(UnknownBlock):
        await balances(Script(), block=name_of(11))


async def test_a_block_lost_while_it_is_read_is_unknown_and_not_half_told() -> None:
    with pytest.raises(UnknownBlock):
        await balances(Script(balance={ACCOUNTS[2]: REFUSED}, forgets_after=5))


async def test_other_decimals_than_declared_make_that_token_misconfigured_on_every_account() -> None:
    values = await balances(Script(decimals=f"0x{18:064x}"))
    assert reasons(values) == [5, Reason.MISCONFIGURED] * 3
    assert values[1] == Flaw(Reason.MISCONFIGURED, "the contract has 18 decimals, declared are 6")


@pytest.mark.parametrize("told", [REVERTED, NodeError("node: VM Exception: revert (-32000)", code=-32000), "0x"])
async def test_a_contract_without_decimals_is_accepted(told: object) -> None:
    assert await balances(Script(decimals=told)) == [5, 7, 5, 7, 5, 7]


@pytest.mark.parametrize(("told", "reason"), [(REFUSED, Reason.NODE_ERROR), ("0x12", Reason.BAD_ANSWER)])
async def test_decimals_that_can_not_be_checked_leave_the_token_unread(told: object, reason: Reason) -> None:
    assert reasons(await balances(Script(decimals=told))) == [5, reason] * 3


@dataclass
class Mining(Script):
    """Makes a block as soon as the first balance is asked for, and tells the state that it is changing."""

    def answer(self, method: str, params: Sequence[Any]) -> object:
        if method == "eth_getBalance" and self.top == 10:
            self.top = 11
            return "0x99"
        return super().answer(method, params)


@pytest.mark.parametrize(
    ("version", "block", "expected"),
    [
        ("anvil/v1.7.1", 10, [5, 7]),
        ("Geth/v1.16.0", 10, [0x99, 7]),
        ("anvil/v1.7.1", 9, [0x99, 7]),
        (None, 10, [0x99, 7]),
    ],
)
async def test_a_development_nodes_newest_block_is_read_again_when_a_block_was_made_meanwhile(
    version: object, block: int, expected: list[int]
) -> None:
    """Only there: other nodes, and older blocks, are not read twice."""
    values = await balances(Mining(version=version), block=name_of(block))
    assert values[:2] == expected


async def test_a_development_node_that_stands_still_is_read_once() -> None:
    script = Script(version="anvil/v1.7.1")
    await balances(script)
    assert script.asked.count("eth_getBalance") == 3


async def test_decimals_told_only_later_are_still_compared() -> None:
    script = Script(decimals="0x")
    node = node_of(script)
    assert (await read_balances(node, keys=Keys.all_of(WATCH), block=name_of(10)))[1] == 7
    script.decimals = f"0x{18:064x}"
    values = await read_balances(node, keys=Keys.all_of(WATCH), block=name_of(10))
    assert reasons(values) == [5, Reason.MISCONFIGURED] * 3


async def test_decimals_are_asked_until_they_are_settled_and_again_after_a_new_connection() -> None:
    script = Script(decimals=REFUSED)
    node = node_of(script)

    async def calls() -> int:
        before = script.asked.count("eth_call")
        await read_balances(node, keys=Keys.all_of(WATCH), block=name_of(10))
        return script.asked.count("eth_call") - before

    assert await calls() == 4
    script.decimals = f"0x{6:064x}"
    assert [await calls(), await calls()] == [4, 3]
    node.transport.connections += 1
    assert await calls() == 4
