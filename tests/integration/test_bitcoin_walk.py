"""Random walks on a real bcoin: after every block each source's balances equal a recomputation of all blocks.

PYROMETER_WALKS is how many walks each kind of source gets. The connector runs in a process of its own, which the walks
restart and kill. A walk that fails is shown with its steps, as it was: walks on a real chain are too slow to shorten.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from daemon.replay.bitcoin_node import BitcoinNode, UtxoSet
from tests.integration.electrumx import ElectrumX
from tests.integration.esplora import EsploraServer
from tests.integration.recomputed import Blocks
from tests.integration.regtest import Regtest, prepared
from tests.integration.walk import WHOLE_SCAN, Walk
from tests.integration.walk_accounts import Accounts
from tests.integration.walk_steps import Plan, plans
from tests.integration.watcher import Ancestor, Watcher

WALKS = int(os.environ.get("PYROMETER_WALKS", "2"))

pytestmark = [pytest.mark.real, pytest.mark.timeout(600 + 60 * WALKS)]


class World:
    """What all walks share: a chain, the Electrum server before it, and what was read of it so far."""

    def __init__(self, chain: Regtest, *, electrumx: ElectrumX, ancestor: Ancestor, folder: Path) -> None:
        self.chain = chain
        self._electrumx = electrumx
        self._ancestor = ancestor
        self._folder = folder
        self._walks = 0
        self._utxos = UtxoSet()
        self._decoded: dict[str, dict[str, Any]] = {}
        self.blocks = Blocks(chain.node, told=self._decoded)

    def watcher(self, sources: Sources, accounts: Accounts) -> Watcher:
        """On files of its own."""
        self._walks += 1
        folder = self._folder / str(self._walks)
        folder.mkdir()
        return Watcher(sources.settings, accounts=list(accounts.scripts), folder=folder, ancestor=self._ancestor)

    @asynccontextmanager
    async def sources(self, names: Sequence[str]) -> AsyncIterator[Sources]:
        async with AsyncExitStack() as stack:
            found = Sources({"agree": len(names)})
            if "node" in names:
                node = BitcoinNode(self.chain.node.url, poll=1.0, utxos=self._utxos)
                found.node = await stack.enter_async_context(node)
                found.settings["node"] = {"url": found.node.url, "name": "core"}
            if "electrum" in names:
                found.settings["electrum"] = [f"tcp://127.0.0.1:{self._electrumx.port}"]
            if "esplora" in names:
                server = EsploraServer(self.chain.node, lag=0.05, blocks=self._decoded)
                found.esplora = await stack.enter_async_context(server.running())
                found.settings["esplora"] = [{"url": server.url, "name": "esplora"}]
            yield found


@dataclass
class Sources:
    """`settings` of a chain that is read from them."""

    settings: dict[str, object]
    node: BitcoinNode | None = None
    esplora: EsploraServer | None = None

    def scans(self) -> Mapping[str, int]:
        whole = {} if self.node is None else {WHOLE_SCAN: self.node.calls["scantxoutset"]}
        return whole if self.esplora is None else {**whole, **self.esplora.scripts}


@pytest.fixture(scope="module")
def chain() -> Iterator[Regtest]:
    yield from prepared()


@pytest.fixture(scope="module")
def world(chain: Regtest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    server = ElectrumX(chain.node.url, folder=tmp_path_factory.mktemp("electrumx"))
    server.start()
    ancestor = Ancestor(tmp_path_factory.mktemp("watcher") / "log")
    ancestor.start()
    yield World(chain, electrumx=server, ancestor=ancestor, folder=tmp_path_factory.mktemp("walks"))
    ancestor.stop()
    server.stop()


@pytest.mark.parametrize(
    "names", [("node",), ("electrum",), ("esplora",), ("node", "electrum", "esplora")], ids="+".join
)
@settings(max_examples=WALKS, phases=[Phase.generate], suppress_health_check=list(HealthCheck), print_blob=False)
@given(plan=plans())
async def test_balances_are_exact_after_every_block_of_a_walk(names: Sequence[str], world: World, plan: Plan) -> None:
    async with world.chain.node.connected(), world.sources(names) as sources:
        accounts = Accounts(world.chain)
        watcher = world.watcher(sources, accounts)
        walk = Walk(world.chain, blocks=world.blocks, accounts=accounts, watcher=watcher, scans=sources.scans)
        try:
            await walk.take(plan)
        finally:
            await watcher.kill()
