"""Mosaics on NEM: read, refused, malformed, levied, and not there."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from connectors.base import Token
from connectors.errors import Reason
from tests.integration.nem_chain import (
    COIN,
    NAMES,
    XEM,
    at_the_tip,
    chain,
    connected,
    following,
    held,
    nodes_on,
    of_accounts,
    until,
)


async def test_mosaics_that_can_not_be_read_spoil_no_xem() -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:
        node.behaviour.failing = {"/account/mosaic/owned": 500}
        update = await connector.read(made.watch())
    assert held(update) == made.truth(XEM)
    assert {(one.token, one.reason) for one in update.unread} == {(COIN, Reason.NODE_ERROR)}


def spoilt(contract: str, *, how: object) -> Callable[[str, object], object]:
    """One mosaic's quantity is nonsense."""

    def twist(path: str, answer: object) -> object:
        if path != "/account/mosaic/owned" or not isinstance(answer, dict):
            return answer
        for one in answer["data"]:
            if f"{one['mosaicId']['namespaceId']}:{one['mosaicId']['name']}" == contract:
                one["quantity"] = how
        return answer

    return twist


async def test_one_mosaic_that_makes_no_sense_spoils_none_of_its_neighbours() -> None:
    made = chain()
    second = Token("nem", "exchange:token", 0)
    maker, time = made.person("maker"), made.ledger.now
    made.ledger.mine(
        [made.notary.mosaic_definition(maker, name="exchange:token", divisibility=0, supply=100, time=time)]
    )
    made.ledger.mine([made.transfer("maker", "hot", 1_000_000, mosaics={"exchange:token": 7})])
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:
        node.behaviour.twist = spoilt("exchange:coin", how="many")
        update = await connector.read(made.watch(XEM, COIN, second))
    hot = made.address("hot")
    assert [(one.account, one.token, one.reason) for one in update.unread] == [(hot, COIN, Reason.BAD_ANSWER)]
    assert held(update) == {key: units for key, units in made.truth(XEM, COIN, second).items() if key != (hot, COIN)}


async def test_a_list_with_an_item_that_has_no_name_proves_no_absence() -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:

        def nameless(path: str, answer: object) -> object:
            if path == "/account/mosaic/owned" and isinstance(answer, dict):
                answer["data"] = [{**one, "mosaicId": {"name": "coin"}} for one in answer["data"]]
            return answer

        node.behaviour.twist = nameless
        update = await connector.read(made.watch())
    assert {(one.token, one.reason) for one in update.unread} == {(COIN, Reason.BAD_ANSWER)}
    assert len(update.unread) == len(NAMES)


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        (Token("nem", "exchange:coin", 6), Reason.MISCONFIGURED),
        (Token("nem", "exchange:nothing", 6), Reason.NO_CONTRACT),
        (Token("nem", "nobody:coin", 2), Reason.NO_CONTRACT),
    ],
)
async def test_a_mosaic_that_is_not_as_declared_is_unread_and_never_zero(token: Token, reason: Reason) -> None:
    made = chain()
    async with nodes_on(made) as (node,), connected([node], chain=made) as connector:
        update = await connector.read(made.watch(XEM, token))
    assert {(one.account, one.token, one.reason) for one in update.unread} == {
        (account, token, reason) for account in made.accounts
    }
    assert held(update) == made.truth(XEM)


async def test_a_levy_goes_to_an_account_that_no_block_names() -> None:
    made = chain()
    maker, notary, time = made.person("maker"), made.notary, made.ledger.now
    levy: dict[str, object] = {
        "type": 1,
        "recipient": made.address("cold"),
        "mosaicId": {"namespaceId": "nem", "name": "xem"},
        "fee": 40,
    }
    made.ledger.mine(
        [notary.mosaic_definition(maker, name="taxed:coin", divisibility=0, supply=9, time=time, levy=levy)]
    )
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        made.ledger.mine([made.transfer("maker", "other", 1_000_000, mosaics={"taxed:coin": 1})])
        update = await until(updates, at_the_tip(made))
    assert held(update) == {(made.address("cold"), XEM): 1_000_000_000_040}


async def test_a_mosaic_whose_levy_can_not_be_learnt_makes_everything_be_read_again() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        before = of_accounts(node)
        node.behaviour.failing = {"/mosaic/definition": 500}
        made.ledger.mine([made.transfer("maker", "other", 1_000_000, mosaics={"exchange:coin": 1})])
        await until(updates, at_the_tip(made))
    assert of_accounts(node) == before + 1  # a batch


async def test_a_mosaic_that_comes_to_be_is_read_of_everybody_with_the_block_that_defines_it() -> None:
    made = chain()
    token = Token("nem", "exchange:token", 0)
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(token)) as updates,
    ):
        assert {one.reason for one in (await anext(updates)).unread} == {Reason.NO_CONTRACT}
        time = made.ledger.now
        definition = made.notary.mosaic_definition(
            made.person("hot"), name="exchange:token", divisibility=0, supply=9, time=time
        )
        made.ledger.mine([definition])
        update = await until(updates, at_the_tip(made))
    assert held(update) == made.truth(token)
    assert made.ledger.units(made.address("hot"), "exchange:token") == 9
