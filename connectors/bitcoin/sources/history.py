"""What an Electrum server tells of one script: its confirmed coins, and the pending transactions that touch it.

`listunspent` leaves out confirmed coins that a pending transaction spends; they are found through that transaction. The
confirmed balance says whether all were found.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field, TypeAdapter

from connectors.bitcoin.forms import BlockForm
from connectors.bitcoin.sources.answers import HEX, BlockHash, Fields, Index, Satoshis, Txid, understood
from connectors.bitcoin.sources.base import Coin, electrum_hash
from connectors.bitcoin.sources.proof import Outpoint, outpoint
from connectors.bitcoin.sources.proof import understood as understood_transaction
from connectors.bitcoin.sources.wire import Wire
from connectors.bitcoin.transaction import Transaction
from connectors.errors import BadAnswer, NodeError

SignedHeight = Annotated[int, Field(strict=True, ge=-1, lt=2**31)]
"""0 is pending, -1 pending on something that is pending itself."""


@dataclass(frozen=True, slots=True)
class History:
    """As of `status`, None for a script that was never used. `pending`: fees in satoshis by transaction."""

    status: str | None
    coins: tuple[Coin, ...] = ()
    pending: Mapping[bytes, int] = field(default_factory=dict)


NO_HISTORY = History(None)


class Balance(Fields):
    confirmed: Satoshis


class Unspent(Fields):
    tx_hash: Txid
    tx_pos: Index
    height: SignedHeight
    value: Satoshis


class PendingTransaction(Fields):
    tx_hash: Txid
    fee: Satoshis


class Seen(Fields):
    tx_hash: Txid
    height: SignedHeight


BALANCE = TypeAdapter(Balance)
UNSPENT = TypeAdapter(list[Unspent])
POOL = TypeAdapter(list[PendingTransaction])
SEEN = TypeAdapter(list[Seen])
STATUS = TypeAdapter(BlockHash | None)


async def read_history(wire: Wire, script: bytes, *, status: str, form: BlockForm) -> History | NodeError | None:
    """What the server tells of the script at this status; None when it changes meanwhile, NodeError when it refuses."""
    name = electrum_hash(script)
    methods = ("get_balance", "listunspent", "get_mempool")
    answers = await wire.requests([(f"blockchain.scripthash.{method}", [name]) for method in methods])
    refusal = next((answer for answer in answers if isinstance(answer, NodeError)), None)
    if refusal is not None:
        return refusal
    confirmed = understood(answers[0], BALANCE, by=wire, of="get_balance").confirmed
    unspent = understood(answers[1], UNSPENT, by=wire, of="listunspent")
    pool = understood(answers[2], POOL, by=wire, of="get_mempool")
    coins = {
        Outpoint(one.tx_hash, one.tx_pos): Coin(one.tx_hash, one.tx_pos, one.value, script, one.height)
        for one in unspent
        if one.height > 0
    }
    if _worth(coins) != confirmed:
        coins |= await _spent_by(wire, {one.tx_hash for one in pool}, script=script, form=form)
    again = understood(await wire.request("blockchain.scripthash.subscribe", name), STATUS, by=wire, of="subscribe")
    if _worth(coins) != confirmed or again != status:
        return None
    return History(status, tuple(coins.values()), {one.tx_hash: one.fee for one in pool})


async def confirmed_history(wire: Wire, script: bytes) -> dict[bytes, int]:
    """The mined transactions that touch the script, and the heights of their blocks. Raises ConnectorError."""
    answer = await wire.request("blockchain.scripthash.get_history", electrum_hash(script))
    seen = understood(answer, SEEN, by=wire, of="get_history")
    return {one.tx_hash: one.height for one in seen if one.height > 0}


async def _spent_by(wire: Wire, pending: Collection[bytes], *, script: bytes, form: BlockForm) -> dict[Outpoint, Coin]:
    """The script's confirmed coins that pending transactions spend; less where something changes meanwhile."""
    try:
        heights = await confirmed_history(wire, script)
    except NodeError:
        return {}
    spenders = await _transactions(wire, pending, form=form)
    spends = {spend for one in spenders.values() for spend in map(outpoint, one.inputs()) if spend.txid in heights}
    makers = await _transactions(wire, {spend.txid for spend in spends}, form=form)
    coins: dict[Outpoint, Coin] = {}
    for spend in spends:
        maker = makers.get(spend.txid)
        if maker is None:
            continue
        outputs = list(maker.outputs())
        if spend.vout >= len(outputs):
            raise wire.blame(BadAnswer(f"{wire.provider}: a pending transaction spends an output that never was"))
        output = outputs[spend.vout]
        if output.script == script:
            coins[spend] = Coin(spend.txid, spend.vout, output.value, script, heights[spend.txid])
    return coins


async def _transactions(wire: Wire, txids: Collection[bytes], *, form: BlockForm) -> dict[bytes, Transaction]:
    """By id, without those that the server does not know (any more)."""
    wanted = list(txids)
    answers = await wire.requests([("blockchain.transaction.get", [txid[::-1].hex()]) for txid in wanted])
    found: dict[bytes, Transaction] = {}
    for txid, answer in zip(wanted, answers, strict=True):
        if not isinstance(answer, NodeError):
            raw = understood(answer, HEX, by=wire, of="transaction.get")
            transaction = understood_transaction(raw, txid=txid, form=form, by=wire)
            if transaction is not None:
                found[txid] = transaction
    return found


def _worth(coins: Mapping[Outpoint, Coin]) -> int:
    return sum(coin.value for coin in coins.values())
