"""The small Symbol node: a ledger that adds up, and answers with every field that the OpenAPI document requires."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.symbol.address import raw_of
from daemon.replay.symbol_ledger import (
    EPOCH,
    HARVESTER,
    INFLATION,
    XYM,
    Alias,
    Ledger,
    Overspent,
    Person,
    again,
    aggregate,
    milliseconds,
    modification,
    payment,
    transfer,
)
from daemon.replay.symbol_node import SymbolNode

ALICE, BOB, CAROL = (Person(name) for name in ("Alice", "Bob", "Carol"))
START = datetime(2026, 1, 1, tzinfo=UTC)
RICH = 10**12


def ledger() -> Ledger:
    return Ledger({ALICE.address: RICH, BOB.address: RICH}, time=START, mosaics={"0DC67FBE1CAD29E3": 0})


# ── the ledger ──────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 10**12)), max_size=30))
def test_nothing_is_lost_and_each_block_makes_what_it_is_said_to(moves: list[tuple[int, int, int]]) -> None:
    chain, people = ledger(), (ALICE, BOB, CAROL)
    for nonce, (a, b, units) in enumerate(moves):
        try:
            chain.mine(transfer(people[a], people[b].address, units=units, nonce=nonce))
        except Overspent:
            chain.mine()
        total = sum(units for (_, mosaic), units in chain.tip.world.units.items() if mosaic == XYM)
        assert total == 2 * RICH + INFLATION * (chain.tip.height - 1)
        assert min(chain.tip.world.units.values()) >= 0


def test_a_block_that_would_overspend_leaves_the_chain_as_it_was() -> None:
    chain = ledger()
    with pytest.raises(Overspent):
        chain.mine(transfer(ALICE, BOB.address, units=5), transfer(CAROL, BOB.address, units=1))
    assert (chain.tip.height, chain.held(ALICE.address)) == (1, RICH)


def test_what_waits_leaves_the_pools_with_the_block_that_holds_it_and_comes_back_with_a_rollback() -> None:
    chain = ledger()
    sent = chain.announce(transfer(ALICE, BOB.address, units=5))
    bonded = chain.announce(aggregate(ALICE, payment(ALICE, BOB.address, units=1), bonded=True))
    assert (set(chain.unconfirmed), set(chain.partial)) == ({sent.hash}, {bonded.hash})
    chain.complete(bonded)
    block = chain.mine(sent, bonded)
    assert (chain.unconfirmed, chain.partial) == ({}, {})
    chain.reorganise(depth=1, length=2)
    assert set(chain.unconfirmed) == {sent.hash, bonded.hash}
    assert block.hash not in {one.hash for one in chain.blocks}
    assert chain.held(BOB.address) == RICH


def test_equal_transactions_have_one_hash_and_repeated_ones_another() -> None:
    sent = transfer(ALICE, BOB.address, units=5)
    assert sent.hash == transfer(ALICE, BOB.address, units=5).hash
    assert len({sent.hash, again(sent).hash, transfer(ALICE, BOB.address, units=6).hash}) == 3


def test_every_block_raises_the_score_by_its_difficulty_less_seconds() -> None:
    chain = ledger()
    for _ in range(5):
        parent, block = chain.tip, chain.mine()
        assert block.score - parent.score == block.difficulty - 30


# ── the answers ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def node() -> AsyncIterator[SymbolNode]:
    chain = ledger()
    name = Alias("E74B99BA41F4AFEE", mosaic=XYM)
    chain.aliases[name.id] = name
    step = modification(BOB, cosignatories=(CAROL.address,), min_approval=1, min_removal=1)
    chain.mine(transfer(ALICE, CAROL.address, units=5, mosaic=name), aggregate(ALICE, step))
    for _ in range(30):
        chain.mine()
    async with SymbolNode(chain) as server:
        yield server


async def ask(node: SymbolNode, path: str, *, body: object = None, status: int = 200) -> Any:  # noqa: ANN401 - JSON
    async with (
        aiohttp.ClientSession() as session,
        session.request("GET" if body is None else "POST", node.url + path, json=body) as response,
    ):
        assert response.status == status
        assert response.content_type == "application/json"
        return await response.json()


REQUIRED = {
    "NodeInfoDTO": "version publicKey networkGenerationHashSeed roles port networkIdentifier friendlyName host",
    "ChainInfoDTO": "height scoreHigh scoreLow latestFinalizedBlock",
    "FinalizedBlockDTO": "finalizationEpoch finalizationPoint height hash",
    "BlockInfoDTO": "id meta block",
    "BlockMetaDTO": "hash totalFee generationHash stateHashSubCacheMerkleRoots totalTransactionsCount "
    "transactionsCount statementsCount",
    "BlockDTO": "size signature signerPublicKey version network type height timestamp difficulty previousBlockHash "
    "transactionsHash receiptsHash stateHash beneficiaryAddress feeMultiplier",
    "AccountDTO": "version address addressHeight publicKey publicKeyHeight accountType supplementalPublicKeys "
    "activityBuckets mosaics importance importanceHeight",
    "MosaicDTO": "version id supply startHeight ownerAddress revision flags divisibility duration",
    "MultisigDTO": "version accountAddress minApproval minRemoval cosignatoryAddresses multisigAddresses",
    "TransactionMetaDTO": "height hash merkleComponentHash index",
    "EmbeddedTransactionMetaDTO": "height aggregateHash aggregateId index",
    "TransactionDTO": "size signature signerPublicKey version network type maxFee deadline",
    "EmbeddedTransactionDTO": "signerPublicKey version network type",
    "TransactionStatusDTO": "group deadline hash",
    "Pagination": "pageNumber pageSize",
}
"""Required fields of the schemas in symbol/symbol, openapi/openapi-symbol.yml."""


def has(answer: object, schema: str) -> bool:
    return isinstance(answer, dict) and set(REQUIRED[schema].split()) <= set(answer)


async def test_the_node_and_the_chain_are_told_with_all_their_fields(node: SymbolNode) -> None:
    assert has(await ask(node, "/node/info"), "NodeInfoDTO")
    chain = await ask(node, "/chain/info")
    assert has(chain, "ChainInfoDTO")
    assert has(chain["latestFinalizedBlock"], "FinalizedBlockDTO")
    properties = await ask(node, "/network/properties")
    assert set(properties) >= {"network", "chain", "plugins"}
    assert properties["network"]["epochAdjustment"] == "1615853185s"


async def test_a_block_is_told_with_all_its_fields(node: SymbolNode) -> None:
    block = await ask(node, "/blocks/2")
    assert has(block, "BlockInfoDTO")
    assert has(block["meta"], "BlockMetaDTO")
    assert has(block["block"], "BlockDTO")
    assert (block["meta"]["transactionsCount"], block["meta"]["totalTransactionsCount"]) == (2, 3)
    assert block["block"]["beneficiaryAddress"] == raw_of(HARVESTER.address).hex().upper()
    assert int(block["block"]["timestamp"]) == milliseconds(START + timedelta(seconds=30))
    assert EPOCH + timedelta(milliseconds=int(block["block"]["timestamp"])) == START + timedelta(seconds=30)


async def test_accounts_are_told_with_all_their_fields_and_unknown_ones_left_out(node: SymbolNode) -> None:
    addresses = [ALICE.address, Person("nobody").address, CAROL.address, ALICE.address]
    found = await ask(node, "/accounts", body={"addresses": addresses})
    assert len(found) == 2
    assert all(has(one["account"], "AccountDTO") for one in found)
    carol = next(one["account"] for one in found if one["account"]["address"] == raw_of(CAROL.address).hex().upper())
    assert (carol["mosaics"], carol["addressHeight"]) == ([{"id": XYM, "amount": "5"}], "2")


async def test_mosaics_are_told_with_all_their_fields_and_unknown_ones_left_out(node: SymbolNode) -> None:
    (mosaic,) = await ask(node, "/mosaics", body={"mosaicIds": [XYM, "0000000000000001"]})
    assert has(mosaic["mosaic"], "MosaicDTO")


async def test_both_sides_of_a_multisig_account_are_told_and_nobody_else(node: SymbolNode) -> None:
    bob = (await ask(node, f"/account/{BOB.address}/multisig"))["multisig"]
    carol = (await ask(node, f"/account/{CAROL.address}/multisig"))["multisig"]
    assert has(bob, "MultisigDTO")
    assert has(carol, "MultisigDTO")
    assert (bob["minApproval"], bob["cosignatoryAddresses"]) == (1, [raw_of(CAROL.address).hex().upper()])
    assert (carol["minApproval"], carol["multisigAddresses"]) == (0, [raw_of(BOB.address).hex().upper()])
    refusal = await ask(node, f"/account/{ALICE.address}/multisig", status=404)
    assert refusal == {"code": "ResourceNotFound", "message": f"no resource exists with id '{ALICE.address}'"}


async def test_transactions_are_told_with_those_within_aggregates_only_when_asked(node: SymbolNode) -> None:
    plain = await ask(node, "/transactions/confirmed?height=2")
    whole = await ask(node, "/transactions/confirmed?height=2&embedded=true")
    assert (len(plain["data"]), len(whole["data"])) == (2, 3)
    assert has(whole["pagination"], "Pagination")
    first, second, inner = whole["data"]
    assert has(first["meta"], "TransactionMetaDTO")
    assert has(second["transaction"], "TransactionDTO")
    assert has(inner["meta"], "EmbeddedTransactionMetaDTO")
    assert has(inner["transaction"], "EmbeddedTransactionDTO")
    assert "hash" not in inner["meta"]
    assert first["transaction"]["mosaics"] == [{"id": "E74B99BA41F4AFEE", "amount": "5"}]


async def test_what_a_name_stood_for_is_told_by_block_and_by_name(node: SymbolNode) -> None:
    page = await ask(node, "/statements/resolutions/mosaic?height=2")
    statement = page["data"][0]["statement"]
    assert (statement["unresolved"], statement["resolutionEntries"][0]["resolved"]) == ("E74B99BA41F4AFEE", XYM)
    namespace = await ask(node, "/namespaces/E74B99BA41F4AFEE")
    assert namespace["namespace"]["alias"] == {"type": 1, "mosaicId": XYM}
    assert (await ask(node, "/namespaces/A95F1F8A96159516", status=404))["code"] == "ResourceNotFound"


async def test_statuses_are_told_of_known_transactions_only(node: SymbolNode) -> None:
    sent = node.ledger.announce(transfer(ALICE, BOB.address, units=3))
    mined = node.ledger.block(2)
    assert mined is not None
    hashes = [sent.hash, mined.transactions[0].hash, "AB" * 32]
    found = await ask(node, "/transactionStatus", body={"hashes": hashes})
    assert all(has(one, "TransactionStatusDTO") for one in found)
    assert [one["group"] for one in found] == ["unconfirmed", "confirmed"]


@pytest.mark.parametrize(
    ("query", "heights"),
    [
        ("", range(1, 11)),
        ("?offset=5&pageSize=10", range(6, 16)),
        ("?offset=5&pageSize=3", range(6, 16)),  # never fewer than ten
        ("?offset=0&pageSize=20&pageNumber=2", range(21, 33)),
        ("?offset=40", range(0)),
    ],
)
async def test_blocks_come_in_pages_of_bounded_size(node: SymbolNode, query: str, heights: range) -> None:
    page = await ask(node, f"/blocks{query}")
    assert [int(one["block"]["height"]) for one in page["data"]] == list(heights)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/blocks/33", 404, "ResourceNotFound"),
        ("/blocks/x", 409, "InvalidArgument"),
        ("/blocks?pageSize=x", 409, "InvalidArgument"),
        ("/transactions/lost", 404, "ResourceNotFound"),
    ],
)
async def test_refusals_are_errors_as_the_model_has_them(node: SymbolNode, path: str, status: int, code: str) -> None:
    refusal = await ask(node, path, status=status)
    assert (refusal["code"], set(refusal)) == (code, {"code", "message"})


async def test_an_address_of_the_wrong_length_refuses_the_whole_request(node: SymbolNode) -> None:
    refusal = await ask(node, "/accounts", body={"addresses": [ALICE.address, "N"]}, status=409)
    assert refusal["code"] == "InvalidArgument"


async def test_it_can_be_told_to_lag_to_lie_to_fail_and_to_throttle(node: SymbolNode) -> None:
    node.behaviour.lag = 2
    assert (await ask(node, "/chain/info"))["height"] == "30"
    node.behaviour.lies = {(BOB.address, XYM): 1}
    (bob,) = await ask(node, "/accounts", body={"addresses": [BOB.address]})
    assert bob["account"]["mosaics"] == [{"id": XYM, "amount": "1"}]
    node.behaviour.failing["/chain/info"] = 503
    await ask(node, "/chain/info", status=503)
    node.behaviour.missing.add("/node/info")
    assert (await ask(node, "/node/info", status=404))["message"] == "/node/info does not exist"
    node.behaviour.throttled = True
    await ask(node, "/blocks/2", status=429)


async def test_while_it_is_dark_its_port_refuses_and_stays_its_own(node: SymbolNode) -> None:
    url = node.url
    await node.go_dark()
    await node.go_dark()
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(node, "/chain/info")
    await node.come_back()
    await node.come_back()
    assert node.url == url
    assert (await ask(node, "/chain/info"))["height"] == "32"
