"""What `pyrometer replay` does: plays one scenario, or all of them, and prints what came of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from daemon.errors import ConfigError
from daemon.policy.presets import read_preset
from daemon.replay import rendering, telling
from daemon.replay.alarms import Audience
from daemon.replay.bells import rung
from daemon.replay.cast import Cast
from daemon.replay.catalogue import find, shipped
from daemon.replay.outcome import Outcome
from daemon.replay.pace import at_once, paced
from daemon.replay.player import SILENT, opened
from daemon.replay.scenario import Scenario, load
from daemon.replay.telling import Telling
from daemon.replay.trial import Trial

BENIGN = "benign-year"
"""The scenario in which there is nothing to find."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How to play. `policies` instead of the scenario's; `speed` in simulated seconds a second, None: as fast as can
    be; `alertmanagers` are URLs of those that are to ring in earnest, `mqtt` that of a broker to publish to."""

    trial: Trial
    policies: Sequence[object] | None = None
    speed: float | None = None
    alertmanagers: Sequence[str] = ()
    mqtt: str | None = None


async def play(scenario: Scenario, *, wanted: Wanted, audience: Audience | None = None) -> Outcome:
    """One replay to its end."""
    async with AsyncExitStack() as stack:
        bells = SILENT
        if wanted.alertmanagers or wanted.mqtt:
            bells = await stack.enter_async_context(rung(wanted.alertmanagers, mqtt=wanted.mqtt, scenario=scenario))
        playing = opened(scenario, trial=wanted.trial, policies=wanted.policies, audience=audience, bells=bells)
        player = await stack.enter_async_context(playing)
        await player.play(pace=paced(scenario.starts, speed=wanted.speed) if wanted.speed else at_once)
        return player.outcome()


async def replay_one(name: str, *, wanted: Wanted, console: Console, as_json: bool) -> bool:
    """Plays a shipped scenario or a file; whether all that was expected came. ConfigError for a bad one."""
    scenario = load(find(name))
    audience = None if as_json else Telling(scenario, console=console)
    if not as_json:
        console.print(Text(scenario.title, style="bold"))
        console.print(Text(f"{scenario.summary}\n"))
    outcome = await play(scenario, wanted=wanted, audience=audience)
    if as_json:
        _print(rendering.outcome(outcome, cast=Cast(scenario)), console=console)
    else:
        telling.summary(outcome, console=console)
    return outcome.passed


async def replay_all(*, wanted: Wanted, console: Console, as_json: bool) -> bool:
    """Plays every shipped scenario and prints the scoreboard."""
    outcomes: list[tuple[Outcome, Cast]] = []
    for path in shipped().values():
        scenario = load(path)
        if not as_json:
            console.print(Text(f"playing {scenario.title} …", style="dim"))
        outcomes.append((await play(scenario, wanted=wanted), Cast(scenario)))
    incidents = [(outcome, cast) for outcome, cast in outcomes if outcome.scenario.incident != BENIGN]
    benign = next((outcome for outcome, _ in outcomes if outcome.scenario.incident == BENIGN), None)
    if benign is None:
        raise ConfigError(BENIGN, "the scenario without an incident is missing among those that came with the program")
    if as_json:
        _print(rendering.scoreboard(incidents, benign=benign), console=console)
    else:
        telling.scoreboard([outcome for outcome, _ in incidents], console=console)
        telling.false_alarms(benign, console=console)
    return all(outcome.passed for outcome, _ in outcomes)


def own_policies(name: str) -> Sequence[object]:
    """The rules of `--policy`: the name of a preset, or a file that holds `rules:` as a preset does."""
    path = Path(name)
    if path.suffix in (".yaml", ".yml") or path.exists():
        return [rule.model_dump(mode="json") for rule in read_preset(path).rules]
    return [name]


def _print(value: object, *, console: Console) -> None:
    console.file.write(json.dumps(value) + "\n")
