"""The real connector on a played Bitcoin chain tells what the ledger holds, whatever is wrong with its nodes."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from connectors.base import Stage
from daemon.replay.bitcoin.ledger import OPENING
from daemon.replay.bitcoin.played import PlayedBitcoin
from daemon.replay.faults import Faults
from daemon.replay.played import Overspent
from daemon.replay.simulation import Simulation
from tests.played_bitcoin import (
    COLD,
    CUSTOMER,
    HOT,
    THIEF,
    WHOLE,
    Drill,
    connected,
    drill,
    following,
    opening,
    watching,
)

pytestmark = pytest.mark.timeout(240)

DEPOSITS = tuple(PlayedBitcoin.account(f"deposit {number}") for number in range(30))
MANY = {HOT: 10 * WHOLE, COLD: 90 * WHOLE, **dict.fromkeys(DEPOSITS, WHOLE)}
SHORTLY = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Set:
    """Which nodes there are, which of them are asked, and how many must agree."""

    nodes: int
    sources: tuple[str, ...]
    agree: int = 1
    settings: dict[str, object] = field(default_factory=dict)


ALONE = {"core": Set(1, ("node",)), "electrum": Set(2, ("electrum",))}
SETS = ALONE | {"two of three": Set(3, ("node", "electrum"), 2)}


@asynccontextmanager
async def drilled(which: Set, *, poll: str = "10s") -> AsyncIterator[Drill]:
    async with drill(MANY, nodes=which.nodes, sources=which.sources, agree=which.agree, poll=poll) as one:
        yield one


def truth(played: PlayedBitcoin) -> dict[str, int]:
    return {account: played.units(account) for account in MANY}


async def story(one: Drill, *, patience: timedelta = SHORTLY) -> None:
    """A payment, blocks and a reorganisation of depth 3: each is told, exactly, within so much simulated time."""
    played, known = one.played, one.known
    await one.go_on(patience)
    assert (known.units, known.tip) == (truth(played), played.ledger.tip.hash)
    txid = played.pay(HOT, CUSTOMER, units=WHOLE, fee=1_000)
    await one.go_on(patience)
    assert known.stages(txid) == [Stage.PENDING]
    assert known.units[HOT] == 10 * WHOLE
    await one.mine(after=timedelta(minutes=1))
    await one.go_on(patience)
    assert known.stages(txid) == [Stage.PENDING, Stage.MINED]
    assert (known.units, known.tip) == (truth(played), played.ledger.tip.hash)
    for _ in range(2):
        played.pay(HOT, COLD, units=WHOLE)
        await one.mine(after=timedelta(minutes=1))
    await one.go_on(patience)
    played.reorganise(3, time=one.simulation.now())
    await one.go_on(patience)
    assert known.reorgs == [3]
    assert (known.units, known.tip) == (truth(played), played.ledger.tip.hash)
    assert not known.unread


# ── the chain as it is ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("which", SETS.values(), ids=SETS)
async def test_balances_pending_payments_and_a_reorganisation_are_told_exactly(which: Set) -> None:
    async with drilled(which) as one:
        await story(one)
        assert not one.known.failures
        assert not one.known.disagreements


@pytest.mark.parametrize("which", SETS.values(), ids=SETS)
@pytest.mark.parametrize("seed", range(2))
async def test_after_every_block_of_a_random_walk_each_balance_is_the_ledger_s(which: Set, seed: int) -> None:
    chance = random.Random(seed)
    async with drilled(which) as one:
        played, known = one.played, one.known
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
            assert (known.units, known.tip) == (truth(played), played.ledger.tip.hash)
        assert not known.failures


@pytest.mark.parametrize("which", SETS.values(), ids=SETS)
async def test_a_theft_like_that_from_dmm_is_told_before_it_is_mined(which: Set) -> None:
    """Nine inputs, one output, no change, a fee of 0.1 BTC."""
    simulation = Simulation(datetime(2024, 5, 31, 4, tzinfo=UTC))
    balances = {HOT: 450_300_880_000, COLD: 5 * WHOLE}
    begun = opening(balances, simulation=simulation, nodes=which.nodes)
    async with (
        PlayedBitcoin(begun, opening_coins={HOT: 9}) as played,
        connected(played, simulation=simulation, sources=which.sources, agree=which.agree) as connector,
        following(connector, watching(HOT, COLD)) as known,
    ):
        one = Drill(simulation, played=played, known=known)
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
    begun = opening(MANY, simulation=Simulation(datetime.now(UTC)), nodes=which.nodes, time=datetime.now(UTC))
    async with (
        PlayedBitcoin(begun) as played,
        connected(played, sources=which.sources, agree=which.agree, poll="50ms") as connector,
        following(connector, watching(*MANY)) as known,
    ):
        await known.until(lambda: known.units == truth(played))
        txid = played.pay(HOT, CUSTOMER, units=WHOLE)
        await known.until(lambda: known.stages(txid) == [Stage.PENDING])
        for minute in range(1, 4):
            played.mine(time=begun.time + timedelta(minutes=minute))
            await known.until(lambda: known.tip == played.ledger.tip.hash and known.units == truth(played))
        assert known.stages(txid) == [Stage.PENDING, Stage.MINED]
        played.reorganise(3, time=begun.time + timedelta(minutes=4))
        await known.until(lambda: known.tip == played.ledger.tip.hash and known.units == truth(played))
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
        assert not one.known.failures


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
        assert one.known.failures
        assert "excessive" in one.known.failures[-1]
        assert not one.known.units
    simulation = Simulation(datetime(2024, 5, 31, 4, tzinfo=UTC))
    async with PlayedBitcoin(opening(MANY, simulation=simulation, nodes=2)) as played:
        change(played.faults[1], per_second=5)
        server = {"url": played.settings()["electrum"][0]["url"], "requests_per_second": 4}  # type: ignore[index]
        slowly = {"electrum": [server], "timeout": "10m"}
        async with (
            connected(played, simulation=simulation, sources=("electrum",), **slowly) as connector,
            following(connector, watching(*MANY)) as known,
        ):
            await Drill(simulation, played=played, known=known).go_on(timedelta(minutes=5))
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
        played, known = one.played, one.known
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
        assert (known.tip, known.units) == (played.ledger.tip.hash, truth(played))


@pytest.mark.parametrize("place", range(3), ids=["core", "electrum-1", "electrum-2"])
async def test_the_truth_of_two_wins_against_one_liar_and_the_lie_is_told_as_evidence(place: int) -> None:
    async with drilled(SETS["two of three"]) as one:
        change(one.played.faults[place], lying=True)
        await story(one)
        liars = {
            name
            for found in one.known.disagreements
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
        assert one.known.tip == one.played.ledger.tip.hash
        assert all(units > MANY[account] for account, units in one.known.units.items())


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
            told.append([(moved.transaction, moved.stage, moved.tip) for moved in one.known.movements])
    assert told[0] == told[1]
