"""The table of `once`: what it says, also when a name or an error looks like markup."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from connectors.base import Failure, Update
from connectors.errors import Reason
from daemon.table import print_report
from tests.build import ETH, ETHER, at, complete
from tests.unit.test_pipeline import Bench


async def printed(update: Update, *, entity: str = "Example KK") -> str:
    bench, text = Bench(), io.StringIO()
    report = await bench.see(update, seconds=1)
    print_report(replace(report, entity=entity), console=Console(file=text, width=200, highlight=False))
    return text.getvalue()


READ = complete(1, {(1, ETH): 6 * ETHER, (2, ETH): 94 * ETHER})


async def test_amounts_values_and_verdicts_stand_in_it_with_their_block() -> None:
    text = await printed(READ)
    assert READ.tip is not None
    for part in (READ.tip.hash, "94", "47000000", "breach", "The hot share of customers' assets is 6 %"):
        assert part in text


@pytest.mark.parametrize("entity", ["[/bar]", "Example [red] KK", "[link=http://x]"])
async def test_an_entity_is_printed_as_it_is_written(entity: str) -> None:
    assert entity in await printed(READ, entity=entity)


async def test_the_words_of_a_node_are_printed_as_they_came() -> None:
    words = "node-1: [/x] can't connect [Errno 111] to [::1]:8545"
    text = await printed(Update(chain="ethereum", seen=at(0), failure=Failure(Reason.UNAVAILABLE, words)))
    assert words in text
    assert "unknown" in text
