"""A thief who drips: how long each rule lets him, by the share of the hot wallet that he takes an hour.

`python -m tests.drip` plays every rate and prints the table of docs/drip.md.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import uvloop
import yaml

from daemon.interval import plain
from daemon.replay.command import Wanted, play
from daemon.replay.outcome import Alarm, Outcome
from daemon.replay.scenario import load
from daemon.replay.trial import AS_IT_WAS

RATES = tuple(Decimal(text) for text in ("0.001", "0.01", "0.05", "0.2", "1", "2"))
"""Share of what the hot wallet held at first that is taken within an hour."""

HOT = Decimal(1000)
COLD = Decimal(19_000)
EVERY = timedelta(minutes=10)
LASTS = timedelta(hours=24)
BEGINS = timedelta(hours=2)

RULES: Sequence[object] = (
    {"preset": "theft"},
    {"kind": "unmatched_outflow", "name": "books"},
    {"kind": "backing", "name": "backing"},
    {"kind": "drain", "name": "day", "window": "1d", "max_share": "0.5", "against": "hot"},
)
"""What a careful exchange sets: the preset, approvals, liabilities, and a window of a day."""


def scenario(rate: Decimal) -> Mapping[str, Any]:
    """One day of an exchange with 1,000 ETH hot; the thief takes so much of that an hour, in six equal parts."""
    part = (HOT * rate / 6).quantize(Decimal("0.0001"))
    most = HOT * Decimal("0.9")  # of the rest the customers' business takes its share
    times = min(int(most // part), (LASTS - BEGINS) // EVERY)
    theft = {"from": "hot", "to": "thief", "amount": f"{part:f} ETH", "fee": "0.0005", "theft": True}
    return {
        "incident": "drip",
        "title": "A thief who drips",
        "summary": "made up: equal parts at equal distances, as long as the hot wallet lasts",
        "entity": "Example KK",
        "currency": "JPY",
        "sources": {"us": {"where": "made up", "confidence": "low", "figures": "all of them"}},
        "starts": "2026-01-05T00:00:00Z",
        "ends": "24h",
        "chains": {"ethereum": {"kind": "evm", "block_time": "60s"}},
        "assets": {"ETH": {"tokens": [{"chain": "ethereum"}], "price": "500_000 JPY"}},
        "wallets": {
            "hot": {"chain": "ethereum", "tier": "hot", "holds": {"ETH": f"{HOT}"}},
            "cold": {"chain": "ethereum", "tier": "cold", "holds": {"ETH": f"{COLD}"}},
        },
        "outside": {
            "thief": {"chain": "ethereum"},
            "customers": {"chain": "ethereum", "accounts": 50, "holds": {"ETH": 10_000}},
        },
        "liabilities": {"ETH": f"{(HOT + COLD) * Decimal('0.99')}"},
        "policies": [*RULES],
        "traffic": {
            "variant": 1,
            "flows": [
                {
                    "asset": "ETH",
                    "customers": "customers",
                    "deposits": "hot",
                    "hot": "hot",
                    "deposits_per_hour": 12,
                    "withdrawals_per_hour": 12,
                    "typical": 0.5,
                    "largest": 20,
                    "fee": 0.0005,
                }
            ],
        },
        "timeline": [
            {
                "name": "drip",
                "at": "2026-01-05T02:00:00Z",
                "clock": "interpolated",
                "pay": theft,
                "repeat": {"times": times, "every": "10m"},
            }
        ],
        "tolerated": {"critical": 1000, "warning": 1000},
    }


@cache
def played(rate: Decimal) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "drip.yaml"
        file.write_text(yaml.safe_dump(dict(scenario(rate)), sort_keys=False))
        return uvloop.run(play(load(file), wanted=Wanted(AS_IT_WAS)))


def first(outcome: Outcome, alert: str, *, policy: str = "") -> Alarm | None:
    """Of those that rang after the theft had begun."""
    found = (one for one in outcome.alarms if one.alert == alert and policy in one.policy and one.loot.gone)
    return next(found, None)


SEEN = {
    "unmatched_outflow": ("PyrometerUnmatchedOutflow", ""),
    "probe": ("PyrometerProbe", ""),
    "unusual": ("PyrometerUnusualMovement", ""),
    "drain, 10 min": ("PyrometerDrain", "theft/"),
    "drain, 1 day": ("PyrometerDrain", "day"),
    "backing": ("PyrometerBackingShort", ""),
}
"""The columns: what is seen by which alert, of which policy."""


def row(rate: Decimal) -> str:
    """One line of the table: by each rule, after how long and with how much of the hot ETH gone."""
    outcome = played(rate)
    began = outcome.began
    assert began is not None
    cells = (_cell(first(outcome, alert, policy=policy), began=began) for alert, policy in SEEN.values())
    taken = plain(sum(outcome.loot.gone.values(), Decimal(0)), places=1)
    return f"| {plain(rate * 100, places=2)} % | {taken} ETH | {' | '.join(cells)} |"


def _cell(alarm: Alarm | None, *, began: datetime) -> str:
    if alarm is None:
        return "–"
    minutes = round((alarm.at - began).total_seconds() / 60)
    share = sum(alarm.loot.gone.values(), Decimal(0)) / HOT * 100
    return f"{minutes // 60}:{minutes % 60:02} h, {plain(share, places=1)} %"


def table(rates: Sequence[Decimal] = RATES) -> Iterator[str]:
    yield f"| taken an hour | taken in the end | {' | '.join(SEEN)} |"
    yield "|---" * (len(SEEN) + 2) + "|"
    for rate in rates:
        yield row(rate)


if __name__ == "__main__":
    for line in table():
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
