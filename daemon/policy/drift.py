"""`drift`: a sweep found accounts to hold something else than what following the chain had led to."""

from collections.abc import Iterator
from typing import Literal

from daemon.interval import amount, plain
from daemon.model import Verdict
from daemon.policy.rule import Picture, Rule, judgement
from daemon.policy.stopping import on_chain
from daemon.sweeps import Drifted, SweepState

ALERT = "PyrometerDrift"


class DriftRule(Rule):
    """Breach, per chain, from a sweep that found drift until one that finds none; unknown without a current reading."""

    kind: Literal["drift"]


def judge(rule: DriftRule, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per chain. Before the first sweep nothing contradicts what was followed.

    A finding of an earlier run is not over by that, though: only a sweep that finds nothing clears it.
    """
    for chain, state in picture.chains.items():
        sweep = picture.sweeps.get(chain)
        drifted = sweep is not None and sweep.accounts > 0
        read = state.reason is None
        yield Verdict(
            policy=policy,
            subject=chain,
            alert=ALERT,
            severity=rule.severity,
            judgement=judgement(breach=drifted, ok=read),
            summary=_summary(chain, sweep, read=read),
            cleared=read and sweep is not None and not drifted,
            causes=() if read or drifted else (f"chain:{chain}",),
            evidence=_evidence(chain, sweep) if sweep is not None and drifted else {},
            wallets=on_chain(rule, picture, chain=chain),
        )


def _summary(chain: str, sweep: SweepState | None, *, read: bool) -> str:
    if sweep is not None and sweep.accounts:
        first = sweep.drifted[0]
        found, followed = (_coins(first, units) for units in (first.drift.found, first.drift.followed))
        wallet = f" ({first.wallet})" if first.wallet else ""
        more = f" (and {sweep.accounts - 1} more)" if sweep.accounts > 1 else ""
        where = f"A sweep of {chain} at block {sweep.tip.height}"
        return f"{where} found {found} on {first.drift.account}{wallet}, and not {followed} as followed{more}"
    if not read:
        return f"Nobody knows whether {chain} is followed rightly"
    if sweep is None:
        return f"No sweep of {chain} has ended yet, and nothing contradicts what is followed"
    return f"The last sweep of {chain}, at block {sweep.tip.height}, found what was followed"


def _coins(drifted: Drifted, units: int) -> str:
    return f"{plain(amount(units, decimals=drifted.drift.token.decimals), places=80)} {drifted.asset or ''}".rstrip()


def _evidence(chain: str, sweep: SweepState) -> dict[str, object]:
    drift = [
        {
            "account": item.drift.account,
            "wallet": item.wallet,
            "asset": item.asset,
            "contract": item.drift.token.contract,
            "followed": str(item.drift.followed),
            "found": str(item.drift.found),
        }
        for item in sweep.drifted
    ]
    block = {"height": sweep.tip.height, "hash": sweep.tip.hash}
    return {"drift": drift, "accounts": sweep.accounts, "at": sweep.at.isoformat(), "blocks": {chain: block}}
