"""What outlives a restart beside findings: gates, detection, scheduled verdicts, prices, announcements, the history."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from daemon.announcing import Announcer
from daemon.checks import CheckKeeper
from daemon.daily_prices import PriceKeeper
from daemon.gate.keeper import GateKeeper
from daemon.history.past import Past
from daemon.pipeline import Pipeline
from daemon.reload import Loaded
from daemon.remembering import MemoryKeeper
from daemon.store import Entry, Stores


class Keepers:
    """A keeper for each of them. `in_force` gives the configuration that is judged by."""

    def __init__(
        self,
        stores: Stores,
        pipeline: Pipeline,
        *,
        in_force: Callable[[], Loaded],
        clock: Callable[[], datetime],
    ) -> None:
        self.past = Past(
            stores.archive,
            loaded=in_force(),
            now=clock,
            standing=lambda: (pipeline.setup, pipeline.ledger, in_force()),
        )
        self._memory = pipeline.writing = MemoryKeeper(stores.memories, pipeline, clock=clock)
        pipeline.gates = self.gates = GateKeeper(stores.gates, clock=clock)
        self._checks = CheckKeeper(stores.checks, pipeline, clock=clock)
        self._prices = PriceKeeper(stores.price_days, averages=lambda: pipeline.averages, clock=clock)
        self.audit = stores.audit
        self.announcer = Announcer(
            stores.announcements,
            pipeline.detecting.announced,
            ground=lambda: in_force().ground,
            payees=pipeline.detecting.payees,
            clock=clock,
            new_id=lambda: secrets.token_hex(8),
        )

    @property
    def steps(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        """The workers, by name, each a step for the supervisor."""
        return {
            "memory": self._memory.step,
            "checks": self._checks.step,
            "prices": self._prices.step,
            "history": self.past.work,
            "announcements": self.announcer.step,
            "gates": self.gates.step,
        }

    @property
    def problem(self) -> str | None:
        """Why something that is to outlive a restart is in memory alone; None when all is well."""
        return self.gates.problem or self._memory.problem or self.past.problem

    async def restore(self) -> None:
        """What an earlier run has left; StoreError. The workers try again what fails here."""
        await self.gates.restore()
        await self._memory.restore()
        await self._checks.restore()
        await self._prices.restore()
        await self.announcer.restore()

    async def reloading(self, loaded: Loaded, *, who: str, at: datetime) -> None:
        """Tells the audit log that this configuration comes into force; StoreError, and then it must not."""
        await self.audit.append(Entry(at, who, "reload", "", {"sha256": loaded.sha256}))

    async def answer(self, query: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """`/api/v1/history`."""
        return await self.past.answer(query)

    async def prune(self, *, before: datetime) -> None:
        """Forgets what is older; StoreError. The history prunes itself, as its settings say."""
        await self._memory.prune()
        await self._checks.drop(before=before)
        await self._prices.drop(before=before)
        await self.announcer.drop(before=before)

    async def flush(self) -> None:
        """Before the end: offers the store what it has not taken yet."""
        await self.gates.save()
        await self._memory.flush()
        await self._checks.flush()
        await self._prices.flush()
        await self.past.flush()
