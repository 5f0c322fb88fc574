"""`blind`: something that a verdict rests on has been unknown for too long."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar, Literal

from pydantic import Field

from connectors.config import Duration
from connectors.errors import Reason
from daemon.feeds.values import FeedReason, SourceState
from daemon.model import Judgement, Verdict
from daemon.policy.rule import Picture, Rule, judgement

ALERT = "PyrometerBlind"

STORE = "store"
"""The cause of what can't be known before the store has told what an earlier run has left."""


class Blind(Rule):
    """Breach, per cause (a chain, what a source is to say, the store), while another verdict is unknown because of it.

    `hold` is the grace.

    What is awaited for the first time is unknown itself: every start would be a breach otherwise.
    """

    kind: Literal["blind"]
    concerns_wallets: ClassVar[bool] = False
    hold: Duration = Field(timedelta(minutes=2), description="grace: how long a verdict may stay unknown")


def judge(rule: Blind, picture: Picture, *, policy: str) -> Iterator[Verdict]:
    """One verdict per chain, and per thing that a source is to say: one page for a dead node."""
    blinded: dict[str, list[str]] = defaultdict(list)
    unknown = Judgement.UNKNOWN  # every verdict comes by here in every judgement
    for verdict in [one for one in picture.earlier if one.judgement is unknown]:
        for cause in verdict.causes:
            blinded[cause].append(f"{verdict.policy} on {verdict.subject}")
    silent: dict[str, list[SourceState]] = defaultdict(list)
    for source in picture.feeds.sources:
        for cause in source.leaves:
            silent[cause].append(source)
    standing = _standing(picture)
    causes = sorted({*standing, *blinded}) if blinded else standing

    def made(cause: str) -> Verdict:
        found = _fine(rule, policy=policy, cause=cause)
        return _blind(found, picture, blinded=blinded[cause], silent=silent[cause]) if cause in blinded else found

    unseen = dict.fromkeys(blinded, True)
    yield from picture.memory.verdicts(policy, made, of=causes, each=[(unseen, causes)], all_rest_on=(rule,))


def _fine(rule: Blind, *, policy: str, cause: str) -> Verdict:
    return Verdict(
        policy=policy,
        subject=cause,
        alert=ALERT,
        severity=rule.severity,
        judgement=Judgement.OK,
        summary=f"{_named(cause)} can be judged",
        cleared=True,
    )


def _standing(picture: Picture) -> Sequence[str]:
    """What is always judged, so that a finding ends when its cause is known again; in order."""
    feeds = picture.feeds

    def named() -> Iterator[str]:
        yield from (f"chain:{name}" for name in picture.chains)
        yield from (f"trailing:{asset}" for asset in (*feeds.trailing, *feeds.untrailed))
        for source in feeds.sources:
            yield from source.causes
        if not picture.remembers:
            yield STORE

    said = (source.causes for source in feeds.sources)
    rests_on = (picture.remembers, feeds.trailing, feeds.untrailed, *picture.chains, *said)
    return picture.memory.value("standing", lambda: sorted({*named()}), rests_on=rests_on)


def _named(cause: str) -> str:
    """`chain ethereum`, `reserve fund`, `volume`."""
    return cause.replace(":", " ", 1)


def _blind(fine: Verdict, picture: Picture, *, blinded: list[str], silent: list[SourceState]) -> Verdict:
    what, _, name = fine.subject.partition(":")
    if what == "chain":
        awaited = picture.chains[name].reason is Reason.STARTING
        detail, evidence = _of_chain(picture, name)
    elif what == STORE:
        awaited = False
        detail, evidence = "it has not told yet what an earlier run has left", {}
    elif what == "trailing":
        awaited = False
        detail, evidence = _of_averages(picture, name)
    else:
        awaited = bool(silent) and all(source.reason is FeedReason.STARTING for source in silent)
        detail, evidence = _of_sources(silent)
    return replace(
        fine,
        judgement=judgement(breach=not awaited, ok=False),
        summary=f"Unknown because of {_named(fine.subject)}: {', '.join(blinded)}{f' ({detail})' if detail else ''}",
        cleared=False,
        evidence={"blinded": blinded, **evidence},
    )


def _of_chain(picture: Picture, name: str) -> tuple[str, dict[str, Any]]:
    state = picture.chains[name]
    return state.detail or ", ".join(reason.value for reason in state.unread), {
        "reason": state.reason.value if state.reason else "accounts unread",
        "detail": state.detail,
        "unread": {reason.value: count for reason, count in state.unread.items()},
        "blocks": picture.blocks([name]),
    }


def _of_averages(picture: Picture, asset: str) -> tuple[str, dict[str, Any]]:
    missing = picture.feeds.untrailed.get(asset)
    return f"{missing} days of the year have no average price" if missing else "", {"missing_days": missing}


def _of_sources(silent: list[SourceState]) -> tuple[str, dict[str, Any]]:
    """What the sources have to say for themselves that are to tell it; without any, nobody was asked."""
    if not silent:
        return "", {}
    said = "; ".join(f"{source.label}: {_excuse(source)}" for source in silent)
    return said, {
        "sources": [
            {
                "source": source.label,
                "reason": None if source.reason is None else source.reason.value,
                "detail": source.detail,
                "withheld": dict(source.withheld),
            }
            for source in silent
        ]
    }


def _excuse(source: SourceState) -> str:
    return source.detail if source.reason else "says nothing current of it"
