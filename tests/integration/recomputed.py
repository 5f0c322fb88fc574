"""What stands unspent at a block, recomputed from every block below it as bcoin decodes them: the oracle of the walks.

Nothing here reads a block or knows a script by the connector's code. Hashes and transaction ids are hex as in bcoin's
answers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.integration.bcoin import BcoinNode, satoshis


class Outpoint(NamedTuple):
    txid: str
    vout: int


class Output(NamedTuple):
    """`value` in satoshis; `height` is its block's, None while it is pending."""

    script: bytes
    value: int
    height: int | None
    coinbase: bool = False


@dataclass(frozen=True, slots=True)
class Transaction:
    """A coinbase spends nothing."""

    txid: str
    spends: tuple[Outpoint, ...]
    made: tuple[tuple[bytes, int], ...]

    @classmethod
    def decoded(cls, told: Mapping[str, Any]) -> Transaction:
        """From bcoin's verbose form."""
        spends = (Outpoint(one["txid"], one["vout"]) for one in told["vin"] if one.get("txid") is not None)
        made = ((bytes.fromhex(one["scriptPubKey"]["hex"]), satoshis(one["value"])) for one in told["vout"])
        return cls(told["txid"], tuple(spends), tuple(made))

    def outputs(self, *, height: int | None) -> dict[Outpoint, Output]:
        return {
            Outpoint(self.txid, place): Output(script, value, height, coinbase=not self.spends)
            for place, (script, value) in enumerate(self.made)
        }


@dataclass(frozen=True, slots=True)
class Block:
    hash: str
    parent: str | None
    height: int
    transactions: tuple[Transaction, ...]


class Blocks:
    """Every block that was learned, also those that the node has forgotten since.

    `told` are blocks as the node decodes them, which others may share.
    """

    def __init__(self, node: BcoinNode, *, told: dict[str, dict[str, Any]]) -> None:
        self._node = node
        self._told = told
        self._known: dict[str, Block] = {}
        self._pending: dict[str, Transaction] = {}

    async def learn(self, block: str | None) -> None:
        """The block and all below it."""
        while block is not None and block not in self._known:
            if block not in self._told:
                self._told[block] = await self._node.rpc("getblock", block, True, True)
            told = self._told[block]
            transactions = tuple(Transaction.decoded(one) for one in told["tx"])
            self._known[block] = Block(block, told["previousblockhash"], told["height"], transactions)
            block = self._known[block].parent

    def height(self, block: str) -> int:
        return self._known[block].height

    def branch(self, block: str, *, above: int = 0) -> list[Block]:
        """From the lowest above that height up to the block; the genesis block's reward can't be spent."""
        found = []
        one = self._known[block]
        while one.height > above and one.parent is not None:
            found.append(one)
            one = self._known[one.parent]
        return found[::-1]

    def coins(self, block: str) -> dict[Outpoint, Output]:
        """Everything unspent at the block."""
        coins: dict[Outpoint, Output] = {}
        for one in self.branch(block):
            for transaction in one.transactions:
                for spend in transaction.spends:
                    del coins[spend]
                coins |= transaction.outputs(height=one.height)
        return coins

    def balances(self, block: str, accounts: Mapping[str, Collection[bytes]]) -> dict[str, int]:
        """The satoshis that each account's scripts hold at the block."""
        sums = dict.fromkeys(accounts, 0)
        owners = {script: account for account, scripts in accounts.items() for script in scripts}
        for coin in self.coins(block).values():
            if coin.script in owners:
                sums[owners[coin.script]] += coin.value
        return sums

    async def pending(self) -> list[Transaction]:
        """What is in the node's mempool."""
        txids = sorted(await self._node.mempool())
        for txid in txids:
            if txid not in self._pending:
                told = await self._node.rpc("getrawtransaction", txid, True)
                self._pending[txid] = Transaction.decoded(told)
        return [self._pending[txid] for txid in txids]
