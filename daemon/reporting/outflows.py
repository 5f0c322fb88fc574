"""Section 9: payments that the books have not approved. Pure."""

from __future__ import annotations

from daemon.history.closing import JSON
from daemon.reporting import alerts
from daemon.reporting.evidence import Evidence

ALERTS = alerts.named("UnmatchedOutflow")
NO_RULE = "Payments are not matched with approvals: no rule of the kind unmatched_outflow is in force."
NO_CLOSING = "Not known: the day has no closing."


def of(evidence: Evidence) -> JSON:
    """`standing` at the closing, by wallet; `of_the_day` every finding of the day.

    `known` is false where nobody looked, and `unknown` names the wallets of which it could not be told at the closing.
    """
    found = {"of_the_day": alerts.of(ALERTS, evidence), "standing": [], "unknown": []}
    if evidence.closing is None:
        return {"known": False, "note": NO_CLOSING, **found}
    raw = evidence.closing[1].raw
    if not any(rule["kind"] == "unmatched_outflow" for rule in raw["rules"]):
        return {"known": False, "note": NO_RULE, **found}
    unsure = [one for one in raw["verdicts"] if one["alert"] in ALERTS and one["verdict"] == "unknown"]
    return {
        "known": not unsure,
        "note": "",
        **found,
        "standing": raw.get("unmatched_outflows", []),
        "unknown": [{"policy": one["policy"], "wallet": one["subject"], "why": one["summary"]} for one in unsure],
    }
