"""The report as JSON: what `once --json` prints, the API serves and the page draws."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.base import Control
from daemon.control import ControlChange, WalletControl, by_name, changed_facts
from daemon.coverage import Cover, Coverage, Reserve
from daemon.emit.moments import moment
from daemon.emit.transfers import transfer
from daemon.feeds.values import FeedKind, Feeds, SourceState
from daemon.gate.state import GateState
from daemon.interval import EXACT, Interval, plain
from daemon.model import (
    ChainState,
    Due,
    Exposure,
    Finding,
    Holding,
    LastKnown,
    Move,
    Owner,
    Report,
    Tier,
    Verdict,
    WalletState,
)
from daemon.policy import worst
from daemon.policy.blocks import with_blocks

JSON = dict[str, Any]

PARTIES_IN_REPORT = 5
"""Counterparties of each movement in a report; `/api/v1/movements` tells all that are known."""


def report(found: Report, *, now: datetime) -> JSON:
    """The whole report; ages are as of `now`, everything else as of `found.at`. Amounts are strings."""
    return {
        "entity": found.entity,
        "at": moment(found.at),
        "age_seconds": age(found.at, now),
        "currency": found.currency,
        "verdict": worst(found.verdicts).value,
        "chains": chains(found, now=now),
        "wallets": wallets(found),
        "exposure": exposure(found.exposure),
        "coverage": coverage(found.coverage),
        "verdicts": [verdict(with_blocks(item, found.chains)) for item in found.verdicts],
        "findings": [finding(item) for item in found.findings],
        "feeds": feeds(found.feeds, now=now),
        "movements": [transfer(item, parties=PARTIES_IN_REPORT) for item in found.movements],
        "problems": list(found.problems),
    }


def chains(report: Report, *, now: datetime) -> JSON:
    return {name: chain(state, now=now) for name, state in report.chains.items()}


def chain(state: ChainState, *, now: datetime) -> JSON:
    """How a chain stands; ages are as of `now`."""
    tip = state.tip
    return {
        "height": tip.height if tip else None,
        "hash": tip.hash if tip else None,
        "time": moment(tip.time) if tip else None,
        "tip_age_seconds": age(tip.time, now) if tip else None,
        "age_seconds": age(state.seen, now) if state.seen else None,
        "unread": sum(state.unread.values()),
        "unread_reasons": {reason.value: count for reason, count in state.unread.items()},
        "reader": state.reader,
        "reason": state.reason.value if state.reason else None,
        "detail": state.detail,
        "since": moment(state.since) if state.since else None,
    }


def wallets(report: Report) -> JSON:
    return {name: wallet(state, report=report) for name, state in report.wallets.items()}


def wallet(state: WalletState, *, report: Report) -> JSON:
    """What a wallet can vouch for, in `holdings`; of the rest the bounds in `doubtful`, the last reading in `last`."""
    tip = report.chains[state.wallet.chain].tip
    return {
        "chain": state.wallet.chain,
        "tier": state.wallet.tier.value,
        "observed_tier": state.observed.value if state.observed else None,
        "tier_evidence": list(state.tier_evidence),
        "judged_tier": state.tier.value,
        "owner": state.wallet.owner.value,
        "gate": found.word if (found := report.gates.get(state.wallet.name)) else None,
        "custodian": state.wallet.custodian,
        "accounts": len(state.wallet.accounts),
        "unread": state.unread,
        "height": tip.height if tip else None,
        "hash": tip.hash if tip else None,
        "holdings": {asset: _holding(held) for asset, held in state.holdings.items()},
        "doubtful": {asset: _doubtful(held) for asset, held in state.doubtful.items()},
        "last": {asset: _last(known) for asset, known in state.last.items()},
    }


def gate(state: GateState) -> JSON:
    """What a gate says to a signer, and why."""
    return {
        "gate": state.word,
        "since": moment(state.since),
        "reason": state.reason,
        "findings": list(state.findings),
        "by": state.by,
    }


def control(found: WalletControl) -> JSON:
    """Who controls a wallet's accounts, of those that are more than a plain key, with the newest changes first."""
    return {
        "awaited": found.awaited,
        "accounts": {
            one.account: {
                **({"kind": one.control.kind, "facts": _facts(one.control)} if one.control else {}),
                "told_at": one.tip.height if one.tip else None,
                "unread": one.unread or None,
                "changes": [_control_change(change) for change in reversed(one.changes)],
            }
            for one in found.accounts
        },
    }


def _facts(control: Control) -> JSON:
    return {name: list(values) for name, values in by_name(control).items() if name != "kind"}


def _control_change(change: ControlChange) -> JSON:
    return {
        "seen": change.seen.isoformat(),
        "height": change.tip.height,
        "hash": change.tip.hash,
        "transaction": change.after.transaction,
        "facts": {
            name: {"before": list(before), "after": list(after)}
            for name, (before, after) in changed_facts(change.before, change.after).items()
        },
    }


def exposure(found: Exposure) -> JSON:
    return {
        "value": money_interval(found.value),
        "hot_share": {scope: interval(share) for scope, share in found.hot_share.items()},
        "causes": {scope: list(causes) for scope, causes in found.causes.items() if causes},
        "holdings": groups(found.holdings),
    }


def groups(holdings: Mapping[tuple[str, Tier, Owner], Holding]) -> list[JSON]:
    """What is held of each asset in each tier, by owner; `units` where all of it is read."""
    return [
        {
            "asset": asset,
            "tier": tier.value,
            "owner": owner.value,
            "units": None if held.units is None else str(held.units),
            "amount": interval(held.amount),
            "value": money_interval(held.value),
        }
        for (asset, tier, owner), held in holdings.items()
    ]


def coverage(found: Coverage) -> JSON:
    """What stands behind, what must be covered, and the ratio of the two where there is anything to cover.

    `guarantee` and `backing` by asset, in whole coins; `reserve` by policy, in the entity's currency.
    """
    return {
        "guarantee": {asset: cover(one) for asset, one in found.guarantee.items()},
        "backing": {asset: cover(one) for asset, one in found.backing.items()},
        "reserve": {policy: _reserve(one) for policy, one in found.reserve.items()},
    }


def cover(one: Cover) -> JSON:
    """What stands behind one asset."""
    return {
        **_ratio(one.ratio),
        "part": interval(one.part),
        "whole": interval(one.whole),
        "causes": list(one.causes),
    }


def _reserve(one: Reserve) -> JSON:
    """`insurance` is what is in force, `part` the fund and as much of that as may be counted."""
    return {
        **_ratio(one.ratio),
        "part": money_interval(one.part),
        "whole": money_interval(one.required),
        "fund": money_interval(one.fund),
        "insurance": money_interval(one.insurance),
        "insurance_share": plain(one.insurance_share),
        "causes": list(one.causes),
    }


def _ratio(ratio: Interval | None) -> JSON:
    return interval(ratio) if ratio is not None else {"value": None, "low": None, "high": None}


def feeds(found: Feeds, *, now: datetime) -> JSON:
    """Per feed its sources; the feed's own `source` and age are those of the first that is current.

    Of approvals, which add up, it is the first that is not.
    """
    result: JSON = {}
    for kind in FeedKind:
        sources = [source for source in found.sources if source.feed is kind]
        if sources:
            adds_up = kind is FeedKind.APPROVALS
            first = next((source for source in sources if (source.reason is None) is not adds_up), sources[0])
            result[kind.value] = {**_source(first, now=now), "sources": [_source(one, now=now) for one in sources]}
    return result


def _source(state: SourceState, *, now: datetime) -> JSON:
    return {
        "source": state.name,
        "age_seconds": None if state.at is None else age(state.at, now),
        "reason": None if state.reason is None else state.reason.value,
        "detail": state.detail,
        "since": None if state.since is None else moment(state.since),
        "withheld": dict(state.withheld),
    }


def verdict(item: Verdict) -> JSON:
    measured = interval(item.measured) if item.measured else {"value": None, "low": None, "high": None}
    return {
        "policy": item.policy,
        "subject": item.subject,
        "alert": item.alert,
        "verdict": item.judgement.value,
        "severity": item.severity.value,
        "summary": item.summary,
        **measured,
        "limit": None if item.limit is None else plain(item.limit),
        "causes": list(item.causes),
        "moves": [_move(move) for move in item.moves],
        "evidence": dict(item.evidence),
    }


def finding(item: Finding) -> JSON:
    """A finding with its newest verdict folded in."""
    return {
        "id": item.id,
        "state": item.state.value,
        "since": moment(item.since),
        "fired": None if item.fired is None else moment(item.fired),
        "resolved": None if item.resolved is None else moment(item.resolved),
        "why_resolved": item.why_resolved,
        "due": [_due(one) for one in item.due],
        **verdict(item.verdict),
    }


def _due(one: Due) -> JSON:
    left = {"days": one.days, "days_left": one.left, "overdue": one.overdue}
    return {"what": one.what, "by": one.by.isoformat(), **left}


def due_text(one: Due) -> str:
    """`plan due by 2026-12-08, 15 days left`, for people."""
    business = "business " if one.days == "business" else ""
    days = f"{abs(one.left)} {business}day{'' if abs(one.left) == 1 else 's'}"
    if one.overdue:
        return f"{one.what} was due by {one.by}{f', {days} ago' if one.left else ''}"
    return f"{one.what} due by {one.by}, {f'{days} left' if one.left else 'today'}"


def interval(value: Interval) -> JSON:
    return {
        "value": None if value.value is None else plain(value.value),
        "low": plain(value.low),
        "high": None if value.high is None else plain(value.high),
    }


def money_interval(value: Interval) -> JSON:
    return {
        "value": None if value.value is None else money(value.value),
        "low": money(value.low),
        "high": None if value.high is None else money(value.high),
    }


def money(value: Decimal) -> str:
    """Two places, half-even; only for showing."""
    return f"{value.quantize(Decimal('0.01'), context=EXACT):f}"


def _holding(held: Holding) -> JSON:
    """Of a holding that is wholly read; its value is None when nobody knows the price."""
    return {
        "units": None if held.units is None else str(held.units),
        "amount": plain(held.amount.low, places=80),
        "value": None if held.value.value is None else money(held.value.value),
    }


def _doubtful(held: Holding) -> JSON:
    return {"amount": interval(held.amount), "value": money_interval(held.value)}


def _last(known: LastKnown) -> JSON:
    return {"amount": plain(known.amount, places=80), "at": moment(known.at)}


def _move(move: Move) -> JSON:
    return {
        "wallet": move.wallet,
        "asset": move.asset,
        "amount": plain(move.amount, places=80),
        "direction": move.direction,
        "counterpart": move.counterpart,
    }


def age(at: datetime, now: datetime) -> float:
    """Seconds."""
    return round((now - at).total_seconds(), 3)
