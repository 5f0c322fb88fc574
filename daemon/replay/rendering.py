"""Outcomes of replays as JSON values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from daemon.interval import plain
from daemon.model import Severity
from daemon.replay.cast import Cast
from daemon.replay.outcome import Alarm, Answer, Judged, Outcome


def outcome(of: Outcome, *, cast: Cast) -> dict[str, Any]:
    """What `pyrometer replay --json` prints; docs/scenarios.md explains each key."""
    return {
        "incident": of.scenario.incident,
        "began": None if of.began is None else _time(of.began),
        "alerts": [_alarm(alarm, of, cast=cast) for alarm in of.alarms],
        "expected": [_judged(judged) for judged in of.judged],
        "others": {severity.value: count for severity, count in of.others.items()},
        "stolen_units": _units(of.loot.gone, cast=cast),
        "passed": of.passed,
    }


def scoreboard(of: Sequence[tuple[Outcome, Cast]], *, benign: Outcome) -> dict[str, Any]:
    """What `pyrometer replay --all --json` prints."""
    return {
        "incidents": [outcome(one, cast=cast) for one, cast in of],
        "benign": {
            "critical": benign.others[Severity.CRITICAL],
            "warning": benign.others[Severity.WARNING],
            "passed": benign.passed,
        },
    }


def _alarm(alarm: Alarm, of: Outcome, *, cast: Cast) -> dict[str, Any]:
    delay = of.delay(alarm)
    return {
        "alert": alarm.alert,
        "policy": alarm.policy,
        "subject": alarm.subject,
        "severity": alarm.severity.value,
        "at": _time(alarm.at),
        "event": alarm.event,
        "delay_seconds": None if delay is None else delay.total_seconds(),
        "summary": alarm.summary,
        "lost_units": _units(alarm.loot.gone, cast=cast),
        "left_share": {asset: plain(share) for asset, share in alarm.loot.left.items()},
    }


def _judged(judged: Judged) -> dict[str, Any]:
    return {
        "alert": judged.expected.alert,
        "subject": judged.expected.subject,
        "needs": judged.expected.needs,
        "met": judged.answer is Answer.MET,
        "answer": judged.answer.value,
        "at": None if judged.alarm is None else _time(judged.alarm.at),
    }


def _units(coins: Mapping[str, Decimal], *, cast: Cast) -> dict[str, str]:
    """In the smallest units of each asset's finest token, as in a report."""
    finest: dict[str, int] = {}
    for coin in cast.coins.values():
        finest[coin.asset] = max(coin.decimals, finest.get(coin.asset, 0))
    return {asset: str(int(amount.scaleb(finest[asset]))) for asset, amount in coins.items()}


def _time(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
