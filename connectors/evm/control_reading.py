"""Reads from one EVM node, at one block hash, who controls accounts: code and storage, in batches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from connectors.base import UNREAD, Address, Control
from connectors.errors import BadAnswer, ConnectorError, NodeError
from connectors.evm.answers import DATA
from connectors.evm.control_facts import MOST_LINKED, Question, asked_first, code_of, control_of
from connectors.evm.node import EvmNode
from connectors.evm.reader import REVERTED
from connectors.evm.wire import WORD
from connectors.follow import UnknownBlock
from connectors.jsonrpc import Result

MOST_ROUNDS = MOST_LINKED + 4
"""Exchanges of one reading at most: each follows lists by one more member than it knew before."""


class Found(NamedTuple):
    """What one node tells; `asked` by account with code is what it took, which is asked at once the next time."""

    controls: Mapping[Address, Control]
    asked: Mapping[Address, tuple[Question, ...]]


async def read_controls(
    node: EvmNode, accounts: Sequence[Address], *, block: str, known: Mapping[Address, tuple[Question, ...]]
) -> Found:
    """Of each account; UNREAD where the node refuses something of it. Raises ConnectorError where it can't be read."""
    await node.identify()
    changeable = await node.may_change(block)
    found = await _read(node, accounts, block=block, known=known)
    if changeable and not await node.may_change(block):
        found = await _read(node, accounts, block=block, known=known)  # now the block is history, which keeps still
    if any(control.kind == UNREAD for control in found.controls.values()) and not await node.knows(block):
        raise UnknownBlock(f"{node.transport.provider}: does not have block {block}", code=0)
    return found


async def _read(
    node: EvmNode, accounts: Sequence[Address], *, block: str, known: Mapping[Address, tuple[Question, ...]]
) -> Found:
    controls: dict[Address, Control] = {}
    asked: dict[Address, tuple[Question, ...]] = {}
    told: dict[Question, str] = {}
    refused: dict[Question, ConnectorError] = {}
    open_ = {account: known.get(account, (code_of(account),)) for account in accounts}
    for _ in range(MOST_ROUNDS):
        await _ask(node, (one for wanted in open_.values() for one in wanted), block=block, told=told, refused=refused)
        for account, wanted in list(open_.items()):
            asked[account] = (*asked.get(account, ()), *wanted)
            failed = next((refused[one] for one in wanted if one in refused), None)
            made = _unread(account, failed) if failed is not None else _made(account, told)
            if isinstance(made, Control):
                controls[account] = made
                del open_[account]
            else:
                open_[account] = made
        if not open_:
            break
    controls |= {account: Control(account, UNREAD, (("detail", "its lists do not end"),)) for account in open_}
    return Found(controls, {account: asked[account] for account in accounts if len(asked[account]) > 1})


def _made(account: Address, told: Mapping[Question, str]) -> Control | tuple[Question, ...]:
    """With code, all that every account with code is asked for is asked for at once."""
    made = control_of(account, told)
    if isinstance(made, Control) or made == (code_of(account),):
        return made
    return tuple(dict.fromkeys(one for one in (*asked_first(account), *made) if one not in told))


def _unread(account: Address, error: ConnectorError) -> Control:
    return Control(account, UNREAD, (("reason", str(error.reason)), ("detail", str(error))))


async def _ask(
    node: EvmNode,
    questions: Iterable[Question],
    *,
    block: str,
    told: dict[Question, str],
    refused: dict[Question, ConnectorError],
) -> None:
    wanted = [one for one in dict.fromkeys(questions) if one not in told and one not in refused]
    for start in range(0, len(wanted), node.asked.batch):
        part = wanted[start : start + node.asked.batch]
        results = await node.node.batch([one.call(block) for one in part])
        for question, result in zip(part, results, strict=True):
            answer = _answer(node, question, result)
            if isinstance(answer, ConnectorError):
                refused[question] = answer
            else:
                told[question] = answer


def _answer(node: EvmNode, question: Question, result: Result) -> str | ConnectorError:
    if isinstance(result, NodeError) and question.method == "eth_call" and _reverted(result):
        return "0x"  # that address is no beacon
    if isinstance(result, ConnectorError):
        return result
    form = WORD if question.method == "eth_getStorageAt" else DATA
    if not isinstance(result, str) or not form.fullmatch(result):
        return node.transport.blame(BadAnswer(f"{node.transport.provider}: {question.method}: no such data"))
    return result.lower()


def _reverted(error: NodeError) -> bool:
    return error.code == REVERTED or "revert" in str(error).lower()
