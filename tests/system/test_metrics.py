"""What a real daemon tells a real scraper is what the documentation says, metric by metric."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.metrics_core import Metric

from tests.documented import Documented, documented_metrics, parsed
from tests.integration.anvil import AnvilNode
from tests.system.daemon import PATIENCE, Daemon, running_daemon
from tests.system.exchange import COLD, HOT, config, fund

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

DEAD = "http://127.0.0.1:9"
BACK = "0x" + "b1" * 20


def whole(url: str) -> dict[str, Any]:
    """Something of everything: a chain that is read and one that is not, a guarantee, a sink that is down."""
    made = config(url, chain={"max_age": "60s"}, alertmanager={"endpoints": [{"url": DEAD, "name": "am-1"}]})
    made["chains"]["dead"] = {
        **made["chains"]["ethereum"],
        "chain_id": 5,
        "endpoints": [{"url": DEAD, "name": "dead-1"}],
    }
    made["assets"]["DED"] = {"tokens": [{"chain": "dead"}]}
    made["wallets"] |= {
        "eth-back-1": {"chain": "ethereum", "tier": "cold", "owner": "guarantee", "addresses": [BACK]},
        "dead-cold-1": {"chain": "dead", "tier": "cold", "owner": "company", "addresses": [COLD]},
    }
    made["policies"].append({"kind": "guarantee"})
    return made


async def scraped(daemon: Daemon) -> dict[str, Metric]:
    """By the names that samples have in queries, in OpenMetrics, as Prometheus asks for it."""
    accept = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"}
    async with aiohttp.ClientSession(headers=accept) as session, session.get(f"{daemon.url}/metrics") as response:
        assert response.content_type == "application/openmetrics-text"
        families = parsed(await response.text())
    return {f"{one.name}_total" if one.type == "counter" else one.name: one for one in families}


def told(family: Metric) -> Documented:
    """What a scrape shows of a metric; all of its series must have the same labels."""
    sets = {frozenset(sample.labels) - {"le"} for sample in family.samples}
    assert len(sets) == 1, (family.name, sets)
    return Documented(sets.pop(), family.type)


async def full(daemon: Daemon) -> dict[str, Metric]:
    """A scrape in which every metric has series, once there is one."""
    empty: list[str] = []
    try:
        async with asyncio.timeout(PATIENCE):
            while True:
                scrape = await scraped(daemon)
                if not (empty := [name for name, family in scrape.items() if not family.samples]):
                    return scrape
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"without any series stayed {empty}") from None


async def test_a_real_scrape_is_what_the_documentation_says_and_holds_no_address(tmp_path: Path) -> None:
    """In names, labels and types, both ways."""
    async with AnvilNode() as anvil:
        await fund(anvil, hot=40, cold=960)
        async with running_daemon(tmp_path, whole(anvil.url)) as daemon:
            scrape = await full(daemon)
    assert {name: told(family) for name, family in scrape.items()} == documented_metrics()
    assert not [name for name, family in scrape.items() if len(family.documentation) < 10]
    values = {text.lower() for one in scrape.values() for sample in one.samples for text in sample.labels.values()}
    assert {"eth-hot-1", "dead-1", "am-1"} <= values
    assert not [text for text in values for address in (HOT, COLD, BACK) if address[2:].lower() in text]
