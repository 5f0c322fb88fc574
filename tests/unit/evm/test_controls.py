"""Whose control is read when, what is told of it, and which transaction is named: on nodes whose answers are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from connectors.base import UNREAD, Address, Tip
from connectors.errors import NodeError
from connectors.evm import controls as module
from connectors.evm.blocks import sides
from connectors.evm.causes import causes
from connectors.evm.controls import Controls, Told
from connectors.evm.mined import Mined
from tests.unit.connectors.server import FakeTime
from tests.unit.evm.crafted import COLD, HOT, SAFE, WATCH, Script, block, name_of, node_of, tip

WORD = "0x" + "00" * 32
ADDED = "0x9465fa0c962cc76958e6373a993326400c1c94f8be2fe3a952adfa7f60b2ea26"  # AddedOwner(address)
EXECUTED = "0x442e715f626346e8c54381002da614f62bee8d27386535b2521ec8540898556e"  # ExecutionSuccess(bytes32,uint256)


@dataclass
class Chain:
    """What every account's code is; `asked` whose code was asked for, in order."""

    codes: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    refuses: bool = False

    def answer(self, method: str, params: Sequence[Any], result: object) -> object:
        if method == "eth_getCode":
            self.asked.append(params[0])
            return NodeError("no", code=-1) if self.refuses else self.codes.get(params[0], "0x")
        return WORD if method == "eth_getStorageAt" else result


class Scene:
    def __init__(self, *chains: Chain, agree: int = 1) -> None:
        self.time = FakeTime()
        self.chains = chains
        scripts = [Script(edit=chain.answer) for chain in chains]
        for script in scripts:
            for height in range(9):
                script.add(block(height))
        nodes = [node_of(script, name=name, time=self.time) for script, name in zip(scripts, "abc", strict=False)]
        self.controls = Controls(
            WATCH,
            sides=sides(nodes, chain="eth", timing=self.time.timing(), purpose="control"),
            agree=agree,
            sweep=timedelta(hours=6),
            patience=timedelta(seconds=5),
            timing=self.time.timing(),
        )

    async def at(
        self, height: int, *, touched: Sequence[Address] = (), by: Sequence[Address] = (), anew: bool = False
    ) -> Told:
        """What is told at a block; `by` are accounts that one of its transactions names."""
        for chain in self.chains:
            chain.asked.clear()
        mined = Mined(tip(height), name_of(height - 1), (), (), touched=tuple((one, "0x77") for one in by))
        return await self.controls.at(tip(height), touched=touched, blocks=[mined], anew=anew)


def kinds(told: Told) -> dict[str, str]:
    return {one.account: one.kind for one in told.controls}


async def test_at_first_every_account_is_asked_and_told() -> None:
    scene = Scene(chain := Chain({SAFE: "0x60"}))
    assert kinds(await scene.at(1)) == {HOT: "single", COLD: "single", SAFE: "contract"}
    assert {*chain.asked} == {HOT, COLD, SAFE}


async def test_afterwards_those_with_code_are_asked_once_a_block_and_told_when_they_change() -> None:
    scene = Scene(chain := Chain({SAFE: "0x60"}))
    await scene.at(1)
    assert (await scene.at(1), chain.asked) == (Told(), [])
    assert (await scene.at(2), chain.asked) == (Told(), [SAFE])
    chain.codes[SAFE] = "0x61"
    assert kinds(await scene.at(3)) == {SAFE: "contract"}


@pytest.mark.parametrize("way", ["touched", "by"])
async def test_whose_balance_changes_or_whom_a_transaction_names_is_asked(way: str) -> None:
    scene = Scene(chain := Chain())
    await scene.at(1)
    chain.codes[COLD] = "0x60"
    assert kinds(await scene.at(2)) == {}
    assert kinds(await scene.at(3, **{way: [COLD]})) == {COLD: "contract"}  # type: ignore[arg-type]
    assert chain.asked == [COLD]


async def test_a_sweep_and_blocks_that_were_passed_over_have_everybody_asked_again() -> None:
    scene = Scene(chain := Chain())
    await scene.at(1)
    scene.time.now += timedelta(hours=7).total_seconds()
    await scene.at(2)
    assert {*chain.asked} == {HOT, COLD, SAFE}
    scene.controls.doubt()
    await scene.at(3)
    assert {*chain.asked} == {HOT, COLD, SAFE}


async def test_no_more_are_asked_at_once_than_is_bounded_and_the_others_take_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MOST_DUE", 2)
    monkeypatch.setattr(module, "MOST_CODED", 1)
    scene = Scene(chain := Chain(dict.fromkeys(WATCH.accounts, "0x60")))
    assert len(kinds(await scene.at(1))) == 2
    assert len(kinds(await scene.at(1))) == 1
    asked = []
    for height in (2, 3, 4):
        await scene.at(height)
        asked += chain.asked
    assert sorted(asked) == sorted(WATCH.accounts)


async def test_after_doubt_those_with_code_are_told_again() -> None:
    scene = Scene(Chain({SAFE: "0x60"}))
    await scene.at(1)
    assert kinds(await scene.at(1, anew=True)) == {SAFE: "contract"}


async def test_what_is_refused_is_unread_once_and_told_again_when_it_is_read() -> None:
    scene = Scene(chain := Chain({SAFE: "0x60"}))
    await scene.at(1)
    chain.refuses = True
    assert kinds(await scene.at(2)) == {SAFE: UNREAD}
    assert kinds(await scene.at(3)) == {}
    chain.refuses = False
    assert kinds(await scene.at(3)) == {SAFE: "contract"}


async def test_two_nodes_of_three_decide_and_the_third_is_named() -> None:
    scene = Scene(Chain({SAFE: "0x60"}), Chain(), Chain({SAFE: "0x60"}), agree=2)
    told = await scene.at(1)
    assert kinds(told)[SAFE] == "contract"
    ((account, answers),) = [(one.account, dict(one.answers)) for one in told.disputes]
    assert (account, answers["b"]) == (SAFE, "single")


async def test_where_two_nodes_contradict_each_other_nobody_knows() -> None:
    scene = Scene(Chain({SAFE: "0x60"}), Chain(), agree=2)
    told = await scene.at(1)
    assert kinds(told) == {HOT: "single", COLD: "single", SAFE: UNREAD}
    assert len(told.disputes) == 1


# ── causes ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def log(number: int, topic: str, *, height: int = 1, contract: str = SAFE) -> dict[str, object]:
    made = {"address": contract, "topics": [topic], "data": "0x", "blockHash": name_of(height)}
    return {**made, "transactionHash": f"0x{number:064x}"}


async def cause(*logs: dict[str, object], touching: Sequence[int] = ()) -> tuple[int, Tip] | None:
    script = Script(logs=list(logs))
    mined = [
        Mined(tip(1), name_of(0), (), (), touched=tuple((SAFE, f"0x{number:064x}") for number in touching)),
        Mined(tip(2), name_of(1), (), ()),
    ]
    found = (await causes(node_of(script), [SAFE], blocks=mined)).get(SAFE)
    return None if found is None else (int(found[0], 16), found[1])


async def test_an_event_of_the_account_that_tells_of_control_names_the_transaction() -> None:
    assert await cause(log(3, ADDED), log(4, EXECUTED), touching=[5]) == (3, tip(1))


async def test_without_one_it_is_the_only_execution_then_the_only_transaction_else_nobody_knows() -> None:
    assert await cause(log(4, EXECUTED), touching=[4, 5]) == (4, tip(1))
    assert await cause(log(4, EXECUTED), log(5, EXECUTED)) is None
    assert await cause(touching=[6]) == (6, tip(1))
    assert await cause(touching=[6, 7]) is None
    assert await cause() is None


async def test_events_of_other_accounts_name_nothing() -> None:
    assert await cause(log(3, ADDED, contract=HOT)) is None


async def test_a_log_that_says_it_is_of_another_block_is_not_believed() -> None:
    """The scripted node is made to answer the question for block 1 with what it has of block 7."""
    script = Script(logs=[log(3, ADDED, height=7)], edit=lambda _method, _params, _result: [log(3, ADDED, height=7)])
    assert await causes(node_of(script), [SAFE], blocks=[Mined(tip(1), name_of(0), (), ())]) == {}
