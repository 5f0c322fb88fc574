"""`tier_mismatch`: a wallet behaves, or is controlled, like one of a warmer tier than its owner declares."""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field

from daemon.classify import warmer
from daemon.model import Severity, Verdict, WalletState
from daemon.policy.rule import Picture, Rule, judgement

ALERT = "PyrometerTierMismatch"


class TierMismatch(Rule):
    """Breach, per wallet, while its observed tier is warmer than the declared one.

    Judged of wallets of which enough is known that a tier is observed; how that is done stands in `classification`.
    """

    kind: Literal["tier_mismatch"]
    looks_back: ClassVar[bool] = True
    severity: Severity = Field(
        Severity.WARNING, description="critical pages, warning waits for the morning, info is kept"
    )


def judge(rule: TierMismatch, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per wallet with an observed tier."""
    names = [name for name, state in picture.wallets.items() if state.observed is not None]
    reasons = {name: state.reason for name, state in picture.chains.items()}
    yield from picture.memory.verdicts(
        policy,
        lambda name: _verdict(rule, picture, policy=policy, state=picture.wallets[name]),
        of=names,
        each=[(picture.wallets, names), (reasons, [picture.wallets[name].wallet.chain for name in names])],
        all_rest_on=(rule,),
    )


def _verdict(rule: TierMismatch, picture: Picture, *, policy: str, state: WalletState) -> Verdict:
    wallet, observed = state.wallet, state.observed
    assert observed is not None
    breach = warmer(wallet.tier, observed)
    read = picture.chains[wallet.chain].reason is None
    why = "; ".join(state.tier_evidence)
    declared = f"{wallet.name} is declared {wallet.tier.value}"
    summary = f"{declared} and looks {observed.value if breach else 'no warmer'}: {why}"
    if not breach and not read:
        summary = f"Nobody knows whether {wallet.name} is as {wallet.tier.value} as declared: chain {wallet.chain}"
    return Verdict(
        policy=policy,
        subject=wallet.name,
        alert=ALERT,
        severity=rule.severity,
        judgement=judgement(breach=breach, ok=read),
        summary=summary,
        cleared=read and not breach,
        causes=() if breach or read else (f"chain:{wallet.chain}",),
        evidence={
            "declared": wallet.tier.value,
            "observed": observed.value,
            "because": list(state.tier_evidence),
        }
        if breach
        else {},
        chains=(wallet.chain,) if breach else (),
    )
