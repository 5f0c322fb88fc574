"""docs/scenarios.md holds every key of a scenario with its default, and nothing that is not a key."""

import re
from collections.abc import Iterator
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from connectors.config import format_duration
from daemon.policy import RuleConfig
from daemon.replay import scenario as models
from daemon.replay.cast import NETWORKS
from daemon.replay.catalogue import shipped
from daemon.replay.lineup import BEGAN, MOST_BLOCKS
from daemon.replay.scenario import load, scenario_schema
from daemon.replay.traffic import HIGH, KEEP, LOW, happenings

DOCUMENTATION = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text()

SECTIONS: dict[str, type[BaseModel]] = {
    "": models.Scenario,
    "sources.<name>.": models.Source,
    "chains.<name>.": models.ChainSetup,
    "assets.<name>.": models.PlayedAsset,
    "assets.<name>.tokens[].": models.PlayedTokenConfig,
    "wallets.<name>.": models.PlayedWallet,
    "outside.<name>.": models.Outsider,
    "traffic.": models.TrafficConfig,
    "traffic.flows[].": models.Flow,
    "timeline[].": models.Step,
    "timeline[].pay.": models.Pay,
    "timeline[].control.": models.ControlChange,
    "timeline[].approve.": models.Approval,
    "timeline[].repeat.": models.Repeat,
    "expected[].": models.Expectation,
    "tolerated.": models.Tolerated,
}
"""Where in a scenario each model stands, in the words of the documentation."""


def rows() -> Iterator[tuple[str, tuple[str, str]]]:
    for line in DOCUMENTATION.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            assert len(cells) == 3, line
            yield cells[0].strip("`"), (cells[1], cells[2])


ROWS = dict(rows())


def default_of(field: FieldInfo) -> str:
    """As the documentation writes it."""
    default = field.get_default()
    if field.is_required():
        return "required"
    if isinstance(default, timedelta):
        return f"`{format_duration(default)}`"
    if isinstance(default, bool):
        return f"`{str(default).lower()}`"
    if isinstance(default, StrEnum):
        return f"`{default.value}`"
    if default == ("jp-psa",):
        return "`[jp-psa]`"
    return "none" if isinstance(default, BaseModel) or default in (None, (), {}) else f"`{default}`"


@pytest.mark.parametrize("prefix", SECTIONS)
def test_every_key_is_documented_with_its_default(prefix: str) -> None:
    for name, field in SECTIONS[prefix].model_fields.items():
        default, meaning = ROWS[prefix + (field.alias or name)]
        assert default == default_of(field), prefix + name
        assert meaning


def test_nothing_is_documented_that_is_not_a_key() -> None:
    keys = {
        prefix + (field.alias or name)
        for prefix, model in SECTIONS.items()
        for name, field in model.model_fields.items()
    }
    assert set(ROWS) == keys


def test_every_model_of_the_schema_is_looked_at() -> None:
    kinds = get_args(get_args(RuleConfig)[0])
    rules = {rule.__name__ for rule in kinds}.union(*(rule.model_json_schema().get("$defs", ()) for rule in kinds))
    rules |= {"PresetUse"}  # in docs/configuration.md
    looked_at = {model.__name__ for model in SECTIONS.values()} - {"Scenario"}
    found = {name for name, value in scenario_schema()["$defs"].items() if value.get("type") == "object"}
    assert {name.rpartition("__")[2] for name in found} - rules == looked_at


def test_every_key_has_a_description_for_editors() -> None:
    assert not [
        (model, name)
        for model in SECTIONS.values()
        for name, field in model.model_fields.items()
        if not field.description
    ]


def test_the_example_loads_and_plays(tmp_path: Path) -> None:
    block = re.search(r"```yaml\n(incident:.*?)```", DOCUMENTATION, re.DOTALL)
    assert block
    (tmp_path / "example.yaml").write_text(block[1])
    assert len(list(happenings(load(tmp_path / "example.yaml")))) > 20


def test_every_shipped_scenario_is_named() -> None:
    assert not [name for name in shipped() if f"`{name}`" not in DOCUMENTATION]


def test_numbers_in_the_prose_are_those_of_the_program() -> None:
    assert f"less than {LOW} %" in DOCUMENTATION
    assert f"above {HIGH} %" in DOCUMENTATION
    assert (KEEP, "a\nquarter" in DOCUMENTATION) == (4, True)
    assert f"more than {MOST_BLOCKS:,} blocks" in DOCUMENTATION
    assert not [day for day in BEGAN.values() if f"{day:%Y-%m-%d}" not in DOCUMENTATION]
    assert NETWORKS["bitcoin"] == {"network": "regtest"}
