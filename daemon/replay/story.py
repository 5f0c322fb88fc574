"""Tells in plain words what the daemon found: pure, one line for each thing that differs between two reports."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from connectors.errors import Reason
from daemon.interval import Interval, plain, total
from daemon.model import (
    ChainState,
    Exposure,
    Finding,
    Judgement,
    Move,
    Owner,
    Report,
    Severity,
    State,
    Verdict,
)

STATUS_EVERY = timedelta(hours=4)
NOTABLE_LOSS = Decimal("0.01")  # of all that customers own of an asset, between two reports


class Word(StrEnum):
    """What kind of line it is; SCRIPT is what really happens, all others are what the daemon finds."""

    SCRIPT = "·"
    BREACH = "BREACH"
    OVER = "OVER"
    BLIND = "BLIND"
    UNKNOWN = "UNKNOWN"
    KNOWN = "KNOWN"
    LEFT = "LEFT"
    RESOLVED = "RESOLVED"
    STATUS = "STATUS"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the story. `at` is UTC."""

    at: datetime
    word: Word
    text: str


def narrate(previous: Report | None, current: Report) -> list[Line]:
    """What changed from one report to the next, most basic first: what is seen at all, what is gone, what is wrong."""
    if _starting(current):
        return []
    if previous is None or _starting(previous):
        told = [*_blindness(None, current), *_findings((), current)]
        return [*told, Line(current.at, Word.STATUS, _status(current))]
    told = [
        *_blindness(previous, current),
        *_losses(previous, current),
        *_findings(previous.findings, current),
        *_ends(previous.findings, current),
    ]
    if _slot(previous.at) != _slot(current.at):
        told.append(Line(current.at, Word.STATUS, _status(current)))
    return told


def percent(share: Decimal, *, against: Decimal | None = None) -> str:
    """`8.9 %`; with as many places as it takes to show on which side of `against` it lies."""
    places = 1
    while against is not None and places < 12 and round(share * 100, places) == round(against * 100, places):
        if share == against:
            break
        places += 1
    return f"{plain(share * 100, places=places)} %"


def coins(amount: Decimal, *, rounding: str = ROUND_HALF_EVEN) -> str:
    """`1,950` or `0.84`: commas, and hundredths only below a thousand coins."""
    step = Decimal(1) if amount >= 1000 else Decimal("0.01")
    whole, _, rest = plain(amount.quantize(step, rounding=rounding)).partition(".")
    return f"{int(whole):,}{'.' + rest if rest else ''}"


def money(value: Decimal, currency: str) -> str:
    """`18.5bn JPY`: three digits or so, for people."""
    for size, letters in ((10**12, "tn"), (10**9, "bn"), (10**6, "m")):
        if value >= size:
            return f"{plain(value / size, places=1 if value < 100 * size else 0)}{letters} {currency}"
    return f"{int(value):,} {currency}"


def clock(moment: datetime) -> str:
    return f"{moment:%H:%M}"


def _blindness(previous: Report | None, current: Report) -> Iterator[Line]:
    before = {} if previous is None else {_key(verdict): verdict.judgement for verdict in previous.verdicts}
    unknown = [
        verdict
        for verdict in current.verdicts
        if verdict.judgement is Judgement.UNKNOWN and before.get(_key(verdict)) is not Judgement.UNKNOWN
    ]
    lost = [chain for chain in current.chains.values() if chain.reason and not _was_lost(previous, chain.name)]
    if lost or unknown:
        causes = [_lost(chain) for chain in lost] or [_because(unknown)]
        what = f" Not known now: {'; '.join(map(_bounds, unknown))}." if unknown else " What was read is still current."
        yield Line(current.at, Word.UNKNOWN, " ".join(causes) + what)
    found = [
        f"{chain.name} is read again"
        for chain in current.chains.values()
        if not chain.reason and _was_lost(previous, chain.name)
    ]
    cleared = Judgement.UNKNOWN in before.values() and not _unknown(current)
    if found or cleared:
        what = f"{'; '.join(found) or 'Everything is known again'}. {_status(current) if cleared else ''}"
        yield Line(current.at, Word.KNOWN, what.strip())


def _losses(previous: Report, current: Report) -> Iterator[Line]:
    """What customers had a moment ago and have no more. Says nothing where either side is not fully read."""
    before, now = _owned(previous.exposure), _owned(current.exposure)
    for asset, (had, worth) in before.items():
        has, value = now.get(asset, (None, None))
        if had is None or has is None or had <= has or (had - has) <= NOTABLE_LOSS * had:
            continue
        cost = f", {money(worth - value, current.currency)}" if worth is not None and value is not None else ""
        share = percent((had - has) / had)
        text = (
            f"{coins(had - has)} {asset} ({share} of the customers'{cost}) left the wallets since {clock(previous.at)}."
        )
        yield Line(current.at, Word.LEFT, text)


def _findings(previous: Iterable[Finding], current: Report) -> Iterator[Line]:
    before = {finding.id: finding.state for finding in previous}
    for finding in current.findings:
        state = before.get(finding.id)
        if finding.state is state:
            continue
        if finding.state is State.PENDING:
            text = f"{_breach(finding.verdict)} Nobody is told yet: it has to last."
            yield Line(current.at, Word.OVER, text)
        elif finding.verdict.alert == "PyrometerBlind":
            yield Line(current.at, Word.BLIND, f"{finding.verdict.summary.rstrip('.')}.")
        else:
            yield Line(current.at, Word.BREACH, f"{_breach(finding.verdict)}{_moves(finding.verdict.moves)}")


def _ends(previous: Iterable[Finding], current: Report) -> Iterator[Line]:
    alive = {finding.id for finding in current.findings}
    for finding in previous:
        if finding.id in alive:
            continue
        now = next((v for v in current.verdicts if _key(v) == _key(finding.verdict)), None)
        text = _ended(finding, now)
        if finding.state is State.PENDING:
            yield Line(current.at, Word.RESOLVED, f"{text} It did not last, and nobody was told.")
        else:
            lasted = span(current.at - finding.since)
            yield Line(current.at, Word.RESOLVED, f"{text} It lasted {lasted}.{_no_all_clear(current)}")


def _no_all_clear(current: Report) -> str:
    """A number that came back because money was stolen is no good news: say what still stands."""
    standing = [finding for finding in current.findings if finding.state is State.FIRING]
    serious = [finding.verdict for finding in standing if finding.verdict.severity is not Severity.INFO]
    if not serious:
        return ""
    return f" This is no all-clear: {', '.join(f'{v.policy} on {v.subject}' for v in serious)} still stands."


def _breach(verdict: Verdict) -> str:
    if verdict.alert == "PyrometerHotShareHigh" and verdict.measured is not None and verdict.limit is not None:
        share = _share(verdict.measured, verdict.limit)
        return f"{_scope(verdict)} {share} is over the {percent(verdict.limit)} of {verdict.policy}."
    return f"{verdict.summary.rstrip('.')}."


def _ended(finding: Finding, now: Verdict | None) -> str:
    verdict = finding.verdict
    if (
        verdict.alert == "PyrometerHotShareHigh"
        and now is not None
        and now.measured is not None
        and now.limit is not None
    ):
        share = _share(now.measured, now.limit)
        return f"{_scope(verdict)} {share} is back under the {percent(now.limit)} of {verdict.policy}."
    if now is not None:
        return f"{verdict.policy} on {verdict.subject}: {now.summary.rstrip('.')}."
    return f"{verdict.policy} on {verdict.subject} is over."


def _moves(moves: Iterable[Move]) -> str:
    # Rounded up: whoever moves what stands here must be back under the limit.
    steps = [
        f"{coins(move.amount, rounding=ROUND_CEILING)} {move.asset} "
        f"{'into' if move.direction == 'in' else 'out of'} {move.wallet}"
        for move in moves
    ]
    return f" Move {', '.join(steps)}." if steps else ""


def _scope(verdict: Verdict) -> str:
    return "Hot share" if verdict.subject == "all" else f"Hot share of {verdict.subject}"


def _share(share: Interval, limit: Decimal | None) -> str:
    if share.value is not None:
        return percent(share.value, against=limit)
    high = "an unknown share" if share.high is None else percent(share.high)
    return f"between {percent(share.low)} and {high}"


def _bounds(verdict: Verdict) -> str:
    """What is left to say of a number that is not known."""
    name = (
        _scope(verdict).lower()
        if verdict.alert == "PyrometerHotShareHigh"
        else f"{verdict.policy} on {verdict.subject}"
    )
    measured = verdict.measured
    if measured is None:
        return name
    if verdict.alert == "PyrometerHotShareHigh":
        return f"{name} lies {_share(Interval(measured.low, None, measured.high), None)}"
    high = "nobody knows what" if measured.high is None else coins(measured.high)
    return f"{name} lies between {coins(measured.low)} and {high}"


def _lost(chain: ChainState) -> str:
    since = chain.since or chain.seen
    when = f" since {clock(since)}" if since is not None else ""
    return f"{chain.name} can't be read{when} ({chain.detail or chain.reason})."


def _because(unknown: Iterable[Verdict]) -> str:
    causes = sorted({cause for verdict in unknown for cause in verdict.causes})
    return f"Not readable: {', '.join(causes)}." if causes else "Not all is read."


def _was_lost(previous: Report | None, name: str) -> bool:
    before = previous.chains.get(name) if previous is not None else None
    return before is not None and before.reason is not None


def _starting(report: Report) -> bool:
    """Before the first reading there is nothing to tell."""
    return any(chain.reason is Reason.STARTING for chain in report.chains.values())


def _unknown(report: Report) -> bool:
    return any(verdict.judgement is Judgement.UNKNOWN for verdict in report.verdicts)


def _status(report: Report) -> str:
    """One sentence for a quiet hour: the share, what stands, how far the chains are read."""
    share = report.exposure.hot_share.get("all")
    value = total(
        holding.value for (_, _, owner), holding in report.exposure.holdings.items() if owner is Owner.CUSTOMER
    )
    of = f" of {money(value.value, report.currency)}" if value.value is not None else ""
    hot = f"Hot share {_share(share, None)}{of}; " if share is not None else ""
    blocks = [
        f"{chain.name} at block {chain.tip.height:,}"
        for chain in report.chains.values()
        if chain.tip and not chain.reason
    ]
    return f"{hot}{_standing(report)}{''.join(f'; {block}' for block in blocks)}."


def _standing(report: Report) -> str:
    firing = [finding.verdict for finding in report.findings if finding.state is State.FIRING]
    if firing:
        return f"still standing: {', '.join(f'{verdict.policy} on {verdict.subject}' for verdict in firing)}"
    if not report.verdicts:
        return "nothing is judged"
    return "not everything is known" if _unknown(report) else "inside policy"


def _owned(exposure: Exposure) -> dict[str, tuple[Decimal | None, Decimal | None]]:
    """Customers' coins and their value, by asset; None where not all is read."""
    parts: dict[str, list[tuple[Interval, Interval]]] = {}
    for (asset, _, owner), holding in exposure.holdings.items():
        if owner is Owner.CUSTOMER:
            parts.setdefault(asset, []).append((holding.amount, holding.value))
    return {
        asset: (total(a for a, _ in pairs).value, total(v for _, v in pairs).value) for asset, pairs in parts.items()
    }


def span(duration: timedelta) -> str:
    minutes = int(duration.total_seconds() // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _slot(moment: datetime) -> int:
    return int(moment.timestamp() // STATUS_EVERY.total_seconds())


def _key(verdict: Verdict) -> tuple[str, str]:
    return verdict.policy, verdict.subject
