"""The real connector on a played Bitcoin chain tells what the ledger holds, whatever is wrong with its nodes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import Stage
from daemon.replay.bitcoin.ledger import OPENING
from daemon.replay.bitcoin.played import PlayedBitcoin
from daemon.replay.faults import Faults
from daemon.replay.played import Overspent
from daemon.replay.simulation import Simulation
from tests.drilled import Drill, Ground, Listener, begun, connected, listening, nothing
from tests.played_bitcoin import COLD, CUSTOMER, HOT, THIEF, WHOLE, ground

pytestmark = pytest.mark.timeout(240)

DEPOSITS = tuple(PlayedBitcoin.account(f"deposit {number}") for number in range(30))
MANY = {HOT: 10 * WHOLE, COLD: 90 * WHOLE, **dict.fromkeys(DEPOSITS, WHOLE)}
SHORTLY = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Set:
    """How many nodes there are, which of them are not asked, and how many must agree."""

    nodes: int
    without: tuple[str, ...] = ()
    agree: int = 1


ALONE = {"core": Set(1), "electrum": Set(2, without=("node",))}
SETS = ALONE | {"two of three": Set(3, agree=2)}
EVERYBODY = ground(MANY)


@asynccontextmanager
async def drilled(
    which: Set, *, on: Ground[PlayedBitcoin] = EVERYBODY, poll: str = "10s"
) -> AsyncIterator[Drill[PlayedBitcoin]]:
    async with begun(on, nodes=which.nodes, without=which.without, agree=which.agree, poll=poll) as one:
        yield one


def stages(known: Listener, transaction: str) -> list[Stage]:
    """In their order; two sources that tell one stage differently (a lie, a fee) count once."""
    return list(dict.fromkeys(known.stages(transaction)))


def truth(played: PlayedBitcoin) -> dict[str, int]:
    return {account: played.units(account) for account in MANY}


async def story(one: Drill[PlayedBitcoin], *, patience: timedelta = SHORTLY) -> None:
    """A payment, blocks and a reorganisation of depth 3: each is told, exactly, within so much simulated time."""
    played, known = one.played, one.listener
    await one.go_on(patience)
    assert (known.units, known.tip) == (truth(played), played.tip)
    txid = played.pay(HOT, CUSTOMER, units=WHOLE, fee=1_000)
    await one.go_on(patience)
    assert stages(known, txid) == [Stage.PENDING]
    assert known.units[HOT] == 10 * WHOLE
    await one.mine(after=timedelta(minutes=1))
    await one.go_on(patience)
    assert stages(known, txid) == [Stage.PENDING, Stage.MINED]
    assert (known.units, known.tip) == (truth(played), played.tip)
    for _ in range(2):
        played.pay(HOT, COLD, units=WHOLE)
        await one.mine(after=timedelta(minutes=1))
    await one.go_on(patience)
    played.reorganise(3, time=one.simulation.now())
    await one.go_on(patience)
    assert known.reorgs == [3]
    assert (known.units, known.tip) == (truth(played), played.tip)
    assert not known.unread


# ── the chain as it is ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("which", SETS.values(), ids=SETS)
async def test_balances_pending_payments_and_a_reorganisation_are_told_exactly(which: Set) -> None:
    async with drilled(which) as one:
        await story(one)
        assert not one.listener.failures
        assert not one.listener.disagreements


@pytest.mark.parametrize("which", SETS.values(), ids=SETS)
@pytest.mark.parametrize("seed", range(2))
async def test_after_every_block_of_a_random_walk_each_balance_is_the_ledger_s(which: Set, seed: int) -> None:
    chance = random.Random(seed)
    async with drilled(which) as one:
        played, known = one.played, one.listener
        await one.go_on(SHORTLY)
        for _ in range(8):
            for _ in range(chance.randrange(4)):
                payer, payee = chance.choice([HOT, COLD, *DEPOSITS]), chance.choice([HOT, COLD, CUSTOMER, *DEPOSITS])
                try:
                    played.pay(payer, payee, units=chance.randint(1, WHOLE), fee=chance.randint(0, 9_000))
                except Overspent:
                    continue
            depth = chance.randint(1, 3)
            if chance.random() < 0.25 and depth <= played.height - OPENING:
                await one.go_on(timedelta(minutes=1))
                played.reorganise(depth, time=one.simulation.now())
            else:
                await one.mine(after=timedelta(minutes=chance.randint(1, 20)))
            await one.go_on(SHORTLY)
            assert (known.units, known.tip) == (truth(played), played.tip)
        assert not known.failures


@pytest.mark.parametrize("which", SETS.values(), ids=SETS)
async def test_a_theft_like_that_from_dmm_is_told_before_it_is_mined(which: Set) -> None:
    """Nine inputs, one output, no change, a fee of 0.1 BTC."""
    robbed = ground({HOT: 450_300_880_000, COLD: 5 * WHOLE}, coins={HOT: 9})
    async with drilled(which, on=robbed) as one:
        played, known = one.played, one.listener
        await one.go_on(SHORTLY)
        txid = played.sweep(HOT, THIEF, fee=WHOLE // 10)
        await one.go_on(SHORTLY)
        (told,) = known.movements
        assert (told.transaction, told.stage, told.fee) == (txid, Stage.PENDING, WHOLE // 10)
        assert told.changes == ((HOT, -450_300_880_000),)
        assert [(party.name, party.units) for party in told.destinations] == [(THIEF, 450_290_880_000)]
        assert (known.units[HOT], known.units[COLD]) == (450_300_880_000, 5 * WHOLE)


@pytest.mark.parametrize("which", SETS.values(), ids=SETS)
async def test_it_works_in_real_time_too(which: Set) -> None:
    """As for a drill at the speed of life, with the clocks and sleeps of every day."""
    now = datetime.now(UTC)
    on = replace(ground(MANY, time=now), settings={"poll": "50ms", "max_tip_age": "30000d"})
    async with (
        on.opened(nodes=which.nodes) as played,
        connected(on, played, without=which.without, agree=which.agree) as connector,
        listening(connector, on.watch) as known,
    ):
        await known.until(lambda: known.units == truth(played))
        txid = played.pay(HOT, CUSTOMER, units=WHOLE)
        await known.until(lambda: stages(known, txid) == [Stage.PENDING])
        for minute in range(1, 4):
            played.mine(time=now + timedelta(minutes=minute))
            await known.until(lambda: known.tip == played.tip and known.units == truth(played))
        assert stages(known, txid) == [Stage.PENDING, Stage.MINED]
        played.reorganise(3, time=now + timedelta(minutes=4))
        await known.until(lambda: known.tip == played.tip and known.units == truth(played))
        assert known.reorgs == [3]


# ── nodes with faults ───────────────────────────────────────────────────────────────────────────────────────────────


def change(faults: Faults, **wanted: object) -> None:
    for name, value in wanted.items():
        setattr(faults, name, value)


@pytest.mark.parametrize("which", SETS.values(), ids=SETS)
async def test_nodes_that_take_their_time_change_nothing(which: Set) -> None:
    async with drilled(which) as one:
        for faults in one.played.faults:
            change(faults, latency=timedelta(milliseconds=200))
        await story(one)
        assert not one.listener.failures


@pytest.mark.parametrize("which", SETS.values(), ids=SETS)
async def test_nodes_that_fail_one_request_in_twenty_change_nothing_but_for_a_moment(which: Set) -> None:
    async with drilled(which) as one:
        for faults in one.played.faults:
            change(faults, failing=0.05)
        await story(one, patience=timedelta(minutes=3))


async def test_a_throttled_core_is_read_all_the_same() -> None:
    async with drilled(SETS["core"]) as one:
        change(one.played.faults[0], per_second=3)
        await story(one, patience=timedelta(minutes=3))


async def test_a_throttled_electrum_server_is_told_to_be_one_and_read_when_asked_more_slowly() -> None:
    async with drilled(SETS["electrum"]) as one:
        change(one.played.faults[1], per_second=5)
        await one.go_on(SHORTLY)
        assert one.listener.failures
        assert "excessive" in one.listener.failures[-1]
        assert not one.listener.units
    simulation = Simulation(EVERYBODY.start)
    async with EVERYBODY.opened(simulation, nodes=2) as played:
        change(played.faults[1], per_second=5)
        server = {"url": played.settings()["electrum"][0]["url"], "requests_per_second": 4}  # type: ignore[index]
        slowly = {"electrum": [server], "timeout": "10m"}
        async with (
            connected(EVERYBODY, played, simulation=simulation, without=("node",), **slowly) as connector,
            listening(connector, EVERYBODY.watch) as known,
        ):
            await simulation.run_until(EVERYBODY.start + timedelta(minutes=5), settled=nothing)
            assert (known.units, known.failures) == (truth(played), [])


@pytest.mark.parametrize("place", range(3), ids=["core", "electrum-1", "electrum-2"])
async def test_one_of_three_that_is_throttled_holds_nobody_up(place: int) -> None:
    async with drilled(SETS["two of three"]) as one:
        change(one.played.faults[place], per_second=3)
        await story(one)


@pytest.mark.parametrize("place", range(3), ids=["core", "electrum-1", "electrum-2"])
async def test_one_of_three_that_is_behind_holds_nobody_up(place: int) -> None:
    async with drilled(SETS["two of three"]) as one:
        change(one.played.faults[place], behind=2)
        await story(one)


@pytest.mark.parametrize("which", ALONE.values(), ids=ALONE)
async def test_a_node_alone_that_is_behind_is_told_as_the_chain_of_then(which: Set) -> None:
    async with drilled(which) as one:
        played, known = one.played, one.listener
        faults = played.faults[which.nodes - 1]
        for _ in range(3):
            played.pay(HOT, COLD, units=WHOLE)
            await one.mine(after=timedelta(minutes=1))
        await one.go_on(SHORTLY)
        change(faults, behind=2)
        played.pay(HOT, COLD, units=WHOLE)
        for _ in range(3):
            await one.mine(after=timedelta(minutes=1))
        await one.go_on(SHORTLY)
        assert known.tip == played.ledger.blocks[-3].hash
        assert known.units[HOT] == 6 * WHOLE
        change(faults, behind=0)
        await one.mine(after=timedelta(minutes=1))
        await one.go_on(SHORTLY)
        assert (known.tip, known.units) == (played.tip, truth(played))


@pytest.mark.parametrize("place", range(3), ids=["core", "electrum-1", "electrum-2"])
async def test_the_truth_of_two_wins_against_one_liar_and_the_lie_is_told_as_evidence(place: int) -> None:
    async with drilled(SETS["two of three"]) as one:
        change(one.played.faults[place], lying=True)
        await story(one)
        liars = {
            name
            for found in one.listener.disagreements
            for name, told in found.answers
            if told != str(MANY.get(found.account)) and found.account in DEPOSITS
        }
        assert liars == {"core" if place == 0 else f"electrum-{place}"}


@pytest.mark.parametrize("which", ALONE.values(), ids=ALONE)
async def test_a_lie_of_the_only_node_is_believed(which: Set) -> None:
    """Nothing else can be known: agreement needs several."""
    async with drilled(which) as one:
        change(one.played.faults[which.nodes - 1], lying=True)
        await one.go_on(SHORTLY)
        assert one.listener.tip == one.played.tip
        assert all(units > MANY[account] for account, units in one.listener.units.items())


async def test_everything_wrong_at_once_ends_in_the_truth() -> None:
    """What every scenario has to stand: 200 ms, one request in twenty, a liar of three, a reorganisation of depth 3."""
    async with drilled(SETS["two of three"]) as one:
        for faults in one.played.faults:
            change(faults, latency=timedelta(milliseconds=200), failing=0.05)
        change(one.played.faults[2], lying=True)
        await story(one, patience=timedelta(minutes=3))


async def test_a_replay_repeats_itself() -> None:
    told = []
    for _ in range(2):
        async with drilled(SETS["two of three"]) as one:
            for faults in one.played.faults:
                change(faults, failing=0.05)
            await story(one, patience=timedelta(minutes=3))
            told.append([(moved.transaction, moved.stage, moved.tip) for moved in one.listener.movements])
    assert told[0] == told[1]
