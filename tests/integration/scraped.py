"""The story of the dashboards, scraped by a real Prometheus while it happens; and every answer to what they ask."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp

from dashboards.catalogue import DASHBOARDS
from dashboards.pictures.asking import Prometheus, Series, Values, Window, chosen
from dashboards.pictures.page import unfolded
from dashboards.pictures.reading import Dashboard, read
from dashboards.pictures.run import running, story
from dashboards.pictures.server import serving

SCRAPE = 0.5
"""Seconds of real time; the three hours of the story take half a minute."""
LOOKS = timedelta(minutes=10)
"""Of simulated time: so often the story waits until both targets have been scraped."""
PATIENCE = 60.0

CONFIG = """
global: {{scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}}
rule_files: [rules.yml]
scrape_configs:
  - job_name: pyrometer
    static_configs:
      - {{targets: ["127.0.0.1:{port}", "localhost:{port}", "127.0.0.1:1"], labels: {{entity: "{entity}"}}}}
      - {{targets: ["[::1]:1"], labels: {{entity: "Another Exchange"}}}}
"""
"""The same daemon twice, as two replicas are; one that is dead; and one of somebody else."""

RULES = """
groups:
  - name: pyrometer
    rules: [{alert: PyrometerDown, expr: "up{job='pyrometer'} == 0"}]
"""

Key = tuple[str, int, str, str]
"""Dashboard, number of the panel, query, and which of a repeated panel's."""


@dataclass(frozen=True, slots=True)
class Answers:
    """`over` is what a query gave over the whole run; `at` at each look, by the minute of the story; `alone` in the end
    with one replica alone. `dead` is what it gave when the daemon had ended."""

    over: tuple[Series, ...]
    at: dict[int, tuple[Series, ...]]
    alone: tuple[Series, ...]
    dead: tuple[Series, ...]


@dataclass(frozen=True, slots=True)
class Recorded:
    """Of every query of every panel; of every variable its values; of every annotation its series."""

    queries: dict[Key, Answers]
    choices: dict[tuple[str, str], tuple[str, ...]]
    marks: dict[tuple[str, str], tuple[Series, ...]]
    end: int


async def recorded(folder: Path) -> Recorded:
    """Plays the story, has it scraped, and asks everything."""
    scenario = story()
    (folder / "rules.yml").write_text(RULES)
    looks: dict[int, datetime] = {}
    async with AsyncExitStack() as stack:
        async with running(scenario, folder=folder) as run:
            port = run.app.address[1]
            config = CONFIG.format(port=port, entity=scenario.entity)
            asked = await stack.enter_async_context(serving(folder, config=config))
            began = await _scraped(asked)

            async def seen(at: datetime) -> None:
                looks[round((at - scenario.starts) / timedelta(minutes=1))] = await _scraped(asked)

            await run.play(seen=seen, every=LOOKS)
        dead = await _dead(asked)
        asking = Asking(asked, began, looks, dead, alone=f'{scenario.entity}", instance="127.0.0.1:{port}')
        return await asking.all()


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks of a run that has ended. `alone` is the exchange's name, and that of one replica."""

    prometheus: Prometheus
    began: datetime
    looks: dict[int, datetime]
    dead: datetime
    alone: str

    async def all(self) -> Recorded:
        """Everything that all dashboards ask."""
        found = Recorded({}, {}, {}, max(self.looks))
        for name in DASHBOARDS:
            await self._dashboard(name, read(name), found=found)
        return found

    async def _dashboard(self, name: str, board: Dashboard, *, found: Recorded) -> None:
        whole = self._until(self.looks[found.end])
        choices = await self.prometheus.choices(board, window=whole)
        found.choices.update({(name, variable): tuple(values) for variable, values in choices.items()})
        values = chosen(board.templating.list, choices)
        for mark in board.annotations.list:
            found.marks[name, mark.name] = await self.prometheus.range(mark.expr, window=whole, values=values)
        for panel, those in unfolded(board.panels, values):
            which = str(those[panel.repeat]) if panel.repeat else ""
            for target in panel.targets:
                found.queries[name, panel.id, target.refId, which] = await self._answers(target.expr, those)

    async def _answers(self, expr: str, values: Values) -> Answers:
        ask, end = self.prometheus, self._until(self.looks[max(self.looks)])
        return Answers(
            over=await ask.range(expr, window=end, values=values),
            at={
                minute: await ask.now(expr, window=self._until(at), values=values) for minute, at in self.looks.items()
            },
            alone=await ask.now(expr, window=end, values={**values, "entity": self.alone}),
            dead=await ask.now(expr, window=self._until(self.dead), values=values),
        )

    def _until(self, end: datetime) -> Window:
        return Window(self.began, end, step=1, scrape=SCRAPE)


async def _scraped(asked: Prometheus) -> datetime:
    """When both replicas have been scraped anew."""
    now = datetime.now(UTC)
    await _until(asked, lambda target: target["health"] == "up" and datetime.fromisoformat(target["lastScrape"]) > now)
    return datetime.now(UTC)


async def _dead(asked: Prometheus) -> datetime:
    """When Prometheus has found that neither answers any more."""
    await _until(asked, lambda target: target["health"] == "down")
    return datetime.now(UTC)


async def _until(asked: Prometheus, true: Callable[[Any], bool]) -> None:
    """Until it is true of both replicas; the one that is dead from the start does not count."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE):
        while True:
            async with session.get(f"{asked.url}/api/v1/targets") as response:
                targets = (await response.json())["data"]["activeTargets"]
            replicas = [target for target in targets if not target["labels"]["instance"].endswith(":1")]
            if len(replicas) == 2 and all(true(target) for target in replicas):
                return
            await asyncio.sleep(0.05)
