"""Gates that outlive the daemon: a closing is in force before it is stored, an opening only once it is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime

import structlog

from daemon.errors import DaemonError, StoreError
from daemon.gate.accounts import NOTHING, Marks, Stands, decode_marks, encode_marks
from daemon.gate.gates import UNTOLD, Gates
from daemon.gate.latch import Latch, fingerprint, judged, opened, shut
from daemon.gate.state import GateState
from daemon.gate.writing import decode, encode
from daemon.model import ChainState, Finding, Wallet
from daemon.policy.rule import Rule
from daemon.store import Entry, GateRow, GateRows

log = structlog.get_logger(__name__)

PAUSE_SECONDS = 1.0

US = "pyrometer"
"""Who closed it, in the audit log, where nobody did."""

UNREADABLE = "what the store keeps of this gate can't be read"

FEW = 10_000
"""Accounts whose marks are made and stored while a judgement waits for that, in some 50 ms; a million take seconds."""

FORGOTTEN = ""
"""What is stored of the accounts that an open gate stands for."""


class Unopened(DaemonError):
    """The gate may not be opened now; the text says why."""


class GateKeeper:
    """Keeps the gates of one daemon. Without `rows` they are kept in memory alone, as in a replay.

    A closing that the store does not take stays in memory and goes there with the next `save`; there are never more of
    them than wallets, and than words of operators.
    """

    def __init__(self, rows: GateRows | None, *, clock: Callable[[], datetime]) -> None:
        self._rows = rows
        self._clock = clock
        self._gates = Gates(known=rows is None)
        self._unsaved: dict[str, list[Entry]] = {}
        self._stored: dict[str, Stands] = {}
        self._fresh = False
        self._saving = asyncio.Lock()
        self._error: StoreError | None = None

    @property
    def unsaved(self) -> Collection[str]:
        """The wallets whose gate lives in memory alone."""
        return self._unsaved.keys()

    @property
    def problem(self) -> str | None:
        """Why a gate that is closed now might not be after a crash; None when the store has every one."""
        if self._error is None or not self._unsaved:
            return None
        return f"gates that live in memory alone ({len(self._unsaved)}): {self._error}"

    def judge(
        self,
        findings: Iterable[Finding],
        *,
        rules: Mapping[str, Rule],
        wallets: Mapping[str, Wallet],
        chains: Mapping[str, ChainState],
        now: datetime,
    ) -> Mapping[str, GateState]:
        """Closes what the findings close, at once; what every gate says now."""
        changed = self._gates.judge(findings, rules=rules, wallets=wallets, chains=chains, now=now)
        self._take(changed)
        return self._gates.states(now=now)

    def _take(self, changed: Mapping[str, Latch]) -> None:
        """Notes what is to be stored and told of latches that were so before."""
        for name, before in changed.items():
            latch = self._gates.latch(name)
            if latch is not None and before.open and not latch.open:
                log.warning("gate closed", wallet=name, reason=latch.reason)
                self._note(name, self._entry("gate_closed", name, latch, who=US))
            else:
                self._note(name)
        self._fresh = self._fresh or bool(changed)

    def state(self, wallet: str) -> GateState:
        """What the gate says at this moment, operators' words included."""
        return self._gates.state(wallet, now=self._clock())

    def grounds(self, wallet: str) -> str:
        """A digest of what has closed the gate, of all that stands against the wallet and on which grounds: for whoever
        looks, and then opens."""
        return fingerprint(self._gates.latch(wallet), self._gates.against(wallet))

    async def close(self, wallet: str, *, who: str, reason: str) -> GateState:
        """By an operator: in force at once, stored when the store takes it."""
        now = self._clock()
        before = self._gates.latch(wallet) or Latch(open=True, since=now, reason="")
        latch = shut(before, self._gates.against(wallet), by=who, reason=reason, now=now)
        self._gates.put(wallet, latch)
        log.warning("gate closed", wallet=wallet, who=who, reason=reason)
        self._note(wallet, self._entry("gate_closed", wallet, latch, who=who))
        await self.save()
        return self.state(wallet)

    async def open(
        self, wallet: str, *, who: str, reason: str, seen: Collection[str] | None = None, grounds: str | None = None
    ) -> GateState:
        """By an operator: in force once it is stored and audited. What fires against it now, on the grounds that it has
        now, does not close it again.

        `seen` are the findings that the operator knows of, `grounds` what `grounds` said when he looked; None for all
        there are. Unopened while nobody sees the wallet, when something else has fired against it or, by `grounds`, has
        closed it since he looked, when a finding has come to stand on something else, or when any of that happens
        meanwhile; StoreError.
        """
        before, found = self._gates.latch(wallet), self._gates.against(wallet)
        self._refuse_blind(wallet)
        unknown = [one for one in found if seen is not None and one.id not in seen]
        if unknown:
            told = ", ".join(f"{one.id} ({one.verdict.alert})" for one in unknown)
            raise Unopened(f"there are findings against {wallet} beside those that were named: {told}")
        if grounds not in (None, fingerprint(before, found)):
            raise Unopened(f"what stands against {wallet} is not what it was when you looked: look again")
        latch = opened(found, by=who, reason=reason, now=self._clock())
        await self._store_opening(wallet, latch, who=who, beside=before)
        log.warning("gate opened", wallet=wallet, who=who, reason=reason)
        return self.state(wallet)

    def _refuse_blind(self, wallet: str) -> None:
        blind = self._gates.blind(wallet, now=self._clock())
        if blind is None:
            return
        if blind[0] == UNTOLD:
            raise StoreError(UNTOLD)
        raise Unopened(f"the gate of {wallet} can't be opened unseen: {blind[0]}")

    async def _store_opening(self, wallet: str, latch: Latch, *, who: str, beside: Latch | None) -> None:
        """Stores it with its record, then puts it in force unless the gate was closed anew meanwhile.

        Whatever else comes of it, the store is told again that the gate is closed: it may have taken the opening.
        """
        in_force = False
        async with self._saving:
            try:
                if self._rows is not None:
                    earlier = list(self._unsaved.get(wallet, ()))
                    entry = self._entry("gate_opened", wallet, latch, who=who)
                    self._stored.pop(wallet, None)
                    row = GateRow(wallet, encode(latch), FORGOTTEN)
                    await self._rows.keep([row], entries=[*earlier, entry])
                    self._saved({wallet: earlier})
                if self._gates.latch(wallet) is not beside or not self._would_stay_open(wallet, latch):
                    raise Unopened(f"the gate of {wallet} was closed anew meanwhile")
                self._gates.put(wallet, latch)
                in_force = True
            finally:
                still = self._gates.latch(wallet)
                if not in_force and still is not None:
                    self._note(wallet, self._entry("gate_not_opened", wallet, still, who=US))

    def _would_stay_open(self, wallet: str, latch: Latch) -> bool:
        """Whether the opening accepts all that fires by now, on all its grounds."""
        return judged(latch, self._gates.against(wallet), now=latch.since).open

    async def restore(self) -> None:
        """What an earlier run left; StoreError. One that can't be read is closed."""
        if self._rows is None:
            return
        rows = await self._rows.all()
        kept = {row.wallet: self._latch(row) for row in rows}
        accounts = {row.wallet: self._marks(row) for row in rows}
        self._take(self._gates.restore(kept, accounts=accounts, now=self._clock()))

    def _latch(self, row: GateRow) -> Latch:
        try:
            return decode(row.body)
        except ValueError as error:
            log.error("a gate can't be read", wallet=row.wallet, error=str(error))  # noqa: TRY400
            return Latch(open=False, since=self._clock(), reason=UNREADABLE)

    def _marks(self, row: GateRow) -> Marks:
        """What it stood for, as far as that is known."""
        try:
            return decode_marks(row.accounts or "")
        except ValueError as error:
            log.error("the accounts of a gate can't be read", wallet=row.wallet, error=str(error))  # noqa: TRY400
            return NOTHING

    async def step(self) -> None:
        """For the supervisor: asks the store again for what it has not told, offers again what it has not taken."""
        await asyncio.sleep(PAUSE_SECONDS)
        if not self._gates.known:
            await self.restore()
        await self.save()

    async def keep(self) -> None:
        """Stores what the last judgement has changed, unless the store is slow or away: the judging can't wait for
        that, and `step` goes on with it. Never raises StoreError."""
        fresh, self._fresh = self._fresh, False
        if fresh and self._error is None and not self._saving.locked():
            await self.save(most=FEW)

    async def save(self, *, most: int | None = None) -> None:
        """Stores what is not stored yet, as far as the store takes it and has told what it had before; of a wallet that
        has more accounts than `most` the gate, and not what it stands for."""
        async with self._saving:
            if self._rows is None or not self._gates.known or not self._unsaved:
                return
            batch = {name: list(entries) for name, entries in self._unsaved.items()}
            latches = {name: latch for name in batch if (latch := self._gates.latch(name))}
            stands = {name: self._gates.stands(name) for name, latch in latches.items() if not latch.open}
            new = {
                name: it
                for name, it in stands.items()
                if self._stored.get(name) is not it and (most is None or it.count <= most)
            }
            texts = await asyncio.to_thread(_texts, new) if new else {}
            rows = [
                GateRow(name, encode(latch), FORGOTTEN if latch.open else texts.get(name))
                for name, latch in latches.items()
            ]
            try:
                await self._rows.keep(rows, entries=[entry for entries in batch.values() for entry in entries])
            except StoreError as error:
                self._noted(error)
                return
            for name in latches.keys() - stands.keys():
                self._stored.pop(name, None)
            self._stored |= new
            self._saved(batch, rows={row.wallet: row.body for row in rows})
            self._noted(None)

    def _saved(self, batch: Mapping[str, list[Entry]], *, rows: Mapping[str, str] | None = None) -> None:
        """Forgets what was saved, but not what has come meanwhile."""
        for name, entries in batch.items():
            latch, left = self._gates.latch(name), self._unsaved.get(name, [])[len(entries) :]
            changed = rows is not None and latch is not None and self._has_changed(name, latch, body=rows[name])
            if left or changed:
                self._unsaved[name] = left
            else:
                self._unsaved.pop(name, None)

    def _has_changed(self, wallet: str, latch: Latch, *, body: str) -> bool:
        """Whether the store should have something else than what it was given."""
        stands = None if latch.open else self._gates.stands(wallet)
        return encode(latch) != body or stands is not self._stored.get(wallet)

    def _note(self, wallet: str, *entries: Entry) -> None:
        if self._rows is not None:
            self._unsaved.setdefault(wallet, []).extend(entries)

    def _entry(self, what: str, wallet: str, latch: Latch, *, who: str) -> Entry:
        body = {"wallet": wallet, "findings": list(latch.findings), "accepted": sorted(latch.accepted)}
        return Entry(self._clock(), who, what, latch.reason, body)

    def _noted(self, error: StoreError | None) -> None:
        """One log line when the store goes down and one when it is up again."""
        if error and not self._error:
            log.error("store down: closed gates are kept in memory", error=str(error))
        elif self._error and not error:
            log.info("store up: every gate is saved")
        self._error = error


def _texts(stands: Mapping[str, Stands]) -> Mapping[str, str]:
    return {name: encode_marks(one.marks()) for name, one in stands.items()}
