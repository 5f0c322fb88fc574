"""Random chains with reorgs: after every step the coin set equals a recomputation from all blocks."""

from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from connectors.base import Tip
from connectors.bitcoin.block import read_block
from connectors.bitcoin.coins import Coin, CoinSet
from connectors.bitcoin.forms import BITCOIN
from tests.unit.bitcoin.building import (
    P2PKH,
    P2SH,
    P2TR,
    P2WPKH,
    BuiltBlock,
    Tx,
    coinbase,
    plainly,
    script,
)

KINDS = (P2WPKH, P2TR, P2PKH, P2SH)
WATCHED = {script(number, KINDS[number % 4]): number // 2 for number in range(8)}  # two scripts an account
STRANGERS = [script(100 + number) for number in range(3)]
EVERYBODY = [*WATCHED, *STRANGERS]
DEEPEST = 50


def from_scratch(blocks: list[bytes]) -> dict[bytes, Coin]:
    """The coins of the watched scripts, by going through every transaction of every block, plainly read."""
    coins: dict[bytes, Coin] = {}
    for height, raw in enumerate(blocks, start=1):
        for position, tx in enumerate(plainly(raw)):
            for outpoint in tx.inputs:
                coins.pop(outpoint, None)
            for index, (code, value) in enumerate(tx.outputs):
                if code in WATCHED:
                    outpoint = tx.txid + index.to_bytes(4, "little")
                    coins[outpoint] = Coin(code, value, height, coinbase=position == 0)
    return coins


@dataclass
class Branch:
    """A chain of raw blocks, with everything unspent on it, watched or not, for each height."""

    blocks: list[bytes] = field(default_factory=list)
    coinbases: list[Tx] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=lambda: [bytes(32)])
    unspent: list[dict[bytes, int]] = field(default_factory=lambda: [{}])

    def pop(self) -> None:
        self.blocks.pop()
        self.coinbases.pop()
        self.hashes.pop()
        self.unspent.pop()


class Following(RuleBasedStateMachine):
    """Mines payments among watched and unwatched scripts, and takes blocks back."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = Branch()
        self.coins = CoinSet(WATCHED, depth=DEEPEST)
        self.mined = 0

    @initialize()
    def load(self) -> None:
        genesis = BuiltBlock([coinbase(0)]).raw()
        header = read_block(genesis, form=BITCOIN, outpoints=(), scripts=()).header
        self.coins.load(Tip(0, bytes(32).hex(), header.tip(0).time), [])

    @rule(data=st.data())
    def mine(self, data: st.DataObject) -> None:
        """A block of up to six payments; each may spend what is older or what the block itself has made."""
        unspent = dict(self.branch.unspent[-1])
        self.mined += 1
        txs = [coinbase(self.mined, *data.draw(payments(50)))]
        self._settle(unspent, txs[0])
        for _ in range(data.draw(st.integers(0, 6))):
            if not unspent:
                break
            chosen = data.draw(st.lists(st.sampled_from(sorted(unspent)), min_size=1, max_size=3, unique=True))
            segwit = data.draw(st.booleans())
            tx = Tx(
                [(outpoint, b"") for outpoint in chosen],
                data.draw(payments(sum(unspent[outpoint] for outpoint in chosen))),
                [[b"signature"]] * len(chosen) if segwit else (),
                locktime=self.mined * 10 + len(txs),  # no payment twice, not even of a coinbase that was mined twice
            )
            self._settle(unspent, tx)
            txs.append(tx)
        self._append(txs, unspent)

    @rule(length=st.integers(1, DEEPEST), code=st.sampled_from(EVERYBODY))
    def mine_a_stretch(self, length: int, code: bytes) -> None:
        """Many small blocks, each of which moves the coin that was made last."""
        for _ in range(length):
            unspent = dict(self.branch.unspent[-1])
            self.mined += 1
            txs = [coinbase(self.mined, (code, 50))]
            if unspent:
                outpoint, value = unspent.popitem()
                paid = [(EVERYBODY[self.mined % len(EVERYBODY)], value)]
                txs.append(Tx([(outpoint, b"")], paid, locktime=self.mined))
            for tx in txs:
                self._settle(unspent, tx)
            self._append(txs, unspent)

    @precondition(lambda self: self.branch.blocks)
    @rule(data=st.data())
    def mine_an_old_coinbase_again(self, data: st.DataObject) -> None:
        """BIP 30: its coins are replaced where they still are, and new where they were spent."""
        twin = data.draw(st.sampled_from(self.branch.coinbases))
        unspent = dict(self.branch.unspent[-1])
        self._settle(unspent, twin)
        self._append([twin], unspent)

    @precondition(lambda self: self.coins.history)
    @rule(data=st.data())
    def reorg(self, data: st.DataObject) -> None:
        """To any depth that can be undone, up to fifty blocks."""
        for _ in range(data.draw(st.integers(1, len(self.coins.history)))):
            changes = self.coins.undo()
            self.branch.pop()
            assert changes.tip.hash == self.branch.hashes[-1][::-1].hex()
            assert all(self.coins.balance(account) == units for account, units in changes.balances.items())

    @precondition(lambda self: self.coins.tip)
    @rule()
    def restart(self) -> None:
        """What was kept is loaded into a new set."""
        assert self.coins.tip is not None
        again = CoinSet(WATCHED, depth=DEEPEST)
        again.load(self.coins.tip, list(self.coins.coins()), history=self.coins.history)
        self.coins = again

    @invariant()
    def equals_a_recomputation_from_all_blocks(self) -> None:
        expected = from_scratch(self.branch.blocks)
        assert dict(self.coins.coins()) == expected
        assert self.coins.outpoints == set(expected)
        for account in set(WATCHED.values()):
            units = sum(coin.value for coin in expected.values() if WATCHED[coin.script] == account)
            assert self.coins.balance(account) == units

    def _settle(self, unspent: dict[bytes, int], tx: Tx) -> None:
        for outpoint, _ in tx.inputs:
            unspent.pop(outpoint, None)
        unspent.update({tx.outpoint(index): value for index, (_, value) in enumerate(tx.outputs)})

    def _append(self, txs: list[Tx], unspent: dict[bytes, int]) -> None:
        before = {account: self.coins.balance(account) for account in set(WATCHED.values())}
        block = BuiltBlock(txs, parent=self.branch.hashes[-1], nonce=self.mined)
        events = read_block(
            block.raw(), form=BITCOIN, outpoints=self.coins.outpoints, scripts=self.coins.scripts, verify=True
        )
        self.branch.blocks.append(block.raw())
        self.branch.coinbases.append(txs[0])
        self.branch.hashes.append(block.hash())
        self.branch.unspent.append(unspent)
        changes = self.coins.apply(events, events.header.tip(len(self.branch.blocks)))
        unchanged = before.keys() - changes.balances.keys()
        assert all(self.coins.balance(account) == before[account] for account in unchanged)


def payments(units: int) -> st.SearchStrategy[list[tuple[bytes, int]]]:
    """One to three outputs that share `units` equally, the rest being the fee."""
    return st.lists(st.sampled_from(EVERYBODY), min_size=1, max_size=3).map(
        lambda codes: [(code, units // len(codes)) for code in codes]
    )


Following.TestCase.settings = settings(max_examples=25, stateful_step_count=20, deadline=None)
TestFollowing = pytest.mark.timeout(120)(Following.TestCase)
