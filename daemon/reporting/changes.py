"""Section 8: what is another inventory at this closing than at the one before. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from daemon.history.closing import JSON
from daemon.reporting.evidence import Evidence

WATCHED = ("chain", "tier", "owner", "custodian", "accounts", "accounts_sha256")
CONTROL = "Owners, thresholds and implementations of contract wallets are not recorded by this version."


def of(evidence: Evidence) -> JSON:
    """Wallets that came, went or changed; `compared` is false where one of the two closings is missing."""
    if evidence.opening is None or evidence.closing is None:
        return {"compared": False, "added": [], "removed": [], "changed": [], "control": CONTROL}
    before, after = evidence.opening[1].raw["wallets"], evidence.closing[1].raw["wallets"]
    return {
        "compared": True,
        "added": [_shown(name, after[name]) for name in sorted(after.keys() - before.keys())],
        "removed": [_shown(name, before[name]) for name in sorted(before.keys() - after.keys())],
        "changed": [
            change
            for name in sorted(before.keys() & after.keys())
            for change in _changes(name, before[name], after[name])
        ],
        "control": CONTROL,
    }


def _shown(name: str, wallet: JSON) -> JSON:
    return {"wallet": name, **{key: wallet[key] for key in WATCHED}}


def _changes(name: str, before: JSON, after: JSON) -> Iterator[JSON]:
    for key in WATCHED:
        if before[key] != after[key]:
            yield {"wallet": name, "what": key, "before": before[key], "after": after[key]}
