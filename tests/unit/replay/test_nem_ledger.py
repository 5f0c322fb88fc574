"""The scripted NEM ledger keeps the books, and the small node tells them in NIS1's shapes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from connectors.nem.networks import NETWORKS
from daemon.replay.nem_ledger import Ledger, Overspent, hash_of
from daemon.replay.nem_node import NemNode
from daemon.replay.nem_transactions import Notary

NOTARY = Notary(NETWORKS["mainnet"])
ALICE, BOB, CAROL, MINER = (NOTARY.person(name) for name in ("alice", "bob", "carol", "miner"))
EVERYBODY = [ALICE, BOB, CAROL]
EACH = 10**12


def ledger() -> Ledger:
    balances = {person.address: EACH for person in EVERYBODY}
    return Ledger(NOTARY, balances=balances, time=datetime(2020, 1, 1, tzinfo=UTC))


def total(chain: Ledger) -> int:
    return sum(units for (_, mosaic), units in chain.world().units.items() if mosaic is None)


def test_a_transfer_moves_its_units_and_pays_the_harvester() -> None:
    chain = ledger()
    chain.mine([NOTARY.transfer(ALICE, to=BOB.address, units=5, time=chain.now, fee=7)], harvester=MINER)
    assert [chain.units(one.address) for one in (ALICE, BOB, MINER)] == [EACH - 12, EACH + 5, 7]


def test_no_xem_is_made_or_lost() -> None:
    chain = ledger()
    inner = NOTARY.transfer(CAROL, to=BOB.address, units=5, time=chain.now)
    chain.mine(
        [
            NOTARY.transfer(ALICE, to=BOB.address, units=5, time=chain.now),
            NOTARY.namespace(BOB, part="x", time=chain.now),
            NOTARY.modification(CAROL, add=[ALICE], minimum=1, time=chain.now),
            NOTARY.multisig(ALICE, inner=inner, inner_hash=hash_of(inner)),
        ]
    )
    assert total(chain) == 3 * EACH


def test_spending_more_than_there_is_is_refused_and_leaves_the_ledger_as_it_was() -> None:
    chain = ledger()
    tip = chain.tip.block.hash
    with pytest.raises(Overspent, match="not 1000000000001"):
        chain.mine([NOTARY.transfer(ALICE, to=BOB.address, units=EACH + 1, time=chain.now)])
    assert (chain.tip.block.hash, chain.units(ALICE.address)) == (tip, EACH)


def test_a_reorg_takes_everything_back_and_what_was_mined_waits_again() -> None:
    chain = ledger()
    name = chain.announce(NOTARY.transfer(ALICE, to=BOB.address, units=5, time=chain.now))
    chain.mine()
    old = chain.tip.block
    chain.reorganise(1, keep=False)
    assert chain.units(ALICE.address) == EACH
    assert list(chain.pool) == [name]
    assert (chain.tip.block.height, chain.blocks[old.height - 1].block.hash == old.hash) == (old.height + 1, False)


def test_what_waits_past_its_deadline_is_forgotten() -> None:
    chain = ledger()
    chain.announce(NOTARY.transfer(ALICE, to=BOB.address, units=5, time=chain.now, lifetime=10))
    chain.mine([])
    assert chain.pool == {}


def test_balances_are_known_at_older_blocks() -> None:
    chain = ledger()
    chain.mine([NOTARY.transfer(ALICE, to=BOB.address, units=5, time=chain.now)])
    height = chain.tip.block.height
    chain.mine([NOTARY.transfer(ALICE, to=BOB.address, units=5, time=chain.now)])
    assert chain.world(height).units[BOB.address, None] == EACH + 5
    with pytest.raises(LookupError):
        chain.world(height + 2)


def test_a_supply_change_and_a_definition_issue_whole_mosaics() -> None:
    chain = ledger()
    chain.mine([NOTARY.mosaic_definition(ALICE, name="a:b", divisibility=3, supply=5, time=chain.now)])
    chain.mine([NOTARY.supply_change(ALICE, name="a:b", more=2, time=chain.now)])
    assert chain.units(ALICE.address, "a:b") == 7000


# The shapes: what openapi/spec in NemProject/nem requires of each answer.

ENTITY = {"timeStamp", "signature", "type", "version", "signer"}
ACCOUNT = {"address", "balance", "vestedBalance", "importance", "harvestedBlocks", "publicKey", "label", "multisigInfo"}
META = {"status", "remoteStatus", "cosignatoryOf", "cosignatories"}
PAST = {"height", "address", "balance", "vestedBalance", "unvestedBalance", "importance", "pageRank"}


async def told(node: NemNode, path: str, *, query: Mapping[str, str] | None = None, posted: object = None) -> Any:  # noqa: ANN401 - a JSON value
    async with aiohttp.ClientSession() as session:
        method = "GET" if posted is None else "POST"
        async with session.request(method, node.url + path, params=query, json=posted) as response:
            return await response.json()


async def test_every_answer_has_the_documented_fields() -> None:
    chain = ledger()
    chain.mine([NOTARY.mosaic_definition(ALICE, name="a:b", divisibility=3, supply=5, time=chain.now)])
    chain.mine([NOTARY.modification(BOB, add=[CAROL], minimum=1, time=chain.now)])
    chain.announce(NOTARY.transfer(ALICE, to=BOB.address, units=5, time=chain.now))
    of_alice = {"address": ALICE.address}
    async with NemNode(chain) as node:
        node.behaviour.historical = True
        assert await told(node, "/chain/height") == {"height": 4}
        assert (await told(node, "/chain/last-block")).keys() == ENTITY | {"prevBlockHash", "transactions", "height"}
        assert (await told(node, "/block/at/public", posted={"height": 2}))["height"] == 2
        assert (await told(node, "/node/info"))["metaData"]["features"] & 2
        account = await told(node, "/account/get", query=of_alice)
        assert (account["account"].keys(), account["meta"].keys()) == (ACCOUNT, META)
        batch = await told(node, "/account/get/batch", posted={"data": [{"account": BOB.address}]})
        assert batch["data"][0]["account"]["multisigInfo"] == {"cosignatoriesCount": 1, "minCosignatories": 1}
        assert [one["address"] for one in batch["data"][0]["meta"]["cosignatories"]] == [CAROL.address]
        owned = (await told(node, "/account/mosaic/owned", query=of_alice))["data"]
        assert {"quantity": 5000, "mosaicId": {"namespaceId": "a", "name": "b"}} in owned
        definition = await told(node, "/mosaic/definition", query={"mosaicId": "a:b"})
        assert definition.keys() == {"creator", "description", "id", "properties", "levy"}
        waiting = (await told(node, "/account/unconfirmedTransactions", query=of_alice))["data"]
        assert [one.keys() for one in waiting] == [{"meta", "transaction"}]
        query = {**of_alice, "startHeight": "2", "endHeight": "3", "increment": "1"}
        past = (await told(node, "/account/historical/get", query=query))["data"]
        assert [(one["height"], one.keys()) for one in past] == [(2, PAST), (3, PAST)]


async def test_refusals_are_error_objects_of_nis() -> None:
    async with NemNode(ledger()) as node:
        for path, query in (("/mosaic/definition", {"mosaicId": "no:thing"}), ("/account/get", {}), ("/nothing", {})):
            error = await told(node, path, query=query)
            assert error.keys() == {"timeStamp", "error", "message", "status"}
        assert (await told(node, "/block/at/public", posted={"height": 99}))["status"] == 404


async def test_a_dark_node_refuses_connections_and_comes_back_at_the_same_place() -> None:
    async with NemNode(ledger()) as node:
        url = node.url
        await node.go_dark()
        with pytest.raises(aiohttp.ClientConnectorError):
            await told(node, "/chain/height")
        await node.come_back()
        assert node.url == url
        assert (await told(node, "/chain/height"))["height"] == 2
