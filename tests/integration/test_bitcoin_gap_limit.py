"""An xpub on real chains: leaps within the gap limit are counted, a payment beyond it is explained by every source."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from connectors.base import Connector, Unread, Update, Watch
from connectors.bitcoin.derive import ExtendedKey
from connectors.bitcoin.descriptors import Descriptor, parse
from connectors.errors import Reason
from daemon.once import look
from daemon.reload import Loaded, load_whole
from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.integration.bitcoin_chain import COIN, REGTEST, connected_to, held, watching
from tests.integration.electrumx import ElectrumX
from tests.integration.esplora import EsploraServer
from tests.integration.regtest import Regtest, now

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

# A public key (twice the generator) and made-up chain codes: nobody derives a private key from them here.
POINT = bytes.fromhex("02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5")
TEST_NETWORK = bytes.fromhex("043587cf")
LEAPS = range(0, 501, 20)
WORTH = sum(10_000 + index for index in LEAPS)


@pytest.fixture
async def every(chain: Regtest, node: BitcoinNode, electrumx: ElectrumX) -> AsyncIterator[dict[str, object]]:
    """The settings of each kind of source."""
    async with EsploraServer(chain.node).running() as esplora:
        yield {
            "node": {"url": node.url, "name": "core"},
            "electrum": [f"tcp://127.0.0.1:{electrumx.port}"],
            "esplora": [{"url": esplora.url, "name": "esplora"}],
        }


def wallet(number: int) -> Descriptor:
    """One that no other test pays."""
    key = ExtendedKey(0, bytes(4), 0, bytes([number]) * 32, POINT).text(TEST_NETWORK)
    return parse(f"wpkh({key}/0/*)", network=REGTEST)


async def pay(chain: Regtest, descriptor: Descriptor, indices: Sequence[int]) -> str:
    """A block in which each index gets 10,000 satoshis more than its number; its hash."""
    await chain.pay([(descriptor.scripts(index, index + 1)[0], 10_000 + index) for index in indices])
    await chain.node.mine()
    return (await chain.node.head())[1]


async def reading(connector: Connector, watch: Watch, *, tip: str) -> Update:
    """Everything as of the block with this hash, once the sources are there."""
    while True:
        update = await connector.read(watch)
        if update.tip is not None and update.tip.hash == tip:
            return update
        await asyncio.sleep(0.05)


def explained(descriptor: Descriptor, index: int) -> tuple[Unread, ...]:
    """By the last used index, 500."""
    checksum = descriptor.canonical[-8:]
    return (
        Unread(
            descriptor.canonical,
            COIN,
            Reason.MISCONFIGURED,
            f"descriptor wpkh(tpubD…/0/*)#{checksum}: index {index} was paid, {index - 500} beyond the last used "
            f"index 500, more than gap_limit 20 allows for: set gap_limit to {index - 500} or more for this wallet",
        ),
    )


@pytest.mark.parametrize("source", ["node", "electrum", "esplora"])
async def test_every_source_counts_leaps_to_index_500_and_explains_a_payment_beyond_in_the_same_words(
    source: str, chain: Regtest, every: dict[str, object], node: BitcoinNode, tmp_path: Path
) -> None:
    """A node's scan counts in steps of 1,000 indices."""
    descriptor, beyond = wallet(len(source)), 1100 if source == "node" else 610
    watch = watching([], descriptor.canonical)
    settings = {source: every[source], "state": tmp_path / "state"}
    tip = await pay(chain, descriptor, LEAPS)
    async with connected_to(**settings) as connector:
        assert held(await reading(connector, watch, tip=tip)) == {descriptor.canonical: WORTH}
        tip = await pay(chain, descriptor, [beyond])
        update = await reading(connector, watch, tip=tip)
        assert (update.held, update.unread) == ((), explained(descriptor, beyond))
    scans = node.calls["scantxoutset"]
    async with connected_to(**settings) as connector:
        assert (await reading(connector, watch, tip=tip)).unread == explained(descriptor, beyond)
    assert node.calls["scantxoutset"] == scans
    async with connected_to(**settings) as connector:
        raised = replace(watch, gap_limits={descriptor.canonical: 600})
        assert held(await reading(connector, raised, tip=tip)) == {descriptor.canonical: WORTH + 10_000 + beyond}


@pytest.mark.parametrize("source", ["electrum", "esplora"])
async def test_a_source_that_remembers_use_explains_the_first_address_beyond(
    source: str, chain: Regtest, every: dict[str, object]
) -> None:
    """Index 520 is the last one that may be paid after 500; then 521 counts."""
    descriptor = wallet(100 + len(source))
    watch = watching([], descriptor.canonical)
    tip = await pay(chain, descriptor, [*LEAPS, 521])
    async with connected_to(**{source: every[source]}) as connector:
        assert (await reading(connector, watch, tip=tip)).unread == explained(descriptor, 521)
        tip = await pay(chain, descriptor, [520])
        assert held(await reading(connector, watch, tip=tip)) == {descriptor.canonical: WORTH + 10_521 + 10_520}


async def test_sources_that_have_to_agree_count_alike_and_explain_alike(
    chain: Regtest, every: dict[str, object]
) -> None:
    """Beside a node all of them count in steps of 100."""
    descriptor = wallet(200)
    watch = watching([], descriptor.canonical)
    tip = await pay(chain, descriptor, [*LEAPS, 541])
    async with connected_to(agree=3, **every) as connector:
        update = await reading(connector, watch, tip=tip)
        assert held(update) == {descriptor.canonical: WORTH + 10_541}
        tip = await pay(chain, descriptor, [650])
        update = await reading(connector, watch, tip=tip)
        assert update.disagreements == ()
        (unread,) = update.unread
        assert unread.reason is Reason.MISCONFIGURED
        assert "index 650 was paid, 109 beyond the last used index 541" in unread.detail


async def test_whoever_looks_is_told_what_to_set_and_setting_it_helps(
    chain: Regtest, every: dict[str, object], tmp_path: Path
) -> None:
    descriptor = wallet(201)
    await pay(chain, descriptor, [*LEAPS, 1100])
    cold: dict[str, object] = {"chain": "btc", "tier": "cold", "descriptor": descriptor.canonical}
    configuration: dict[str, object] = {
        "entity": "Example",
        "currency": "JPY",
        "chains": {"btc": {"kind": "bitcoin", "network": "regtest", "node": every["node"], "max_tip_age": "30d"}},
        "assets": {"BTC": {"tokens": [{"chain": "btc"}]}},
        "wallets": {"cold": cold},
        "feeds": {"prices": [{"kind": "fixed", "values": {"BTC": 15_000_000}}]},
    }
    (told,) = await problems(configuration, at=tmp_path / "p.yaml")
    assert told == f"btc: accounts unread: 1 misconfigured ({explained(descriptor, 1100)[0].detail})"
    cold["gap_limit"] = int(re.findall(r"set gap_limit to (\d+)", told)[0])
    assert await problems(configuration, at=tmp_path / "p.yaml") == ()


async def problems(configuration: Mapping[str, object], *, at: Path) -> tuple[str, ...]:
    """What `pyrometer once` finds wrong with its picture."""
    return (await look(loaded(configuration, at=at), now=now)).report.problems


def loaded(configuration: Mapping[str, object], *, at: Path) -> Loaded:
    at.write_text(json.dumps(configuration))
    return load_whole(at, env={}, now=now())
