"""A keeper of gates on a store in memory, the time, and findings that close them."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from connectors.errors import Reason
from daemon.errors import StoreError
from daemon.gate.keeper import GateKeeper
from daemon.gate.state import GateState
from daemon.model import ChainState, Finding, Judgement, Severity, State, Tier, Verdict, Wallet
from daemon.policy.cold_moved import ColdMoved
from daemon.policy.rule import Closes, Rule
from daemon.store import Entry, GateRow
from tests.build import NOON, at, wallet

A, B = "hot-a", "hot-b"
WALLETS = {A: wallet(A, Tier.HOT, 1), B: wallet(B, Tier.HOT, 2)}
RULES: Mapping[str, Rule] = {
    "stops": ColdMoved(kind="cold_moved", closes=Closes.WALLETS),
    "everybody": ColdMoved(kind="cold_moved", closes=Closes.ALL),
    "tells": ColdMoved(kind="cold_moved"),
}


@dataclass
class MemoryGates:
    """`GateRows` in memory. `away` refuses everything; `late` takes what it is given and says that it did not."""

    kept: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)
    told: list[Entry] = field(default_factory=list)
    away: bool = False
    late: bool = False
    meanwhile: asyncio.Event | None = None

    async def keep(self, rows: Sequence[GateRow], *, entries: Sequence[Entry]) -> None:
        if self.meanwhile is not None:
            await self.meanwhile.wait()
        if self.away:
            raise StoreError("store: it is away")
        self.kept |= {row.wallet: row.body for row in rows}
        self.accounts |= {row.wallet: row.accounts for row in rows if row.accounts is not None}
        self.told += entries
        if self.late:
            raise StoreError("store: no answer within 4 s")

    async def all(self) -> tuple[GateRow, ...]:
        if self.away:
            raise StoreError("store: it is away")
        return tuple(GateRow(name, body, self.accounts.get(name) or None) for name, body in self.kept.items())


def finding(
    name: str = "one",
    *,
    policy: str = "stops",
    wallets: Sequence[str] = (A,),
    grounds: Sequence[str] = ("tx-1",),
    state: State = State.FIRING,
) -> Finding:
    verdict = Verdict(
        policy=policy,
        subject="eth-hot",
        alert="PyrometerColdMoved",
        severity=Severity.CRITICAL,
        judgement=Judgement.BREACH,
        summary="it pays out",
        cleared=False,
        wallets=tuple(wallets),
        grounds=tuple(grounds),
    )
    return Finding(name, state, since=NOON, verdict=verdict, fired=NOON)


def chain(reason: Reason | None = None) -> ChainState:
    return ChainState("ethereum", "batch", None, None, {}, reason, "node-1: refused" if reason else "", None)


class Gated:
    """A keeper, the time, and what was last judged."""

    def __init__(self, rows: MemoryGates | None = None) -> None:
        self.rows = rows or MemoryGates()
        self.now = NOON
        self.wallets: Mapping[str, Wallet] = WALLETS
        self.keeper = self._new()

    def _new(self) -> GateKeeper:
        return GateKeeper(self.rows, clock=lambda: self.now)

    async def started(self) -> "Gated":
        await self.keeper.restore()
        await self.judged()
        return self

    async def judged(
        self, *findings: Finding, seconds: float = 0, reason: Reason | None = None
    ) -> Mapping[str, GateState]:
        """One pass, as the pipe makes it."""
        self.now = at(seconds) if seconds else self.now
        chains = {"ethereum": chain(reason)}
        told = self.keeper.judge(findings, rules=RULES, wallets=self.wallets, chains=chains, now=self.now)
        await self.keeper.keep()
        return told

    async def killed(self) -> "Gated":
        """The same store under another keeper, that has judged nothing."""
        self.keeper = self._new()
        return self

    def open(self, name: str = A) -> bool:
        return self.keeper.state(name).open
