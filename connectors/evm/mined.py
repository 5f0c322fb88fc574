"""What a block did to watched accounts, asked of one node: its transactions, its transfers and the receipts it takes.

A block costs one exchange, and a second one where a transaction of ours is in it; both for all accounts together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from connectors.base import Address, Tip
from connectors.errors import BadAnswer, ConnectorError, NodeError
from connectors.evm import answers
from connectors.evm.answers import Event, Receipt, Sent, Told
from connectors.evm.authorizations import touched
from connectors.evm.node import EvmNode
from connectors.evm.transfers import TRANSFER_EVENT, Deed, Teller
from connectors.follow import UnknownBlock
from connectors.jsonrpc import Call, Result

MOST_SINGLE = 25
"""Receipts that are asked for one by one, in one exchange; for more all of the block are."""

LARGEST = 64 * 1024 * 1024
"""Bytes of a block's receipts, past which they are nothing that a chain can hold."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mined:
    """What a block holds of interest, as told by one node.

    `sent`: sender and nonce of its transactions that concern watched accounts or anybody who waits. `withdrawn` and
    `rewarded` are the watched accounts that get coins of the block itself: of withdrawals in wei, of fees who it is.
    """

    tip: Tip
    parent: str
    deeds: tuple[Deed, ...]
    sent: tuple[tuple[str, tuple[Address, int]], ...]
    withdrawn: tuple[tuple[Address, int], ...] = ()
    rewarded: Address | None = None
    touched: tuple[tuple[Address, str], ...] = ()
    """Watched accounts that a transaction comes from, goes to or is authorised by, each with that transaction."""


async def read_block(node: EvmNode, *, block: str, teller: Teller, senders: Collection[Address]) -> Mined:
    """What the block with this hash did. `senders`: whose transactions are noted beside those of watched accounts.

    Raises UnknownBlock when the node lacks the block or its receipts, another ConnectorError when it can't be asked.
    """
    calls: list[Call] = [("eth_getBlockByHash", (block, True))]
    if teller.tokens:
        calls.append(("eth_getLogs", ({"blockHash": block, "address": [*teller.tokens], "topics": [TRANSFER_EVENT]},)))
    results = [_given(result) for result in await node.node.batch(calls)]
    if results[0] is None:
        raise _unknown(node, block=block)
    told = _understood(node, lambda: answers.block(results[0], hash_=block))
    events = _understood(node, lambda: list(_events(results[1:], at=block, teller=teller)))
    ours = _understood(node, lambda: _ours(told, events=events, teller=teller, senders=senders))
    wanted = [one for one in ours if teller.needs_receipt(one)]
    receipts = await _receipts(node, wanted, at=block, of=len(told.transactions))
    _understood(node, lambda: _check_logs(receipts, events=events, at=block, teller=teller))
    return Mined(
        told.tip,
        told.parent,
        _deeds(ours, events=events, receipts=receipts, teller=teller),
        tuple((one.hash, (one.sender, one.nonce)) for one in ours),
        tuple((account, units) for account, units in told.withdrawn if account in teller.accounts),
        told.miner if told.miner in teller.accounts else None,
        tuple(touched(told.transactions, accounts=teller.accounts)),
    )


def _events(results: Iterable[Result], *, at: str, teller: Teller) -> Iterable[Event]:
    for result in results:
        for raw in answers.items(result):
            event = answers.event(raw, at=at)
            if event is None:
                continue
            if event.contract not in teller.tokens:
                raise ValueError("a log of a contract that was not asked for")
            yield event


def _check_logs(receipts: Mapping[str, Receipt], *, events: Iterable[Event], at: str, teller: Teller) -> None:
    """The receipts that we have anyway tell the same transfers as the logs of the block."""
    logs = [raw for receipt in receipts.values() for raw in receipt.logs if _is_transfer(raw, teller=teller)]
    told = teller.transfers(_events([logs], at=at, teller=teller))
    found = {key: flows for key, flows in teller.transfers(events).items() if key[0] in receipts}
    if told != found:
        raise ValueError("the logs of a transaction differ from those in its receipt")


def _is_transfer(raw: object, *, teller: Teller) -> bool:
    fields = answers.fields_of(raw)
    topics = answers.items(fields.get("topics"))
    return bool(topics) and topics[0] == TRANSFER_EVENT and str(fields.get("address")).lower() in teller.tokens


def _ours(told: Told, *, events: Iterable[Event], teller: Teller, senders: Collection[Address]) -> Sequence[Sent]:
    """The transactions of interest, in the block's order. Logs must be of transactions that are in the block."""
    moved = {transaction for transaction, _ in teller.transfers(events)}
    interesting = [raw for raw in told.transactions if _interesting(raw, moved=moved, teller=teller, senders=senders)]
    ours = [answers.sent(raw) for raw in interesting]
    if moved - {one.hash for one in ours}:
        raise ValueError("a log of a transaction that is not in the block")
    return ours


def _interesting(raw: answers.Raw, *, moved: Collection[str], teller: Teller, senders: Collection[Address]) -> bool:
    """A token's transaction may name us in its call data, and fail: it is noted so that it waits no more."""
    sender, to = str(raw.get("from")).lower(), str(raw.get("to")).lower()
    if sender in teller.accounts or to in teller.accounts or sender in senders:
        return True
    return raw.get("hash") in moved or (to in teller.tokens and bool(teller.waiting(answers.sent(raw))))


def _deeds(
    ours: Iterable[Sent], *, events: Iterable[Event], receipts: Mapping[str, Receipt], teller: Teller
) -> tuple[Deed, ...]:
    transfers = teller.transfers(events)
    deeds: list[Deed] = []
    for one in ours:
        receipt = receipts.get(one.hash)
        coin = None if receipt is None else teller.mined(one, receipt)
        if coin is not None:
            deeds.append(coin)
        moved = (
            (token, transfers[one.hash, token]) for token in teller.tokens.values() if (one.hash, token) in transfers
        )
        deeds += (Deed(one.hash, token, flows) for token, flows in moved)
    return tuple(deeds)


async def _receipts(node: EvmNode, wanted: Sequence[Sent], *, at: str, of: int) -> Mapping[str, Receipt]:
    """By hash. `of` is how many transactions the block has."""
    if not wanted:
        return {}
    raws = await _whole(node, at=at, of=of) if len(wanted) > MOST_SINGLE else None
    if raws is None:
        results = await node.node.batch([("eth_getTransactionReceipt", (one.hash,)) for one in wanted])
        raws = {one.hash: _given(result) for one, result in zip(wanted, results, strict=True)}
    missing = any(raws.get(one.hash) is None for one in wanted)
    if missing:  # it has the block, and not yet (or not any more) what came of it
        raise _unknown(node, block=at)
    return _understood(node, lambda: {one.hash: answers.receipt(raws[one.hash], of=one, at=at) for one in wanted})


async def _whole(node: EvmNode, *, at: str, of: int) -> dict[str, Result] | None:
    """All receipts of the block; None from a node that does not know the call."""
    try:
        result = await node.node.long_call("eth_getBlockReceipts", ({"blockHash": at},), ceiling=LARGEST)
    except NodeError:
        return None
    if result is None:
        raise _unknown(node, block=at)
    found = _understood(node, lambda: [answers.fields_of(raw) for raw in answers.items(result)])
    if len(found) != of:
        raise _bad(node, f"{len(found)} receipts of a block with {of} transactions")
    return {str(one.get("transactionHash")): one for one in found}


def _given(result: Result) -> Result:
    if isinstance(result, ConnectorError):
        raise result
    return result


def _understood(node: EvmNode, reading: Callable[[], T]) -> T:
    try:
        return reading()
    except ValueError as error:
        raise _bad(node, str(error)) from None


def _bad(node: EvmNode, text: str) -> BadAnswer:
    return node.transport.blame(BadAnswer(f"{node.transport.provider}: {text}"))


def _unknown(node: EvmNode, *, block: str) -> UnknownBlock:
    return UnknownBlock(f"{node.transport.provider}: does not have block {block}, or not what came of it", code=0)
