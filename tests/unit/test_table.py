"""The table that `once` prints: unknown says so in words, with its bounds."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from connectors.base import Failure, Update
from connectors.errors import Reason
from daemon.model import Report
from daemon.table import print_report
from tests.build import ETH, ETHER, at, complete, failed, tip
from tests.unit.test_pipeline import Bench


async def printed(report: Report) -> str:
    console = Console(file=StringIO(), width=160, color_system=None, highlight=False)
    print_report(report, console=console)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


async def seen(*, hot: int, cold: int, seconds: float = 1, dead: bool = False) -> str:
    bench = Bench()
    bench.pipeline.ledger.apply(complete(1, {(1, ETH): hot, (2, ETH): cold}))
    if dead:
        bench.pipeline.ledger.apply(failed(2))
    return await printed(await bench.pipeline.cycle(at(seconds)))


async def test_what_is_read_stands_in_full_with_its_block() -> None:
    text = await seen(hot=1_234_567 * 10**15, cold=99_000 * ETHER)
    assert "ethereum: block 1 0xa" in text
    assert "1,234.567" in text
    assert "617,283,500" in text
    assert "ok" in text


async def test_a_breach_is_said() -> None:
    assert "breach" in await seen(hot=10 * ETHER, cold=10 * ETHER)


async def test_what_is_not_read_is_unknown_with_bounds_and_a_reason_and_never_zero() -> None:
    text = await seen(hot=2000 * ETHER, cold=98_000 * ETHER, seconds=100, dead=True)
    assert "unavailable: node-1: connection refused" in text
    assert "unknown [0 – 4,000]" in text
    assert "│ 0 " not in text


async def test_accounts_that_are_unread_are_said_in_words_where_their_chain_is_read() -> None:
    text = await printed(await Bench().see(complete(1, {(1, ETH): ETHER}, unread=[(2, ETH)]), seconds=1))
    assert f"ethereum: block 1 {tip(1).hash}  accounts unread: refused" in text


async def test_before_any_reading_nobody_knows_how_high() -> None:
    assert "unknown [0 – ?]" in await printed(await Bench().pipeline.cycle(at(0)))


@pytest.mark.parametrize("entity", ["[/bar]", "Example [red] KK", "[link=http://x]"])
async def test_an_entity_is_printed_as_it_is_written(entity: str) -> None:
    assert entity in await printed(replace(await Bench().pipeline.cycle(at(0)), entity=entity))


async def test_the_words_of_a_node_are_printed_as_they_came() -> None:
    words = "node-1: [/x] can't connect [Errno 111] to [::1]:8545"
    failure = Update(chain="ethereum", seen=at(0), failure=Failure(Reason.UNAVAILABLE, words))
    text = await printed(await Bench().see(failure, seconds=1))
    assert words in text


async def test_what_a_breach_obliges_to_is_said_below_the_verdicts() -> None:
    """From 23 November 2026 in Thailand, where 7 December stands in for a Saturday and the 10th is free."""
    bench = Bench(
        remedies=[{"what": "plan", "within": 1}, {"what": "cure", "within": 15, "days": "business"}],
        calendar={"country": "TH", "timezone": "Asia/Bangkok"},
    )
    text = await printed(await bench.see(complete(1, {(1, ETH): ETHER, (2, ETH): ETHER}), seconds=1))
    due = "plan due by 2026-11-24, 1 day left; cure due by 2026-12-16, 15 business days left"
    assert f"jp-psa/hot-share all: {due}" in text
