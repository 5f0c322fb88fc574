"""How rules on payments judge: one verdict per wallet, with what its detector has found against it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from connectors.base import Stage
from daemon.detection.case import NONE, Case
from daemon.detection.outflow import Outflow
from daemon.interval import amount, plain
from daemon.model import Verdict, WalletState
from daemon.policy.remaining import remaining
from daemon.policy.rule import Picture, Rule, judgement

MOST_SHOWN = 20
"""Payments in an alert: whoever empties a wallet in a thousand transactions is told by the newest."""

MOST_DESTINATIONS = 5


def verdicts(
    rule: Rule,
    picture: Picture,
    *,
    policy: str,
    alert: str,
    nothing: str,
    concerns: Callable[[WalletState], bool] = lambda _: True,
) -> Iterator[Verdict]:
    """One verdict per wallet that the rule `concerns`, of the chains whose connectors tell movements.

    `nothing` says that there is nothing against it: `{wallet} pays ...`.
    """
    cases = picture.cases.get(policy, NONE)

    def verdict(name: str, *, unread: str = "") -> Verdict:
        found = cases.by_wallet.get(name, ())
        causes = tuple(dict.fromkeys((*cases.unsure.get(name, ()), *((f"chain:{unread}",) if unread else ()))))
        return Verdict(
            policy=policy,
            subject=name,
            alert=alert,
            severity=rule.severity,
            judgement=judgement(breach=bool(found), ok=not causes),
            summary=_says(found) if found else _silent(causes, nothing=nothing, name=name),
            cleared=not found and not causes and picture.remembers,
            causes=() if found else causes,
            evidence=_evidence(found, picture.wallets[name]) if found else {},
            chains=(picture.wallets[name].wallet.chain,) if found else (),
            wallets=(name,),
            grounds=tuple(one.outflow.key.transaction for one in found),
        )

    subjects = picture.memory.value(
        (policy, "subjects"),
        lambda: [
            (name, state.wallet.chain)
            for name, state in picture.wallets.items()
            if state.wallet.chain in picture.telling and concerns(state)
        ],
        rests_on=(rule,),
    )
    fine = picture.memory.value((policy, "fine"), dict[str, Verdict], rests_on=(rule, picture.remembers))
    unread = {name for name, state in picture.chains.items() if state.reason is not None}
    for name, chain in subjects:
        if chain in unread:
            yield verdict(name, unread=chain)
        elif name in cases.by_wallet or name in cases.unsure:
            yield verdict(name)
        else:  # of most wallets there is nothing to say, pass after pass
            yield fine.get(name) or fine.setdefault(name, verdict(name))


def _says(found: Sequence[Case]) -> str:
    """The newest in words."""
    one = found[0].outflow
    where = f"in block {one.tip.height}" if one.tip else f"{_stage(one)} since {one.since:%H:%M:%S} UTC"
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return f"{found[0].says}; transaction {one.key.transaction}, {where}{more}"


def _silent(causes: Sequence[str], *, nothing: str, name: str) -> str:
    text = nothing.format(wallet=name)
    return f"Nobody knows whether {text}: {', '.join(causes)}" if causes else text


def _evidence(found: Sequence[Case], state: WalletState) -> dict[str, Any]:
    told = [transaction(one) for one in found[:MOST_SHOWN]]
    return {"payments": len(found), "still_there": remaining(state), "transactions": told}


def transaction(case: Case) -> dict[str, Any]:
    """One payment, JSON-ready; amounts in whole coins."""
    one = case.outflow
    facts = {
        "transaction": one.key.transaction,
        "stage": _stage(one),
        "asset": one.asset,
        "amount": coins(one.units, one=case),
        "destinations": {party.name: coins(party.units, one=case) for party in one.destinations[:MOST_DESTINATIONS]},
        "fee": None if one.fee is None else coins(one.fee, one=case),
        "first_seen": one.first_seen.isoformat(),
        "since": one.since.isoformat(),
        "height": one.tip.height if one.tip else None,
        "hash": one.tip.hash if one.tip else None,
        "announced": coins(one.covered, one=case) if one.covered else None,
        **case.facts,
    }
    return {key: fact for key, fact in facts.items() if fact is not None}


def _stage(one: Outflow) -> str:
    """What counts as mined without a block is a payment that a restart has lost sight of."""
    return Stage.UNKNOWN.value if one.stage is Stage.MINED and one.tip is None else one.stage.value


def coins(units: int, *, one: Case) -> str:
    return plain(amount(units, decimals=one.outflow.key.token.decimals), places=80)
