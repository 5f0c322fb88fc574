"""All gates of a daemon: their latches, and who is not seen right now. What is not known is closed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from daemon.gate import latch as latches
from daemon.gate.accounts import Marks, Stands
from daemon.gate.latch import Against, Latch
from daemon.gate.state import GateState
from daemon.gate.succession import Succession
from daemon.model import ChainState, Finding, Wallet
from daemon.policy.rule import Rule

UNTOLD = "the store has not told yet what an earlier run left"

UNJUDGED = "it was not judged yet"


class Gates:
    """Mutable, and pure of effects. `known` says whether what an earlier run left is known: before, all are closed."""

    def __init__(self, *, known: bool) -> None:
        self.known = known
        self._latches: dict[str, Latch] = {}
        self._against: Against = {}
        self._blind: dict[str, tuple[str, datetime]] = {}
        self._chains: dict[str, str] = {}
        self._told: dict[str, tuple[tuple[object, ...], GateState]] = {}
        self._succession = Succession()

    def judge(
        self,
        findings: Iterable[Finding],
        *,
        rules: Mapping[str, Rule],
        wallets: Mapping[str, Wallet],
        chains: Mapping[str, ChainState],
        now: datetime,
    ) -> Mapping[str, Latch]:
        """Takes in what was judged: every gate is as that says from here on. The latches that have changed, or what may
        stand behind them, as they were before.

        A wallet that comes to an account of one whose gate is closed is closed by that too.
        """
        self._against = latches.against(findings, rules=rules, wallets=wallets)
        blind = {name: _unseen(state) for name, state in chains.items()}
        self._blind = {name: self._still(name, why, since or now) for name, (why, since) in blind.items() if why}
        self._chains = {name: wallet.chain for name, wallet in wallets.items()}
        changed = self._configured(wallets, now=now) if wallets is not self._succession.wallets else {}
        for name in wallets:
            before = self._latches.get(name) or _new(now)
            after = latches.judged(before, self._against.get(name, ()), now=now)
            self._latches[name] = after
            if after is not before:
                changed.setdefault(name, before)
        return changed

    def _configured(self, wallets: Mapping[str, Wallet], *, now: datetime) -> dict[str, Latch]:
        closed = self._closed()
        self._succession.configured(wallets, closed=closed)
        return {**closed, **self._inherited(now=now)}

    def _closed(self) -> dict[str, Latch]:
        """Also those of wallets that are not configured any more."""
        return {name: latch for name, latch in self._latches.items() if not latch.open}

    def _inherited(self, *, now: datetime) -> dict[str, Latch]:
        """Closes the gates of the wallets that have come to accounts of others whose gates are closed."""
        changed: dict[str, Latch] = {}
        for heir, of in self._succession.heirs():
            before = self._latches.get(heir) or _new(now)
            self._latches[heir] = latches.inherited(before, self._latches[of], name=of, now=now)
            changed.setdefault(heir, before)
            changed.setdefault(of, self._latches[of])
        return changed

    def _still(self, chain: str, why: str, since: datetime) -> tuple[str, datetime]:
        """Why nobody sees a chain, and since when: the same as long as it lasts."""
        known = self._blind.get(chain)
        if known is None:
            return why, since
        return known if known[0] == why else (why, known[1])

    def states(self, *, now: datetime) -> Mapping[str, GateState]:
        """Of every wallet that was judged last."""
        for name, chain in self._chains.items():
            rests_on = self._latches[name], self._blind.get(chain), self.known
            told = self._told.get(name)
            if told is None or told[0] != rests_on:
                self._told[name] = rests_on, self.state(name, now=now)
        return {name: self._told[name][1] for name in self._chains}

    def state(self, wallet: str, *, now: datetime) -> GateState:
        """What the gate says, as of the last judgement and of what operators said since."""
        latch = self._latches.get(wallet)
        if latch is not None and not latch.open:
            return GateState(wallet, latch.since, latch.reason, open=False, findings=latch.findings, by=latch.by)
        blind = self.blind(wallet, now=now)
        if latch is None or blind is not None:
            why, since = blind or (UNJUDGED, now)
            return GateState(wallet, since, why, open=False, blind=True)
        return GateState(wallet, latch.since, latch.reason, open=True, by=latch.by)

    def blind(self, wallet: str, *, now: datetime) -> tuple[str, datetime] | None:
        """Why nobody sees the wallet, and since when; None when it is seen."""
        if not self.known:
            return UNTOLD, now
        if wallet not in self._chains:
            return UNJUDGED, now
        return self._blind.get(self._chains[wallet])

    def latch(self, wallet: str) -> Latch | None:
        return self._latches.get(wallet)

    def against(self, wallet: str) -> Sequence[Finding]:
        """What is firing against it."""
        return self._against.get(wallet, ())

    def put(self, wallet: str, latch: Latch) -> None:
        """An operator's word, in force from here on."""
        self._latches[wallet] = latch
        if latch.open:
            self._succession.opened(wallet)

    def stands(self, wallet: str) -> Stands:
        """The accounts that its gate stands for: the same object as long as they are the same."""
        return self._succession.stands(wallet)

    def restore(
        self, kept: Mapping[str, Latch], *, accounts: Mapping[str, Marks], now: datetime
    ) -> Mapping[str, Latch]:
        """What an earlier run left, and the `accounts` that its closed gates stood for. Gates that were closed since
        stay closed. Where it was judged already, as `judge` the latches that have changed, or what may stand behind
        them: wallets that have an account of a closed gate now are closed at once."""
        for name, latch in kept.items():
            mine = self._latches.get(name)
            self._latches[name] = latch if mine is None else latches.merged(latch, mine)
        for name, marks in accounts.items():
            if not self._latches[name].open:
                self._succession.left(name, marks)
        self.known = True
        return {**self._closed(), **self._inherited(now=now)} if self._succession.wallets else {}


def _new(now: datetime) -> Latch:
    return Latch(open=True, since=now, reason=latches.NOTHING)


def _unseen(chain: ChainState) -> tuple[str, datetime | None]:
    """Why the chain has no current picture, "" when it has one."""
    if chain.reason is None:
        return "", None
    detail = f": {chain.detail}" if chain.detail else ""
    return f"nobody sees {chain.name}: {chain.reason.value}{detail}", chain.since
