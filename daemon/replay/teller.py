"""Puts the story on the terminal: what really happens in grey, what the daemon finds in colour, the day in figures."""

from datetime import timedelta
from decimal import Decimal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from daemon.interval import Interval
from daemon.model import Judgement, Report, State
from daemon.policy.rule import percent
from daemon.replay.story import Line, Word, narrate, span, starting

STYLES = {
    Word.SCRIPT: "dim italic",
    Word.BREACH: "bold white on red",
    Word.OVER: "yellow",
    Word.BLIND: "bold white on magenta",
    Word.UNKNOWN: "bold magenta",
    Word.KNOWN: "green",
    Word.LEFT: "bold red",
    Word.RESOLVED: "green",
    Word.STATUS: "cyan",
}


UNDATED, DATED = "%H:%M", "%Y-%m-%d %H:%M:%S"


class Teller:
    """Prints lines to `console` and reports as what changed since the report before.

    On a terminal text wraps under itself and has colours; elsewhere each line is one plain line. `dated`: lines say the
    day too.
    """

    def __init__(self, console: Console, *, dated: bool = False) -> None:
        self._console = console
        self._clock = DATED if dated else UNDATED
        self._previous: Report | None = None
        self._account = Account()

    def line(self, line: Line) -> None:
        """Prints one line."""
        self._console.print(
            _rendered(line, clock=self._clock) if self._console.is_terminal else _plain(line, clock=self._clock),
            soft_wrap=not self._console.is_terminal,
        )

    def report(self, report: Report) -> None:
        """Prints what `report` changes, and at midnight the account of the day that ended."""
        for line in narrate(self._previous, report):
            self.line(line)
        if self._previous is not None and self._previous.at.date() != report.at.date():
            for line in self._account.lines(report):
                self.line(line)
            self._account = Account()
        self._account.add(self._previous, report)
        self._previous = report


class Account:
    """What a day's reports come to."""

    def __init__(self) -> None:
        self._reports = 0
        self._highest: tuple[Decimal, Report] | None = None
        self._unknown = timedelta()
        self._pages: dict[str, str] = {}

    def add(self, previous: Report | None, current: Report) -> None:
        self._reports += 1
        share = current.exposure.hot_share.get("all", Interval(Decimal(0), None, None)).value
        if share is not None and (self._highest is None or share > self._highest[0]):
            self._highest = (share, current)
        if previous is not None and _was_unknown(previous):
            self._unknown += current.at - previous.at
        for finding in current.findings:
            if finding.state is State.FIRING:
                verdict = finding.verdict
                when = finding.fired or finding.since
                self._pages[finding.id] = f"{when:%H:%M} {verdict.policy} on {verdict.subject}"

    def lines(self, last: Report) -> list[Line]:
        """The account of the day that ends with `last`."""
        standing = sum(finding.state is State.FIRING for finding in last.findings)
        pages = "; ".join(self._pages.values()) or "none"
        told = [f"The day in {self._reports:,} reports. Pages: {pages}. Still standing: {standing or 'none'}."]
        if self._highest is not None:
            share, report = self._highest
            told.append(f"Highest hot share {percent(Interval.exactly(share))} at {report.at:%H:%M}.")
        if self._unknown:
            told.append(f"Something was unknown for {span(self._unknown)}; it was never shown as zero.")
        return [Line(last.at, Word.STATUS, sentence) for sentence in told]


def _was_unknown(report: Report) -> bool:
    """Before the first reading nothing is known, and nothing was lost either."""
    return not starting(report) and any(verdict.judgement is Judgement.UNKNOWN for verdict in report.verdicts)


def _plain(line: Line, *, clock: str) -> Text:
    return Text(f"{line.at:{clock}}  {line.word:<8}  {line.text}")


def _rendered(line: Line, *, clock: str) -> Table:
    style = STYLES[line.word]
    row = Table.grid(padding=(0, 1))
    row.add_column(width=len(f"{line.at:{clock}}"))
    row.add_column(width=10)
    row.add_column(ratio=1)
    quiet = line.word is Word.SCRIPT
    row.add_row(
        Text(f"{line.at:{clock}}", style="dim" if quiet else ""),
        Text(f" {line.word} ", style=style),
        Text(line.text, style=style if quiet else ""),
    )
    return row
