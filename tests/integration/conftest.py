"""What the tests on a real bcoin share: one chain for each module, and what stands before it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from daemon.replay.bitcoin.wrapped import BitcoinNode, UtxoSet
from tests.integration.electrumx import ElectrumX
from tests.integration.purse import KINDS, Lock
from tests.integration.regtest import Regtest, connected, prepared


@pytest.fixture(scope="module")
def shared() -> Iterator[Regtest]:
    yield from prepared()


@pytest.fixture(scope="module")
def utxos() -> UtxoSet:
    return UtxoSet()


@pytest.fixture(scope="module")
def electrumx(shared: Regtest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ElectrumX]:
    server = ElectrumX(shared.node.url, folder=tmp_path_factory.mktemp("electrumx"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def chain(shared: Regtest) -> AsyncIterator[Regtest]:
    async with connected(shared):
        yield shared


@pytest.fixture
async def node(chain: Regtest, utxos: UtxoSet) -> AsyncIterator[BitcoinNode]:
    """Our small node before the real one."""
    async with BitcoinNode(chain.node.url, utxos=utxos) as node:
        yield node


@pytest.fixture
def locks(chain: Regtest) -> list[Lock]:
    """One of each kind."""
    return chain.locks(*KINDS)
