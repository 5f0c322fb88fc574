"""What may not be: the rules, one file per kind, and their registry."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from daemon.model import Check, Judgement, Verdict
from daemon.policy import (
    backing,
    blind,
    cold_moved,
    control_changed,
    disagreement,
    dormant,
    drain,
    drift,
    feed_stale,
    guarantee,
    hot_share,
    price_deviation,
    probe,
    reserve,
    tier_mismatch,
    unknown_destination,
    unmatched_outflow,
    unusual,
    wallet_band,
)
from daemon.policy.backing import Backing
from daemon.policy.blind import Blind
from daemon.policy.blocks import with_blocks
from daemon.policy.cold_moved import ColdMoved
from daemon.policy.control_changed import ControlChanged
from daemon.policy.disagreement import DisagreementRule
from daemon.policy.dormant import Dormant
from daemon.policy.drain import Drain
from daemon.policy.drift import DriftRule
from daemon.policy.feed_stale import FeedStale
from daemon.policy.guarantee import Guarantee
from daemon.policy.hot_share import HotShare
from daemon.policy.price_deviation import PriceDeviation
from daemon.policy.probe import Probe
from daemon.policy.reserve import ReserveRule
from daemon.policy.rule import Picture, Rule
from daemon.policy.standing import Standing, settle
from daemon.policy.tier_mismatch import TierMismatch
from daemon.policy.unknown_destination import UnknownDestination
from daemon.policy.unmatched_outflow import UnmatchedOutflow
from daemon.policy.unusual import Unusual
from daemon.policy.wallet_band import WalletBand

RuleConfig = Annotated[
    HotShare
    | Guarantee
    | Backing
    | ReserveRule
    | WalletBand
    | Drain
    | ColdMoved
    | ControlChanged
    | UnmatchedOutflow
    | UnknownDestination
    | Probe
    | Unusual
    | Dormant
    | TierMismatch
    | Blind
    | DisagreementRule
    | DriftRule
    | FeedStale
    | PriceDeviation,
    Field(discriminator="kind"),
]

JUDGES: dict[type[Rule], Callable[..., Iterator[Verdict]]] = {
    HotShare: hot_share.judge,
    Guarantee: guarantee.judge,
    Backing: backing.judge,
    ReserveRule: reserve.judge,
    WalletBand: wallet_band.judge,
    Drain: drain.judge,
    ColdMoved: cold_moved.judge,
    ControlChanged: control_changed.judge,
    UnmatchedOutflow: unmatched_outflow.judge,
    UnknownDestination: unknown_destination.judge,
    Probe: probe.judge,
    Unusual: unusual.judge,
    Dormant: dormant.judge,
    TierMismatch: tier_mismatch.judge,
    DisagreementRule: disagreement.judge,
    DriftRule: drift.judge,
    FeedStale: feed_stale.judge,
    PriceDeviation: price_deviation.judge,
    Blind: blind.judge,
}
"""Kind of rule → its judge, a pure function (rule, picture, policy=id) → verdicts."""


def judge(policies: Sequence[tuple[str, Rule]], picture: Picture) -> tuple[Verdict, ...]:
    """All verdicts on one picture, whatever stands from an earlier one."""
    verdicts, _ = judged(policies, picture, standing={})
    return tuple(with_blocks(verdict, picture.chains) for verdict in verdicts)


def judged(
    policies: Sequence[tuple[str, Rule]], picture: Picture, *, standing: Standing
) -> tuple[tuple[Verdict, ...], Standing]:
    """The verdicts that hold, and what stands from now on. `blind` comes last: it judges what the others could not.

    Those that do not stand from an earlier time may lack the blocks in their evidence.
    """
    verdicts: list[Verdict] = []
    stands: dict[tuple[str, str], Check] = {}
    for policy, rule in sorted(policies, key=lambda item: isinstance(item[1], Blind)):
        arguments: dict[str, Any] = {"policy": policy}
        if isinstance(rule, Blind):
            picture = replace(picture, earlier=tuple(verdicts))
        fresh = JUDGES[type(rule)](rule, picture, **arguments)
        if rule.looks_back and not picture.remembers:
            fresh = map(_without_the_past, fresh)
        if rule.schedule is None:
            verdicts.extend(fresh)
            continue
        for verdict, check in settle(rule, fresh, schedule=rule.schedule, standing=standing, picture=picture):
            verdicts.append(verdict)
            if check is not None:
                stands[verdict.policy, verdict.subject] = check
    return tuple(verdicts), stands


def _without_the_past(verdict: Verdict) -> Verdict:
    """What is wrong is wrong without what an earlier run has left; that all is well nobody can say."""
    if verdict.judgement is not Judgement.OK:
        return replace(verdict, cleared=False)
    return replace(
        verdict,
        judgement=Judgement.UNKNOWN,
        cleared=False,
        causes=(*verdict.causes, blind.STORE),
        summary=f"Nobody knows what an earlier run has seen: the store has not told it yet; since the start: "
        f"{verdict.summary}",
    )


def worst(verdicts: Sequence[Verdict]) -> Judgement:
    """The answer in one word: breach if anything is, else unknown if anything is, else ok.

    What `blind` breaches is that others are unknown, so it makes the answer unknown at most.
    """
    found = {_outward(verdict) for verdict in verdicts}
    return next((kind for kind in (Judgement.BREACH, Judgement.UNKNOWN) if kind in found), Judgement.OK)


def _outward(verdict: Verdict) -> Judgement:
    blinded = verdict.alert == blind.ALERT and verdict.judgement is Judgement.BREACH
    return Judgement.UNKNOWN if blinded else verdict.judgement
