"""Announced destinations that look like known ones: said at once, and approved by nobody who has not read it."""

from dataclasses import replace
from typing import Any

import pytest

from connectors.base import Address
from daemon.announcement import decode, encode
from daemon.detection.destinations import Destinations
from daemon.detection.imitation import Imitation
from daemon.detection.payees import OFTEN
from tests.build import address, at
from tests.unit.test_announcements import paid, plan
from tests.unit.test_api import World
from tests.unit.test_api_announcements import OUT, PEOPLE, PLAN, ROUTE, asked, exchange, log

BROKER = "0xaabbccddee" + "01" * 13 + "5566"
FAKE = "0xaabbccddee" + "ff" * 13 + "5566"
SAYS = f"{FAKE} looks like broker {BROKER} but is not it"
SHOWN = {
    "destination": FAKE,
    "looks_like": BROKER,
    "known_as": "broker",
    "agree_first": 10,
    "agree_last": 4,
    "warning": SAYS,
}


def warned() -> World:
    return World(tokens=PEOPLE, time=at(0), allowed={("ethereum", Address(BROKER)): "broker"})


def to(*destinations: str) -> dict[str, Any]:
    return {**PLAN, "destinations": list(destinations)}


async def test_a_destination_that_looks_like_a_known_one_is_announced_with_a_warning_that_names_it() -> None:
    world = warned()
    async with asked(world) as api:
        status, one = await api.post(ROUTE, to(OUT, FAKE))
        assert (status, one["look_alikes"]) == (201, [SHOWN])
        assert (await api.get(ROUTE))[1][0]["look_alikes"] == [SHOWN]
        assert (await api.get(f"{ROUTE}/{one['id']}"))[1]["look_alikes"] == [SHOWN]
    assert log(world)[-1]["body"]["look_alikes"] == [SAYS]


async def test_the_second_person_is_told_before_it_is_approved_and_says_which_address_is_meant() -> None:
    world = warned()
    async with asked(world) as api:
        _, one = await api.post(ROUTE, to(OUT, FAKE))
        route = f"{ROUTE}/{one['id']}/approval"
        status, body = await api.post(route, "", who="ben")
        assert status == 409
        assert body["detail"] == (
            f"{SAYS} (the first 10 and the last 4 characters agree). Compare every character with what the receiver "
            f'has told you by another way; to approve it all the same, send {{"look_alikes": ["{FAKE}"]}}'
        )
        assert (log(world)[-1]["who"], log(world)[-1]["what"]) == ("ben", "refused")
        for other in ([], [OUT], [BROKER], ["no address"]):
            assert (await api.post(route, {"look_alikes": other}, who="ben"))[0] == 409
        assert (await api.get(f"{ROUTE}/{one['id']}"))[1]["state"] == "announced"
        status, one = await api.post(route, {"look_alikes": [FAKE.upper().replace("0X", "0x")]}, who="ben")
        assert (status, one["state"], one["look_alikes"]) == (200, "approved", [SHOWN])
    last = log(world)[-1]
    assert (last["who"], last["what"], last["body"]["look_alikes"]) == ("ben", "approve", [SAYS])


async def test_each_of_several_is_named_and_has_to_be() -> None:
    world = warned()
    second = FAKE.replace("ffff", "eeee", 1)
    async with asked(world) as api:
        _, one = await api.post(ROUTE, to(FAKE, second))
        route = f"{ROUTE}/{one['id']}/approval"
        status, body = await api.post(route, {"look_alikes": [FAKE]}, who="ben")
        assert status == 409
        assert second in body["detail"]
        assert FAKE not in body["detail"]
        assert (await api.post(route, {"look_alikes": [second, FAKE]}, who="ben"))[0] == 200


async def test_what_looks_like_a_wallet_of_ours_is_one_too() -> None:
    ours = str(address(1))
    fake = ours.replace("0000000", "1111111", 5).replace("1111111", "0000000", 1)
    async with asked(warned()) as api:
        (alike,) = (await api.post(ROUTE, to(fake)))[1]["look_alikes"]
    assert (alike["looks_like"], alike["known_as"]) == (ours, "hot")


async def test_what_looks_like_somebody_who_was_often_paid_is_one_too_and_who_was_paid_himself_is_none() -> None:
    world = exchange()
    known = Destinations(world.inventory)
    usual, fake = "0xfeedfacecafe" + "02" * 12 + "7788", "0xfeedfacecafe" + "ee" * 12 + "7788"
    for number in range(OFTEN):
        world.payees.take(paid(1, seconds=number, name=f"u{number}", to=[(usual, 1)]), known=known)
    async with asked(world) as api:
        assert (await api.post(ROUTE, to(usual)))[1]["look_alikes"] == []
        _, one = await api.post(ROUTE, to(fake))
    assert [alike["warning"] for alike in one["look_alikes"]] == [
        f"{fake} looks like the usual destination {usual} but is not it"
    ]


@pytest.mark.parametrize("destination", [BROKER, OUT])
async def test_nobody_is_warned_of_the_known_address_itself_or_of_a_stranger(destination: str) -> None:
    async with asked(warned()) as api:
        _, one = await api.post(ROUTE, to(destination))
        assert one["look_alikes"] == []
        assert (await api.post(f"{ROUTE}/{one['id']}/approval", who="ben"))[0] == 200


async def test_what_has_come_to_be_known_meanwhile_is_looked_at_when_it_is_approved() -> None:
    """An address that was added to the allowlist after the announcement, and one that was taken into it."""
    world = exchange()
    async with asked(world) as api:
        _, one = await api.post(ROUTE, to(FAKE))
        assert one["look_alikes"] == []
        world.allowed = {("ethereum", Address(BROKER)): "broker"}
        status, body = await api.post(f"{ROUTE}/{one['id']}/approval", who="ben")
        assert (status, SAYS in body["detail"]) == (409, True)
        world.allowed = {("ethereum", Address(BROKER)): "broker", ("ethereum", Address(FAKE)): "broker's second"}
        status, one = await api.post(f"{ROUTE}/{one['id']}/approval", who="ben")
        assert (status, one["look_alikes"]) == (200, [])


async def test_the_same_said_again_is_the_same_with_or_without_a_warning() -> None:
    world = exchange()
    async with asked(world) as api:
        _, first = await api.post(ROUTE, to(FAKE))
        world.allowed = {("ethereum", Address(BROKER)): "broker"}
        assert await api.post(ROUTE, to(FAKE)) == (200, first)


@pytest.mark.parametrize("body", ["[]", "1", '{"look_alikes": "0x"}', '{"destinations": []}', "{"])
async def test_a_body_that_is_no_approval_is_refused(body: str) -> None:
    async with asked(exchange()) as api:
        _, one = await api.post(ROUTE, PLAN)
        assert (await api.post(f"{ROUTE}/{one['id']}/approval", body, who="ben"))[0] == 422
        assert (await api.get(f"{ROUTE}/{one['id']}"))[1]["state"] == "announced"


def test_a_warning_outlives_a_restart_and_what_was_stored_without_any_is_the_same() -> None:
    alike = Imitation(FAKE, BROKER, None, 10, 4)
    one = plan()
    with_it = decode(encode(one).replace("{", '{"look_alikes":[],', 1))
    assert with_it == one
    assert "look_alikes" not in encode(one)
    assert decode(encode(replace(one, look_alikes=(alike,)))).look_alikes == (alike,)
