"""A replay on the terminal: what happens, what is found, what was gone by then; and in the end, what came of it all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon.interval import plain
from daemon.model import Report, Severity
from daemon.replay.outcome import Alarm, Answer, Judged, Loot, Outcome
from daemon.replay.scenario import Scenario
from daemon.replay.script import ControlChanged, Happening, LiabilitiesChanged, Payment
from daemon.replay.story import Line, Word, coins, money
from daemon.replay.teller import Teller

WIDE = 120
"""Columns of the scoreboard, also where nobody knows how wide the terminal is."""

ANSWERS = {Answer.MET: "green", Answer.LATE: "red", Answer.MISSED: "red", Answer.NOT_YET: "yellow"}


class Telling:
    """An Audience that prints. Ordinary payments are left out, there are thousands of them."""

    def __init__(self, scenario: Scenario, *, console: Console) -> None:
        self._scenario = scenario
        dated = scenario.end.date() != scenario.starts.date()
        self._teller = Teller(console, dated=dated)

    def happened(self, happening: Happening) -> None:
        """Says what a step of the timeline does."""
        if happening.step is not None:
            self._teller.line(Line(happening.at, Word.SCRIPT, self._said(happening, step=happening.step)))

    def judged(self, report: Report) -> None:
        """Says what the daemon finds that it did not find before."""
        self._teller.report(report)

    def alarmed(self, alarm: Alarm) -> None:
        """Says how much is left."""
        if alarm.loot.gone:
            self._teller.line(Line(alarm.at, Word.LEFT, f"{alarm.alert} fires: {still_there(alarm.loot)}."))

    def _said(self, happening: Happening, *, step: int) -> str:
        told = self._scenario.timeline[step]
        clock = "" if told.clock == "measured" else " (interpolated)"
        words = [_deed(happening), told.note or "", f"transaction {told.transaction}" if told.transaction else ""]
        return f"{'; '.join(filter(None, words))}{clock}"


def still_there(loot: Loot) -> str:
    """`10 XEM gone, 100 % still there`, of each asset that was stolen from."""
    parts = [
        f"{coins(gone)} {asset} gone, {share(loot.left[asset])} still there"
        for asset, gone in loot.gone.items()
        if asset in loot.left
    ]
    return "; ".join(parts) or "nothing is gone"


def share(part: Decimal) -> str:
    """`81.05 %`, rounded down: nobody shall read that more is left than there is."""
    return f"{plain(part * 100 // Decimal('0.01') * Decimal('0.01'))} %"


def clock(moment: datetime) -> str:
    """`2018-01-25 15:02:01`, UTC."""
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def lag(delay: timedelta) -> str:
    """`3 h 02 min before`, `12 s after`, `1 d 4 h after`."""
    seconds = abs(round(delay.total_seconds()))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    minutes, left = divmod(rest, 60)
    if days:
        text = f"{days} d {hours} h"
    elif hours:
        text = f"{hours} h {minutes:02} min"
    else:
        text = f"{minutes} min {left:02} s" if minutes else f"{left} s"
    return f"{text} {'before' if delay < timedelta(0) else 'after'}"


def summary(outcome: Outcome, *, console: Console) -> None:
    """What was expected and what became of it, after a replay; a line each."""
    console.print("\nWhat should have rung:")
    for judged in outcome.judged:
        line = (
            Text("  ")
            .append(f"{judged.answer.value:<8}", style=ANSWERS[judged.answer])
            .append(_expected(judged, outcome))
        )
        console.print(line, soft_wrap=True)
    others = {severity: count for severity, count in outcome.others.items() if count}
    told = ", ".join(f"{count} {severity.value}" for severity, count in others.items())
    console.print(f"Other alarms: {told or 'none'}. {_verdict(outcome)}", soft_wrap=True)


def _expected(judged: Judged, outcome: Outcome) -> str:
    """`PyrometerDrain on XEM: 2018-01-25 15:05:01, 3 min 01 s after the first theft, 81.05 % of XEM still there`."""
    alarm, what = judged.alarm, judged.expected.alert
    what += f" on {judged.expected.subject}" if judged.expected.subject else ""
    if alarm is None:
        to_come = judged.answer is Answer.NOT_YET
        return f" {what}: {f'needs {judged.expected.needs}, which is to come' if to_come else 'never fired'}"
    delay = outcome.delay(alarm)
    since = "" if delay is None else f", {lag(delay)} the first {'theft' if outcome.loot.gone else 'step'}"
    left = ", ".join(f"{share(part)} of {asset}" for asset, part in alarm.loot.left.items())
    return f" {what}: {clock(alarm.at)}{since}, {left or 'everything'} still there"


def _verdict(outcome: Outcome) -> str:
    if outcome.passed:
        return "Everything that was expected came in time."
    missing = [judged for judged in outcome.judged if judged.answer is not Answer.MET]
    if not missing:
        return "More alarms came than the scenario tolerates."
    to_come = sum(judged.answer is Answer.NOT_YET for judged in missing)
    late = len(missing) - to_come
    parts = [f"{late} not in time" if late else "", f"{to_come} need rules that are still to come" if to_come else ""]
    return f"Of {len(outcome.judged)} expected alarms: {', '.join(filter(None, parts))}."


def scoreboard(outcomes: Sequence[Outcome], *, console: Console) -> None:
    """Per incident and policy: how late, what was lost by then, what could have been saved."""
    if not console.is_terminal:
        console.width = max(console.width, WIDE)
    table = Table(title="What each policy would have done", title_justify="left")
    for column in ("incident", "policy", "told, from the first theft", "lost by then", "could be saved"):
        table.add_column(column)
    for outcome in outcomes:
        for policy, alarm in outcome.telling_alarms().items():
            lost, saved = losses(outcome, alarm)
            delay = outcome.delay(alarm)
            told = "–" if delay is None else lag(delay)
            table.add_row(outcome.scenario.incident, policy, told, lost, saved)
        for judged in outcome.judged:
            if judged.answer is Answer.NOT_YET:
                name = f"{judged.expected.needs}: not yet"
                table.add_row(outcome.scenario.incident, Text(name, style="yellow"), "–", "–", "–")
        table.add_section()
    console.print(table)


def losses(outcome: Outcome, alarm: Alarm) -> tuple[str, str]:
    """What was gone when the alarm came, and what was taken afterwards, in the scenario's currency."""
    currency = outcome.scenario.currency
    lost, taken = alarm.loot.value(outcome.scenario), outcome.loot.value(outcome.scenario)
    if lost is None or taken is None:
        return "no price", "no price"
    return money(lost, currency), money(taken - lost, currency)


def false_alarms(outcome: Outcome, *, console: Console) -> None:
    """Of a scenario in which nothing is to be found."""
    counts = outcome.others
    told = f"{counts[Severity.CRITICAL]} critical, {counts[Severity.WARNING]} warning"
    console.print(f"{outcome.scenario.title}: {told} alarms, of which there should be none.")


def deed_of(payment: Payment) -> str:
    """`hot pays thief 100,000,000 XEM`."""
    what = f"{payment.payer.name.removesuffix('/1')} pays {payment.payee.name.removesuffix('/1')}"
    return f"{what} {payment.coin.coins(payment.units).normalize():,f} {payment.coin.asset}"


def _deed(happening: Happening) -> str:
    match happening:
        case Payment():
            return deed_of(happening)
        case ControlChanged():
            return f"{happening.account.name}: {happening.what} is {happening.to} now, it was {happening.before}"
        case LiabilitiesChanged():
            changes = ", ".join(f"{plain(change)} {asset}" for asset, change in happening.changes.items())
            return f"what the books owe changes by {changes}"
        case _:
            return ""
