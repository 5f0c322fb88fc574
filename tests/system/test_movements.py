"""A payment out of a cold wallet on a real chain, as the person on call meets it: the log, the API, the report."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon.replay.bitcoin.wrapped import BitcoinNode
from tests.integration.bitcoin_chain import address
from tests.integration.purse import Lock
from tests.integration.regtest import Regtest, connected, prepared
from tests.system.daemon import running_daemon

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def shared() -> Iterator[Regtest]:
    yield from prepared()


@pytest.fixture
async def chain(shared: Regtest) -> AsyncIterator[Regtest]:
    async with connected(shared):
        yield shared


def watching(url: str, *, hot: Lock, cold: Lock) -> dict[str, Any]:
    bitcoin = {"kind": "bitcoin", "network": "regtest", "node": url, "poll": "100ms", "max_tip_age": "30d"}
    return {
        "chains": {"bitcoin": bitcoin},
        "assets": {"BTC": {"tokens": [{"chain": "bitcoin"}]}},
        "wallets": {
            "btc-hot-1": {"chain": "bitcoin", "tier": "hot", "addresses": [address(hot.script)]},
            "btc-cold-1": {"chain": "bitcoin", "tier": "cold", "addresses": [address(cold.script)]},
        },
        "feeds": {"prices": [{"kind": "fixed", "values": {"BTC": 15_000_000}}]},
        "policies": [{"kind": "cold_moved"}, {"kind": "drain", "window": "10m", "max_share": 0.5}],
    }


async def test_a_payment_out_of_a_cold_wallet_is_told_with_its_block_its_fee_and_where_it_went(
    chain: Regtest, tmp_path: Path
) -> None:
    hot, cold, stranger = chain.locks("p2wpkh", "p2wpkh", "p2wpkh")
    money = await chain.fund(cold, 2_000_000)
    await chain.node.mine()
    async with (
        BitcoinNode(chain.node.url) as node,
        running_daemon(tmp_path, watching(node.url, hot=hot, cold=cold)) as it,
    ):
        await it.becomes("/readyz", lambda body: body["status"] == "ready")
        outputs = [(stranger.script, 1_200_000), (hot.script, 500_000), (cold.script, 298_000)]
        txid = (await chain.spend([money], outputs))[::-1].hex()
        await chain.node.mine()
        height, tip = await chain.node.head()
        mined = "/api/v1/movements?wallet=btc-cold-1&stage=mined"
        (movement,) = await it.becomes(mined, lambda body: [one["transaction"] for one in body] == [txid])
        assert (movement["direction"], movement["height"], movement["hash"]) == ("debit", height, tip)
        assert {one["wallet"]: one["amount"] for one in movement["wallets"]} == {
            "btc-cold-1": "-0.01702",
            "btc-hot-1": "0.005",
        }
        assert movement["destinations"] == [
            {"address": address(stranger.script), "units": "1200000", "amount": "0.012", "wallet": None}
        ]
        assert [one["wallet"] for one in movement["sources"]] == ["btc-cold-1"]
        assert (movement["change"]["units"], movement["fee"]["units"]) == ("298000", "2000")
        assert abs(float(movement["fee_rate"]) - 2000 / movement["size"]) < 0.001
        line = await it.logged("a cold wallet pays")
        assert (line["level"], line["transaction"]) == ("warning", txid)
        findings = await it.becomes("/api/v1/findings", lambda body: len(body) == 2)
        found = {finding["alert"]: finding for finding in findings}
        told = found["PyrometerColdMoved"]
        assert (told["policy"], told["subject"], told["state"]) == ("cold-moved", "btc-cold-1", "firing")
        assert [one["transaction"] for one in told["evidence"]["transactions"]] == [txid]
        gone = found["PyrometerDrain"]
        assert (gone["policy"], gone["subject"], gone["state"]) == ("drain", "BTC", "firing")
        assert (gone["evidence"]["highest"], gone["evidence"]["held_at_most"]) == ("0.02", "0.00798")
        shown = await it.becomes("/api/v1/report", lambda body: body["movements"])
        assert shown["movements"][0]["transaction"] == txid
        assert await it.stop() == 0
