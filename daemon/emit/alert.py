"""Findings in Alertmanager's words: stable labels that say which alert it is, annotations that say everything else."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from daemon.emit.brief import brief
from daemon.emit.rendering import due_text
from daemon.interval import plain
from daemon.model import Finding, Move, Severity, Verdict

Alert = dict[str, object]
"""A `postableAlert` of Alertmanager's API v2 (api/v2/openapi.yaml in prometheus/alertmanager)."""

Identity = tuple[str, ...]

TEXT_LIMIT = 2000
"""Characters of evidence in an annotation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What all alerts of this daemon say of where they come from: whose money, our own API, the folder of the runbooks.

    A link is left out while its base is empty. `drill` names the scenario that is replayed, where nothing is real.
    """

    entity: str
    external_url: str = ""
    runbook_url: str = ""
    drill: str = ""


def identity(verdict: Verdict) -> Identity:
    """What the labels of a verdict's alert differ by: findings that share it are one alert to Alertmanager."""
    return (verdict.alert, verdict.policy, verdict.subject, verdict.severity.value)


def alert(finding: Finding, *, origin: Origin, ends: datetime) -> Alert:
    """The alert of a finding; it fires until `ends`. `startsAt` is the finding's `since`, however often it is sent."""
    verdict = finding.verdict
    result: Alert = {
        "labels": {
            "alertname": verdict.alert,
            "policy": verdict.policy,
            "subject": verdict.subject,
            "severity": verdict.severity.value,
            **_whose(origin),
        },
        "annotations": _annotations(finding, origin),
        "startsAt": _rfc3339(finding.since),
        "endsAt": _rfc3339(ends),
    }
    if origin.external_url:
        result["generatorURL"] = f"{origin.external_url.rstrip('/')}/api/v1/findings"
    return result


def watchdog(origin: Origin, *, since: datetime, ends: datetime) -> Alert:
    """The alert that always fires: a receiver that misses it knows that nobody is watching."""
    labels = {"alertname": "PyrometerWatchdog", "policy": "builtin/watchdog", "subject": "daemon"}
    return {
        "labels": {**labels, "severity": Severity.INFO.value, **_whose(origin)},
        "annotations": {"summary": "Pyrometer is watching. Be alarmed when this alert is missing."},
        "startsAt": _rfc3339(since),
        "endsAt": _rfc3339(ends),
    }


def _whose(origin: Origin) -> dict[str, str]:
    return {"entity": origin.entity, **({"drill": origin.drill} if origin.drill else {})}


def _annotations(finding: Finding, origin: Origin) -> dict[str, str]:
    verdict = finding.verdict
    texts = {
        "summary": f"DRILL: {verdict.summary}" if origin.drill else verdict.summary,
        **_measured(verdict),
        **brief(verdict),
        "amount_to_move": "; ".join(map(_move, verdict.moves)),
        "due": "; ".join(map(due_text, finding.due)),
        "causes": ", ".join(verdict.causes),
        "since": _rfc3339(finding.since),
        "why_resolved": finding.why_resolved,
        "blocks": _blocks(verdict.evidence),
        "evidence": _evidence(verdict.evidence),
        "finding": finding.id,
    }
    if origin.runbook_url:
        texts["runbook_url"] = f"{origin.runbook_url.rstrip('/')}/{verdict.alert}.md"
    return {name: text for name, text in texts.items() if text}


def _measured(verdict: Verdict) -> dict[str, str]:
    texts = {} if verdict.limit is None else {"limit": plain(verdict.limit)}
    if (measured := verdict.measured) is not None:
        parts = {"value": measured.value, "low": measured.low, "high": measured.high}
        texts |= {name: _number(part) for name, part in parts.items()}
    return texts


def _number(value: Decimal | None) -> str:
    return "unknown" if value is None else plain(value)


def _move(move: Move) -> str:
    return f"{plain(move.amount, places=80)} {move.asset} {move.way}"


def _blocks(evidence: Mapping[str, object]) -> str:
    """`bitcoin 870000 00…ab; ethereum 19 0x…`: where anybody can check the reading."""
    blocks = evidence.get("blocks")
    if not isinstance(blocks, Mapping):
        return ""
    return "; ".join(
        f"{chain} {block.get('height')} {block.get('hash')}"
        for chain, block in sorted(blocks.items())
        if isinstance(block, Mapping)
    )


def _evidence(evidence: Mapping[str, object]) -> str:
    rest = {key: value for key, value in evidence.items() if key != "blocks"}
    text = json.dumps(rest, ensure_ascii=False, separators=(", ", ": "), default=str) if rest else ""
    return text if len(text) <= TEXT_LIMIT else f"{text[:TEXT_LIMIT]}…"


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
