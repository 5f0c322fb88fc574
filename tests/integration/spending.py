"""What walks pay with: the coins that can be spent, and transactions of them, as they are in the mempool or a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.integration.bcoin import MATURITY
from tests.integration.purse import Money, transaction, txid_of
from tests.integration.recomputed import Block, Blocks, Outpoint, Output, Transaction
from tests.integration.regtest import FAUCET, FEE, Regtest
from tests.integration.walk_accounts import Accounts
from tests.integration.walk_steps import Choice, Fate, Reorganise

SMALL_FEE = 3_000
LEAST = 12_000
"""Satoshis of a coin that is worth spending."""

A_LOT = 10_000_000
"""What the faucet's coins are worth more than; the most of it goes back."""

Coins = dict[Outpoint, Output]


class Signed(NamedTuple):
    raw: bytes
    transaction: Transaction


class Spending:
    """Keeps what it signed, so that another branch can have it again."""

    def __init__(self, chain: Regtest, *, blocks: Blocks, accounts: Accounts) -> None:
        self._node = chain.node
        self._blocks = blocks
        self._accounts = accounts
        self._signed: dict[str, Signed] = {}

    async def coins(self, tip: str) -> Coins:
        """What a new transaction can spend, confirmed or pending."""
        coins = self._blocks.coins(tip)
        pending = await self._blocks.pending()
        for one in pending:
            coins |= one.outputs(height=None)
        for spend in (spend for one in pending for spend in one.spends):
            del coins[spend]
        return coins

    async def send(self, signed: Signed, *, instead: bool = False) -> None:
        """Into the mempool; `instead` of what spends the same coins there."""
        send = self._node.replace if instead else self._node.submit
        assert await send(signed.raw) == signed.transaction.txid

    def from_faucet(self, outputs: Sequence[tuple[bytes, int]], *, coins: Coins, height: int) -> Signed:
        """Of the largest coin that a block after this height can spend."""
        ripe = {
            place: coin
            for place, coin in coins.items()
            if coin.script == FAUCET.script and not (coin.coinbase and (coin.height or 0) > height - MATURITY)
        }
        place = max(ripe, key=lambda place: (ripe[place].height is not None, ripe[place].value, place))
        change = ripe[place].value - FEE - sum(value for _, value in outputs)
        return self._sign({place: ripe[place]}, [*outputs, (FAUCET.script, change)])

    def own(self, coins: Coins, choice: Choice) -> Outpoint | None:
        """One of the walk's coins; None when it has none."""
        keys = self._accounts.keys
        own = sorted(
            place for place, coin in coins.items() if coin.script in keys and coin.value >= LEAST and not coin.coinbase
        )
        return own[choice % len(own)] if own else None

    def passed_on(self, inputs: Coins, *, to: Sequence[bytes], fee: int = SMALL_FEE) -> Signed | None:
        """All of these coins to equal parts, but for what would be left of a coin of the faucet; None if too small."""
        worth = sum(coin.value for coin in inputs.values()) - fee
        back = [(FAUCET.script, worth - A_LOT // 2)] if worth > A_LOT else []
        part = (worth - sum(value for _, value in back)) // len(to)
        return self._sign(inputs, [*((script, part) for script in to), *back]) if part > 1_000 else None

    def replacing(self, old: Transaction, *, inputs: int, to: bytes, known: Coins) -> Signed | None:
        """Spends the first coins of a pending transaction for a higher fee; None if they are not worth it."""
        fee = sum(known[spend].value for spend in old.spends) - sum(value for _, value in old.made)
        return self.passed_on({spend: known[spend] for spend in old.spends[:inputs]}, to=[to], fee=fee + SMALL_FEE)

    def other_branch(self, old: Sequence[Block], *, step: Reorganise) -> list[list[Signed]]:
        """The transactions of each block of a branch that is one longer than the old one."""
        coins = self._blocks.coins(str(old[0].parent))
        to, height = self._accounts.place(step.to), old[0].height
        plan: list[list[Signed]] = [[] for _ in range(len(old) + 1)]
        at = 0
        for number, one in enumerate(one for block in old for one in block.transactions if one.spends):
            fate, later = step.fates[number % len(step.fates)]
            at = min(at + later, len(plan) - 1)
            signed = self._fated(one, fate, to=to, coins=coins)
            if signed is not None:
                plan[at].append(signed)
                _spend(signed.transaction, coins=coins, height=height)
        plan[at].append(self.from_faucet([(to, 30_000)], coins=coins, height=height))
        return plan

    def _fated(self, old: Transaction, fate: Fate, *, to: bytes, coins: Coins) -> Signed | None:
        if fate is Fate.DROPPED or not coins.keys() >= set(old.spends):
            return None
        if fate is Fate.AGAIN:
            return self._signed[old.txid]
        return self.passed_on({spend: coins[spend] for spend in old.spends}, to=[to])

    def _sign(self, inputs: Mapping[Outpoint, Output], outputs: Sequence[tuple[bytes, int]]) -> Signed:
        keys = self._accounts.keys | {FAUCET.script: FAUCET}
        money = [
            Money(bytes.fromhex(place.txid)[::-1], place.vout, coin.value, keys[coin.script])
            for place, coin in inputs.items()
        ]
        raw = transaction(money, outputs)
        made = Transaction(txid_of(raw)[::-1].hex(), tuple(inputs), tuple(outputs))
        signed = self._signed[made.txid] = Signed(raw, made)
        return signed


def _spend(one: Transaction, *, coins: Coins, height: int) -> None:
    for spend in one.spends:
        del coins[spend]
    coins |= one.outputs(height=height)
