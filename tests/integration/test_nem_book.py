"""One NIS1 node's accounts, carried from block to block: where a number could come to belong to another one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import pytest

from connectors.base import Drift, Token, Watch
from connectors.config import EndpointConfig
from connectors.errors import ConnectorError
from connectors.nem.accounts import State
from connectors.nem.block import Blocks
from connectors.nem.book import KEPT, Book, Rules
from connectors.nem.networks import NETWORKS
from connectors.nem.node import Asked, NisNode
from connectors.quorum import Flaw
from connectors.transport import Timing, Transport
from daemon.replay.nem_node import NemNode
from tests.integration.nem_chain import COIN, XEM, Chain, chain, now

NO_TIME = timedelta(0)
LONG = timedelta(hours=1)


@dataclass(slots=True)
class Opened:
    """A book, and the small node that it reads."""

    made: Chain
    node: NemNode
    book: Book
    watch: Watch

    @property
    def shown(self) -> str:
        """Hash of the newest block."""
        return self.made.ledger.tip.block.hash

    async def newest(self) -> list[tuple[object, ...]]:
        """All values at the newest block."""
        return told(await self.book.at(self.shown))

    def truth(self) -> list[tuple[object, ...]]:
        units = self.made.ledger.world().units
        return [
            tuple(units.get((account, token.contract), 0) for token in self.watch.tokens)
            for account in self.watch.accounts
        ]


def told(states: Sequence[State]) -> list[tuple[object, ...]]:
    """Values alone; flaws without their words."""
    return [tuple("flaw" if isinstance(value, Flaw) else value for value in state.values) for state in states]


@asynccontextmanager
async def opened(
    made: Chain, *tokens: Token, timing: Timing | None = None, settle: timedelta = NO_TIME, sweep: timedelta = LONG
) -> AsyncIterator[Opened]:
    watch = made.watch(*tokens)
    clock = timing or Timing()
    async with NemNode(made.ledger) as node:
        endpoint = EndpointConfig.model_validate({"url": node.url, "name": "node"})
        async with Transport(endpoint, chain="nem", timeout=timedelta(seconds=10), timing=clock) as transport:
            asked = Asked(NETWORKS["testnet"], made.ledger.nemesis)
            nis = NisNode(transport, asked=asked, blocks=Blocks(), now=now)
            yield Opened(made, node, Book(nis, watch=watch, rules=Rules(settle=settle, sweep=sweep)), watch)


async def test_what_was_read_before_a_reading_was_broken_off_still_has_to_settle() -> None:
    """The accounts may have been a block ahead then, and the node may still show the block before it."""
    made = chain()
    paused = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        if not paused.is_set():
            paused.set()
            await asyncio.Event().wait()  # broken off here
        one.node.behaviour.ahead = 0  # as time goes by the block is shown

    async with opened(made, XEM, timing=Timing(sleep=sleep), settle=timedelta(seconds=1)) as one:
        shown = one.shown
        one.node.behaviour.ahead = 1
        made.pay("hot", "cold", 5)  # in the accounts, and not shown yet
        reading = asyncio.create_task(one.book.at(shown))
        await paused.wait()
        reading.cancel()
        await asyncio.wait([reading])
        with pytest.raises(ConnectorError, match="does not tell accounts as of block"):
            await one.book.at(shown)
        assert one.book.known(shown) is None
        assert await one.newest() == one.truth()


async def test_asking_for_a_block_that_is_not_known_costs_nothing_that_is() -> None:
    made = chain()
    async with opened(made, XEM) as one:
        shown, truth = one.shown, one.truth()
        await one.newest()
        made.pay("hot", "cold", 5)
        await one.newest()
        for _ in range(2 * KEPT):
            with pytest.raises(ConnectorError, match="does not tell accounts as of block"):
                await one.book.at("00" * 32)
        assert told(await one.book.at(shown)) == truth


async def test_older_readings_are_kept_as_they_were_told() -> None:
    made = chain()
    async with opened(made) as one:
        expected: dict[str, list[tuple[object, ...]]] = {}
        for number in range(KEPT):
            made.pay("hot", ("cold", "deposits", "other")[number % 3], number)
            assert await one.newest() == one.truth()
            expected[one.shown] = one.truth()
        assert {block: told(await one.book.at(block)) for block in expected} == expected
        for _ in range(2):
            made.ledger.mine([])
            await one.newest()
        assert one.book.known(next(iter(expected))) is None


async def test_a_second_look_at_a_block_tells_nothing_of_the_block_before() -> None:
    made = chain()
    async with opened(made, XEM) as one:
        one.node.behaviour.refused = {made.address("cold")}
        before = one.shown
        assert (await one.newest())[1] == ("flaw",)
        made.pay("hot", "cold", 5)
        assert (await one.newest())[1] == ("flaw",)
        one.node.behaviour.refused = set()
        assert await one.newest() == one.truth()
        assert told(await one.book.at(before))[1] == ("flaw",)


async def test_what_two_sweeps_found_before_anybody_asked_is_all_told() -> None:
    made = chain()
    cold, hot = made.address("cold"), made.address("hot")
    async with opened(made, XEM, sweep=NO_TIME) as one:
        await one.newest()
        (true_hot,), (true_cold,), _ = one.truth()
        for account in (cold, hot):
            one.node.behaviour.lies[account, None] = 12
            made.ledger.mine([])
            await one.newest()
        assert one.book.take_drift() == (Drift(cold, XEM, true_cold, 12), Drift(hot, XEM, true_hot, 12))  # type: ignore[arg-type]
        assert one.book.take_drift() is None


def taxed(made: Chain, *, by: str) -> dict[str, object]:
    """The definition of a mosaic with a levy."""
    xem = {"namespaceId": "nem", "name": "xem"}
    levy: dict[str, object] = {"type": 1, "recipient": made.address(by), "mosaicId": xem, "fee": 40}
    maker, time = made.person("maker"), made.ledger.now
    return made.notary.mosaic_definition(maker, name="taxed:coin", divisibility=0, supply=9, time=time, levy=levy)


async def test_a_levy_that_was_paid_before_it_was_redefined_is_found() -> None:
    made = chain()
    made.ledger.mine([taxed(made, by="cold")])
    async with opened(made, XEM) as one:
        await one.newest()
        made.ledger.mine([made.transfer("maker", "other", 1_000_000, mosaics={"taxed:coin": 1})])
        made.ledger.mine([taxed(made, by="deposits")])
        assert await one.newest() == one.truth()
        assert one.truth()[1] == (1_000_000_000_040,)


async def test_a_levy_whose_redefinition_is_undone_is_found() -> None:
    made = chain()
    made.ledger.mine([taxed(made, by="cold")])
    made.ledger.mine([])
    async with opened(made, XEM) as one:
        await one.newest()
        made.ledger.mine([taxed(made, by="deposits")])
        made.ledger.mine([made.transfer("maker", "other", 1_000_000, mosaics={"taxed:coin": 1})])
        assert await one.newest() == one.truth()
        assert one.truth()[2] == (1_000_000_000_040,)
        made.ledger.reorganise(2, keep=False)
        assert await one.newest() == one.truth()
        assert one.truth()[2] == (1_000_000_000_000,)


async def test_a_reorganisation_in_the_middle_of_a_reading_mixes_no_two_branches() -> None:
    made = chain()
    made.ledger.mine([])
    made.pay("hot", "cold", 5)
    made.pay("cold", "deposits", 7)
    async with opened(made) as one:
        left = 2

        def undo(path: str) -> None:
            nonlocal left
            if path == "/account/mosaic/owned" and left:  # what accounts hold of XEM has been read already
                left -= 1
                made.ledger.reorganise(2, keep=False)

        one.node.behaviour.before = undo
        before = one.shown
        with pytest.raises(ConnectorError, match="does not tell accounts as of block"):
            await one.book.at(before)
        assert left == 0
        assert await one.newest() == one.truth()


async def test_a_mosaic_that_is_listed_twice_is_not_known() -> None:
    made = chain()

    def doubled(path: str, answer: object) -> object:
        if path == "/account/mosaic/owned" and isinstance(answer, dict):
            return {"data": [*answer["data"], *({**one, "quantity": 1} for one in answer["data"])]}
        return answer

    async with opened(made, XEM, COIN) as one:
        one.node.behaviour.twist = doubled
        assert [values for _, values in await one.newest()] == ["flaw"] * 3
