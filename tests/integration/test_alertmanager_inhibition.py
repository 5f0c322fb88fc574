"""What mutes what, on a real Alertmanager: a dead node's echoes, and never a finding on money."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.emit.alert import Alert
from tests.integration.paged import paged
from tests.integration.test_alertmanager_config import TEAMS, WATCHDOGS

pytestmark = [pytest.mark.real, pytest.mark.timeout(120)]

Labels = Mapping[str, str]


def labels(name: str, severity: str = "critical", **more: str) -> Labels:
    """Of an alert of `Example KK`, on the chain `ethereum` unless it is said."""
    whose = {"entity": "Example KK", "subject": "chain:ethereum", "policy": f"p/{name}"}
    return {"alertname": name, "severity": severity, **whose, **more}


@dataclass(frozen=True)
class Pair:
    """Two alerts, of which the first mutes the second, or does not."""

    source: Labels
    target: Labels
    muted: bool


DOWN, STALE = labels("PyrometerDown", subject="daemon"), labels("PyrometerStale", "warning")
BLIND, UNKNOWN = labels("PyrometerBlind"), labels("PyrometerVerdictUnknown", "warning", subject="verdicts")
FEED = {"subject": "liabilities/sql"}
FEED_STALE, FEED_DOWN = labels("PyrometerFeedStale", "warning", **FEED), labels("PyrometerFeedDown", "warning", **FEED)
PAID = {"subject": "btc-cold"}
COLD_MOVED, UNUSUAL = labels("PyrometerColdMoved", **PAID), labels("PyrometerUnusualMovement", "warning", **PAID)
NOT_JUDGING = labels("PyrometerNotJudging", subject="daemon")
HOT, HOT_WARNING = (
    labels("PyrometerHotShareHigh", subject="all"),
    labels("PyrometerHotShareHigh", "warning", subject="all"),
)
BAND, BAND_WARNING = labels("PyrometerWalletBand", **PAID), labels("PyrometerWalletBand", "warning", **PAID)
TOLD = labels("PyrometerDrain", subject="ETH", policy="theft/drain")
UNTOLD = labels("PyrometerBreachUntold", subject="ETH", policy="theft/drain")

MUTED = {
    "the age of a picture by a dead daemon": (DOWN, STALE),
    "a stuck queue by a dead daemon": (DOWN, labels("PyrometerNotificationsStuck", subject="sink:alertmanager")),
    "the age of a picture by a daemon that does not judge": (NOT_JUDGING, STALE),
    "the age of a picture by the daemon's word that it is blind": (BLIND, STALE),
    "unknown verdicts by the daemon's word that it is blind": (BLIND, UNKNOWN),
    "a dead source by the daemon's word on it": (FEED_STALE, FEED_DOWN),
    "a score by the page on the same wallet's payment": (COLD_MOVED, UNUSUAL),
    "the warning by the page on the same share": (HOT, HOT_WARNING),
    "a breach that was not told by its being told": (TOLD, UNTOLD),
}

NOT_MUTED = {
    "what the daemon says by Prometheus not reaching it": (DOWN, BLIND),
    "a theft by a dead daemon": (DOWN, COLD_MOVED),
    "a refused notification by a dead daemon": (DOWN, labels("PyrometerNotificationsRefused", subject="sink:a")),
    "a breach that was not told by a dead daemon": (DOWN, UNTOLD),
    "a breach that was not told by another breach": (TOLD, {**UNTOLD, "policy": "theft/hot-drain"}),
    "one chain by another's blindness": (BLIND, {**STALE, "subject": "chain:bitcoin"}),
    "a drain by blindness": (BLIND, labels("PyrometerDrain")),
    "a vault that pays by blindness": (BLIND, labels("PyrometerColdMoved")),
    "blindness by a source that is stale": ({**FEED_STALE, "severity": "critical"}, labels("PyrometerBlind", **FEED)),
    "one source by another": (FEED_STALE, {**FEED_DOWN, "subject": "prices/http"}),
    "what is graver by what is less so": (FEED_STALE, {**FEED_DOWN, "severity": "critical"}),
    "what is told by what is sent to nobody": ({**FEED_STALE, "severity": "info"}, FEED_DOWN),
    "anything by blindness that wakes nobody": ({**BLIND, "severity": "warning"}, STALE),
    "a score by the page on another wallet": (COLD_MOVED, {**UNUSUAL, "subject": "eth-hot-1"}),
    "a score that wakes people": (COLD_MOVED, {**UNUSUAL, "severity": "critical"}),
    "another asset's warning": (HOT, {**HOT_WARNING, "subject": "ETH"}),
    "a band by one of another asset of the same wallet": (BAND, BAND_WARNING),
    "the watchdog by a dead daemon": (DOWN, labels("PyrometerWatchdog", "info", subject="daemon")),
}


def variants(source: Labels, target: Labels) -> list[Pair]:
    """A pair of which one mutes the other, and those that are as it but for one label that keeps them apart."""
    apart = [
        ({**source, "entity": "Another KK"}, target),
        ({**source, "drill": "dmm-2024"}, target),
        (source, {**target, "drill": "dmm-2024"}),
    ]
    return [Pair(source, target, muted=True), *(Pair(one, other, muted=False) for one, other in apart)]


def cases() -> list[Pair]:
    """Each within entities of its own, so that they can fire beside each other; those that are muted come last."""
    found = [Pair(*pair, muted=False) for pair in NOT_MUTED.values()]
    found += [pair for both in MUTED.values() for pair in variants(*both)]
    own = [Pair(_in(n, pair.source), _in(n, pair.target), muted=pair.muted) for n, pair in enumerate(found)]
    return sorted(own, key=lambda pair: pair.muted)


def _in(number: int, found: Labels) -> Labels:
    return {**found, "entity": f"{found['entity']} {number}"}


def fired(found: Labels) -> Alert:
    now = datetime.now(UTC)
    return {"labels": dict(found), "startsAt": now.isoformat(), "endsAt": (now + timedelta(minutes=10)).isoformat()}


async def muted(folder: Path, alerts: list[Labels], *, expected: set[tuple[tuple[str, str], ...]]) -> None:
    """Fires them all; waits until exactly the expected ones are muted.

    Alertmanager takes them in order, so that by the time the last one is muted nothing is still to be seen.
    """
    async with paged(folder) as it:
        await it.post(*(fired(one) for one in alerts))
        deadline = time.monotonic() + 30
        while True:
            listed = await it.alertmanager.alerts()
            found = {key(one["labels"]) for one in listed if one["status"]["inhibitedBy"]}
            if len(listed) == len({key(one) for one in alerts}) and found == expected:
                return
            assert time.monotonic() < deadline, (len(listed), found ^ expected)
            await asyncio.sleep(0.1)


def key(found: Labels) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(found.items()))


async def test_what_follows_is_muted_and_what_differs_in_one_label_is_not(tmp_path: Path) -> None:
    pairs = cases()
    alerts = [one for pair in pairs for one in (pair.source, pair.target)]
    await muted(tmp_path, alerts, expected={key(pair.target) for pair in pairs if pair.muted})


MEASURED = {
    "PyrometerConfigDiffers",
    "PyrometerFeedDown",
    "PyrometerGateClosed",
    "PyrometerNotJudging",
    "PyrometerNotificationsStuck",
    "PyrometerProviderFailing",
    "PyrometerReloadFailed",
    "PyrometerReplicaDown",
    "PyrometerStale",
    "PyrometerStoreDown",
    "PyrometerUnsteady",
    "PyrometerVerdictUnknown",
}
"""What Prometheus knows only by asking the daemon."""


async def test_of_everything_at_once_only_what_prometheus_measures_of_the_daemon_is_muted(tmp_path: Path) -> None:
    """Every alert there is, all critical, of one subject and one policy: no finding of the daemon's is missing."""
    alerts = [labels(name, policy="p") for name in TEAMS]
    expected = {key(one) for one in alerts if one["alertname"] in {*MEASURED, "PyrometerBreachUntold"}}
    await muted(tmp_path, alerts, expected=expected)


async def test_while_the_daemon_lives_of_everything_only_echoes_are_muted(tmp_path: Path) -> None:
    """As before, but nothing is down and everything is judged."""
    alerts = [labels(name, policy="p") for name in TEAMS if name not in ("PyrometerDown", "PyrometerNotJudging")]
    alerts += [labels(name, "info") for name in WATCHDOGS]
    echoes = {"PyrometerStale", "PyrometerVerdictUnknown", "PyrometerBreachUntold"}
    await muted(tmp_path, alerts, expected={key(one) for one in alerts if one["alertname"] in echoes})
