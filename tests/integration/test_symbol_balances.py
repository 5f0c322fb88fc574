"""Balances of Symbol accounts through the connector, at one block, whatever a single node does."""

from __future__ import annotations

import pytest

from connectors.base import Address, Token
from connectors.errors import Reason
from daemon.replay.symbol.ledger import Person, transfer
from tests.integration.symbol_chain import (
    ALICE,
    BOB,
    CAROL,
    COIN,
    GOLD,
    MISSING,
    RICH,
    coins,
    connected,
    following,
    scripted,
    serving,
    units,
    until,
    watching,
)


async def test_an_account_that_never_appeared_holds_nothing() -> None:
    async with serving(scripted()) as (node,), connected(node) as connector:
        update = await connector.read(watching(ALICE, CAROL))
    assert coins(update) == {ALICE.address: RICH, CAROL.address: 0}
    assert not update.unread


@pytest.mark.parametrize("base32", [False, True])
async def test_addresses_are_read_in_both_of_the_forms_that_nodes_write(base32: bool) -> None:
    async with serving(scripted()) as (node,), connected(node) as connector:
        node.behaviour.base32 = base32
        assert coins(await connector.read(watching())) == {ALICE.address: RICH, BOB.address: RICH, CAROL.address: 0}


async def test_every_mosaic_of_an_account_is_told_by_its_token() -> None:
    async with serving(scripted()) as (node,), connected(node) as connector:
        update = await connector.read(watching(ALICE, BOB, tokens=(COIN, GOLD)))
    assert units(update) == {
        (ALICE.address, COIN): RICH,
        (ALICE.address, GOLD): 500,
        (BOB.address, COIN): RICH,
        (BOB.address, GOLD): 0,
    }


async def test_a_mosaic_that_does_not_exist_is_unread_and_spoils_no_other() -> None:
    async with serving(scripted()) as (node,), connected(node) as connector:
        update = await connector.read(watching(ALICE, tokens=(COIN, MISSING)))
    assert units(update) == {(ALICE.address, COIN): RICH}
    assert [(one.token, one.reason, one.detail) for one in update.unread] == [
        (MISSING, Reason.NO_CONTRACT, "there is no mosaic 0000000000000001")
    ]


@pytest.mark.parametrize("token", [GOLD._replace(decimals=6), COIN._replace(decimals=5)])
async def test_another_divisibility_than_declared_is_misconfigured_and_never_a_number(token: Token) -> None:
    async with serving(scripted()) as (node,), connected(node) as connector:
        update = await connector.read(watching(ALICE, tokens=(token,)))
    assert [(one.reason, "divisibility" in one.detail) for one in update.unread] == [(Reason.MISCONFIGURED, True)]
    assert not update.held


async def test_the_currency_by_its_mosaic_beside_the_native_coin_is_misconfigured_and_not_counted_twice() -> None:
    by_mosaic = Token("symbol", "6BED913FA20223F8", 6)
    async with serving(scripted()) as (node,), connected(node) as connector:
        update = await connector.read(watching(ALICE, tokens=(COIN, by_mosaic)))
        alone = await connector.read(watching(ALICE, tokens=(by_mosaic,)))
    assert units(update) == {(ALICE.address, COIN): RICH}
    assert [(one.token, one.reason) for one in update.unread] == [(by_mosaic, Reason.MISCONFIGURED)]
    assert units(alone) == {(ALICE.address, by_mosaic): RICH}


async def test_a_mosaic_that_is_created_later_is_read_from_then_on() -> None:
    ledger = scripted()
    watch = watching(ALICE, tokens=(COIN, MISSING))
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        assert (await anext(updates)).unread
        ledger.mosaics["0000000000000001"] = 0
        ledger.mine()
        update = await until(updates, lambda update: update.tip and update.tip.height == 6)
    assert units(update) == {(ALICE.address, MISSING): 0}


async def test_many_accounts_are_read_in_batches_at_one_block() -> None:
    ledger = scripted()
    people = [Person(f"depositor {number}") for number in range(253)]
    for number, person in enumerate(people):
        ledger.mine(transfer(ALICE, person.address, units=number + 1))
    async with serving(ledger) as (node,), connected(node, batch=50) as connector:
        update = await connector.read(watching(*people))
    assert coins(update) == {person.address: number + 1 for number, person in enumerate(people)}
    assert node.asked["/accounts"] == 6


async def test_a_block_in_the_middle_of_a_reading_is_never_mixed_with_the_one_before() -> None:
    """The sum over all accounts is what it was, less fees, at every tip that is told."""
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node, batch=1) as connector:

        def before(route: str) -> None:
            if route == "/accounts" and node.asked["/accounts"] % 5 == 2:
                ledger.mine(transfer(ALICE, BOB.address, units=1000, nonce=ledger.tip.height))

        async with following(connector, watching(ALICE, BOB)) as updates:
            await anext(updates)
            node.behaviour.before = before
            known = {ALICE.address: RICH, BOB.address: RICH}
            seen = 0
            while seen < 3:
                update = await anext(updates)
                if update.tip is None or update.tip == update.previous:
                    ledger.mine()
                    continue
                known |= coins(update)
                assert known == {one: ledger.held(one, height=update.tip.height) for one in known}
                seen += 1


async def test_a_height_that_moves_constantly_is_a_failure_and_never_a_mixture() -> None:
    ledger = scripted(blocks=3)
    async with serving(ledger) as (node,), connected(node) as connector:

        def before(route: str) -> None:
            if route == "/accounts":
                ledger.mine()

        node.behaviour.before = before
        update = await connector.read(watching())
    assert update.failure is not None
    assert (update.failure.reason, update.held) == (Reason.UNAVAILABLE, ())


async def test_one_account_with_a_malformed_purse_is_unread_and_spoils_no_neighbour() -> None:
    def spoil(route: str, answer: object) -> object:
        if route == "/accounts" and isinstance(answer, list):
            for entry in answer:
                if entry["account"]["mosaics"] and entry["account"]["mosaics"][0]["amount"] == str(RICH - 1):
                    entry["account"]["mosaics"][0]["amount"] = "many"
        return answer

    ledger = scripted()
    ledger.grant(BOB.address, mosaic="6BED913FA20223F8", units=RICH - 1)
    async with serving(ledger) as (node,), connected(node) as connector:
        node.behaviour.twist = spoil
        update = await connector.read(watching())
    assert coins(update) == {ALICE.address: RICH, CAROL.address: 0}
    assert [(one.account, one.reason) for one in update.unread] == [(BOB.address, Reason.BAD_ANSWER)]


async def test_when_an_answer_does_not_tell_who_is_missing_none_of_its_accounts_is_zero() -> None:
    """An entry whose address can't be read might be any of them."""

    def spoil(route: str, answer: object) -> object:
        if route == "/accounts" and isinstance(answer, list) and len(answer) == 2:
            answer[1]["account"]["address"] = "nobody"
        return answer

    async with serving(scripted()) as (node,), connected(node, batch=1) as connector:
        node.behaviour.twist = spoil
        update = await connector.read(watching())
    assert coins(update) == {CAROL.address: 0}  # alone with the beneficiary, hers is the batch of one entry
    assert {one.account for one in update.unread} == {ALICE.address, BOB.address}
    assert {one.reason for one in update.unread} == {Reason.BAD_ANSWER}


@pytest.mark.parametrize("entry", ["twice", "stranger"])
async def test_accounts_twice_or_of_strangers_make_the_answer_a_bad_one(entry: str) -> None:
    def spoil(route: str, answer: object) -> object:
        if route == "/accounts" and isinstance(answer, list):
            other = {"account": {"address": Person("stranger").address, "mosaics": []}}
            answer.append(answer[0] if entry == "twice" else other)
        return answer

    async with serving(scripted()) as (node,), connected(node) as connector:
        node.behaviour.twist = spoil
        update = await connector.read(watching())
    assert update.failure is not None
    assert update.failure.reason is Reason.BAD_ANSWER


async def test_lost_account_states_are_an_outage_and_not_zeros() -> None:
    async with serving(scripted()) as (node,), connected(node) as connector:
        node.behaviour.lost_states = True
        update = await connector.read(watching())
    assert update.failure is not None
    assert update.failure.reason is Reason.STALLED


@pytest.mark.parametrize("status", [500, 503])
async def test_a_node_that_fails_its_accounts_is_passed_over_for_one_that_works(status: int) -> None:
    async with serving(scripted(), count=2) as (first, second), connected(first, second) as connector:
        first.behaviour.failing["/accounts"] = status
        assert coins(await connector.read(watching()))[ALICE.address] == RICH
    assert second.asked["/accounts"] == 1


async def test_a_throttled_node_is_left_alone_for_as_long_as_it_asks_and_the_other_is_read() -> None:
    async with serving(scripted(), count=2) as (first, second), connected(first, second) as connector:
        first.behaviour.throttled = True
        update = await connector.read(watching())
        assert coins(update)[ALICE.address] == RICH
        stats = {one.provider: one.errors for one in connector.stats()}
    assert set(stats["n0"]) == {Reason.RATE_LIMITED}
    assert not stats["n1"]


async def test_throttling_of_the_only_node_is_a_failure_that_says_so_and_it_ends() -> None:
    async with serving(scripted()) as (node,), connected(node) as connector:
        node.behaviour.throttled = True
        async with following(connector, watching()) as updates:
            update = await anext(updates)
            assert update.failure is not None
            assert update.failure.reason is Reason.RATE_LIMITED
            node.behaviour.throttled = False
            update = await until(updates, lambda update: update.failure is None)
    assert update.complete


async def test_after_a_rollback_everything_is_told_as_it_is_in_the_other_branch() -> None:
    ledger = scripted()
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watching()) as updates:
        await anext(updates)
        for _ in range(3):
            ledger.mine(transfer(ALICE, CAROL.address, units=5, nonce=ledger.tip.height))
            await until(updates, lambda update: update.tip and update.tip.height == ledger.tip.height)
        ledger.reorganise(depth=3, length=4)
        update = await until(updates, lambda update: update.reorg_depth)
    assert (update.reorg_depth, update.complete) == (3, True)
    assert coins(update) == {ALICE.address: RICH, BOB.address: RICH, CAROL.address: 0}


async def test_a_node_of_another_network_is_a_failure_that_says_so() -> None:
    async with serving(scripted()) as (node,), connected(node, network="testnet") as connector:
        update = await connector.read(watching())
    assert update.failure is not None
    assert update.failure.reason is Reason.MISCONFIGURED


# ── several nodes ───────────────────────────────────────────────────────────────────────────────────────────────────


def lie(to: Address) -> dict[tuple[Address, str], int]:
    return {(to, "6BED913FA20223F8"): 1}


async def test_a_lie_is_outvoted_by_two_of_three_and_told_as_a_disagreement() -> None:
    async with serving(scripted(), count=3) as nodes, connected(*nodes, agree=2) as connector:
        nodes[1].behaviour.lies = lie(ALICE.address)
        update = await connector.read(watching())
        stats = {one.provider: one.disagreements for one in connector.stats()}
    assert coins(update) == {ALICE.address: RICH, BOB.address: RICH, CAROL.address: 0}
    (dispute,) = update.disagreements
    assert (dispute.account, dict(dispute.answers)) == (
        ALICE.address,
        {"n0": str(RICH), "n1": "1", "n2": str(RICH)},
    )
    assert stats == {"n0": 0, "n1": 1, "n2": 0}


async def test_an_account_that_one_node_leaves_out_is_a_lie_like_any_other() -> None:
    def forget(route: str, answer: object) -> object:
        if route == "/accounts" and isinstance(answer, list):
            return [one for one in answer if not str(one["account"]["mosaics"]).count(str(RICH))]
        return answer

    async with serving(scripted(), count=3) as nodes, connected(*nodes, agree=2) as connector:
        nodes[0].behaviour.twist = forget
        update = await connector.read(watching())
    assert coins(update)[ALICE.address] == RICH
    assert {one.account for one in update.disagreements} == {ALICE.address, BOB.address}


async def test_without_a_majority_a_disputed_account_is_unread_and_no_other() -> None:
    async with serving(scripted(), count=2) as nodes, connected(*nodes, agree=2) as connector:
        nodes[1].behaviour.lies = lie(BOB.address)
        update = await connector.read(watching())
    assert coins(update) == {ALICE.address: RICH, CAROL.address: 0}
    assert [(one.account, one.reason) for one in update.unread] == [(BOB.address, Reason.DISAGREEMENT)]


async def test_a_node_that_lags_drags_nobody() -> None:
    ledger = scripted()
    async with serving(ledger, count=3) as nodes, connected(*nodes, agree=2) as connector:
        nodes[0].behaviour.lag = 3
        update = await connector.read(watching())
    assert update.tip is not None
    assert update.tip.height == ledger.tip.height


async def test_two_nodes_that_must_agree_are_read_at_the_block_that_both_come_to() -> None:
    """The first is one block behind; within its tries a reading waits for it."""
    ledger = scripted()
    async with serving(ledger, count=2) as nodes, connected(*nodes, agree=2) as connector:
        nodes[0].behaviour.lag = 1

        def before(_route: str) -> None:
            if nodes[0].asked["/chain/info"] >= 2:
                nodes[0].behaviour.lag = 0

        nodes[0].behaviour.before = before
        update = await connector.read(watching())
    assert update.failure is None
    assert update.tip is not None
    assert update.tip.height == ledger.tip.height


async def test_two_of_three_nodes_are_enough_and_one_is_not() -> None:
    ledger = scripted()
    async with (
        serving(ledger, count=3) as nodes,
        connected(*nodes, agree=2) as connector,
        following(connector, watching()) as updates,
    ):
        await anext(updates)
        await nodes[1].go_dark()
        ledger.mine(transfer(ALICE, CAROL.address, units=5))
        update = await until(updates, lambda update: update.tip and update.tip.height == ledger.tip.height)
        assert coins(update)[CAROL.address] == 5
        await nodes[0].go_dark()
        ledger.mine(transfer(ALICE, CAROL.address, units=5, nonce=1))
        update = await until(updates, lambda update: update.failure)
        assert update.failure is not None
        assert (update.failure.reason, update.held) == (Reason.NO_QUORUM, ())
        await nodes[0].come_back()
        update = await until(updates, lambda update: update.failure is None)
        assert (update.complete, coins(update)[CAROL.address]) == (True, 10)


async def test_states_that_stay_behind_on_one_node_of_three_do_not_reach_the_sum() -> None:
    ledger = scripted()
    async with (
        serving(ledger, count=3) as nodes,
        connected(*nodes, agree=2) as connector,
        following(connector, watching()) as updates,
    ):
        await anext(updates)
        nodes[2].behaviour.states_behind = 1
        ledger.mine(transfer(ALICE, CAROL.address, units=5))
        update = await until(updates, lambda update: update.tip and update.tip.height == ledger.tip.height)
    assert coins(update)[CAROL.address] == 5
    assert not update.disagreements


async def test_a_mosaic_that_stands_twice_on_an_account_makes_that_account_unread() -> None:
    def double(route: str, answer: object) -> object:
        if route == "/accounts" and isinstance(answer, list):
            for entry in answer:
                entry["account"]["mosaics"] += entry["account"]["mosaics"][:1]
        return answer

    async with serving(scripted()) as (node,), connected(node) as connector:
        node.behaviour.twist = double
        update = await connector.read(watching())
    assert coins(update) == {CAROL.address: 0}
    assert {(one.account, one.reason) for one in update.unread} == {
        (ALICE.address, Reason.BAD_ANSWER),
        (BOB.address, Reason.BAD_ANSWER),
    }


async def test_a_token_whose_divisibility_is_known_is_not_asked_for_at_every_block() -> None:
    ledger = scripted()
    watch = watching(ALICE, tokens=(COIN, GOLD))
    async with serving(ledger) as (node,), connected(node) as connector, following(connector, watch) as updates:
        await anext(updates)
        asked = node.asked["/mosaics"]
        ledger.mine()
        await until(updates, lambda update: update.tip and update.tip.height == ledger.tip.height)
    assert node.asked["/mosaics"] == asked


async def test_mosaics_that_were_not_asked_for_are_a_bad_answer() -> None:
    def more(route: str, answer: object) -> object:
        other = {"mosaic": {"id": "0000000000000009", "divisibility": 6}}
        return [*answer, other] if route == "/mosaics" and isinstance(answer, list) else answer

    async with serving(scripted()) as (node,), connected(node) as connector:
        node.behaviour.twist = more
        update = await connector.read(watching())
    assert update.failure is not None
    assert update.failure.reason is Reason.BAD_ANSWER
