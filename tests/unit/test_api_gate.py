"""The gate over a real HTTP server in this process: what signers read, and who may say what."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from connectors.errors import Reason
from daemon.tokens import Scope
from tests.build import at
from tests.gated import RULES, Gated, MemoryGates, chain, finding
from tests.unit.test_api import READ, World, judged, key
from tests.unit.test_pipeline import INVENTORY

WALLET = next(iter(INVENTORY.wallets))


class Asked(World):
    """A world whose gates were judged, at `now`."""

    def __init__(self) -> None:
        super().__init__()
        self.subject = Gated(MemoryGates())

    async def judged(self, *wallets: str, reason: Reason | None = None, grounds: Sequence[str] = ("tx-1",)) -> None:
        """A pass in which a finding fires against these."""
        await self.subject.keeper.restore()
        self.report = self.report or await judged(READ)
        self.gates = self.subject.keeper
        found = [finding(wallets=wallets, grounds=grounds)] if wallets else []
        chains = {"ethereum": chain(reason)}
        self.gates.judge(found, rules=RULES, wallets=INVENTORY.wallets, chains=chains, now=self.subject.now)

    async def ask(self, path: str, *, json: object = None, token: str = "") -> tuple[int, Any]:
        headers: Mapping[str, str] = {"Authorization": f"Bearer {token}"} if token else {}
        method = "GET" if json is None else "POST"
        async with self.client() as client, client.request(method, path, json=json, headers=headers) as response:
            return response.status, await response.json(content_type=None)


async def asked(*wallets: str) -> Asked:
    world = Asked()
    await world.judged(*wallets)
    return world


async def test_a_gate_is_told_with_since_when_why_and_until_when_that_holds() -> None:
    world = await asked(WALLET)
    world.time, world.loop_time = at(60), 103.0
    assert await world.ask(f"/api/v1/gate/{WALLET}") == (
        200,
        {
            "wallet": WALLET,
            "gate": "closed",
            "since": "2026-11-23T12:00:00Z",
            "reason": "PyrometerColdMoved (stops, eth-hot): it pays out",
            "findings": ["one"],
            "by": None,
            "grounds": world.gates.grounds(WALLET),
            "at": "2026-11-23T12:01:00Z",
            "expires": "2026-11-23T12:01:07Z",
        },
    )


async def test_all_gates_are_told_by_wallet() -> None:
    world = await asked(WALLET)
    status, body = await world.ask("/api/v1/gate")
    assert status == 200
    assert {name: said["gate"] for name, said in body.items()} == {
        name: "closed" if name == WALLET else "open" for name in INVENTORY.wallets
    }


async def test_a_wallet_that_is_not_configured_is_not_found() -> None:
    world = await asked()
    assert (await world.ask("/api/v1/gate/nobody"))[0] == 404
    assert (await world.ask("/api/v1/gate/nobody", json={"open": False, "reason": "r"}))[0] == 404


async def test_a_gate_is_closed_while_nothing_was_judged_yet() -> None:
    world = World()
    async with world.client() as client, client.get(f"/api/v1/gate/{WALLET}") as response:
        body = await response.json()
    assert (body["gate"], body["reason"]) == ("closed", "nothing was judged yet")


async def test_a_gate_is_closed_and_can_not_be_opened_while_the_judging_hangs() -> None:
    world = await asked()
    assert (await world.ask(f"/api/v1/gate/{WALLET}"))[1]["gate"] == "open"
    world.loop_time = 110.1
    status, body = await world.ask(f"/api/v1/gate/{WALLET}")
    assert (status, body["gate"], body["reason"]) == (200, "closed", "nobody has judged for 10.1 s")
    assert (await world.ask(f"/api/v1/gate/{WALLET}", json={"open": True, "reason": "r"}))[0] == 409
    world.loop_time = 110.0
    status, body = await world.ask(f"/api/v1/gate/{WALLET}")
    assert (body["gate"], body["expires"]) == ("open", body["at"])


async def test_an_operator_opens_and_closes_it_under_his_own_name() -> None:
    world = await asked(WALLET)
    world.tokens = [key("alice", Scope.OPERATE, "secret")]
    path = f"/api/v1/gate/{WALLET}"
    status, body = await world.ask(path, json={"open": True, "reason": "SEC-1", "findings": ["one"]}, token="secret")
    assert (status, body["gate"], body["by"], body["reason"]) == (200, "open", "alice", "SEC-1")
    status, body = await world.ask(path, json={"open": False, "reason": "SEC-2"}, token="secret")
    assert (status, body["gate"], body["by"], body["reason"]) == (200, "closed", "alice", "SEC-2")
    assert [(one.who, one.what, one.why) for one in world.subject.rows.told[1:]] == [
        ("alice", "gate_opened", "SEC-1"),
        ("alice", "gate_closed", "SEC-2"),
    ]


async def test_it_is_not_opened_over_a_payment_that_came_after_the_look() -> None:
    """It joins a finding that fires already and so pages nobody; an opening would accept it unseen."""
    world = await asked(WALLET)
    path = f"/api/v1/gate/{WALLET}"
    looked = (await world.ask(path))[1]["grounds"]
    said = {"open": True, "reason": "SEC-1", "findings": ["one"], "grounds": looked}
    assert (await world.ask(path, json={**said, "grounds": ""}))[0] == 409
    await world.judged(WALLET, grounds=("0xa", "0xb"))
    status, body = await world.ask(path, json=said)
    assert (status, body["detail"]) == (
        409,
        f"what stands against {WALLET} is not what it was when you looked: look again",
    )
    again = (await world.ask(path))[1]
    assert (again["gate"], again["findings"]) == ("closed", ["one"])
    status, body = await world.ask(path, json={**said, "grounds": again["grounds"]})
    assert (status, body["gate"]) == (200, "open")


async def test_who_may_only_read_can_neither_open_nor_close_it() -> None:
    world = await asked(WALLET)
    world.tokens = [key("panel", Scope.READ, "secret")]
    path = f"/api/v1/gate/{WALLET}"
    for opens in (True, False):
        status, body = await world.ask(path, json={"open": opens, "reason": "r"}, token="secret")
        assert (status, body["detail"]) == (403, "the token panel lacks the scope operate")
    assert (await world.ask(path, token="secret"))[1]["gate"] == "closed"
    assert (await world.ask(path))[0] == 401


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"open": True},
        {"open": True, "reason": ""},
        {"open": True, "reason": "  "},
        {"open": "true", "reason": "r"},
        {"open": 1, "reason": "r"},
        {"open": True, "reason": "r", "wallet": "x"},
        {"open": True, "reason": "r" * 1001},
        ["open"],
        "open",
    ],
)
async def test_a_word_that_is_not_one_is_refused_and_changes_nothing(said: object) -> None:
    world = await asked(WALLET)
    status, body = await world.ask(f"/api/v1/gate/{WALLET}", json=said)
    assert status == 400
    assert "expected" in body["detail"]
    assert (await world.ask(f"/api/v1/gate/{WALLET}"))[1]["gate"] == "closed"


async def test_a_gate_that_may_not_be_opened_says_why() -> None:
    world = await asked(WALLET)
    said = {"open": True, "reason": "r", "findings": ["other"]}
    status, body = await world.ask(f"/api/v1/gate/{WALLET}", json=said)
    assert (status, "one (PyrometerColdMoved)" in body["detail"]) == (409, True)
    await world.judged(reason=Reason.STALE)
    status, body = await world.ask(f"/api/v1/gate/{WALLET}", json={"open": True, "reason": "r"})
    assert (status, "nobody sees ethereum" in body["detail"]) == (409, True)


async def test_without_the_store_closing_works_and_opening_is_unavailable() -> None:
    world = await asked()
    world.subject.rows.away = True
    path = f"/api/v1/gate/{WALLET}"
    assert (await world.ask(path, json={"open": False, "reason": "r"}))[1]["gate"] == "closed"
    status, body = await world.ask(path, json={"open": True, "reason": "r"})
    assert (status, "stays closed: store: it is away" in body["detail"]) == (503, True)
    assert (await world.ask(path))[1]["gate"] == "closed"
