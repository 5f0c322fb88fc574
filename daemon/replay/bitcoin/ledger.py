"""A scripted ledger that makes real Bitcoin blocks, on regtest: payments wait in a mempool until a block is mined.

Nothing is signed and no work is proven; who reads blocks through a node of their own judges neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.bitcoin.address import address_of, script_of
from connectors.bitcoin.networks import named
from daemon.replay.bitcoin.records import Coin, Records
from daemon.replay.bitcoin.serial import Block, Outpoint, Payment, Transaction, block, genesis, transaction
from daemon.replay.played import Overspent, check_time

REGTEST = named("regtest")
MOST = REGTEST.block.max_money
SUBSIDY, HALVING = 50 * 10**8, 150
"""Satoshis of a block's reward, and after how many blocks it halves on regtest (chainparams.cpp)."""

OPENING = 2
"""The height of the block that the opening balances are in."""

APART = 600
"""Seconds between it and the block before, whose coinbase holds as much."""


@dataclass(frozen=True, slots=True)
class Change:
    """What has just happened: these scripts were touched, and there is another newest block or not."""

    scripts: frozenset[bytes]
    block: bool


class Ledger:
    """The chain and its mempool. Accounts are addresses of regtest; amounts are satoshis.

    `openings` may name an account more than once: each is a coin of its own. They are paid in block 2, at `time`, out
    of the coinbase of block 1: here, and only here, a coinbase holds more than its due and is spent before it is ripe.
    Block rewards and fees go to a miner whom nobody knows. `listeners` are told of every change.
    """

    def __init__(self, openings: Iterable[tuple[str, int]], *, time: datetime) -> None:
        self.blocks: list[Block] = [genesis()]
        self.stale: dict[str, Block] = {}
        """Blocks that were undone, by hash."""
        self.records = Records()
        self.mempool: dict[str, Transaction] = {}
        """In the order in which they came: what spends another comes after it."""
        self.listeners: list[Callable[[Change], None]] = []
        self._by_hash = {self.tip.hash: self.tip}
        self._transactions: dict[str, Transaction] = {}
        self._scripts: dict[str, bytes] = {}
        self._pending: dict[Outpoint, Coin] = {}
        """What waiting transactions make and no other waiting one spends."""
        self._taken: dict[Outpoint, str] = {}
        """What waiting transactions spend, and which does."""
        self._waiting: dict[bytes, dict[str, None]] = {}
        """Waiting transactions by the scripts that they touch."""
        self._salt = 0
        self._open([(self.script(account), units) for account, units in openings], time=_seconds(time))

    # ── what there is ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def tip(self) -> Block:
        return self.blocks[-1]

    def block_of(self, block_hash: str) -> Block | None:
        """Also one that was undone."""
        return self._by_hash.get(block_hash) or self.stale.get(block_hash)

    def transaction(self, txid: str) -> Transaction | None:
        """Mined or waiting."""
        return self.mempool.get(txid) or self._transactions.get(txid)

    def waiting(self, script: bytes) -> list[Transaction]:
        """The transactions in the mempool that touch the script, in the order in which they came."""
        return [self.mempool[txid] for txid in self._waiting.get(script, ())]

    def taker(self, outpoint: Outpoint) -> str | None:
        """The waiting transaction that spends this output."""
        return self._taken.get(outpoint)

    def units(self, account: str) -> int:
        """What an account has in blocks."""
        record = self.records.of.get(self.script(account))
        return 0 if record is None else record.units

    def coins(self, account: str) -> list[Coin]:
        """What an account can spend, first come first: coins in blocks, then its pending ones."""
        script = self.script(account)
        record = self.records.of.get(script)
        mined = [] if record is None else [coin for coin in record.unspent.values() if coin.outpoint not in self._taken]
        return mined + [coin for coin in self._pending.values() if coin.script == script]

    def script(self, account: str) -> bytes:
        """The script of an address. Raises BadAddress, a ValueError, for what is none of regtest."""
        known = self._scripts.get(account)
        if known is None:
            known = self._scripts[account] = script_of(account, network=REGTEST)
        return known

    # ── payments ────────────────────────────────────────────────────────────────────────────────────────────────────

    def pay(self, payer: str, payee: str, *, units: int, fee: int = 0) -> str:
        """From the payer's oldest coins, as many as it takes; the rest goes back. The waiting transaction's id.

        Raises Overspent, also for what waiting transactions already spend.
        """
        chosen: list[Coin] = []
        worth, wanted = 0, units + fee
        coins = self.coins(payer)
        for coin in coins:
            if worth >= wanted:
                break
            chosen.append(coin)
            worth += coin.units
        if worth < wanted or not chosen:
            raise Overspent(f"{payer} has {worth} satoshis to spend, not {wanted}")
        back = [(payer, worth - wanted)] if worth > wanted else []
        return self.spend(chosen, outputs=[(payee, units), *back])

    def sweep(self, payer: str, payee: str, *, fee: int = 0) -> str:
        """Everything that the payer can spend, but for the fee, in one output. The waiting transaction's id."""
        coins = self.coins(payer)
        worth = sum(coin.units for coin in coins)
        if worth <= fee:
            raise Overspent(f"{payer} has {worth} satoshis to spend, not more than {fee}")
        return self.spend(coins, outputs=[(payee, worth - fee)])

    def spend(self, inputs: Sequence[Coin], *, outputs: Sequence[tuple[str, int]]) -> str:
        """These coins for those outputs; what they leave is the fee. The waiting transaction's id.

        Raises Overspent when the outputs want more, or a coin is not to be had.
        """
        for coin in inputs:
            gone = coin.outpoint in self._taken
            if gone or (coin.outpoint not in self.records.coins and coin.outpoint not in self._pending):
                raise Overspent(f"{_name(coin.script)} has no coin {coin.outpoint[0]}:{coin.outpoint[1]} to spend")
        if len({coin.outpoint for coin in inputs}) != len(inputs):
            raise Overspent("a transaction spends a coin twice")
        worth, wanted = sum(coin.units for coin in inputs), sum(units for _, units in outputs)
        if not inputs or worth < wanted:
            names = ", ".join(sorted({_name(coin.script) for coin in inputs})) or "nobody"
            raise Overspent(f"{names} has {worth} satoshis to spend, not {wanted}")
        if not outputs or any(units <= 0 for _, units in outputs):
            raise ValueError("a payment moves at least one satoshi to somebody")
        return self._enter(
            transaction(
                [(coin.outpoint, (coin.script, coin.units)) for coin in inputs],
                [(self.script(account), units) for account, units in outputs],
            ),
            spent=inputs,
        )

    def _enter(self, one: Transaction, *, spent: Sequence[Coin]) -> str:
        touched = {script for script, _ in one.outputs} | {coin.script for coin in spent}
        self.mempool[one.txid] = one
        for coin in spent:
            self._taken[coin.outpoint] = one.txid
            self._pending.pop(coin.outpoint, None)
        for place, (script, units) in enumerate(one.outputs):
            self._pending[one.txid, place] = Coin((one.txid, place), script, units, 0, coinbase=False)
        for script in touched:
            self._waiting.setdefault(script, {})[one.txid] = None
        self._tell(touched, block=False)
        return one.txid

    # ── blocks ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def mine(self, *, time: datetime) -> Block:
        """A block with all that waits. Raises ValueError when it is not after its parent."""
        waiting = tuple(self.mempool.values())
        touched = set(self._waiting)
        made = self._next(waiting, time=_seconds(time))
        self.mempool.clear()
        self._pending.clear()
        self._taken.clear()
        self._waiting.clear()
        self._tell(touched | self._connect(made), block=True)
        return made

    def reorganise(self, depth: int, *, time: datetime) -> None:
        """Other blocks with the same payments in the places of the newest `depth`, and an empty one upon them.

        What waits goes on waiting. Raises ValueError for a depth that would undo the opening balances, or a time that
        is not after the newest block's.
        """
        if not 1 <= depth <= self.tip.height - OPENING:
            raise ValueError(f"there are {self.tip.height - OPENING} blocks that can be undone, not {depth}")
        newest = self._after_tip(_seconds(time))
        old = self.blocks[-depth:]
        touched = self.records.disconnect(old)
        del self.blocks[-depth:]
        for undone in old:
            self.stale[undone.hash] = self._by_hash.pop(undone.hash)
        self._salt += 1
        for undone in old:
            touched |= self._connect(self._next(undone.transactions[1:], time=undone.time))
        touched |= self._connect(self._next((), time=newest))
        self._tell(touched, block=True)

    def _open(self, openings: Sequence[Payment], *, time: int) -> None:
        worth = sum(units for _, units in openings)
        if any(units <= 0 for _, units in openings) or worth > MOST:
            raise ValueError(f"opening balances are positive and at most {MOST} satoshis together")
        mint = (_script_of_nobody("mint"), worth)
        issue = block((), parent=self.tip, time=self._after_tip(time - APART), salt=self._salt, reward=[mint])
        self._connect(issue)
        handed_out = [transaction([((issue.transactions[0].txid, 0), mint)], openings)] if openings else []
        self._connect(self._next(handed_out, time=time))

    def _next(self, transactions: Sequence[Transaction], *, time: int) -> Block:
        reward = (SUBSIDY >> (self.tip.height + 1) // HALVING) + sum(one.fee for one in transactions)
        paid = [(_script_of_nobody("miner"), reward)]
        return block(transactions, parent=self.tip, time=self._after_tip(time), salt=self._salt, reward=paid)

    def _after_tip(self, time: int) -> int:
        check_time(datetime.fromtimestamp(time, UTC), parent=datetime.fromtimestamp(self.tip.time, UTC))
        return time

    def _connect(self, made: Block) -> set[bytes]:
        self.blocks.append(made)
        self._by_hash[made.hash] = made
        self._transactions |= {one.txid: one for one in made.transactions}
        return self.records.connect(made)

    def _tell(self, scripts: Iterable[bytes], *, block: bool) -> None:
        change = Change(frozenset(scripts), block)
        for listener in self.listeners:
            listener(change)


def _script_of_nobody(name: str) -> bytes:
    return b"\x00\x20" + hashlib.sha256(f"pyrometer played {name}".encode()).digest()


def _name(script: bytes) -> str:
    return address_of(script, network=REGTEST) or script.hex()


def _seconds(time: datetime) -> int:
    """Of UTC since 1970."""
    return int(time.astimezone(UTC).timestamp())
