"""`blind`: something that a verdict rests on has been unknown for too long."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from pydantic import Field

from connectors.config import Duration
from connectors.errors import Reason
from daemon.model import Judgement, Verdict
from daemon.policy.rule import Picture, Rule, judgement

ALERT = "PyrometerBlind"


class Blind(Rule):
    """Breach, per cause (a chain, a price), while another verdict is unknown because of it; `hold` is the grace.

    A chain whose first answer is still awaited is unknown itself: every start would be a breach otherwise.
    """

    kind: Literal["blind"]
    hold: Duration = Field(timedelta(minutes=2), description="grace: how long a verdict may stay unknown")


def judge(rule: Blind, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per chain and per missing price: one page for a dead node, however many verdicts hang on it."""
    blinded: dict[str, list[str]] = defaultdict(list)
    for verdict in picture.earlier:
        for cause in verdict.causes if verdict.judgement is Judgement.UNKNOWN else ():
            blinded[cause].append(f"{verdict.policy} on {verdict.subject}")
    for cause in sorted({f"chain:{name}" for name in picture.chains} | blinded.keys()):
        yield _verdict(rule, picture, policy=policy, cause=cause, blinded=blinded.get(cause, []))


def _verdict(rule: Blind, picture: Picture, *, policy: str, cause: str, blinded: list[str]) -> Verdict:
    what, _, name = cause.partition(":")
    awaited = what == "chain" and picture.chains[name].reason is Reason.STARTING
    called = f"{what} {name}".rstrip()  # of the volume there is only one
    summary = f"{called} can be judged"
    evidence: dict[str, object] = {}
    if blinded:
        summary = f"Unknown because of {called}: {', '.join(blinded)}"
        evidence["blinded"] = blinded
        if what == "chain":
            state = picture.chains[name]
            evidence["reason"] = state.reason.value if state.reason else "accounts unread"
            evidence["detail"] = state.detail
            evidence["unread"] = {reason.value: count for reason, count in state.unread.items()}
            evidence["blocks"] = picture.blocks([name])
            summary += f" ({state.detail or ', '.join(reason.value for reason in state.unread)})"
    return Verdict(
        policy=policy,
        subject=cause,
        alert=ALERT,
        severity=rule.severity,
        judgement=judgement(breach=bool(blinded) and not awaited, ok=not blinded),
        summary=summary,
        cleared=not blinded,
        evidence=evidence,
    )
