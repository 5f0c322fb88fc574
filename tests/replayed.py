"""The real pipe on the demonstration's configuration and day, without a network: reports of any minute of the story."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from connectors.base import Failure, Held, Movement, Tip, Update
from connectors.errors import Reason
from daemon.ledger import Ledger
from daemon.model import Finding, Notification, Report
from daemon.pipeline import Pipeline
from daemon.reload import Loaded, load_whole
from daemon.replay.day import write_day
from daemon.replay.evm.ledger import EvmLedger
from daemon.replay.exchange import opening

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
DEMO = Path(__file__).parents[1] / "config" / "demo.yaml"


@cache
def loaded() -> Loaded:
    """The demonstration's configuration, as the demonstration loads it."""
    env = {"PYROMETER_DEMO_NODE": "http://127.0.0.1:1", "PYROMETER_DEMO_DIR": "/nowhere", "PYROMETER_DEMO_PORT": "1"}
    return load_whole(DEMO, env=env, now=MIDNIGHT)


@cache
def played_day() -> EvmLedger:
    chain = EvmLedger(opening(), time=MIDNIGHT)
    for minute in write_day(1):
        chain.mine(minute.transfers, time=MIDNIGHT + minute.at)
    return chain


class Nowhere:
    """Keeps no finding."""

    problem: str | None = None

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None: ...


class Monitor:
    """Reads the played day and judges it. Times are `HH:MM` of the story."""

    def __init__(self) -> None:
        setup = loaded().setup
        self._watch = setup.inventory.watches["ethereum"]
        self._pipeline = Pipeline(setup, Ledger(setup.inventory), (), Nowhere(), (), ())

    async def sees(self, time: str) -> Report:
        """A complete reading of the block of that minute, judged in that minute."""
        block = played_day().block(int((moment(time) - MIDNIGHT).total_seconds() // 60))
        assert block is not None
        held = tuple(
            Held(account, token, played_day().balance((account, token.contract), height=block.height))
            for account in self._watch.accounts
            for token in self._watch.tokens
        )
        tip = Tip(block.height, block.hash, block.time)
        self._pipeline.ledger.apply(Update("ethereum", seen=block.time, tip=tip, held=held, complete=True))
        return await self._pipeline.cycle(moment(time))

    async def sees_nothing(self, time: str) -> Report:
        """The node refuses; what was read before is judged by its age."""
        failure = Failure(Reason.UNAVAILABLE, "node-1: Connection refused")
        self._pipeline.ledger.apply(Update("ethereum", seen=moment(time), failure=failure))
        return await self._pipeline.cycle(moment(time))

    async def hears(self, time: str, *movements: Movement) -> Report:
        """At the block that was read last."""
        tip = self._pipeline.ledger.books["ethereum"].tip
        self._pipeline.ledger.apply(Update("ethereum", moment(time), tip, tip, movements=movements))
        return await self._pipeline.cycle(moment(time))

    async def judges(self, time: str) -> Report:
        """Without news."""
        return await self._pipeline.cycle(moment(time))


def moment(time: str) -> datetime:
    hours, minutes = time.split(":")
    return MIDNIGHT + timedelta(hours=int(hours), minutes=int(minutes))
