"""Planned transfers over a real HTTP server in this process: what is taken, what is refused, and what the log tells."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from daemon.announcing import Refused
from daemon.auditing import verify
from daemon.errors import ConfigError, StoreError
from daemon.tokens import Scope
from tests.build import ETHER, at, tip
from tests.unit.test_announcements import paid
from tests.unit.test_api import Client, World, key

OUT = "0x" + "ee" * 20
PEOPLE = (
    key("aya", Scope.OPERATE, "aya's"),
    key("ben", Scope.OPERATE, "ben's"),
    key("viewer", Scope.READ, "viewer's"),
)

PLAN: dict[str, Any] = {
    "wallet": "hot",
    "asset": "ETH",
    "at_most": "5",
    "destinations": [OUT],
    "starts": "2026-11-23T12:00:00Z",
    "ends": "2026-11-23T14:00:00Z",
    "ticket": "OPS-7",
}
ROUTE = "/api/v1/announcements"


@dataclass
class Asking:
    """Somebody at the API of a world."""

    client: Client
    who: str = "aya"

    async def post(self, path: str, body: object = None, *, who: str = "") -> tuple[int, Any]:
        data = body if isinstance(body, str) else json.dumps(body)
        headers = {"Authorization": f"Bearer {who or self.who}'s"}
        async with self.client.post(path, data=data, headers=headers) as response:
            return response.status, await response.json()

    async def get(self, path: str) -> tuple[int, Any]:
        async with self.client.get(path, headers={"Authorization": f"Bearer {self.who}'s"}) as response:
            return response.status, await response.json()


@asynccontextmanager
async def asked(world: World) -> AsyncIterator[Asking]:
    async with world.client() as client:
        yield Asking(client)


def exchange() -> World:
    return World(tokens=PEOPLE, time=at(0))


def log(world: World) -> list[Mapping[str, Any]]:
    return [json.loads(row.text) for row in world.announcements.audit.rows]


async def test_a_plan_is_announced_by_one_approved_by_another_and_told_with_what_is_left() -> None:
    world = exchange()
    async with asked(world) as api:
        status, one = await api.post(ROUTE, PLAN)
        assert (status, one["state"], one["left"], one["payments"]) == (201, "announced", "5", [])
        assert one["announced"] == {"by": "aya", "at": "2026-11-23T12:00:00Z"}
        status, one = await api.post(f"{ROUTE}/{one['id']}/approval", who="ben")
        assert (status, one["state"]) == (200, "approved")
        assert one["approved"] == {"by": "ben", "at": "2026-11-23T12:00:00Z"}
        assert world.announced.take(paid(2, seconds=5)) == 2 * ETHER
        status, one = await api.get(f"{ROUTE}/{one['id']}")
        assert (status, one["used"], one["left"]) == (200, "2", "3")
        assert one["payments"] == [
            {
                "transaction": "tx-2-5",
                "stage": "mined",
                "height": 5,
                "hash": tip(5).hash,
                "first_seen": "2026-11-23T12:00:05Z",
                "amount": "2",
                "explained": "2",
            }
        ]
        assert await api.get(ROUTE) == (200, [one])


async def test_nobody_approves_what_they_have_announced_themselves() -> None:
    world = exchange()
    async with asked(world) as api:
        _, one = await api.post(ROUTE, PLAN)
        status, body = await api.post(f"{ROUTE}/{one['id']}/approval")
        assert (status, body["title"]) == (403, "Forbidden")
        assert body["detail"] == "aya has announced it: approval takes a second person, with a token of another name"
        assert (await api.get(f"{ROUTE}/{one['id']}"))[1]["state"] == "announced"
    assert world.announced.take(paid(2, seconds=5)) == 0


async def test_without_tokens_everybody_is_the_same_and_the_refusal_says_so() -> None:
    world = World()
    async with asked(world) as api:
        _, one = await api.post(ROUTE, PLAN)
        status, body = await api.post(f"{ROUTE}/{one['id']}/approval")
    assert status == 403
    assert "without api.tokens_file everybody is local" in body["detail"]


@pytest.mark.parametrize(("first", "second"), [("aya", "local"), ("local", "ben")])
async def test_who_has_no_token_is_nobodys_second_person(first: str, second: str) -> None:
    """As after a restart that has taken the tokens away, or brought them."""
    announcer = exchange()._announcer()
    plan, _ = await announcer.announce(json.dumps(PLAN).encode(), who=first)
    with pytest.raises(Refused, match="takes a second person") as refused:
        await announcer.approve(plan.id, who=second)
    assert refused.value.status == 403


async def test_a_withdrawal_needs_a_reason_and_ends_the_plan() -> None:
    world = exchange()
    async with asked(world) as api:
        _, one = await api.post(ROUTE, PLAN)
        await api.post(f"{ROUTE}/{one['id']}/approval", who="ben")
        assert (await api.post(f"{ROUTE}/{one['id']}/withdrawal", {}))[1]["detail"] == "reason: is missing"
        world.time = at(10)
        status, one = await api.post(f"{ROUTE}/{one['id']}/withdrawal", {"reason": "wrong address"})
        assert (status, one["state"]) == (200, "withdrawn")
        assert one["withdrawn"] == {"by": "aya", "at": "2026-11-23T12:00:10Z", "reason": "wrong address"}
        assert world.announced.take(paid(2, seconds=11)) == 0
        for act, body in (("approval", None), ("withdrawal", {"reason": "again"})):
            assert (await api.post(f"{ROUTE}/{one['id']}/{act}", body, who="ben"))[0] == 409


async def test_the_same_said_again_within_a_minute_is_the_same_announcement() -> None:
    """Whoever got no answer says it again; a different person, another body, or the same later is another one."""
    world = exchange()
    async with asked(world) as api:
        _, first = await api.post(ROUTE, PLAN)
        world.time = at(60)
        assert await api.post(ROUTE, PLAN) == (200, first)
        assert (await api.post(ROUTE, {**PLAN, "at_most": "6"}))[0] == 201
        assert (await api.post(ROUTE, PLAN, who="ben"))[0] == 201
        world.time = at(61)
        assert (await api.post(ROUTE, PLAN))[0] == 201


async def test_a_start_in_the_past_is_moved_up_to_now() -> None:
    world = exchange()
    world.time = at(3600)
    async with asked(world) as api:
        _, one = await api.post(ROUTE, PLAN)
        assert one["starts"] == "2026-11-23T13:00:00Z"
        world.time = at(3620)
        assert (await api.post(ROUTE, PLAN))[1]["id"] == one["id"]


BAD: dict[str, tuple[Mapping[str, Any], str]] = {
    "an unknown wallet": ({"wallet": "hott"}, "wallet: there is no wallet hott; did you mean hot?"),
    "an unknown asset": ({"asset": "ETC"}, "asset: there is no asset ETC; did you mean ETH?"),
    "an address of another chain": (
        {"destinations": ["bc1qar0srrr7xfkvy5l643lydnw9re59gtzzwf5mdq"]},
        "destinations: no address on ethereum: expected 0x followed by 40 hex digits",
    ),
    "what may be a key": (
        {"destinations": ["ab" * 32]},
        "destinations: no address on ethereum: 64 hex digits look like a private key, which must never be given to "
        "pyrometer; not repeated here",
    ),
    "an account of ours": (
        {"destinations": ["0x" + "0" * 38 + "02"]},
        f"destinations: 0x{'0' * 38}02 is our own, of cold: what stays inside needs no announcement",
    ),
    "no destination": ({"destinations": []}, "destinations: Tuple should have at least 1 item after validation, not 0"),
    "an end before the start": ({"ends": "2026-11-23T11:00:00Z"}, "ends: expected a time after starts"),
    "an end that is over": (
        {"starts": "2026-11-23T10:00:00Z", "ends": "2026-11-23T11:00:00Z"},
        "ends: expected a time that is not over, found 2026-11-23T11:00:00+00:00",
    ),
    "a window of more than a week": (
        {"ends": "2026-11-30T12:00:01Z"},
        "ends: expected a window of at most 7 days",
    ),
    "a time without a zone": (
        {"ends": "2026-11-23T14:00:00"},
        "ends: expected a time with its zone, such as 2026-11-23T05:00:00Z",
    ),
    "nothing": ({"at_most": "0"}, "at_most: expected whole coins above 0 as a text, such as \"12.5\", found '0'"),
    "less than nothing": ({"at_most": "-1"}, "found '-1'"),
    "no number": ({"at_most": "NaN"}, "found 'NaN'"),
    "more than a coin can be parted": (
        {"at_most": "0.0000000000000000001"},
        "at_most: expected a multiple of 0.000000000000000001, the smallest unit, found 0.0000000000000000001",
    ),
    "a JSON number": ({"at_most": 5}, "at_most: expected a text; amounts are texts too"),
    "a key that we don't know": ({"tickets": "x"}, "tickets: unknown key; did you mean ticket?"),
    "no ticket": ({"ticket": ""}, "ticket: String should have at least 1 character"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_plan_that_makes_no_sense_is_refused_in_one_line(name: str) -> None:
    change, detail = BAD[name]
    world = exchange()
    async with asked(world) as api:
        status, body = await api.post(ROUTE, {**PLAN, **change})
        assert status == 422
        assert body["detail"].endswith(detail)
        assert "\n" not in body["detail"]
        assert await api.get(ROUTE) == (200, [])
    assert [record["what"] for record in log(world)] == ["refused"]


async def test_what_is_no_json_is_refused_in_one_line() -> None:
    async with asked(exchange()) as api:
        for body in ("{", "", "[]", "1"):
            status, said = await api.post(ROUTE, body)
            assert status == 422
            assert "\n" not in said["detail"]


async def test_every_change_and_every_refusal_lands_in_the_audit_log_with_who_when_and_why() -> None:
    world = exchange()
    async with asked(world) as api:
        _, one = await api.post(ROUTE, PLAN)
        await api.post(f"{ROUTE}/{one['id']}/approval")
        await api.post(f"{ROUTE}/{one['id']}/approval", who="ben")
        await api.post(f"{ROUTE}/{one['id']}/withdrawal", {"reason": "done"}, who="ben")
        await api.post(ROUTE, PLAN, who="viewer")
        await api.post("/-/reload")
        await api.get(f"{ROUTE}/none")
        await api.post("/api/v1/nothing")
        await api.post(ROUTE, PLAN, who="nobody")
    told = [(record["who"], record["what"], record["why"]) for record in log(world)]
    assert told == [
        ("aya", "announce", "OPS-7"),
        ("aya", "refused", "aya has announced it: approval takes a second person, with a token of another name"),
        ("ben", "approve", "OPS-7"),
        ("ben", "withdraw", "done"),
        ("viewer", "refused", "the token viewer lacks the scope operate"),
    ]
    assert log(world)[0]["body"]["at_most"] == "5"
    assert log(world)[1]["body"] == {"method": "POST", "path": f"{ROUTE}/{one['id']}/approval", "status": 403}
    assert (await verify(world.announcements.audit.records())).holds


async def test_a_store_that_is_away_refuses_the_change_and_nothing_is_in_force() -> None:
    world = exchange()
    async with asked(world) as api:
        _, one = await api.post(ROUTE, PLAN)
        world.announcements.audit.fails = True
        status, body = await api.post(f"{ROUTE}/{one['id']}/approval", who="ben")
        assert (status, body["detail"]) == (503, "store: store memory: told to fail")
        assert world.announced.take(paid(2, seconds=5)) == 0
        assert (await api.post(ROUTE, {**PLAN, "ticket": "OPS-8"}))[0] == 503
        world.announcements.audit.fails = False
        assert [found["state"] for found in (await api.get(ROUTE))[1]] == ["announced"]


async def test_an_announcement_of_another_daemon_on_the_same_store_is_approved_here() -> None:
    one, two = exchange(), exchange()
    two.announcements = one.announcements
    async with asked(one) as here, asked(two) as there:
        _, known = await here.post(ROUTE, PLAN)
        status, _ = await there.post(f"{ROUTE}/{known['id']}/approval", who="ben")
        assert status == 200


async def test_a_reload_that_is_refused_lands_in_the_log_and_one_that_the_store_does_not_take_is_503() -> None:
    world = exchange()
    async with asked(world) as api:
        world.reload_error = ConfigError("pyrometer.yaml:3", "walets: unknown key; did you mean wallets?")
        assert (await api.post("/-/reload"))[0] == 422
        world.reload_error = StoreError("store memory: told to fail")
        status, body = await api.post("/-/reload")
    assert (status, body["detail"]) == (503, "store: store memory: told to fail")
    ((who, what, why),) = [(one["who"], one["what"], one["why"]) for one in log(world)]
    assert (who, what, why) == ("aya", "refused", "pyrometer.yaml:3: walets: unknown key; did you mean wallets?")


async def test_nobody_knows_an_announcement_that_is_not_there() -> None:
    async with asked(exchange()) as api:
        assert (await api.get(f"{ROUTE}/x"))[0] == 404
        assert (await api.post(f"{ROUTE}/x/approval"))[1]["detail"] == "there is no announcement x"


async def test_one_that_has_ended_is_not_approved_any_more() -> None:
    world = exchange()
    async with asked(world) as api:
        _, one = await api.post(ROUTE, PLAN)
        world.time = at(0) + timedelta(hours=3)
        status, body = await api.post(f"{ROUTE}/{one['id']}/approval", who="ben")
    assert (status, body["detail"]) == (
        409,
        f"announcement {one['id']} is expired; only one that is announced is approved",
    )
