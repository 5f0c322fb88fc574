"""What is told beside balances: out of crafted blocks of one and several nodes, good and bad."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from structlog.testing import capture_logs

from connectors.base import Movement, Party, Stage, Tip, Update
from connectors.errors import NodeError, Unavailable
from connectors.evm.blocks import Blocks, sides
from connectors.evm.companion import GIVE_UP, EvmCompanion, Sources
from connectors.evm.node import EvmNode
from connectors.evm.pending import Pool
from connectors.evm.reckoning import Reckoning
from connectors.evm.transfers import Teller
from tests.unit.connectors.server import FakeTime
from tests.unit.evm.crafted import (
    COLD,
    HOT,
    SAFE,
    STRANGER,
    THIEF,
    WATCH,
    Script,
    block,
    name_of,
    node_of,
    receipt,
    tip,
    transaction,
    update,
)

FULL = {"hot": 10**9, "cold": 10**9, "safe": 10**9}
FEE = 0x5208 * 2


@dataclass
class Scene:
    scripts: Sequence[Script]
    nodes: Sequence[EvmNode]
    companion: EvmCompanion
    pool: Pool
    time: FakeTime

    async def tell(self, at: Tip, **units: int) -> Update:
        return await self.companion.tell(update(at, complete=False, **units))


@asynccontextmanager
async def scene(*scripts: Script, agree: int = 1, traces: bool = True) -> AsyncIterator[Scene]:
    """A companion that has heard of block 0, at which everybody has 10**9 wei."""
    time = FakeTime()
    nodes = [node_of(script, name=name, time=time) for name, script in zip("abc", scripts, strict=False)]
    reckoning, pool, timing = Reckoning(WATCH), Pool(enabled=False), time.timing()
    teller = Teller(WATCH, accounts=reckoning.accounts)
    blocks = Blocks(
        sides(nodes, chain="eth", timing=timing),
        teller=teller,
        agree=agree,
        traces=traces,
        patience=timedelta(seconds=5),
        timing=timing,
    )
    asking = asyncio.create_task(asyncio.Event().wait(), name="asking")
    sources = Sources(blocks, pool, teller, timing)
    companion = EvmCompanion(WATCH, reckoning=reckoning, sources=sources, asking=asking)  # type: ignore[arg-type]
    try:
        made = Scene(scripts, nodes, companion, pool, time)
        await companion.tell(update(tip(0), complete=True, **FULL))
        yield made
    finally:
        asking.cancel()
        await asyncio.wait([asking])


def paying(height: int, *, branch: str = "a", number: int = 1, parent: str | None = None, units: int = 5) -> Script:
    """A chain with a block in which HOT pays the thief."""
    script = Script()
    pay(script, height, branch=branch, number=number, parent=parent, units=units)
    return script


def pay(
    script: Script, height: int, *, branch: str = "a", number: int = 1, parent: str | None = None, units: int = 5
) -> None:
    at = name_of(height, branch=branch)
    paid = transaction(number, HOT, to=THIEF, value=units)
    made = block(height, paid, branch=branch, parent=parent)
    script.add(made, receipts=[receipt(number, blockHash=at)])


def stages(told: Update) -> list[tuple[str, Stage]]:
    return [(one.transaction[-2:], one.stage) for one in told.movements]


def only(told: Update) -> Movement:
    (one,) = told.movements
    return one


async def test_the_first_block_is_where_telling_begins() -> None:
    async with scene(paying(1)) as on:
        assert (await on.companion.tell(update(tip(0)))).movements == ()
        told = await on.tell(tip(1), hot=10**9 - 5 - FEE)
        assert only(told).changes == ((HOT, -5 - FEE),)
        assert (await on.tell(tip(1))).movements == ()


async def test_a_failure_says_nothing_and_what_came_meanwhile_is_told_after_it() -> None:
    async with scene(paying(1)) as on:
        on.scripts[0].add(block(2))
        assert (await on.companion.tell(update(None))).movements == ()
        left = {**FULL, "hot": 10**9 - 5 - FEE}
        told = await on.companion.tell(update(tip(2), complete=True, **left))
        assert only(told).tip == tip(1)


async def test_withdrawals_and_fees_for_the_block_are_the_rest_and_nothing_is_traced_for_them() -> None:
    script = Script()
    script.add(block(1, withdrawals=[{"address": COLD, "amount": "0x2"}], miner=SAFE))
    async with scene(script) as on:
        told = only(await on.tell(tip(1), cold=10**9 + 2 * 10**9, safe=10**9 + 77))
        assert dict(told.changes) == {COLD: 2 * 10**9, SAFE: 77}
        assert told.sources == (Party("unknown", 2 * 10**9 + 77),)
        assert not [method for method in script.asked if "trace" in method]


async def test_what_more_comes_to_light_of_the_same_block_joins_its_rest() -> None:
    script = Script()
    script.add(block(1))
    async with scene(script) as on:
        assert only(await on.tell(tip(1), cold=10**9 - 4)).changes == ((COLD, -4),)
        both = only(await on.tell(tip(1), safe=10**9 - 3))
        assert dict(both.changes) == {COLD: -4, SAFE: -3}
        assert both.transaction == f"block:{name_of(1)}"


async def test_traces_that_account_for_less_than_balances_alone_are_not_believed() -> None:
    script = Script()
    script.add(block(1))
    lie = {"type": "CALL", "from": COLD, "to": STRANGER, "value": "0x63"}
    script.traces["debug_traceBlockByHash"] = [{"txHash": name_of(9), "result": lie}]
    async with scene(script) as on:
        told = only(await on.tell(tip(1), safe=10**9 - 3))
        assert (told.transaction, told.changes) == (f"block:{name_of(1)}", ((SAFE, -3),))


async def test_a_reorg_takes_back_what_was_told_and_tells_the_new_branch() -> None:
    async with scene(paying(1)) as on:
        await on.tell(tip(1), hot=10**9 - 5 - FEE)
        pay(on.scripts[0], 1, branch="b", number=2, parent=name_of(0))
        told = await on.companion.tell(update(tip(1, branch="b"), complete=True, **{**FULL, "hot": 10**9 - 5 - FEE}))
        assert stages(told) == [("02", Stage.MINED), ("01", Stage.REPLACED)]
        assert told.movements[1].replaced_by == f"0x{2:064x}"


async def test_a_reorg_to_a_lower_block_that_was_told_takes_back_those_above_it() -> None:
    async with scene(paying(1)) as on:
        on.scripts[0].add(block(2))
        await on.tell(tip(1), hot=10**9 - 5 - FEE)
        await on.tell(tip(2))
        told = await on.companion.tell(update(tip(0), complete=True, **FULL))
        assert stages(told) == [("01", Stage.PENDING)]
        again = await on.tell(tip(1), hot=10**9 - 5 - FEE)
        assert stages(again) == [("01", Stage.MINED)]


async def test_blocks_that_can_not_be_told_are_owed_and_told_with_a_later_update() -> None:
    async with scene(paying(1)) as on:
        on.scripts[0].edit = lambda method, _, result: Unavailable("down") if "Logs" in method else result
        with capture_logs() as lines:
            for _ in range(3):
                told = await on.tell(tip(1), hot=10**9 - 5 - FEE)
                assert (told.movements, told.owed) == ((), True)
        assert [line["event"] for line in lines if line["log_level"] == "warning"].count("movements can't be told") == 1
        on.scripts[0].edit = None
        on.time.now += 30
        late = await on.tell(tip(1))
        assert (only(late).transaction, late.owed) == (f"0x{1:064x}", False)


async def test_who_can_not_tell_movements_may_still_tell_balances() -> None:
    async with scene(paying(1)) as on:
        on.scripts[0].edit = lambda method, _, result: Unavailable("down") if "Logs" in method else result
        await on.tell(tip(1), hot=10**9 - 5 - FEE)
        assert on.nodes[0].transport.circuit.error is None


async def test_after_a_minute_balances_tell_what_blocks_can_not_and_then_telling_goes_on() -> None:
    refused = NodeError("node: no (-32601)", code=-32601)
    async with scene(paying(1)) as on:
        on.scripts[0].edit = lambda method, _, result: refused if method == "eth_getLogs" else result
        assert (await on.tell(tip(1), hot=10**9 - 5 - FEE)).movements == ()
        on.time.now += GIVE_UP
        told = only(await on.tell(tip(1)))
        assert (told.transaction, told.changes) == (f"block:{name_of(1)}", ((HOT, -5 - FEE),))
        assert on.companion.doubt
        on.scripts[0].edit = None
        pay(on.scripts[0], 2, number=2)
        assert only(await on.tell(tip(2), hot=10**9 - 10 - 2 * FEE)).transaction == f"0x{2:064x}"


async def test_a_parent_of_another_height_is_a_bad_answer() -> None:
    script = Script()
    script.add(block(3, parent=name_of(1)))
    script.add(block(1))
    async with scene(script) as on:
        await on.tell(tip(3))
        assert on.nodes[0].transport.stats().errors


async def test_of_three_nodes_one_that_leaves_a_payment_out_is_named_and_the_payment_is_told() -> None:
    scripts = [paying(1), paying(1), Script()]
    scripts[2].add(block(1))
    async with scene(*scripts, agree=2) as on:
        told = await on.tell(tip(1), hot=10**9 - 5 - FEE)
        assert only(told).changes == ((HOT, -5 - FEE),)
        assert [node.transport.stats().disagreements for node in on.nodes] == [0, 0, 1]
        (dispute,) = told.disagreements
        assert (dispute.account, dispute.answers[2]) == (HOT, ("c", "no such movement"))
        assert (await on.tell(tip(1))).disagreements == (dispute,), "as long as it is the newest block"
        for script in scripts:
            script.add(block(2))
        assert (await on.tell(tip(2))).disagreements == ()


async def test_of_two_nodes_that_contradict_each_other_neither_is_told_and_the_balances_are() -> None:
    scripts = [paying(1), paying(1, units=4)]
    async with scene(*scripts, agree=2, traces=False) as on:
        told = await on.tell(tip(1), hot=10**9 - 5 - FEE)
        assert only(told).transaction == f"block:{name_of(1)}"
        assert only(told).changes == ((HOT, -5 - FEE),)
        assert len(told.disagreements) == 1


async def test_of_a_gap_that_is_too_large_the_newest_blocks_are_read_and_balances_tell_the_rest() -> None:
    script = Script()
    for height in range(400, 520):
        script.add(block(height))
    async with scene(script) as on:
        with capture_logs() as lines:
            told = await on.tell(tip(519), cold=10**9 - 4)
        assert only(told).changes == ((COLD, -4),)
        assert script.asked.count("eth_getBlockByHash") == 100
        assert "movements passed over" in [line["event"] for line in lines]
        assert on.companion.doubt


async def test_a_node_that_can_not_trace_is_not_asked_again_for_a_minute() -> None:
    script = Script()
    for height in range(1, 4):
        script.add(block(height))
    async with scene(script) as on:
        for height, wait in ((1, 0.0), (2, 59.0), (3, 1.0)):
            on.time.now += wait
            await on.tell(tip(height), safe=10**9 - height)
    assert script.asked.count("trace_block") == 2
