"""Documentation is held to the program: what can be asked, scraped, raised or returned is written down."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from connectors.base import Stage
from connectors.errors import Reason
from daemon import __main__ as command_line
from daemon.api.gating import GateRoutes
from daemon.api.routes import Routes
from daemon.api.selection import FILTERS, MOST, USUAL
from daemon.emit.metrics import STAGES
from daemon.feeds.values import FeedReason
from daemon.model import Severity
from daemon.movements import KEPT, PENDING_KEPT
from daemon.movements import MOST as MOST_KEPT
from daemon.policy import RuleConfig
from daemon.sinks import RUNBOOKS
from tests.build import ETH, ETHER, complete
from tests.documented import Documented, documented_metrics
from tests.unit.test_api import World
from tests.unit.test_metrics import Clock, metrics, report

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def text(name: str) -> str:
    return (DOCS / name).read_text()


async def families() -> dict[str, Documented]:
    """Every metric family of a picture, with its labels as far as it has series."""
    subject = metrics(Clock())
    subject.offer(await report(complete(1, {(1, ETH): 6 * ETHER}, unread=[(2, ETH)])))
    found = {}
    for family in subject.registry.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = frozenset(label for sample in family.samples for label in sample.labels) - {"le"}
        found[name] = Documented(labels, family.type)
    return found


async def test_every_metric_and_its_labels_stand_in_the_documentation_and_no_others() -> None:
    """Of a real scrape, in which every metric has series, tests/system/test_metrics.py asks for the very labels."""
    documented, found = documented_metrics(), await families()
    assert set(documented) == set(found)
    for name, metric in found.items():
        assert metric.labels <= documented[name].labels, name
        assert metric.type == documented[name].type, name


def test_every_stage_stands_in_the_documentation() -> None:
    (row,) = [line for line in text("metrics.md").splitlines() if line.startswith("| `pyrometer_stage_seconds`")]
    assert re.findall(r"`(\w+)`", row.split("|")[2]) == list(STAGES)


async def test_every_metric_has_help_and_the_prefix() -> None:
    subject = metrics(Clock())
    subject.offer(await report(complete(1, {(1, ETH): 1, (2, ETH): 1})))
    for family in subject.registry.collect():
        assert family.name.startswith(("pyrometer_", "process_"))
        assert len(family.documentation) > 10


def test_what_every_process_tells_of_itself_stands_in_the_documentation() -> None:
    families = [family for family in metrics(Clock()).registry.collect() if family.name.startswith("process_")]
    names = [f"{family.name}_total" if family.type == "counter" else family.name for family in families]
    assert len(names) >= 6
    assert not [name for name in names if f"`{name}`" not in text("metrics.md")]


def test_every_reason_is_explained() -> None:
    assert not [reason for reason in Reason if f"`{reason.value}`" not in text("metrics.md")]


def test_every_reason_of_a_source_is_explained() -> None:
    assert not [reason for reason in FeedReason if f"`{reason.value}`" not in text("api.md")]


def test_every_route_stands_in_the_documentation() -> None:
    documented = set(re.findall(r"^\| `((?:GET|POST) /\S*)`", text("api.md"), re.M))
    sources = World().sources()
    table = [*Routes(sources).table(), *GateRoutes(sources).table()]
    routes = {f"{route.method} {route.path}" for route in table}
    assets = {"GET /page.css", "GET /page.js"}
    assert documented == {route.replace("{name}", "W").replace("{id}", "ID") for route in routes} - assets


def test_every_filter_and_stage_of_movements_stands_in_the_documentation() -> None:
    _, _, chapter = text("api.md").partition("\n## Movements\n")
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*)$", chapter.partition("\n## ")[0], re.M))
    assert set(FILTERS) <= set(rows)
    assert not [stage for stage in Stage if f"`{stage.value}`" not in rows["stage"]]
    assert f"`{USUAL}`" in rows["limit"]
    assert f"to {MOST}" in rows["limit"]


def test_what_the_documentation_says_is_kept_of_movements_is_what_is_kept() -> None:
    assert (KEPT.days, PENDING_KEPT.days, MOST_KEPT) == (7, 14, 1000)
    assert "settled movements for 7 days, pending ones for 14" in text("api.md")
    assert "at most 1000 of each" in text("api.md")


def test_every_event_that_is_logged_of_money_stands_in_the_documentation() -> None:
    events = set(re.findall(r'log\.\w+\(\s*"([^"]+)"', (ROOT / "daemon" / "notices.py").read_text()))
    assert len(events) == 3
    assert not [event for event in events if f"| `{event}` |" not in text("operations.md")]


def test_every_command_and_exit_code_stands_in_the_documentation() -> None:
    page = text("commands.md")
    verbs = command_line._parser()._subparsers
    assert verbs is not None
    choices = verbs._group_actions[0].choices
    assert choices is not None
    assert set(re.findall(r"^\| `(\w+)", page, re.M)) - {"make"} == set(choices)
    codes = {command_line.OK, command_line.FATAL, command_line.BAD_CONFIGURATION}
    codes |= {command_line.BREACH, command_line.UNKNOWN, command_line.UNMET, command_line.TAMPERED}
    assert {int(code) for code in re.findall(r"^\| (\d) \|", page, re.M)} == codes


def alert_names() -> set[str]:
    sources = [path.read_text() for path in (ROOT / "daemon").rglob("*.py")]
    return {name for source in sources for name in re.findall(r'"(Pyrometer[A-Z]\w+)"', source)}


def rules() -> list[dict[str, Any]]:
    """What Prometheus is given, records and alerts."""
    files = (ROOT / "deploy" / "prometheus" / "rules").glob("*.yml")
    return [rule for file in files for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


def prometheus_alerts() -> set[str]:
    return {rule["alert"] for rule in rules() if "alert" in rule}


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert alert_names() | prometheus_alerts() == {path.stem for path in (DOCS / "alerts").glob("*.md")}
    assert len(alert_names()) == 20
    assert len(prometheus_alerts()) == 17
    assert not alert_names() & prometheus_alerts()


@pytest.mark.parametrize("name", sorted(alert_names() | prometheus_alerts()))
def test_a_runbook_says_what_it_means_and_opens_with_its_name(name: str) -> None:
    page = text(f"alerts/{name}.md")
    assert page.startswith(f"# {name}\n")
    assert "**Meaning.**" in page
    for part in ("**Likely causes.**", "**First three steps.**", "**Verify.**", "**Close.**"):
        assert part in page
    assert re.findall(r"^\d\.", page, re.M) == ["1.", "2.", "3."]


@pytest.mark.parametrize("rule", [rule for rule in rules() if "alert" in rule], ids=lambda rule: str(rule["alert"]))
def test_an_alert_of_prometheus_says_how_bad_it_is_what_it_is_and_where_its_runbook_stands(
    rule: dict[str, Any],
) -> None:
    assert rule["labels"]["severity"] in set(Severity)
    assert {"summary", "description", "runbook_url"} == rule["annotations"].keys()
    assert all(rule["annotations"].values())
    page = f"{rule['alert']}.md"
    assert rule["annotations"]["runbook_url"] == f'{{{{ or $externalLabels.runbooks "{RUNBOOKS}" }}}}/{page}'
    assert (ROOT / RUNBOOKS / page).is_file()


@pytest.mark.parametrize("rule", [rule for rule in rules() if "alert" in rule], ids=lambda rule: str(rule["alert"]))
def test_the_labels_of_an_alert_of_prometheus_are_those_of_the_daemon_s(rule: dict[str, Any]) -> None:
    """What it adds stays within them, and what its query brings beyond them is taken away; `entity` is the target's."""
    kept = {label for label, value in rule["labels"].items() if value}
    assert kept <= {"policy", "subject", "severity"}
    by = {label for group in re.findall(r"by \(([^)]*)\) \(", rule["expr"])[:1] for label in group.split(", ")}
    assert by - {"entity", "policy", "subject"} <= {label for label, value in rule["labels"].items() if not value}
    if rule["alert"] != "PyrometerBreachUntold":
        assert kept == {"policy", "subject", "severity"}
        assert rule["labels"]["policy"].startswith("prometheus/")


def test_every_alert_of_prometheus_stands_in_the_documentation_with_its_severity() -> None:
    rows = dict(re.findall(r"^\| `(Pyrometer\w+)` \| ([\w ]+) \|", text("metrics.md"), re.M))
    severities: dict[str, set[str]] = {}
    for rule in rules():
        if "alert" in rule:
            severities.setdefault(rule["alert"], set()).add(rule["labels"]["severity"])
    assert {name: set(told.split(" or ")) for name, told in rows.items()} == severities


def test_every_recorded_series_stands_in_the_documentation() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    assert set(re.findall(r"^\| `(\w+:\w+:\w+)` \|", text("metrics.md"), re.M)) == recorded


def test_rules_ask_for_metrics_that_there_are() -> None:
    """A misspelt one would never be missed: its alert would just never fire."""
    known = {name.removesuffix("_bucket") for name in documented_metrics()} | {
        rule["record"] for rule in rules() if "record" in rule
    }
    name_of_ours = r"\b(?:\w+:pyrometer_\w+:\w+|(?:pyrometer|process)_\w+)"
    asked = {name for rule in rules() for name in re.findall(name_of_ours, _asks(rule))}
    assert {name.removesuffix("_bucket") for name in asked} <= known
    assert len(asked) > 15


def _asks(rule: dict[str, Any]) -> str:
    queries = re.findall(r"query \((.*?)\$labels", " ".join(rule.get("annotations", {}).values()))
    return " ".join((rule["expr"], *queries))


def test_every_kind_of_rule_stands_in_the_configuration_reference() -> None:
    kinds = {rule.model_fields["kind"].annotation.__args__[0] for rule in RuleConfig.__origin__.__args__}  # type: ignore[attr-defined]
    assert not [kind for kind in kinds if f"`{kind}`" not in text("configuration.md")]


@pytest.mark.parametrize(
    "page", sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *DOCS.rglob("*.md")]), ids=str
)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text())
    assert not [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]


def test_the_limit_after_which_numbers_are_withheld_is_the_one_that_is_documented() -> None:
    from daemon.app import CYCLE_LIMIT

    assert timedelta(seconds=10) == CYCLE_LIMIT
    assert "10 s" in text("metrics.md")


PRESETS = ROOT / "config" / "policies"


def rows_of_presets() -> dict[str, list[str]]:
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text("presets.md").splitlines()]
    return {cells[0].strip("`"): cells for cells in rows if len(cells) == 7 and cells[0].startswith("`")}


def laws() -> dict[str, dict[str, Any]]:
    """The files of presets that are about a law."""
    found = {path.stem: yaml.safe_load(path.read_text()) for path in PRESETS.glob("*.yaml")}
    return {name: file for name, file in found.items() if "effective" in file}


def test_every_preset_of_a_law_stands_in_the_documentation_and_no_others() -> None:
    assert rows_of_presets().keys() == laws().keys()
    assert len(laws()) == 9


@pytest.mark.parametrize("name", sorted(laws()))
def test_what_the_documentation_says_of_a_preset_is_what_its_file_says(name: str) -> None:
    file, (_, checks, citation, date, confidence, needed, unchecked) = laws()[name], rows_of_presets()[name]
    assert (citation, date, confidence) == (file["citation"], str(file["effective"]), file["confidence"])
    assert unchecked == "; ".join(file["unchecked"])
    assert [rule["name"] for rule in file["rules"] if f"`{rule['name']}`" not in checks] == []
    asked = file.get("required", [])
    assert all(f"`{one['rule']}.{key}`" in needed for one in asked for key in one["one_of"])
    assert all(one["meaning"] in needed for one in asked)
    assert needed == "nothing" or asked


def test_the_numbers_that_the_documentation_names_are_those_of_the_presets() -> None:
    for name, file in laws().items():
        checks = rows_of_presets()[name][1]
        shares = {f"{float(rule['limit']) * 100:g} %" for rule in file["rules"] if rule["kind"] == "hot_share"}
        assert name == "jp-reserve-2026" or all(share in checks for share in shares), name
