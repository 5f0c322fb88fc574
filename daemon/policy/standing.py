"""Between the times of its schedule a rule's verdict stands as it was judged then."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from daemon.model import Check, Judgement, Verdict
from daemon.policy.blocks import with_blocks
from daemon.policy.rule import Picture, Rule
from daemon.policy.schedule import Schedule

Standing = Mapping[tuple[str, str], Check]
"""By policy and subject."""


def digest(rule: Rule) -> str:
    """What a rule says, as short text: a verdict of a rule that was changed does not stand."""
    return hashlib.sha256(rule.model_dump_json().encode()).hexdigest()[:16]


def settle(
    rule: Rule, fresh: Iterable[Verdict], *, schedule: Schedule, standing: Standing, picture: Picture
) -> Iterator[tuple[Verdict, Check | None]]:
    """The verdicts that hold now, each with what stands from now on.

    A subject that is unknown when the time has come is judged at the first moment at which it can be; until then it is
    unknown, whatever was true the day before.
    """
    due, text = schedule.latest(picture.at), digest(rule)
    moment = due.astimezone(UTC)  # times that a clock shows twice equal none of another zone (PEP 495)
    for verdict in fresh:
        kept = standing.get((verdict.policy, verdict.subject))
        if kept is not None and (kept.due, kept.rule) == (moment, text):
            yield kept.verdict, kept
        elif verdict.judgement is Judgement.UNKNOWN:
            yield _told(verdict, picture, schedule=schedule, due=due, judged=None), None
        else:
            told = _told(verdict, picture, schedule=schedule, due=due, judged=picture.at)
            yield told, Check(text, moment, picture.at, told)


def restored(current: Standing, stored: Iterable[Check]) -> Standing:
    """What stands when an earlier run's checks are found after judging has begun: of two for one time, the earlier."""
    result = dict(current)
    for check in stored:
        key = (check.verdict.policy, check.verdict.subject)
        begun = current.get(key)
        if begun is None or (begun.due, begun.rule) == (check.due, check.rule):
            result[key] = check
    return result


def _told(verdict: Verdict, picture: Picture, *, schedule: Schedule, due: datetime, judged: datetime | None) -> Verdict:
    """With the time that it was judged for, and the blocks of the moment, which it keeps."""
    verdict = with_blocks(verdict, picture.chains)
    when = f"{due:%Y-%m-%d %H:%M} {schedule.timezone}"
    evidence = {"scheduled_for": due.isoformat(), "judged_at": None if judged is None else judged.isoformat()}
    return replace(
        verdict,
        summary=f"{verdict.summary} ({'due' if judged is None else 'judged for'} {when})",
        evidence={**verdict.evidence, **evidence},
    )
