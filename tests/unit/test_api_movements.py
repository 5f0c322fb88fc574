"""The route of the movements, over a real HTTP server in this process."""

from typing import Any

import pytest

from connectors.base import Movement, Stage, Token, Update
from daemon.emit import rendering
from daemon.model import Tier
from daemon.tokens import Scope
from tests.build import ETH, USDT, address, at, inventory, movement, tip, told, wallet
from tests.unit.test_api import READ, World, ask, judged, key
from tests.unit.test_pipeline import Bench

BTC = Token("bitcoin", None, 8)
INVENTORY = inventory(
    wallet("hot", Tier.HOT, 1, 2),
    wallet("cold", Tier.COLD, 3),
    wallet("btc-cold", Tier.COLD, 5, chain="bitcoin"),
    assets={"ETH": [ETH], "USDT": [USDT], "BTC": [BTC]},
)


def world(*updates: Update) -> World:
    found = World(inventory=INVENTORY)
    for update in updates:
        found.movements.take(update)
    return found


async def movements(subject: World, query: str = "") -> Any:  # noqa: ANN401 - JSON
    status, body, _ = await ask(subject, f"/api/v1/movements{query}")
    assert status == 200
    return body


PAYMENT = movement(
    "4f1a",
    {5: -150_000},
    token=BTC,
    block=tip(7),
    destinations=[("bc1qothers", 99_000), (address(5), 50_000)],
    sources=[(address(5), 200_000)],
    change=50_000,
    fee=1_000,
    size=141,
)


async def test_a_movement_says_everything_with_units_and_amounts_as_text() -> None:
    waiting = movement("4f1a", {5: -150_000}, token=BTC, fee=1_000, size=141)
    (body,) = await movements(
        world(told(1.5, waiting, chain="bitcoin"), told(9, PAYMENT, chain="bitcoin", here=tip(7)))
    )
    block = {"height": 7, "hash": tip(7).hash, "time": "2026-11-23T12:00:07Z"}
    none = {"height": None, "hash": None, "time": None}
    lost = {"units": "-150000", "amount": "-0.0015"}
    assert body == {
        "chain": "bitcoin",
        "transaction": "4f1a",
        "stage": "mined",
        "direction": "debit",
        "first_seen": "2026-11-23T12:00:01.500Z",
        "since": "2026-11-23T12:00:09Z",
        **block,
        "asset": "BTC",
        "contract": None,
        "wallets": [
            {"wallet": "btc-cold", "tier": "cold", **lost, "accounts": [{"account": address(5), **lost}]},
        ],
        "destinations": [
            {"address": "bc1qothers", "units": "99000", "amount": "0.00099", "wallet": None},
            {"address": address(5), "units": "50000", "amount": "0.0005", "wallet": "btc-cold"},
        ],
        "sources": [{"address": address(5), "units": "200000", "amount": "0.002", "wallet": "btc-cold"}],
        "change": {"units": "50000", "amount": "0.0005"},
        "fee": {"units": "1000", "amount": "0.00001"},
        "fee_rate": "7.092",
        "size": 141,
        "replaced_by": None,
        "history": [
            {"stage": "pending", "at": "2026-11-23T12:00:01.500Z", **none},
            {"stage": "mined", "at": "2026-11-23T12:00:09Z", **block},
        ],
    }


async def test_what_is_not_known_is_null_and_never_zero() -> None:
    (body,) = await movements(world(told(1, movement("a", {9: 7}, token=BTC, size=0), chain="bitcoin")))
    assert (body["fee"], body["fee_rate"], body["height"]) == (None, None, None)
    assert body["wallets"][0]["wallet"] is None
    (unnamed,) = await movements(world(told(1, movement("a", {1: 7}, token=Token("ethereum", "0xee", 2)))))
    assert (unnamed["asset"], unnamed["contract"], unnamed["wallets"][0]["amount"]) == (None, "0xee", "0.07")
    (free,) = await movements(world(told(1, movement("a", {1: -7}, fee=0))))
    assert (free["fee"], free["fee_rate"]) == ({"units": "0", "amount": "0"}, "0")
    (sizeless,) = await movements(world(told(1, movement("a", {1: -7}, fee=5, size=0))))
    assert (sizeless["fee"]["units"], sizeless["fee_rate"]) == ("5", None)


async def test_accounts_of_one_wallet_stand_under_it_with_their_sum() -> None:
    (body,) = await movements(world(told(1, movement("a", {1: -7, 2: 3, 3: 2}))))
    assert [(one["wallet"], one["units"], len(one["accounts"])) for one in body["wallets"]] == [
        ("hot", "-4", 2),
        ("cold", "2", 1),
    ]


async def test_wei_do_not_lose_a_digit() -> None:
    (body,) = await movements(world(told(1, movement("a", {1: -(10**30) - 1}))))
    assert body["wallets"][0]["amount"] == "-1000000000000.000000000000000001"


async def test_all_destinations_are_told_by_the_route_and_the_largest_by_the_report() -> None:
    payout = movement("a", {1: -7}, destinations=[(f"0x{n}", 1) for n in range(100)])
    (body,) = await movements(world(told(1, payout)))
    assert len(body["destinations"]) == 100
    report = await judged(READ, told(2, payout))
    (shown,) = rendering.report(report, now=at(3))["movements"]
    assert [party["address"] for party in shown["destinations"]] == ["0x0", "0x1", "0x2", "0x3", "0x4"]


EVERYTHING = (
    told(1, movement("refill", {3: -5, 1: 4}, fee=1)),
    told(2, movement("deposit", {2: 7}, block=tip(1))),
    told(3, PAYMENT, chain="bitcoin"),
    told(4, movement("gone", {1: -1}, stage=Stage.EVICTED)),
    told(5, movement("swapped", {1: -1}, stage=Stage.REPLACED, replaced_by="other")),
)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["swapped", "gone", "4f1a", "deposit", "refill"]),
        ("?limit=2", ["swapped", "gone"]),
        ("?chain=bitcoin", ["4f1a"]),
        ("?wallet=cold", ["refill"]),
        ("?wallet=hot", ["swapped", "gone", "deposit", "refill"]),
        ("?stage=pending", ["refill"]),
        ("?stage=mined&limit=1", ["4f1a"]),
        ("?stage=mined&wallet=hot&chain=ethereum&limit=1000", ["deposit"]),
        ("?stage=replaced", ["swapped"]),
        ("?stage=evicted", ["gone"]),
        ("?chain=bitcoin&wallet=hot", []),
    ],
)
async def test_filters_hold_together_and_the_newest_comes_first(query: str, expected: list[str]) -> None:
    body = await movements(world(*EVERYTHING), query)
    assert [one["transaction"] for one in body] == expected


async def test_without_a_limit_a_hundred_are_told() -> None:
    many = tuple(movement(f"{n}", {1: 1}) for n in range(150))
    subject = world(told(1, *many))
    assert [one["transaction"] for one in await movements(subject)] == [f"{n}" for n in range(149, 49, -1)]
    assert len(await movements(subject, "?limit=1000")) == 150


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("chain=etherium", "chain: there is no chain 'etherium'; did you mean ethereum?"),
        ("wallet=nobody", "wallet: there is no wallet 'nobody'; expected one of btc-cold, cold, hot"),
        ("wallet=", "wallet: there is no wallet ''; expected one of btc-cold, cold, hot"),
        ("stage=confirmed", "stage: expected one of pending, mined, replaced, evicted, unknown, found 'confirmed'"),
        ("limit=0", "limit: expected a whole number from 1 to 1000, found '0'"),
        ("limit=1001", "limit: expected a whole number from 1 to 1000, found '1001'"),
        ("limit=-1", "limit: expected a whole number from 1 to 1000, found '-1'"),
        ("limit=1e2", "limit: expected a whole number from 1 to 1000, found '1e2'"),
        ("limit=%D9%A3", "limit: expected a whole number from 1 to 1000, found '٣'"),
        (f"limit={'9' * 5000}", "limit: expected a whole number from 1 to 1000, found a text of 5000 characters"),
        ("walet=hot", "'walet' is no filter; did you mean wallet?"),
        ("since=yesterday", "'since' is no filter; expected one of chain, limit, stage, wallet"),
        ("stage=mined&stage=pending", "stage: stands twice; expected it once"),
    ],
)
async def test_a_wrong_filter_is_a_problem_that_says_what_was_expected(query: str, detail: str) -> None:
    status, body, headers = await ask(world(*EVERYTHING), f"/api/v1/movements?{query}")
    assert (status, body["detail"]) == (400, detail)
    assert headers["Content-Type"].startswith("application/problem+json")


async def test_movements_are_told_before_the_first_judgement_too() -> None:
    subject = world(told(1, movement("a", {1: -7})))
    assert subject.report is None
    assert len(await movements(subject)) == 1
    assert await movements(world()) == []


async def test_movements_want_the_scope_read() -> None:
    subject = world()
    subject.tokens = [key("grafana", Scope.READ, "r-token")]
    assert (await ask(subject, "/api/v1/movements"))[0] == 401
    assert (await ask(subject, "/api/v1/movements", headers={"Authorization": "Bearer r-token"}))[0] == 200


async def test_a_report_carries_the_few_that_matter_in_the_words_of_its_configuration() -> None:
    bench = Bench()
    bench.pipeline.ledger.apply(READ)
    refill: Movement = movement("refill", {2: -5, 1: 4}, fee=1)
    bench.pipeline.ledger.apply(told(2, refill, *(movement(f"{n}", {1: 1}) for n in range(20))))
    report = await bench.pipeline.cycle(at(3))
    first, *others = rendering.report(report, now=at(3))["movements"]
    assert (first["transaction"], first["direction"]) == ("refill", "internal")
    assert [(one["wallet"], one["tier"]) for one in first["wallets"]] == [("cold", "cold"), ("hot", "hot")]
    assert len(others) == 4
