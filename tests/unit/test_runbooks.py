"""A runbook can be followed by somebody who was asleep a minute ago: its parts, and that what it names is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "alerts").glob("*.md"))
PARTS = ["Meaning", "Likely causes", "First three steps", "Verify", "Close"]
GATED = ["ColdMoved", "ControlChanged", "DormantMoved", "Drain", "Probe", "UnknownDestination", "UnmatchedOutflow"]
"""Alerts of rules that close gates in the preset `theft`, or had better."""

pages = pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])


def documented(page: str, pattern: str) -> set[str]:
    return set(re.findall(pattern, (ROOT / "docs" / page).read_text(), re.M))


def parts(page: Path) -> dict[str, str]:
    """Heading to text, in order."""
    _, *found = re.split(r"^\*\*([A-Z][a-z ]+)\.\*\*", page.read_text(), flags=re.M)
    return dict(zip(found[::2], found[1::2], strict=True))


@pages
def test_the_five_parts_come_in_one_order(page: Path) -> None:
    assert [name for name in parts(page) if name != "Gate"] == PARTS


@pages
def test_no_part_is_empty(page: Path) -> None:
    assert min(len(text.strip()) for text in parts(page).values()) > 60


@pages
def test_there_are_three_steps_and_at_least_one_command_to_copy(page: Path) -> None:
    steps = parts(page)["First three steps"]
    assert re.findall(r"^(\d)\. \S", steps, re.M) == ["1", "2", "3"]
    assert re.search(
        r"^ *(curl|pyrometer|amtool|promtool|journalctl|systemctl|kubectl|docker) ", page.read_text(), re.M
    )


@pytest.mark.parametrize("name", GATED)
def test_what_closes_gates_says_so_before_the_steps(name: str) -> None:
    found = list(parts(ROOT / "docs" / "alerts" / f"Pyrometer{name}.md"))
    assert found.index("Gate") < found.index("First three steps")


@pages
def test_every_path_that_it_asks_for_is_one_of_the_api(page: Path) -> None:
    known = {path.rpartition("/")[2] for path in documented("api.md", r"^\| `(?:GET|POST) /api/v1/(\w+)")}
    assert set(re.findall(r"/api/v1/(\w+)", page.read_text())) <= known


@pages
def test_every_metric_that_it_names_is_exported(page: Path) -> None:
    known = documented("metrics.md", r"^\| `(pyrometer_\w+)`")
    named = set(re.findall(r"\b(pyrometer_\w+)", page.read_text()))
    assert all(any(metric.startswith(name) for metric in known) for name in named)


@pages
def test_every_command_of_pyrometer_that_it_names_is_one(page: Path) -> None:
    known = documented("commands.md", r"^\| `(\w+)")
    assert set(re.findall(r"^ *pyrometer (\w+)|`pyrometer (\w+)", page.read_text(), re.M)) <= {
        pair for verb in known for pair in ((verb, ""), ("", verb))
    }


@pages
def test_every_variable_of_a_command_is_explained(page: Path) -> None:
    used = set(re.findall(r"\$([A-Z]\w*)", page.read_text()))
    told = set(re.findall(r"\b([A-Z]+)=", page.read_text()))
    assert used <= told


@pages
def test_every_alert_that_it_sends_one_to_has_a_runbook(page: Path) -> None:
    elsewhere = {"PyrometerDown"}  # of Prometheus' rules
    assert set(re.findall(r"\bPyrometer[A-Z]\w+", page.read_text())) <= {*(one.stem for one in PAGES), *elsewhere}
