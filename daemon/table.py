"""The report as a table on a terminal: what `once` prints."""

from collections.abc import Iterable, Iterator
from decimal import Decimal

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from daemon.coverage import Cover
from daemon.emit.rendering import due_text
from daemon.interval import NOTHING, Interval, plain
from daemon.model import Judgement, Report, Verdict, WalletState

COLOURS = {Judgement.OK: "green", Judgement.BREACH: "bold red", Judgement.UNKNOWN: "bold magenta"}


def print_report(report: Report, *, console: Console) -> None:
    """Blocks, wallets, shares and verdicts; what is unknown says so in words, and shows its bounds."""
    for name, chain in report.chains.items():
        where = f"block {chain.tip.height} {chain.tip.hash}" if chain.tip else "not read"
        what = chain.reason or ("accounts unread" if chain.unread else "")
        why = f"  [magenta]{what}: {escape(chain.detail)}[/]" if what else ""
        console.print(f"{name}: {where}{why}")
    console.print(_wallets(report))
    if covers := list(_covers(report)):
        console.print(_coverage(covers))
    console.print(_verdicts(report))
    for finding in report.findings:
        if finding.due:
            dues = "; ".join(map(due_text, finding.due))
            console.print(f"{finding.verdict.policy} {finding.verdict.subject}: {escape(dues)}", soft_wrap=True)


def _wallets(report: Report) -> Table:
    table = Table("wallet", "tier", "owner", "asset", title=escape(report.entity), title_justify="left")
    table.add_column("amount", justify="right")
    table.add_column(f"value ({report.currency})", justify="right")
    for name, state in report.wallets.items():
        for asset in sorted(state.holdings.keys() | state.doubtful.keys()):
            table.add_row(name, state.tier.value, state.wallet.owner.value, asset, *_cells(state, asset))
    return table


def _cells(state: WalletState, asset: str) -> tuple[str, str]:
    held = state.holdings.get(asset)
    if held is None:
        doubtful = state.doubtful[asset]
        return f"[magenta]unknown[/] {_bounds(doubtful.amount, places=6)}", "[magenta]unknown[/]"
    value = held.value.value
    return _grouped(held.amount.low, places=18), "[magenta]no price[/]" if value is None else _grouped(value, places=2)


def _covers(report: Report) -> Iterator[tuple[str, str, Cover]]:
    """What is covered or ought to be: no line for an asset that nothing is set aside for and no rule asks for."""
    judged = {(verdict.alert, verdict.subject) for verdict in report.verdicts}
    coverage = report.coverage
    for asset, cover in coverage.guarantee.items():
        if cover.part != NOTHING or ("PyrometerGuaranteeShort", asset) in judged:
            yield "guarantee", asset, cover
    for asset, cover in coverage.backing.items():
        yield "backing", asset, cover
    for reserve in coverage.reserve.values():
        yield "reserve", report.currency, Cover(reserve.part, reserve.required)


def _coverage(covers: Iterable[tuple[str, str, Cover]]) -> Table:
    table = Table("coverage", "of")
    for heading in ("stands behind", "must be covered", "ratio"):
        table.add_column(heading, justify="right")
    for kind, unit, cover in covers:
        ratio = "nothing to cover" if cover.ratio is None else _shown(cover.ratio, places=6)
        table.add_row(kind, unit, _shown(cover.part, places=18), _shown(cover.whole, places=18), ratio)
    return table


def _shown(measured: Interval, *, places: int) -> str:
    if measured.value is None:
        return f"[magenta]unknown[/] {_bounds(measured, places=min(places, 6))}"
    return _grouped(measured.value, places=places)


def _verdicts(report: Report) -> Table:
    table = Table("verdict", "policy", "subject", "what")
    for verdict in report.verdicts:
        table.add_row(_word(verdict), verdict.policy, verdict.subject, escape(verdict.summary))
    return table


def _word(verdict: Verdict) -> str:
    return f"[{COLOURS[verdict.judgement]}]{verdict.judgement.value}[/]"


def _bounds(measured: Interval, *, places: int) -> str:
    high = "?" if measured.high is None else _grouped(measured.high, places=places)
    return f"\\[{_grouped(measured.low, places=places)} – {high}]"


def _grouped(value: Decimal, *, places: int) -> str:
    """`1,234.5`."""
    whole, _, rest = plain(value, places=places).partition(".")
    return f"{int(whole):,}{'.' + rest if rest else ''}"
