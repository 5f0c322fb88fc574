"""Tells in plain words what the daemon found: pure, one line for each thing that differs between two reports."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from enum import StrEnum

from connectors.errors import Reason
from daemon.exposure import ALL
from daemon.interval import EXACT, Interval, plain, total
from daemon.model import ChainState, Exposure, Finding, Judgement, Move, Owner, Report, Severity, State, Verdict
from daemon.policy import disagreement, drift
from daemon.policy.blind import ALERT as BLIND_ALERT
from daemon.policy.rule import percent

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
    """What changed from one report to the next, most basic first: what is seen at all, what is gone, what is wrong.

    Until every chain was read for the first time there is nothing to tell.
    """
    if starting(current):
        return []
    before = None if previous is None or starting(previous) else previous
    told = [*_blindness(before, current)]
    if before is not None:
        told += _losses(before, current)
    told += _findings(before.findings if before else (), current)
    told += _ends(before.findings if before else (), current)
    if before is None or _slot(before.at) != _slot(current.at):
        told.append(Line(current.at, Word.STATUS, status(current)))
    return told


def status(report: Report) -> str:
    """One sentence for a quiet hour: the share, what stands, how far the chains are read."""
    parts = []
    if ALL in report.exposure.hot_share:
        held = report.exposure.holdings.items()
        value = total(holding.value for (_, _, owner), holding in held if owner is Owner.CUSTOMER).value
        of = "" if value is None else f" of {money(value, report.currency)}"
        parts.append(f"Hot share {percent(report.exposure.hot_share[ALL])}{of}")
    parts.append(_standing(report))
    for chain in report.chains.values():
        if chain.tip is not None and chain.reason is None:
            parts.append(f"{chain.name} at block {chain.tip.height:,}")
    return f"{'; '.join(parts)}."


def coins(amount: Decimal, *, rounding: str = ROUND_HALF_EVEN) -> str:
    """`1,950` or `0.84`: commas, and hundredths only below a thousand coins."""
    step = Decimal(1) if amount >= 1000 else Decimal("0.01")
    whole, _, rest = plain(amount.quantize(step, rounding=rounding, context=EXACT)).partition(".")
    return f"{int(whole):,}{'.' + rest if rest else ''}"


def money(value: Decimal, currency: str) -> str:
    """`18.5bn JPY`: three digits or so, for people."""
    for size, letters in ((10**12, "tn"), (10**9, "bn"), (10**6, "m")):
        if value >= size:
            return f"{plain(value / size, places=1 if value < 100 * size else 0)}{letters} {currency}"
    return f"{int(value):,} {currency}"


def span(duration: timedelta) -> str:
    """`45 min` or `2 h 03 min`."""
    minutes = int(duration.total_seconds() // 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"


def _blindness(previous: Report | None, current: Report) -> Iterator[Line]:
    """One line when something can't be seen any more, with what is known all the same; one when it can again."""
    before = {} if previous is None else {_key(verdict): verdict.judgement for verdict in previous.verdicts}
    unknown = [
        verdict
        for verdict in current.verdicts
        if verdict.judgement is Judgement.UNKNOWN and before.get(_key(verdict)) is not Judgement.UNKNOWN
    ]
    lost = [chain for chain in current.chains.values() if chain.reason and not _was_lost(previous, chain.name)]
    if lost or unknown:
        causes = " ".join(map(_lost, lost)) or _because(unknown)
        # That nobody can be compared, and nothing swept, is no news beside the dead node itself.
        silent = (disagreement.ALERT, drift.ALERT)
        told = [verdict.summary.rstrip(".") for verdict in unknown if verdict.alert not in silent]
        what = "".join(f" {summary}." for summary in told) if unknown else " Every verdict still holds."
        yield Line(current.at, Word.UNKNOWN, causes + what)
    found = [
        f"{chain.name} is read again."
        for chain in current.chains.values()
        if chain.reason is None and _was_lost(previous, chain.name)
    ]
    cleared = Judgement.UNKNOWN in before.values() and not _unknown(current)
    if found or cleared:
        yield Line(current.at, Word.KNOWN, " ".join([*found, status(current)] if cleared else found))


def _losses(previous: Report, current: Report) -> Iterator[Line]:
    """What customers had a moment ago and have no more. Says nothing where either side is not fully read."""
    before, now = _owned(previous.exposure), _owned(current.exposure)
    for asset, had in before.items():
        has = now.get(asset)
        if had is None or has is None or had - has <= NOTABLE_LOSS * had:
            continue
        share = percent(Interval.exactly((had - has) / had))
        since = f"{previous.at:%H:%M}"
        text = f"{coins(had - has)} {asset}, {share} of the customers', left the wallets since {since}."
        yield Line(current.at, Word.LEFT, text)


def _findings(previous: Iterable[Finding], current: Report) -> Iterator[Line]:
    before = {finding.id: finding.state for finding in previous}
    for finding in current.findings:
        verdict, blind = finding.verdict, finding.verdict.alert == BLIND_ALERT
        if finding.state is before.get(finding.id):
            continue
        if finding.state is State.FIRING:
            text = f"{_judged(verdict)}{_moves(verdict.moves)}"
            yield Line(current.at, Word.BLIND if blind else Word.BREACH, text)
        elif not blind:  # that something is unknown was said already
            text = f"{_judged(verdict)} Nobody is told yet: it has to last."
            yield Line(current.at, Word.OVER, text)


def _ends(previous: Iterable[Finding], current: Report) -> Iterator[Line]:
    alive = {finding.id for finding in current.findings}
    for finding in previous:
        told = finding.state is State.FIRING
        if finding.id in alive or not (told or finding.verdict.alert != BLIND_ALERT):
            continue
        now = next((verdict for verdict in current.verdicts if _key(verdict) == _key(finding.verdict)), None)
        what = f"{finding.verdict.policy} is not judged any more." if now is None else _judged(now)
        lasted = f" It lasted {span(current.at - finding.since)}." if told else " Nobody was told."
        yield Line(current.at, Word.RESOLVED, f"{what}{lasted}{_no_all_clear(current)}")


def _no_all_clear(current: Report) -> str:
    """A share that fell because the money was stolen is no good news: say what still stands."""
    serious = [verdict for verdict in _firing(current) if verdict.severity is not Severity.INFO]
    return f" This is no all-clear: {_named(serious)} still stands." if serious else ""


def _standing(report: Report) -> str:
    firing = _firing(report)
    if firing:
        return f"still standing: {_named(firing)}"
    if not report.verdicts:
        return "nothing is judged"
    return "not everything is known" if _unknown(report) else "inside policy"


def _firing(report: Report) -> list[Verdict]:
    return [finding.verdict for finding in report.findings if finding.state is State.FIRING]


def _named(verdicts: Iterable[Verdict]) -> str:
    return ", ".join(f"{verdict.policy} on {verdict.subject}" for verdict in verdicts)


def _judged(verdict: Verdict) -> str:
    return f"{verdict.summary.rstrip('.')} ({verdict.policy})."


def _moves(moves: Iterable[Move]) -> str:
    # Rounded up: whoever moves what stands here must be back under the limit.
    steps = [f"{coins(move.amount, rounding=ROUND_CEILING)} {move.asset} {move.way}" for move in moves]
    return f" Move {', '.join(steps)}." if steps else ""


def _lost(chain: ChainState) -> str:
    when = f" since {chain.since:%H:%M}" if chain.since is not None else ""
    return f"{chain.name} has not been read{when} ({chain.detail or chain.reason})."


def _because(unknown: Iterable[Verdict]) -> str:
    causes = sorted({cause for verdict in unknown for cause in verdict.causes})
    return f"Not readable: {', '.join(causes)}." if causes else "Not all is read."


def _was_lost(previous: Report | None, name: str) -> bool:
    before = previous.chains.get(name) if previous is not None else None
    return before is not None and before.reason is not None


def starting(report: Report) -> bool:
    """Whether a chain was not read for the first time yet."""
    return any(chain.reason is Reason.STARTING for chain in report.chains.values())


def _unknown(report: Report) -> bool:
    return any(verdict.judgement is Judgement.UNKNOWN for verdict in report.verdicts)


def _owned(exposure: Exposure) -> dict[str, Decimal | None]:
    """Customers' coins by asset; None where not all is read."""
    parts: dict[str, list[Interval]] = {}
    for (asset, _, owner), holding in exposure.holdings.items():
        if owner is Owner.CUSTOMER:
            parts.setdefault(asset, []).append(holding.amount)
    return {asset: total(amounts).value for asset, amounts in parts.items()}


def _slot(moment: datetime) -> int:
    return int(moment.timestamp() // STATUS_EVERY.total_seconds())


def _key(verdict: Verdict) -> tuple[str, str]:
    return verdict.policy, verdict.subject
