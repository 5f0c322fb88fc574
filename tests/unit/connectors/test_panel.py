"""Who is asked, in which order, and when enough have answered."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from connectors.circuit import LONGEST_REST, Circuit
from connectors.config import EndpointConfig
from connectors.errors import BadAnswer, ConnectorError, Misconfigured, NodeError, RateLimited, Reason, Unavailable
from connectors.panel import Answers, ask, shortfall
from connectors.transport import Timing, Transport
from tests.tasks import left_behind

DOWN = Unavailable("down")


@dataclass
class Player:
    """A member whose answers are scripted: an error to raise, or seconds to wait before it says its name."""

    name: str
    timing: Timing
    error: ConnectorError | None = None
    delay: float = 0.0
    asked: int = 0
    called: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        endpoint = EndpointConfig.model_validate({"url": "http://127.0.0.1:9", "name": self.name})
        self.transport = Transport(endpoint, chain="eth", timeout=timedelta(seconds=1), timing=self.timing)

    async def answer(self) -> str:
        self.asked += 1
        self.called.set()
        await asyncio.sleep(self.delay)
        if self.error is not None:
            raise self.error
        return self.name


class Clock:
    """Real seconds plus what a test lets pass."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() + self.skipped


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def players(clock: Clock) -> list[Player]:
    timing = Timing(clock=clock, rng=lambda: 1.0)
    return [Player(name, timing) for name in ("a", "b", "c")]


async def poll(players: list[Player], *, need: int, proof: bool = True) -> Answers[str]:
    return await ask(players, Player.answer, need=need, timing=players[0].timing, proof=proof)


def asked(players: list[Player]) -> list[int]:
    return [player.asked for player in players]


async def test_for_one_answer_only_the_preferred_is_asked(players: list[Player]) -> None:
    assert (await poll(players, need=1)).given == {"a": "a"}
    assert asked(players) == [1, 0, 0]


async def test_for_one_answer_the_next_is_asked_when_the_preferred_fails(players: list[Player]) -> None:
    players[0].error = DOWN
    answers = await poll(players, need=1)
    assert (answers.given, answers.failed) == ({"b": "b"}, {"a": DOWN})
    assert asked(players) == [1, 1, 0]


async def test_a_node_that_failed_is_not_asked_again_until_it_has_rested(players: list[Player], clock: Clock) -> None:
    players[0].error = DOWN
    for _ in range(5):
        await poll(players, need=1)
    assert asked(players) == [1, 5, 0]
    clock.skipped += 2
    await poll(players, need=1)
    assert players[0].asked == 2


async def test_the_rest_grows_with_each_failure_up_to_a_minute(clock: Clock) -> None:
    circuit = Circuit("a", chain="eth", clock=clock, rng=lambda: 1.0)
    rests = []
    for _ in range(9):
        circuit.failed(DOWN)
        rests.append(round(circuit.rests_until - clock()))
    assert rests == [1, 2, 4, 8, 16, 32, LONGEST_REST, LONGEST_REST, LONGEST_REST]


async def test_a_node_back_from_its_rest_is_tried_beside_the_next_so_that_nobody_waits_for_it(
    players: list[Player], clock: Clock
) -> None:
    players[0].error = DOWN
    await poll(players, need=1)
    players[0].error, players[0].delay = None, 30
    clock.skipped += 2
    answers = await poll(players, need=1)
    assert answers.given == {"b": "b"}
    assert answers.failed["a"].reason is Reason.TIMEOUT
    assert not players[0].transport.circuit.ready


async def test_when_all_rest_they_are_asked_nevertheless(players: list[Player]) -> None:
    for player in players:
        player.error = DOWN
    await poll(players, need=1)
    players[2].error = None
    assert (await poll(players, need=1)).given == {"c": "c"}


async def test_a_rate_limited_node_is_left_in_peace_until_the_time_it_named(
    players: list[Player], clock: Clock
) -> None:
    players[0].error = RateLimited("slow down", retry_after=30)
    await poll(players[:1], need=1)
    assert (await poll(players[:1], need=1)).given == {}
    assert players[0].asked == 1
    players[0].error = None
    clock.skipped += 31
    assert (await poll(players[:1], need=1)).given == {"a": "a"}


async def test_for_two_answers_all_are_asked(players: list[Player]) -> None:
    assert (await poll(players, need=2)).given == {"a": "a", "b": "b", "c": "c"}


async def test_a_straggler_within_the_grace_is_heard(players: list[Player]) -> None:
    players[2].delay = 0.2
    assert "c" in (await poll(players, need=2)).given


async def test_a_dead_node_costs_the_grace_once_and_then_nothing(players: list[Player], clock: Clock) -> None:
    players[1].delay = 30
    start = clock()
    assert set((await poll(players, need=2)).given) == {"a", "c"}
    assert clock() - start < 5
    assert (await poll(players, need=2)).given == {"a": "a", "c": "c"}
    assert players[1].asked == 1
    assert players[1].transport.stats().errors == {Reason.TIMEOUT: 1}


async def test_resting_nodes_are_asked_when_the_well_ones_are_too_few(players: list[Player]) -> None:
    players[0].error = players[1].error = DOWN
    await poll(players, need=2)
    players[1].error = None
    assert set((await poll(players, need=2)).given) == {"b", "c"}


async def test_a_refusal_rests_nobody(players: list[Player]) -> None:
    players[0].error = NodeError("no", code=1)
    await poll(players, need=1)
    await poll(players, need=1)
    assert asked(players) == [2, 2, 0]


async def test_going_down_and_coming_back_are_one_log_line_each(players: list[Player], clock: Clock) -> None:
    with capture_logs() as lines:
        players[0].error = DOWN
        for _ in range(4):
            await poll(players[:1], need=1)
        players[0].error = None
        for _ in range(4):
            await poll(players[:1], need=1)
    assert [(line["event"], line["provider"], line["chain"]) for line in lines] == [
        ("node down", "a", "eth"),
        ("node up", "a", "eth"),
    ]


async def test_an_answered_head_alone_does_not_make_a_node_well(players: list[Player]) -> None:
    players[0].error = DOWN
    await poll(players[:1], need=1)
    players[0].error = None
    await poll(players[:1], need=1, proof=False)
    assert players[0].transport.circuit.error is DOWN


async def test_a_cancelled_round_leaves_no_task_behind(players: list[Player]) -> None:
    for player in players:
        player.delay = 30
    before = asyncio.all_tasks()
    round_ = asyncio.create_task(poll(players, need=2))
    await players[2].called.wait()
    round_.cancel()
    with pytest.raises(asyncio.CancelledError):
        await round_
    assert not await left_behind(before)


async def test_a_defect_of_ours_is_not_taken_for_a_failed_node(players: list[Player]) -> None:
    async def broken(player: Player) -> str:
        raise KeyError(player.name)

    with pytest.raises(KeyError):
        await ask(players, broken, need=2, timing=players[0].timing)


SHORTFALLS: list[tuple[dict[str, ConnectorError], int, int, Reason]] = [
    ({"a": Unavailable("x", reason=Reason.TIMEOUT), "b": DOWN, "c": DOWN}, 1, 0, Reason.TIMEOUT),
    ({"a": DOWN, "b": DOWN}, 2, 1, Reason.NO_QUORUM),
    ({"a": Misconfigured("x"), "b": Misconfigured("x")}, 2, 1, Reason.MISCONFIGURED),
    ({"a": Misconfigured("x"), "b": DOWN}, 2, 1, Reason.NO_QUORUM),
    ({"a": Misconfigured("x"), "b": BadAnswer("x"), "c": BadAnswer("y")}, 1, 0, Reason.MISCONFIGURED),
]


@pytest.mark.parametrize(("failed", "need", "given", "reason"), SHORTFALLS)
async def test_a_shortfall_has_the_reason_that_helps(
    players: list[Player], failed: dict[str, ConnectorError], need: int, given: int, reason: Reason
) -> None:
    error = shortfall(players, failed=failed, need=need, given=given)
    assert error.reason is reason
    assert all(str(one) in str(error) for one in failed.values())
