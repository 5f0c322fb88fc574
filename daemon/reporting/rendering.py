"""A report as Markdown, a page to print, or a table: views of the JSON, which alone is hashed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from daemon.history.closing import JSON
from daemon.reporting import charts
from daemon.reporting.charts import percent
from daemon.store import ReportRow

FORMATS = ("md", "json", "csv", "html")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would take for the beginning of a formula."""


def rendered(row: ReportRow, *, form: str) -> str:
    """The report in one of `FORMATS`; JSON is the very text whose hash is `row.sha256`."""
    if form == "json":
        return row.body
    body: JSON = json.loads(row.body)
    if form == "csv":
        return table(body, sha256=row.sha256)
    template = _ENVIRONMENT.get_template(f"report.{form}.j2")
    header, share = body["header"], body["hot_share"]
    drawn = {
        "share_chart": charts.hot_share(share, start=header["from"], end=header["cut_off"]),
        "coverage_chart": charts.coverage(body["exposure"]) if body["exposure"] else None,
    }
    return template.render(**body, sha256=row.sha256, **(drawn if form == "html" else {}))


def table(body: JSON, *, sha256: str) -> str:
    """CSV: one row for every figure and text, under the path that it has in the JSON."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("section", "path", "value"))
    writer.writerow(("report", "sha256", sha256))
    for path, value in leaves(body):
        section, *rest = path
        writer.writerow((section, ".".join(rest), _cell(value)))
    return out.getvalue()


def leaves(value: Any, *, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401 - JSON
    """Every value that holds no others, with its path; items of lists by their number."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from leaves(one, path=(*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from leaves(one, path=(*path, str(number)))
    else:
        yield path, value


def _cell(value: object) -> str:
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text}" if text.startswith(FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        return Decimal(text).is_finite()
    except InvalidOperation:
        return False


def figure(raw: JSON | None) -> str:
    """`12.5`, `between 4.9 and 7`, `at least 3`, `unknown`: exact, with commas; a dash where nothing is stated."""
    if raw is None:
        return "—"
    low, value, high = (None if raw[name] is None else _grouped(raw[name]) for name in ("low", "value", "high"))
    if value is not None:
        return value
    if low is None:
        return "unknown" if high is None else f"at most {high}"
    return f"at least {low}" if high is None else f"between {low} and {high}"


def _grouped(text: str) -> str:
    return f"{Decimal(text):,f}"


def _share(raw: JSON | None) -> str:
    return "—" if raw is None else percent(raw)


def _age(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours} h {rest // 60} min" if hours else f"{rest // 60} min {rest % 60} s"


def _cell_of_markdown(text: object) -> str:
    """What may stand in a cell: no line break, and nothing that ends the cell or begins markup."""
    shown = " ".join(str(text).split())
    for character in "\\`*_<>|[]":
        shown = shown.replace(character, f"\\{character}" if character not in "<>" else f"&#{ord(character)};")
    return shown


def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("daemon.reporting"),
        autoescape=select_autoescape(["html.j2"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"figure": figure, "share": _share, "age": _age, "cell": _cell_of_markdown}
    return made


_ENVIRONMENT = _environment()
