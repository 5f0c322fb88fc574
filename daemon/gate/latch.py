"""What closes a gate and what opens it: pure steps from one state of its latch to the next."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from daemon.model import Finding, State
from daemon.policy.rule import Closes, Rule

MOST_FINDINGS = 20
"""Findings that a closed gate names: those that came first."""

NOTHING = "nothing has closed it"


@dataclass(frozen=True, slots=True)
class Latch:
    """Of one wallet: what must outlive the daemon. Times are UTC.

    `findings` are the ids of those that closed it, `by` the operator whose word it was. `accepted` is what an operator
    opened it in spite of: by the id of a finding, its grounds.
    """

    open: bool
    since: datetime
    reason: str
    findings: tuple[str, ...] = ()
    by: str | None = None
    accepted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


Against = Mapping[str, Sequence[Finding]]
"""By wallet, the findings that are firing and close its gate."""


def against(findings: Iterable[Finding], *, rules: Mapping[str, Rule], wallets: Iterable[str]) -> Against:
    """What stands against each wallet, as the rules say whose gates their findings close."""
    everyone = tuple(wallets)
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        rule = rules.get(finding.verdict.policy)
        if rule is None or rule.closes is Closes.NONE or finding.state is not State.FIRING:
            continue
        for name in everyone if rule.closes is Closes.ALL else finding.verdict.wallets:
            found.setdefault(name, []).append(finding)
    return found


def judged(latch: Latch, found: Sequence[Finding], *, now: datetime) -> Latch:
    """One step: closed by what stands against the wallet and was not accepted; never opened. The same object where
    nothing changes."""
    if not latch.open:
        return _named(latch, found)
    new = [finding for finding in found if not _is_accepted(finding, latch.accepted)]
    if new:
        first = new[0].verdict
        more = f" (and {len(new) - 1} more)" if len(new) > 1 else ""
        reason = f"{first.alert} ({first.policy}, {first.subject}): {first.summary}{more}"
        return Latch(open=False, since=now, reason=reason, findings=_ids(new))
    firing = {finding.id for finding in found}
    still = {key: grounds for key, grounds in latch.accepted.items() if key in firing}
    return latch if len(still) == len(latch.accepted) else replace(latch, accepted=still)


def opened(found: Sequence[Finding], *, by: str, reason: str, now: datetime) -> Latch:
    """By an operator, in spite of what is firing: that, on these grounds, does not close it again."""
    accepted = {finding.id: finding.verdict.grounds for finding in found}
    return Latch(open=True, since=now, reason=reason, by=by, accepted=accepted)


def shut(latch: Latch, found: Sequence[Finding], *, by: str, reason: str, now: datetime) -> Latch:
    """By an operator."""
    since, known = (now, ()) if latch.open else (latch.since, latch.findings)
    return _named(Latch(open=False, since=since, reason=reason, findings=known, by=by), found)


def fingerprint(latch: Latch | None, found: Sequence[Finding]) -> str:
    """The same as long as the same findings stand on the same grounds, and the same has closed the gate: a payment more
    is another one, and so is an operator's word or what came with the accounts of another wallet."""
    closed = latch and not latch.open and (latch.since.isoformat(), latch.reason, latch.by, latch.findings)
    grounds = sorted((finding.id, sorted(finding.verdict.grounds)) for finding in found)
    text = json.dumps([closed or None, grounds])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def merged(kept: Latch, mine: Latch) -> Latch:
    """Of what an earlier run left and what has happened since: closed if either is, since the earlier of two closings;
    an operator's word of this run goes before."""
    if mine.open:
        return kept
    if kept.open:
        return mine
    older, newer = (kept, mine) if kept.since <= mine.since else (mine, kept)
    said = mine if mine.by else older
    findings = tuple(dict.fromkeys((*older.findings, *newer.findings)))[:MOST_FINDINGS]
    return Latch(open=False, since=older.since, reason=said.reason, findings=findings, by=said.by)


def inherited(latch: Latch, of: Latch, *, name: str, now: datetime) -> Latch:
    """Of a wallet that has an account of the wallet `name` now, whose gate was closed: closed on the same grounds."""
    told = f"(closed for {name} since "
    said = f"{of.reason} {told}{of.since:%Y-%m-%d %H:%M:%S} UTC, and not opened; this wallet has accounts of that one)"
    if latch.open:
        return Latch(open=False, since=now, reason=said, findings=of.findings, by=of.by)
    reason = latch.reason if told in latch.reason else f"{latch.reason}; and {said}"  # once, however often they swap
    findings = tuple(dict.fromkeys((*latch.findings, *of.findings)))[:MOST_FINDINGS]
    return replace(latch, reason=reason, findings=findings)


def _is_accepted(finding: Finding, accepted: Mapping[str, tuple[str, ...]]) -> bool:
    return finding.id in accepted and set(finding.verdict.grounds) <= set(accepted[finding.id])


def _named(latch: Latch, found: Sequence[Finding]) -> Latch:
    findings = tuple(dict.fromkeys((*latch.findings, *_ids(found))))[:MOST_FINDINGS]
    return latch if findings == latch.findings else replace(latch, findings=findings)


def _ids(found: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(finding.id for finding in found)[:MOST_FINDINGS]
