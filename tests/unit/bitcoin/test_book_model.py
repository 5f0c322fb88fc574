"""Random chains, restarts, failures, cancellations: each reading of a book equals a recomputation from all blocks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from connectors.bitcoin.book import BlockBook
from connectors.bitcoin.coins import DEPTH
from connectors.bitcoin.forms import BITCOIN
from connectors.bitcoin.state import StateFile
from connectors.errors import ConnectorError, Unavailable
from connectors.follow import UnknownBlock
from connectors.quorum import Header, Value
from tests.unit.bitcoin.building import Tx
from tests.unit.bitcoin.chain import STRANGER, ChainSource, MemoryChain
from tests.unit.bitcoin.wallets import ALICE, BOB, GAP, RECEIVE, accounts, expected, spend_of_alice, values_at

PATIENCE = 6
"""Readings that a source which is well may take: another block may come while coins are looked up."""


@dataclass
class Trouble:
    """Makes the `at`-th question fail, cancels who asks it, or mines a block before it is answered."""

    chain: MemoryChain
    at: int = 0
    kind: str = "none"

    async def __call__(self, what: str) -> None:
        self.at -= 1
        if self.at:
            return
        if self.kind == "cancelled":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        if self.kind == "away":
            raise Unavailable("memory: away")
        if self.kind == "another block":
            self.chain.pay((ALICE, 1), (BOB, 2))


class Walk:
    """A chain of payments among watched and unwatched scripts, and one book after the other on the same state file."""

    def __init__(self, folder: Path, *, runner: asyncio.Runner) -> None:
        self.folder = folder
        self.runner = runner
        self.chain = MemoryChain()
        for _ in range(4):
            self.chain.pay((ALICE, 100), (RECEIVE[0], 10))
        self.trouble = Trouble(self.chain)
        self.source = ChainSource(self.chain, before=self.trouble)
        self.seen = 0
        """The wallet's addresses below this were looked at when they had been used."""
        self.state = StateFile(folder / "state")
        self.book = self._begun()

    def restart(self, chance: random.Random) -> None:
        self.state.close()
        self.state = StateFile(self.folder / "state")
        self.book = self._begun()

    def _begun(self) -> BlockBook:
        watched = accounts()
        shelf = self.state.shelf("memory", accounts=watched)
        return BlockBook(
            self.source, accounts=watched, form=BITCOIN, verify=True, listeners=[shelf], resume=shelf.resume
        )

    # ── the chain ──

    def pay(self, chance: random.Random) -> None:
        """A block of payments; each may spend what is older or what the block itself has made."""
        unspent = {outpoint: coin.value for outpoint, coin in self.chain.ledger().coins.items()}
        txs: list[Tx] = []
        for number in range(chance.randint(1, 4)):
            chosen = chance.sample(sorted(unspent), k=min(len(unspent), chance.randint(1, 3)))
            worth = sum(unspent.pop(outpoint) for outpoint in chosen)
            codes = chance.choices([ALICE, BOB, STRANGER, *RECEIVE[: self.seen + GAP]], k=chance.randint(1, 3))
            inputs, outputs = [(outpoint, b"") for outpoint in chosen], [(code, worth // len(codes)) for code in codes]
            tx = Tx(inputs, outputs, [[b"signature"]] * len(chosen), locktime=number)
            unspent |= {tx.outpoint(index): value for index, (_, value) in enumerate(outputs)}
            txs.append(tx)
        self.chain.mine(*txs)

    def use_the_wallet(self, chance: random.Random) -> None:
        """As far ahead as the gap limit allows, several times over in one block."""
        ahead = range(self.seen + GAP - 1, len(RECEIVE), GAP)[: chance.randint(1, 4)]
        self.chain.pay((BOB, 1), *((RECEIVE[at], at) for at in ahead))

    def move_on(self, chance: random.Random) -> None:
        """Some blocks that are read one by one, or many that are not."""
        if chance.random() < 0.1:
            for _ in range(DEPTH + 5):
                self.chain.pay((BOB, 7))
        for _ in range(chance.randint(2, 8)):
            spend_of_alice(self.chain, chance.choice([ALICE, BOB, STRANGER, RECEIVE[0]]))
            self.read()

    def reorganise(self, chance: random.Random) -> None:
        """To a branch that is about as long, of what was dropped or of other blocks."""
        depth = chance.choice([1, 2, 3, 4, 6, 9, DEPTH, DEPTH + 1])
        self.chain.drop(depth)
        for _ in range(min(depth, 10) + chance.randint(-1, 1)):
            chance.choice([self.pay, self.use_the_wallet])(chance)
        self.chain.mine()

    # ── the book ──

    def read(self) -> None:
        """At the newest block, by a source that is well."""
        for _ in range(PATIENCE):
            try:
                values = self._read_at(self.chain.tip)
            except UnknownBlock:
                continue
            assert values == expected(self.chain)
            return
        raise AssertionError("the source is well, and the book can't be read")

    def read_in_trouble(self, chance: random.Random) -> None:
        """Whatever happens on the way: there is the right reading or none, and the next is right again."""
        if chance.random() < 0.5:
            self.use_the_wallet(chance)
        self.trouble.at, self.trouble.kind = chance.randint(1, 8), chance.choice(["cancelled", "away", "another block"])
        asked = self.chain.tip
        with suppress(ConnectorError, asyncio.CancelledError):
            assert self._read_at(asked) == expected(self.chain, asked.height)
        self.trouble.at = 0

    def read_an_earlier_block(self, chance: random.Random) -> None:
        """If the book can still go back to it. The wallet then counts what only a later use brought into it."""
        height = chance.randint(max(0, self.chain.tip.height - 10), self.chain.tip.height)
        try:
            values = self._read_at(self.chain.branch[height].header)
        except UnknownBlock:
            return
        assert values == expected(self.chain, height)

    def trouble_the_source(self, chance: random.Random) -> None:
        self.source.parts = chance.choice([1, 1, 2, 5])
        self.source.pruned_below = chance.choice([0, 0, 0, self.chain.tip.height])

    def _read_at(self, header: Header) -> list[Value]:
        async def reading() -> list[Value]:
            return await asyncio.create_task(values_at(self.book, header))

        values = self.runner.run(reading())
        self._look(header.height)
        return values

    def _look(self, height: int) -> None:
        """The book has seen what was used up to this block; the window follows use as far as it leads."""
        paid = self.chain.ledger(height).paid
        while used := [at for at, code in enumerate(RECEIVE[: self.seen + GAP]) if at >= self.seen and code in paid]:
            self.seen = used[-1] + 1


@contextmanager
def walking() -> Iterator[Walk]:
    with TemporaryDirectory() as folder, asyncio.Runner() as runner:
        walk = Walk(Path(folder), runner=runner)
        try:
            yield walk
        finally:
            walk.state.close()


Step = Callable[[Walk, random.Random], None]
STEPS: tuple[Step, ...] = (
    Walk.pay,
    Walk.use_the_wallet,
    Walk.move_on,
    Walk.reorganise,
    Walk.read_in_trouble,
    Walk.read_an_earlier_block,
    Walk.trouble_the_source,
    Walk.restart,
)


@pytest.mark.timeout(180)
@settings(
    max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)  # shrinking takes minutes
@given(
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 2**32), st.booleans()), min_size=15, max_size=40)
)
def test_every_reading_equals_a_recomputation_from_all_blocks(steps: list[tuple[Step, int, bool]]) -> None:
    """Each step is given its own chance, and read after or not."""
    with walking() as walk:
        walk.read()
        for step, seed, read in steps:
            step(walk, random.Random(seed))
            if read:
                walk.read()
        walk.read()
