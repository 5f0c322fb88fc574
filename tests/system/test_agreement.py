"""Law 8 on the real process: three nodes, two must agree; who forges is named and never believed."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.integration.anvil import AnvilNode, Forger
from tests.system.daemon import Daemon, running_daemon
from tests.system.exchange import COLD, ETHER, HOT, config

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


class Trio:
    """Three anvils with one state, told the same; the third stands behind a proxy that can forge."""

    def __init__(self, nodes: list[AnvilNode], forger: Forger) -> None:
        self.nodes = nodes
        self.forger = forger

    @property
    def urls(self) -> list[str]:
        return [self.nodes[0].url, self.nodes[1].url, self.forger.url]

    async def mine(self, *, blocks: int = 1, only: int = 3) -> None:
        for node in self.nodes[:only]:
            await node.mine(blocks)


@asynccontextmanager
async def trio() -> AsyncIterator[Trio]:
    genesis = int(time.time()) - 100_000
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(AnvilNode(genesis_time=genesis)) for _ in range(3)]
        for node in nodes:
            await node.set_balances({HOT: 10 * ETHER, COLD: 990 * ETHER})
            await node.mine()
        assert len({await node.head() for node in nodes}) == 1, "the nodes do not share one chain"
        forger = await stack.enter_async_context(Forger(nodes[2].url).running())
        yield Trio(nodes, forger)


def agreeing(urls: list[str]) -> dict[str, object]:
    return config(*urls, chain={"agree": 2})


async def hot_amounts(daemon: Daemon) -> str:
    wallet = await daemon.get("/api/v1/wallets/eth-hot-1")
    return str(wallet["holdings"]["ETH"]["amount"])


async def reaches(daemon: Daemon, height: int) -> None:
    await daemon.becomes("/api/v1/chains", lambda body: body["ethereum"]["height"] == height)


async def test_a_forged_balance_never_appears_and_the_disagreement_does_with_both_answers(tmp_path: Path) -> None:
    async with trio() as three:
        three.forger.forged[HOT] = 5 * ETHER
        async with running_daemon(tmp_path, agreeing(three.urls)) as daemon:
            for _ in range(5):
                await three.mine()
                height, _ = await three.nodes[0].head()
                await reaches(daemon, height)
                assert await hot_amounts(daemon) == "10"
            found = await daemon.becomes("/api/v1/findings", lambda body: body)
            (finding,) = [item for item in found if item["alert"] == "PyrometerDisagreement"]
            answers = finding["evidence"]["answers"][0]
            assert answers["account"] == HOT
            assert answers["answers"] == {
                "node-1": str(10 * ETHER),
                "node-2": str(10 * ETHER),
                "node-3": str(5 * ETHER),
            }
            metrics = await daemon.metrics()
            assert metrics['pyrometer_provider_disagreements_total{chain="ethereum",provider="node-3"}'] > 0


async def test_one_node_dead_changes_nothing(tmp_path: Path) -> None:
    async with trio() as three, running_daemon(tmp_path, agreeing(three.urls)) as daemon:
        await daemon.becomes("/api/v1/status", lambda body: body.get("verdict") == "ok")
        await three.nodes[0].kill()
        for _ in range(3):
            for node in three.nodes[1:]:
                await node.mine()
            height, _ = await three.nodes[1].head()
            await reaches(daemon, height)
            assert await hot_amounts(daemon) == "10"
        status = await daemon.get("/api/v1/status")
        assert (status["verdict"], status["findings"], status["problems"]) == ("ok", 0, [])


async def test_one_node_fifty_blocks_behind_changes_nothing(tmp_path: Path) -> None:
    async with trio() as three:
        await three.mine(blocks=50, only=2)
        async with running_daemon(tmp_path, agreeing(three.urls)) as daemon:
            height, _ = await three.nodes[0].head()
            await reaches(daemon, height)
            await three.mine(only=2)
            await reaches(daemon, height + 1)
            status = await daemon.get("/api/v1/status")
            assert (status["verdict"], status["findings"], status["problems"]) == ("ok", 0, [])


async def test_two_nodes_gone_is_blindness_not_trust_in_the_last_one(tmp_path: Path) -> None:
    async with trio() as three, running_daemon(tmp_path, agreeing(three.urls)) as daemon:
        await daemon.becomes("/api/v1/status", lambda body: body.get("verdict") == "ok")
        await three.nodes[0].kill()
        await three.nodes[1].kill()
        await daemon.becomes("/api/v1/status", lambda body: body.get("verdict") == "unknown")
        chains = await daemon.get("/api/v1/chains")
        assert chains["ethereum"]["reason"] == "no_quorum"
