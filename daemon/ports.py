"""What the pipe reaches out to: whoever is told, and what makes durable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from daemon.gate.state import GateState
from daemon.model import ChainState, Finding, Notification, Report, Wallet
from daemon.policy.rule import Rule


class Sink(Protocol):
    """Receives every report. Never raises and never waits: what takes time is a worker of the sink's own."""

    def offer(self, report: Report) -> None: ...


@runtime_checkable
class Stopping(Protocol):
    """A sink that stops signers: it is told of gates that have just closed at once, before they are durable."""

    def stop(self, report: Report) -> None: ...


class Recorder(Protocol):
    """Makes findings and their notifications durable before anybody is told. Keeps them when the store does not."""

    @property
    def problem(self) -> str | None: ...

    async def record(self, findings: Sequence[Finding], notifications: Sequence[Notification]) -> None: ...


class Writing(Protocol):
    """Makes durable what findings rest on. Never raises StoreError: what the store does not take is kept."""

    @property
    def problem(self) -> str | None: ...

    async def write(self) -> None: ...


class Nowhere:
    """Where nothing outlives a restart."""

    problem = None

    async def write(self) -> None:
        pass


class Gating(Protocol):
    """Says of each wallet whether its signers may go on, and makes that durable. Never raises what the store raises."""

    def judge(
        self,
        findings: Iterable[Finding],
        *,
        rules: Mapping[str, Rule],
        wallets: Mapping[str, Wallet],
        chains: Mapping[str, ChainState],
        now: datetime,
    ) -> Mapping[str, GateState]: ...

    async def keep(self) -> None: ...
