"""`disagreement`: nodes gave different values at the same block hash, which honest nodes can't."""

from collections.abc import Iterator
from typing import Literal

from connectors.base import Disagreement
from daemon.model import Judgement, Verdict
from daemon.policy.rule import Picture, Rule

MOST_SHOWN = 20
"""A forging node may contradict the others on a million accounts; an alert carries the first few."""


class DisagreementRule(Rule):
    """Breach, per chain, while the newest readings contradict each other."""

    kind: Literal["disagreement"]


def judge(rule: DisagreementRule, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per chain."""
    for chain in picture.chains:
        found = [item for item in picture.disagreements if item.token.chain == chain]
        yield Verdict(
            policy=policy,
            subject=chain,
            alert="PyrometerDisagreement",
            severity=rule.severity,
            judgement=Judgement.BREACH if found else Judgement.OK,
            summary=_summary(chain, found),
            cleared=not found,
            evidence={"answers": [_evidence(item) for item in found[:MOST_SHOWN]], "accounts": len(found)}
            if found
            else {},
        )


def _summary(chain: str, found: list[Disagreement]) -> str:
    if not found:
        return f"the nodes of {chain} agree"
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
