"""Who controls what on NEM, and what multisig accounts move."""

from __future__ import annotations

from connectors.base import Control, Party, Stage
from daemon.replay.nem_ledger import hash_of
from daemon.replay.nem_transactions import Json
from tests.integration.nem_chain import XEM, Chain, chain, connected, following, movements_until, nodes_on, some, until


def with_multisig(made: Chain) -> None:
    """`cold` becomes an account of two: `alice` and `bob`, who both must sign."""
    people = [made.person("alice"), made.person("bob")]
    change = made.notary.modification(made.person("cold"), add=people, minimum=2, time=made.ledger.now)
    made.ledger.mine([change])


def cold_of(made: Chain, *names: str, minimum: int) -> Control:
    cosignatories = sorted(made.address(name) for name in names)
    facts = (("minimum", str(minimum)), *(("cosignatory", name) for name in cosignatories))
    return Control(made.address("cold"), "multisig", facts)


def proposed(made: Chain, inner: Json) -> Json:
    return made.notary.multisig(
        made.person("alice"), inner=inner, inner_hash=hash_of(inner), cosigners=[made.person("bob")]
    )


async def test_who_controls_accounts_is_told_complete_at_first() -> None:
    made = chain()
    with_multisig(made)
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        first, second = await anext(updates), await anext(updates)
    assert first.controls == (
        Control(made.address("hot"), "single", ()),
        cold_of(made, "alice", "bob", minimum=2),
        Control(made.address("deposits"), "single", ()),
    )
    assert second.controls == ()


async def test_a_change_of_control_is_told_with_the_block_that_brings_it_and_so_is_its_end() -> None:
    made = chain()
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        with_multisig(made)
        update = await until(updates, lambda update: bool(update.controls))
        assert update.controls == (cold_of(made, "alice", "bob", minimum=2),)
        assert update.tip == made.ledger.tip.block.header.tip
        made.ledger.reorganise(1, keep=False)
        made.ledger.pool.clear()
        update = await until(updates, lambda update: update.reorg_depth > 0)
    assert Control(made.address("cold"), "single", ()) in update.controls


async def test_a_multisig_payment_is_told_under_the_wrapping_transaction_with_all_fees() -> None:
    made = chain()
    with_multisig(made)
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        told = proposed(made, made.transfer("cold", "customer", 500))
        made.ledger.mine([told])
        (movement,) = await movements_until(updates, some)
    fees = 50_000 + 150_000 + 150_000
    assert movement.transaction == hash_of(told)
    assert movement.changes == ((made.address("cold"), -500 - fees),)
    assert (movement.fee, movement.destinations) == (fees, (Party(made.address("customer"), 500),))


async def test_a_multisig_payment_that_waits_for_cosignatures_is_pending() -> None:
    made = chain()
    with_multisig(made)
    async with (
        nodes_on(made) as (node,),
        connected([node], chain=made) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        await anext(updates)
        inner = made.transfer("cold", "customer", 500)
        alone = made.notary.multisig(made.person("alice"), inner=inner, inner_hash=hash_of(inner))
        made.ledger.announce(alone)
        (waiting,) = await movements_until(updates, some)
        made.ledger.announce(proposed(made, inner))  # the cosignature has come in
        made.ledger.mine()
        (mined,) = await movements_until(updates, some)
    assert (waiting.stage, mined.stage) == (Stage.PENDING, Stage.MINED)
    assert waiting.transaction == mined.transaction


async def test_nodes_that_contradict_each_other_on_control_are_told_and_the_majority_counts() -> None:
    made = chain()
    with_multisig(made)
    cold = made.address("cold")

    def lie(path: str, answer: object) -> object:
        for one in answer["data"] if path == "/account/get/batch" and isinstance(answer, dict) else ():
            if one["account"]["address"] == cold:
                one["account"]["multisigInfo"] = {"cosignatoriesCount": 2, "minCosignatories": 1}
        return answer

    async with (
        nodes_on(made, count=3) as nodes,
        connected(nodes, chain=made, agree=2) as connector,
        following(connector, made.watch(XEM)) as updates,
    ):
        nodes[2].behaviour.twist = lie
        update = await anext(updates)
    assert cold_of(made, "alice", "bob", minimum=2) in update.controls
    (dispute,) = update.disagreements
    assert dispute.account == cold
    assert {name: "minimum=1" in words for name, words in dispute.answers} == {"a": False, "b": False, "c": True}
