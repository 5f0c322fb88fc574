"""`disagreement`: nodes gave different values at the same block hash, which honest nodes can't."""

from collections.abc import Iterator
from typing import Literal

from connectors.base import Disagreement
from daemon.model import Verdict
from daemon.policy.rule import Picture, Rule, judgement
from daemon.policy.stopping import on_chain

ALERT = "PyrometerDisagreement"

MOST_SHOWN = 20
"""A forging node may contradict the others on a million accounts; an alert carries the first few."""


class DisagreementRule(Rule):
    """Breach, per chain, while the newest readings contradict each other; unknown without a current reading."""

    kind: Literal["disagreement"]


def judge(rule: DisagreementRule, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per chain."""
    for chain, state in picture.chains.items():
        found = [item for item in picture.disagreements if item.token.chain == chain]
        read = state.reason is None
        yield Verdict(
            policy=policy,
            subject=chain,
            alert=ALERT,
            severity=rule.severity,
            judgement=judgement(breach=bool(found), ok=read),
            summary=_summary(chain, found, read=read),
            cleared=read and not found,
            causes=() if read or found else (f"chain:{chain}",),
            evidence=_evidence(found) if found else {},
            wallets=on_chain(rule, picture, chain=chain),
        )


def _summary(chain: str, found: list[Disagreement], *, read: bool) -> str:
    if not found:
        return f"No node of {chain} contradicts another" if read else f"Nobody knows whether the nodes of {chain} agree"
    first = found[0]
    answers = ", ".join(f"{provider} says {answer}" for provider, answer in first.answers)
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"Nodes of {chain} contradict each other at block {first.tip.height} on {first.account}: {answers}{more}"


def _evidence(found: list[Disagreement]) -> dict[str, object]:
    answers = [
        {
            "account": item.account,
            "contract": item.token.contract,
            "height": item.tip.height,
            "hash": item.tip.hash,
            "answers": dict(item.answers),
        }
        for item in found[:MOST_SHOWN]
    ]
    return {"answers": answers, "accounts": len(found)}
