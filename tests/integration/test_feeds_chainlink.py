"""Prices of aggregators on a real anvil: at one block, agreed by as many nodes as the chain asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from connectors.evm.config import EvmConfig
from daemon.feeds.asking import asked
from daemon.feeds.checking import checked
from daemon.feeds.config import FeedsConfig
from daemon.feeds.opening import Surroundings, opened
from daemon.feeds.source import FeedError, Raw, Row, Unstated
from daemon.feeds.values import FeedReason
from tests.integration.anvil import AnvilNode

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

ETH_USD = "0x" + "a1" * 20
BTC_USD = "0x" + "b2" * 20
EMPTY = "0x" + "c3" * 20
GENESIS = 1_795_000_000
UPDATED = GENESIS - 600
NOW = datetime.fromtimestamp(GENESIS + 60, tz=UTC)


def aggregator(answer: int, *, decimals: int = 8, updated: int = UPDATED) -> str:
    """Byte code that answers decimals() with one word and everything else with the five of latestRoundData()."""
    words = (1, answer % 2**256, updated, updated, 1)
    stored = "".join(f"7f{word:064x}60{place * 32:02x}52" for place, word in enumerate(words))  # MSTORE
    rounds = f"{stored}60a06000f3"  # RETURN(0, 160)
    # CALLDATALOAD(0) >> 224 == decimals() ? jump to the second part
    start = "5f3560e01c63313ce56714"
    target = len(start) // 2 + 4 + len(rounds) // 2
    return f"0x{start}61{target:04x}57{rounds}5b7f{decimals:064x}5f5260205ff3"


@pytest.fixture
async def node() -> AsyncIterator[AnvilNode]:
    async with AnvilNode(genesis_time=GENESIS) as running:
        yield running


async def read(*nodes: AnvilNode, agree: int = 1, **contracts: str) -> Raw:
    chain = EvmConfig.model_validate(
        {"kind": "evm", "chain_id": 1, "endpoints": [node.url for node in nodes], "agree": agree}
    )
    section = {"prices": [{"kind": "chainlink", "chain": "ethereum", "contracts": contracts, "timeout": "30s"}]}
    (source,) = FeedsConfig.model_validate(section).sources
    around = Surroundings(currency="USD", chains={"ethereum": chain}, folder=Path(), now=lambda: NOW)
    async with opened(source, around=around) as reader:
        return await reader.read()


async def place(node: AnvilNode, **code: str) -> None:
    for address, program in code.items():
        await node.rpc("anvil_setCode", address, program)
    await node.mine()


async def test_the_newest_round_is_read_exactly_with_its_own_time(node: AnvilNode) -> None:
    await place(node, **{ETH_USD: aggregator(312345678901), BTC_USD: aggregator(10**23 + 1, decimals=18)})
    raw = await read(node, ETH=ETH_USD, BTC=BTC_USD)
    at = datetime.fromtimestamp(UPDATED, tz=UTC)
    assert raw.rows == [
        Row("ETH", Decimal("3123.45678901"), at=at),
        Row("BTC", Decimal("100000.000000000000000001"), at=at),
    ]


@pytest.mark.parametrize("answer", [0, -1, -(2**255)])
async def test_an_answer_that_is_not_above_zero_is_withheld(node: AnvilNode, answer: int) -> None:
    await place(node, **{ETH_USD: aggregator(answer), BTC_USD: aggregator(5)})
    section = {"prices": [{"kind": "chainlink", "chain": "ethereum", "contracts": {"ETH": ETH_USD}}]}
    config = FeedsConfig.model_validate(section)
    expected = asked(config, decimals={"ETH": 18, "BTC": 8}, currency="JPY", chains={})[0].expected
    answer_ = checked(await read(node, ETH=ETH_USD, BTC=BTC_USD), expected=expected, now=NOW)
    assert answer_.values.keys() == {"BTC"}
    assert answer_.withheld.keys() == {"ETH"}


async def test_an_address_without_a_contract_is_said_and_the_others_are_read(node: AnvilNode) -> None:
    await place(node, **{ETH_USD: aggregator(7)})
    nothing, eth = (await read(node, BTC=EMPTY, ETH=ETH_USD)).rows
    assert isinstance(nothing.number, Unstated)
    assert "no contract" in nothing.number.why
    assert eth.number == Decimal("7E-8")


async def test_a_round_that_was_not_answered_yet_is_said(node: AnvilNode) -> None:
    await place(node, **{ETH_USD: aggregator(7, updated=0)})
    (row,) = (await read(node, ETH=ETH_USD)).rows
    assert isinstance(row.number, Unstated)


async def test_nodes_that_contradict_each_other_give_no_price(node: AnvilNode) -> None:
    async with AnvilNode(genesis_time=GENESIS) as other:
        for each, answer in ((node, 7), (other, 8)):
            await each.rpc("anvil_setCode", ETH_USD, aggregator(answer))
        (row,) = (await read(node, other, agree=2, ETH=ETH_USD)).rows
    assert isinstance(row.number, Unstated)


async def test_a_chain_that_can_not_be_read_gives_no_answer(node: AnvilNode) -> None:
    await node.kill()
    with pytest.raises(FeedError) as caught:
        await read(node, ETH=ETH_USD)
    assert caught.value.reason is FeedReason.UNAVAILABLE
