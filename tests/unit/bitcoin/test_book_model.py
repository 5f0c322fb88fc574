"""Random chains, restarts, failures, cancellations: each reading of a book equals a recomputation from all blocks."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from connectors.bitcoin.book import BlockBook
from connectors.bitcoin.coins import DEPTH
from connectors.bitcoin.forms import BITCOIN
from connectors.bitcoin.state import StateFile
from connectors.errors import ConnectorError, Unavailable
from connectors.follow import UnknownBlock
from connectors.quorum import Value
from tests.unit.bitcoin.building import Tx
from tests.unit.bitcoin.chain import STRANGER, ChainSource, MemoryChain
from tests.unit.bitcoin.wallets import ALICE, BOB, GAP, RECEIVE, accounts

PATIENCE = 5
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


class Reading(RuleBasedStateMachine):
    """A chain of payments among watched and unwatched scripts, and one book after the other on the same state file."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()
        self.chain = MemoryChain()
        self.trouble = Trouble(self.chain)
        self.source = ChainSource(self.chain, before=self.trouble)
        self.seen = 0
        """The wallet's addresses below this were looked at when they had been used."""
        self.open()

    def open(self) -> None:
        self.state = StateFile(Path(self.folder.name) / "state")
        watched = accounts()
        shelf = self.state.shelf("memory", accounts=watched)
        self.book = BlockBook(
            self.source, accounts=watched, form=BITCOIN, verify=True, listeners=[shelf], resume=shelf.resume
        )

    def teardown(self) -> None:
        self.state.close()
        self.runner.close()
        self.folder.cleanup()

    # ── the chain ──

    @rule(data=st.data(), payments=st.integers(0, 4))
    def mine(self, data: st.DataObject, payments: int) -> None:
        """A block of payments; each may spend what is older or what the block itself has made."""
        unspent = {outpoint: coin.value for outpoint, coin in self.chain.ledger().coins.items()}
        txs: list[Tx] = []
        for _ in range(payments):
            chosen = data.draw(st.lists(st.sampled_from(sorted(unspent)), min_size=1, max_size=3, unique=True))
            worth = sum(unspent.pop(outpoint) for outpoint in chosen)
            codes = data.draw(st.lists(self._anybody(), min_size=1, max_size=3))
            tx = Tx(
                [(outpoint, b"") for outpoint in chosen],
                [(code, worth // len(codes)) for code in codes],
                [[b"signature"]] * len(chosen),
                locktime=len(txs),
            )
            unspent |= {tx.outpoint(index): value for index, (_, value) in enumerate(tx.outputs)}
            txs.append(tx)
            if not unspent:
                break
        self.chain.mine(*txs)

    @rule(data=st.data(), length=st.sampled_from([1, 5, DEPTH + 5]))
    def mine_a_stretch(self, data: st.DataObject, length: int) -> None:
        code = data.draw(self._anybody())
        for _ in range(length):
            self.chain.pay((code, 7))

    @rule(leaps=st.integers(1, 4))
    def use_the_wallet(self, leaps: int) -> None:
        """As far ahead as the gap limit allows, several times over in one block."""
        ahead = range(self.seen + GAP - 1, len(RECEIVE), GAP)
        if ahead:
            self.chain.pay(*((RECEIVE[at], at) for at in ahead[:leaps]))

    @rule(depth=st.one_of(st.integers(1, 12), st.sampled_from([DEPTH, DEPTH + 1, DEPTH + 3])))
    def reorganise(self, depth: int) -> None:
        self.chain.drop(depth)
        self.chain.mine()

    # ── the book ──

    @rule()
    def read(self) -> None:
        """At the newest block, by a source that is well."""
        for _ in range(PATIENCE):
            try:
                values = self._read_at(self.chain.tip.hash)
            except UnknownBlock:
                continue
            assert values == self._expected()
            return
        raise AssertionError("the source is well, and the book can't be read")

    @rule(at=st.integers(1, 8), kind=st.sampled_from(["cancelled", "away", "another block"]))
    def read_in_trouble(self, at: int, kind: str) -> None:
        """Whatever happens on the way: there is the right reading or none, and the next is right again."""
        self.trouble.at, self.trouble.kind = at, kind
        asked = self.chain.tip
        try:
            values = self._read_at(asked.hash)
            assert values == self._expected(asked.height)
        except (ConnectorError, asyncio.CancelledError):
            pass
        self.trouble.at = 0

    @precondition(lambda self: len(self.chain.branch) > 3)
    @rule(data=st.data())
    def read_an_earlier_block(self, data: st.DataObject) -> None:
        """If the book can still go back to it."""
        height = data.draw(st.integers(max(0, len(self.chain.branch) - 10), len(self.chain.branch) - 1))
        try:
            values = self._read_at(self.chain.branch[height].header.hash)
        except UnknownBlock:
            return
        assert values[:2] == self._expected(height)[:2]

    @rule()
    def restart(self) -> None:
        self.state.close()
        self.open()

    @rule(parts=st.sampled_from([1, 1, 2, 5]), pruned=st.sampled_from([0, 0, 0, 3, 10**6]))
    def source_changes(self, parts: int, pruned: int) -> None:
        self.source.parts, self.source.pruned_below = parts, pruned

    # ── the oracle ──

    def _read_at(self, block: str) -> list[Value]:
        async def reading() -> list[Value]:
            return list(await asyncio.create_task(self._values(block)))

        values = self.runner.run(reading())
        self._look()
        return values

    async def _values(self, block: str) -> list[Value]:
        return list(await self.book.at(block))

    def _look(self) -> None:
        """The book may have seen what is used now; the window follows use as far as it leads."""
        paid = self.chain.ledger().paid
        while used := [at for at, code in enumerate(RECEIVE[: self.seen + GAP]) if at >= self.seen and code in paid]:
            self.seen = used[-1] + 1

    def _expected(self, height: int | None = None) -> list[Value]:
        ledger = self.chain.ledger(height)
        return [ledger.of(scripts) for scripts in ({ALICE}, {BOB}, set(RECEIVE))]

    def _anybody(self) -> st.SearchStrategy[bytes]:
        """Watched people, strangers, and the wallet within what it watches for sure."""
        return st.sampled_from([ALICE, BOB, STRANGER, *RECEIVE[: self.seen + GAP]])


Reading.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestReading = pytest.mark.timeout(180)(Reading.TestCase)
