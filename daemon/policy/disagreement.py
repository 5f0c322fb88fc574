"""`disagreement`: nodes gave different values at the same block hash, which honest nodes can't."""

from collections.abc import Iterator
from typing import Literal

from connectors.base import Disagreement
from daemon.model import Verdict
from daemon.policy.rule import Picture, Rule, judgement

MOST_SHOWN = 20
"""A forging node may contradict the others on a million accounts; an alert carries the first few."""


class DisagreementRule(Rule):
    """Breach, per chain, while the newest readings contradict each other; unknown while nothing is read."""

    kind: Literal["disagreement"]


def judge(rule: DisagreementRule, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per chain."""
    for chain, state in picture.chains.items():
        found = [item for item in picture.disagreements if item.token.chain == chain]
        read = state.reason is None
        yield Verdict(
            policy=policy,
            subject=chain,
            alert="PyrometerDisagreement",
            severity=rule.severity,
            judgement=judgement(breach=bool(found), ok=read),
            summary=_summary(chain, found, read=read),
            cleared=read and not found,
            causes=() if read or found else (f"chain:{chain}",),
            evidence={"answers": [_evidence(item) for item in found[:MOST_SHOWN]], "accounts": len(found)}
            if found
            else {},
        )


def _summary(chain: str, found: list[Disagreement], *, read: bool) -> str:
    if not found:
        return f"the nodes of {chain} agree" if read else f"Nobody knows whether the nodes of {chain} agree"
    first = found[0]
    answers = ", ".join(f"{provider} says {answer}" for provider, answer in first.answers)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"Nodes of {chain} contradict each other at block {first.tip.height} on {first.account}: {answers}{more}"


def _evidence(item: Disagreement) -> dict[str, object]:
    return {
        "account": item.account,
        "contract": item.token.contract,
        "height": item.tip.height,
        "hash": item.tip.hash,
        "answers": dict(item.answers),
    }
