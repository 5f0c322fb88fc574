"""Findings and checks as JSON text and back, exactly: decimals digit by digit, times to the microsecond in UTC."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from daemon.interval import Interval
from daemon.model import Check, Due, Finding, Judgement, Move, Severity, State, Verdict


def encode(finding: Finding) -> str:
    """ASCII JSON, so that no text of a node (a lone surrogate, a NUL) can make a finding unstorable."""
    # A rule that puts something foreign into its evidence must not cost us the finding: it is stored as its text.
    return json.dumps(_finding(finding), separators=(",", ":"), default=str)


def decode(text: str) -> Finding:
    """The finding that `encode` was given; ValueError when the text is nothing of the kind."""
    try:
        return _to_finding(json.loads(text))
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"no finding: {type(error).__name__} {error}") from error


def storable(text: str) -> str:
    """The text with a NUL or a lone surrogate, which databases refuse, written as an escape."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\x00")


def encode_check(check: Check) -> str:
    """ASCII JSON, as of a finding."""
    raw = {
        "rule": check.rule,
        "due": _moment(check.due),
        "judged": _moment(check.judged),
        "verdict": _verdict(check.verdict),
    }
    return json.dumps(raw, separators=(",", ":"), default=str)


def decode_check(text: str) -> Check:
    """The check that `encode_check` was given; ValueError when the text is nothing of the kind."""
    try:
        raw = json.loads(text)
        moments = datetime.fromisoformat(raw["due"]), datetime.fromisoformat(raw["judged"])
        return Check(raw["rule"], *moments, _to_verdict(raw["verdict"]))
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"no check: {type(error).__name__} {error}") from error


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "id": finding.id,
        "state": finding.state.value,
        "since": _moment(finding.since),
        "verdict": _verdict(finding.verdict),
        "fired": _moment(finding.fired),
        "clear_since": _moment(finding.clear_since),
        "resolved": _moment(finding.resolved),
        "why_resolved": finding.why_resolved,
        "due": [_due(due) for due in finding.due],
    }


def _to_finding(raw: Mapping[str, Any]) -> Finding:
    return Finding(
        id=raw["id"],
        state=State(raw["state"]),
        since=datetime.fromisoformat(raw["since"]),
        verdict=_to_verdict(raw["verdict"]),
        fired=_to_moment(raw["fired"]),
        clear_since=_to_moment(raw["clear_since"]),
        resolved=_to_moment(raw["resolved"]),
        why_resolved=raw["why_resolved"],
        due=tuple(_to_due(due) for due in raw.get("due", ())),  # findings of older versions have none
    )


def _verdict(verdict: Verdict) -> dict[str, object]:
    return {
        "policy": verdict.policy,
        "subject": verdict.subject,
        "alert": verdict.alert,
        "severity": verdict.severity.value,
        "judgement": verdict.judgement.value,
        "summary": verdict.summary,
        "cleared": verdict.cleared,
        "measured": _interval(verdict.measured),
        "limit": _decimal(verdict.limit),
        "causes": list(verdict.causes),
        "moves": [_move(move) for move in verdict.moves],
        "evidence": dict(verdict.evidence),
        "wallets": list(verdict.wallets),
        "grounds": list(verdict.grounds),
    }


def _to_verdict(raw: Mapping[str, Any]) -> Verdict:
    return Verdict(
        policy=raw["policy"],
        subject=raw["subject"],
        alert=raw["alert"],
        severity=Severity(raw["severity"]),
        judgement=Judgement(raw["judgement"]),
        summary=raw["summary"],
        cleared=raw["cleared"],
        measured=_to_interval(raw["measured"]),
        limit=_to_decimal(raw["limit"]),
        causes=tuple(raw["causes"]),
        moves=tuple(_to_move(move) for move in raw["moves"]),
        evidence=raw["evidence"],
        wallets=tuple(raw.get("wallets", ())),  # since schema 3
        grounds=tuple(raw.get("grounds", ())),
    )


def _interval(interval: Interval | None) -> list[str | None] | None:
    return None if interval is None else [str(interval.low), _decimal(interval.value), _decimal(interval.high)]


def _to_interval(raw: list[str | None] | None) -> Interval | None:
    if raw is None:
        return None
    low, value, high = raw
    return Interval(Decimal(str(low)), _to_decimal(value), _to_decimal(high))


def _move(move: Move) -> dict[str, str]:
    return {
        "wallet": move.wallet,
        "asset": move.asset,
        "amount": str(move.amount),
        "direction": move.direction,
        "counterpart": move.counterpart,
    }


def _to_move(raw: Mapping[str, str]) -> Move:
    # Findings that an earlier version stored say nothing of a counterpart.
    return Move(raw["wallet"], raw["asset"], Decimal(raw["amount"]), raw["direction"], raw.get("counterpart", ""))


def _due(due: Due) -> dict[str, object]:
    return {"what": due.what, "by": due.by.isoformat(), "days": due.days, "left": due.left, "overdue": due.overdue}


def _to_due(raw: Mapping[str, Any]) -> Due:
    return Due(raw["what"], date.fromisoformat(raw["by"]), raw["days"], raw["left"], raw["overdue"])


def _decimal(value: Decimal | None) -> str | None:
    return None if value is None else str(value)


def _to_decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _to_moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
