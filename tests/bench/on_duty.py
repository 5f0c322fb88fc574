"""How long a breach takes from its block to the people on call: the whole stack with the files that are handed out."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import quantiles
from typing import Any

from tests.integration.postgres import Postgres
from tests.integration.subscriber import Heard, Subscriber
from tests.system.daemon import until
from tests.system.stack import ETHER, OUTSIDE, Stack, running_stack

BREACHES = 100
PAUSE = 1.0
"""Seconds between two breaches, at most; at random, so that they fall anywhere between two polls."""


def vault(number: int) -> str:
    return f"0x{0xFA17 << 64 | number:040x}"


def name(number: int) -> str:
    return f"vault-{number:03}"


def with_vaults(count: int) -> Mapping[str, Mapping[str, str]]:
    """The shipped configuration with so many more cold wallets. All else, the waits too, is as shipped."""
    lines = [
        f'  {name(one)}: {{chain: ethereum, tier: cold, owner: customer, addresses: ["{vault(one)}"]}}'
        for one in range(count)
    ]
    return {"pyrometer.yaml": {r"^wallets:\n": "\n".join(["wallets:", *lines, ""])}}


@dataclass(frozen=True, slots=True)
class Passage:
    """When one breach came where, in seconds since 1970. `block`: the moment before the node was told to mine it."""

    subject: str
    block: float
    seen: float
    judged: float
    gate: float
    taken: float
    webhook: float
    shown: float
    """On the broker, beside the gate: once the finding is stored."""

    @property
    def stages(self) -> Mapping[str, float]:
        """Seconds of each stage; they add up to the whole."""
        return {
            "poll": self.seen - self.block,
            "read": self.judged - self.seen,
            "judge": self.gate - self.judged,
            "store and send": self.taken - self.gate,
            "alertmanager": self.webhook - self.taken,
        }


async def passages(stack: Stack, *, count: int, pause: float = PAUSE) -> list[Passage]:
    """So many vaults pay somebody unknown, one after the other: each a block, a closed gate, and a page of its own."""
    chance = random.Random(7)
    await stack.anvil.set_balances({vault(one): ETHER for one in range(count)})
    await stack.anvil.rpc("evm_mine")
    await stack.anvil.rpc("evm_setAutomine", True)
    await _is_read(stack, count)
    async with stack.listening("reader") as house:
        await house.until(lambda: f"gate/{name(count - 1)}" in house.holds)
        return [await _passage(stack, house, number=one, wait=chance.uniform(0, pause)) for one in range(count)]


async def _is_read(stack: Stack, count: int) -> None:
    def all_there(body: Mapping[str, Any]) -> bool:
        return all(body[name(one)]["holdings"].get("ETH", {}).get("amount") == "1" for one in range(count))

    await stack.daemon.becomes("/api/v1/wallets", all_there)


async def _passage(stack: Stack, house: Subscriber, *, number: int, wait: float) -> Passage:
    subject = name(number)
    await asyncio.sleep(wait)
    before = await _detection(stack)
    block = time.time()
    await stack.anvil.send(vault(number), to=OUTSIDE, value=ETHER // 1000)
    await until(lambda: stack.heard("firing", alertname="PyrometerColdMoved", subject=subject))
    (told,) = stack.heard("firing", alertname="PyrometerColdMoved", subject=subject)
    finding = told["annotations"]["finding"]
    await house.until(lambda: house.of(f"finding/{finding}"))
    closed = next(one for one in house.of(f"gate/{subject}") if finding in one.body["findings"])
    kept = next(one for one in house.of(f"finding/{finding}") if one.body["state"] == "firing")
    taken = next(
        one["updatedAt"] for one in await stack.alertmanager.alerts() if one["annotations"].get("finding") == finding
    )
    shown = _wall(kept)
    return Passage(
        subject=subject,
        block=block,
        seen=shown - (await _detection(stack) - before),
        judged=_seconds(told["startsAt"]),
        gate=_wall(closed),
        shown=shown,
        taken=_seconds(taken),
        webhook=stack.heard_at(finding),
    )


async def _scraped(stack: Stack, found: Sequence[Passage]) -> list[float]:
    """Seconds from each block to the first scrape that says so; a rule would ring an interval later."""
    verdict = 'pyrometer_verdict{policy="theft/cold-moved",verdict="breach"}'
    await stack.prometheus.becomes(f"sum({verdict})", len(found))
    series = (await stack.prometheus.asked("query", query=f"{verdict}[30m]"))["result"]
    breaches = {one["metric"]["subject"]: [at for at, value in one["values"] if value == "1"] for one in series}
    return [min(breaches[one.subject]) - one.block for one in found]


async def _detection(stack: Stack) -> float:
    """Seconds from a node's word of a block to the end of its judgement, summed up over all blocks so far."""
    return (await stack.series())["pyrometer_detection_seconds_sum"]


def _wall(heard: Heard) -> float:
    """A subscriber's clock is the loop's."""
    return time.time() - asyncio.get_running_loop().time() + heard.at


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


async def on_duty() -> dict[str, object]:
    """Seconds from block to webhook, p99 of 100 breaches (`ours`), and until Prometheus has scraped them (`peer`)."""
    server = Postgres()
    try:
        await asyncio.to_thread(server.start)
        with tempfile.TemporaryDirectory(prefix="pyrometer-on-duty-") as folder:
            hurry = with_vaults(BREACHES)
            async with running_stack(Path(folder), postgres=server, hurry=hurry, hasty=False) as stack:
                found = await passages(stack, count=BREACHES)
                scraped = await _scraped(stack, found)
    finally:
        server.remove()
    whole = [one.webhook - one.block for one in found]
    return {
        "bench": "on_duty",
        "ours": _rounded(_percentile(whole, 99)),
        "peer": _rounded(_percentile(scraped, 99)),
        "ratio": round(_percentile(scraped, 99) / _percentile(whole, 99), 1),
        "unit": "s from block to webhook, p99",
        "breaches": len(found),
        "p50": _rounded(_percentile(whole, 50)),
        "max": _rounded(max(whole)),
        "without the poll p99": _rounded(_percentile([one.webhook - one.seen for one in found], 99)),
        "gate closed p99": _rounded(_percentile([one.gate - one.block for one in found], 99)),
        "taken by Alertmanager p99": _rounded(_percentile([one.taken - one.block for one in found], 99)),
        "stages p50/p99": {
            stage: [_rounded(_percentile([one.stages[stage] for one in found], rank)) for rank in (50, 99)]
            for stage in found[0].stages
        },
    }


def _percentile(values: Iterable[float], rank: int) -> float:
    return quantiles(values, n=100, method="inclusive")[rank - 1]


def _rounded(seconds: float) -> float:
    return round(seconds, 4)
