"""The real process is stopped in the middle of a theft on NEM and started again: it names what went meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from daemon.replay.nem.ledger import seconds_of, transactions_of
from tests.integration.nem_chain import Chain, chain, nodes_on, now
from tests.integration.test_nem_restart import refuses
from tests.pricing import Figures
from tests.system.daemon import Daemon, running_daemon
from tests.system.test_restart import wrote

pytestmark = pytest.mark.timeout(300)

WHOLE = 1_000_000
MINED = "/api/v1/movements?wallet=xem-hot&stage=mined"
NAMED = ("PyrometerProbe", "PyrometerUnknownDestination", "PyrometerUnmatchedOutflow")
"""Alerts that tell payments one by one."""


def watching(made: Chain, url: str, *, books: Figures) -> dict[str, Any]:
    """A hot and a cold wallet, and books that have approved no withdrawal."""
    return {
        "chains": {
            "nem": {
                "kind": "nem",
                "network": "testnet",
                "nemesis": made.ledger.nemesis,
                "endpoints": [url],
                "poll": "50ms",
                "settle": "5ms",
                "max_tip_age": "1d",
            }
        },
        "assets": {"XEM": {"tokens": [{"chain": "nem"}]}},
        "wallets": {
            "xem-hot": {"chain": "nem", "tier": "hot", "addresses": [made.address("hot")]},
            "xem-cold": {"chain": "nem", "tier": "cold", "addresses": [made.address("cold")]},
        },
        "feeds": {
            "prices": [{"kind": "fixed", "values": {"XEM": 100}}],
            "approvals": [{"kind": "http", "name": "desk", "url": books.url, "values": "@", "every": "200ms"}],
        },
        "policies": [
            {"kind": "probe", "clear_after": "200ms"},
            {"kind": "unknown_destination", "tiers": ["hot", "cold"], "clear_after": "200ms"},
            {"kind": "unmatched_outflow", "grace": "1s", "clear_after": "200ms"},
            {"kind": "drain", "window": "1h", "max_share": 0.1, "clear_after": "200ms"},
        ],
    }


def pay(made: Chain, units: int) -> str:
    """To the thief, in a block of this moment; the transaction's hash."""
    name = made.ledger.announce(made.transfer("hot", "customer", units))
    made.ledger.mine(after=max(timedelta(seconds=1), timedelta(seconds=seconds_of(now()) - made.ledger.now)))
    return name


async def is_at_the_tip(it: Daemon, made: Chain) -> None:
    await it.becomes("/api/v1/chains", lambda chains: chains["nem"].get("hash") == made.ledger.tip.block.hash)


async def movements_of(it: Daemon, names: Sequence[str]) -> list[dict[str, Any]]:
    """All that are mined, once there are as many."""
    found = await it.becomes(MINED, lambda body: len(body) >= len(names))
    assert sorted(one["transaction"] for one in found) == sorted(names)
    return list(found)


async def findings(it: Daemon, *, payments: int) -> dict[str, dict[str, Any]]:
    """By alert, once all fire and those that tell payments tell as many."""

    def fire(body: list[dict[str, Any]]) -> bool:
        firing = {one["alert"]: one for one in body if one["state"] == "firing"}
        told = {alert: firing.get(alert, {}).get("evidence", {}).get("payments") for alert in NAMED}
        return "PyrometerDrain" in firing and told == dict.fromkeys(NAMED, payments) | {NAMED[0]: payments - 1}

    return {one["alert"]: one for one in await it.becomes("/api/v1/findings", fire)}


def named(finding: dict[str, Any]) -> dict[str, tuple[int, str]]:
    """Which transaction is in which block."""
    return {one["transaction"]: (one["height"], one["hash"]) for one in finding["evidence"]["transactions"]}


def blocks_of(made: Chain, names: Sequence[str]) -> dict[str, tuple[int, str]]:
    return {
        one.hash(): (mined.block.height, mined.block.hash)
        for mined in made.ledger.blocks
        for one in mined.block.transactions
        if one.hash() in names
    }


@pytest.mark.parametrize("reorganised", [False, True], ids=["on the same branch", "after a reorganisation"])
async def test_a_theft_that_goes_on_while_nobody_watches_is_named_payment_by_payment(
    tmp_path: Path, reorganised: bool
) -> None:
    """A test transfer is seen; then the process is gone for as long as most of the coins take to leave."""
    made = chain(ago=timedelta(minutes=10))
    async with (
        nodes_on(made) as (node,),
        Figures("[]").serving() as books,
        running_daemon(tmp_path, watching(made, node.url, books=books)) as it,
    ):
        await it.becomes("/readyz", lambda body: body["status"] == "ready")
        names = [pay(made, 10 * WHOLE)]
        await movements_of(it, names)
        await wrote(it, "branch", text=made.ledger.tip.block.hash)
        await wrote(it, "movement", text=names[0])
        await it.stop(kill=True)
        if reorganised:
            (undone,) = made.ledger.undo(1)
            made.ledger.mine(transactions_of(undone), after=timedelta(seconds=30))
        names += [pay(made, 100_000 * WHOLE + number) for number in range(6)]
        made.ledger.mine([], after=timedelta(seconds=1))
        await it.start()
        await is_at_the_tip(it, made)
        movements = await movements_of(it, names)
        where = blocks_of(made, names)
        assert {one["transaction"]: (one["height"], one["hash"]) for one in movements} == where
        stages = {one["transaction"]: [step["stage"] for step in one["history"]] for one in movements}
        assert stages == {name: ["mined"] * (1 + (reorganised and name == names[0])) for name in names}
        first = await findings(it, payments=len(names))
        assert named(first["PyrometerUnknownDestination"]) == where
        assert named(first["PyrometerUnmatchedOutflow"]) == where
        assert named(first["PyrometerProbe"]) == {name: where[name] for name in names[1:]}
        assert "not_watched" in first["PyrometerDrain"]["evidence"]
        await it.stop(kill=True)
        await it.start()
        await is_at_the_tip(it, made)
        again = await findings(it, payments=len(names))
        assert [again[alert]["id"] for alert in NAMED] == [first[alert]["id"] for alert in NAMED]
        assert await movements_of(it, names) == movements


async def test_a_process_that_ends_before_all_of_a_gap_is_told_tells_it_at_the_next_start(tmp_path: Path) -> None:
    """Its newest block is known by then, and what the blocks below it moved is not taken for told."""
    made = chain(ago=timedelta(minutes=10))
    async with (
        nodes_on(made) as (node,),
        Figures("[]").serving() as books,
        running_daemon(tmp_path, watching(made, node.url, books=books)) as it,
    ):
        await it.becomes("/readyz", lambda body: body["status"] == "ready")
        await wrote(it, "branch", text=made.ledger.tip.block.hash)
        await it.stop(kill=True)
        names = [pay(made, 1000 * WHOLE + number) for number in range(4)]
        refuses(node, height=made.ledger.tip.block.height - 2)
        await it.start()
        await it.logged("movements can't be told yet")
        await is_at_the_tip(it, made)
        await wrote(it, "branch", text=made.ledger.tip.block.hash)
        assert await it.get(MINED) == []
        await it.stop(kill=True)
        node.behaviour.twist = None
        await it.start()
        await movements_of(it, names)
