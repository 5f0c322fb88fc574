"""Section 8: what is another inventory, and who else controls it, at this closing than at the one before. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from daemon.control import NONCE
from daemon.history.closing import JSON
from daemon.reporting.evidence import Evidence

WATCHED = ("chain", "tier", "owner", "custodian", "accounts", "accounts_sha256")


def of(evidence: Evidence) -> JSON:
    """Wallets that came, went or changed; `compared` is false where one of the two closings is missing.

    `control` tells of accounts that both closings have read: each fact that differs. `control_unknown` names the
    wallets of which one of them can't say.
    """
    if evidence.opening is None or evidence.closing is None:
        return {"compared": False, "added": [], "removed": [], "changed": [], "control": [], "control_unknown": []}
    before, after = evidence.opening[1].raw["wallets"], evidence.closing[1].raw["wallets"]
    both = sorted(before.keys() & after.keys())
    return {
        "compared": True,
        "added": [_shown(name, after[name]) for name in sorted(after.keys() - before.keys())],
        "removed": [_shown(name, before[name]) for name in sorted(before.keys() - after.keys())],
        "changed": [change for name in both for change in _changes(name, before[name], after[name])],
        "control": [change for name in both for change in _control(name, before[name], after[name])],
        "control_unknown": [name for name in both if not (_told(before[name]) and _told(after[name]))],
    }


def _shown(name: str, wallet: JSON) -> JSON:
    return {"wallet": name, **{key: wallet[key] for key in WATCHED}}


def _changes(name: str, before: JSON, after: JSON) -> Iterator[JSON]:
    for key in WATCHED:
        if before[key] != after[key]:
            yield {"wallet": name, "what": key, "before": before[key], "after": after[key]}


def _told(wallet: JSON) -> bool:
    """Whether of every account it is known who controls it. Closings of earlier versions say nothing of control."""
    told = wallet.get("control")
    return told is not None and not told["awaited"] and not any(one["unread"] for one in told["accounts"].values())


def _control(name: str, before: JSON, after: JSON) -> Iterator[JSON]:
    if before.get("control") is None or after.get("control") is None:
        return
    old, new = before["control"]["accounts"], after["control"]["accounts"]
    for account in sorted(old.keys() | new.keys()):
        yield from _differences(name, account, _facts(old, account), _facts(new, account))


def _facts(accounts: JSON, account: str) -> Mapping[str, list[str]] | None:
    """An account that does not stand there is a plain one; None where what it is could not be read."""
    found = accounts.get(account, {"facts": {"kind": ["single"]}, "unread": None})
    return None if found["unread"] or not found["facts"] else found["facts"]


def _differences(
    name: str, account: str, before: Mapping[str, list[str]] | None, after: Mapping[str, list[str]] | None
) -> Iterator[JSON]:
    if before is None or after is None:
        return
    for what in dict.fromkeys((*before, *after)):
        was, is_ = sorted(before.get(what, [])), sorted(after.get(what, []))
        if was != is_ and what != NONCE:
            yield {"wallet": name, "account": account, "what": what, "before": was, "after": is_}
