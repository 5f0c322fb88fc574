"""Which rules are in force, under which ids, and what is wrong with a preset that can't be used."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from daemon.document import read
from daemon.errors import ConfigError
from daemon.feeds.money import Money
from daemon.policy.blind import Blind
from daemon.policy.disagreement import DisagreementRule
from daemon.policy.hot_share import HotShare
from daemon.policy.overrides import PresetUse
from daemon.policy.presets import CHECKOUT, INSTALLED, Preset, folders, read_preset, resolve
from daemon.policy.reserve import ReserveRule

FIVE = HotShare(kind="hot_share", limit=Decimal("0.05"))
BUILT_IN = ("builtin/blind", "builtin/disagreement", "builtin/drift", "builtin/feed-stale", "builtin/price-deviation")
PRESET = "title: T\ncitation: none\nconfidence: low\n"


def preset(folder: Path, name: str, rules: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.yaml").write_text(PRESET + f"rules:\n{rules}")


def test_without_policies_the_built_in_ones_hold() -> None:
    assert [(policy, rule.kind) for policy, rule in resolve((), folders=[CHECKOUT])] == [
        ("builtin/blind", "blind"),
        ("builtin/disagreement", "disagreement"),
        ("builtin/drift", "drift"),
        ("builtin/feed-stale", "feed_stale"),
        ("builtin/price-deviation", "price_deviation"),
    ]


def test_a_preset_gives_its_name_to_its_rules_and_own_rules_keep_theirs() -> None:
    own = FIVE.model_copy(update={"name": "stricter"})
    names = [policy for policy, _ in resolve(("jp-psa", FIVE, own), folders=[CHECKOUT])]
    assert names == ["jp-psa/hot-share", "jp-psa/guarantee", "hot-share", "stricter", *BUILT_IN]


def test_the_limit_of_japan_is_five_hundredths_exactly() -> None:
    rule = dict(resolve(("jp-psa",), folders=[CHECKOUT]))["jp-psa/hot-share"]
    assert isinstance(rule, HotShare)
    assert rule.limit == Decimal("0.05")


def test_a_rule_takes_the_place_of_the_built_in_one_of_its_kind(tmp_path: Path) -> None:
    own = Blind(kind="blind", hold=timedelta(hours=1))
    assert [policy for policy, _ in resolve((own,), folders=[CHECKOUT])] == ["blind", *BUILT_IN[1:]]
    preset(tmp_path, "ours", "  - {kind: disagreement}\n")
    named = [policy for policy, _ in resolve(("ours",), folders=[tmp_path, CHECKOUT])]
    assert named == ["ours/disagreement", "builtin/blind", *BUILT_IN[2:]]


def test_two_rules_of_a_built_in_kind_replace_it_together() -> None:
    own = (DisagreementRule(kind="disagreement"), DisagreementRule(kind="disagreement", name="second"))
    found = [policy for policy, _ in resolve(own, folders=[CHECKOUT])]
    assert found == ["disagreement", "second", "builtin/blind", *BUILT_IN[2:]]


def test_the_first_folder_that_has_a_preset_wins(tmp_path: Path) -> None:
    preset(tmp_path, "jp-psa", "  - {kind: hot_share, name: ours, limit: 0.01}\n")
    assert resolve(("jp-psa",), folders=[tmp_path, CHECKOUT])[0][0] == "jp-psa/ours"
    assert resolve(("jp-psa",), folders=[CHECKOUT, tmp_path])[0][0] == "jp-psa/hot-share"


def test_presets_are_looked_for_beside_the_configuration_first(tmp_path: Path) -> None:
    assert folders(tmp_path / "p.yaml") == (tmp_path / "policies", CHECKOUT, INSTALLED)


@pytest.mark.parametrize("name", ["jp-ps", "JP-PSA", "../policies/jp-psa", "/etc/passwd", ""])
def test_an_unknown_preset_is_refused_wherever_it_points(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^policies\[1\]: no such preset"):
        resolve((FIVE, name), folders=[CHECKOUT])


def test_the_nearest_preset_is_named() -> None:
    with pytest.raises(ConfigError) as caught:
        resolve(("jp_psa",), folders=[CHECKOUT])
    assert str(caught.value) == "policies[0]: no such preset; did you mean jp-psa?"


def test_without_its_built_in_rules_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="policies: no such preset"):
        resolve((), folders=[tmp_path])


def test_a_name_can_be_used_once() -> None:
    with pytest.raises(ConfigError, match=r"^policies\[1\]: hot-share stands in `policies` already"):
        resolve((FIVE, FIVE), folders=[CHECKOUT])
    with pytest.raises(ConfigError, match=r"^policies\[1\]: the preset jp-psa stands in `policies` already"):
        resolve(("jp-psa", "jp-psa"), folders=[CHECKOUT])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", ": the file is empty"),
        ("rules: [\n", ":2: is not valid YAML from here on"),
        (PRESET, ": rules is missing (the rules, as in `policies:`)"),
        (PRESET + "rules: []\n", ":4: rules: expected at least 1 entry, found an empty list"),
        (PRESET.replace("low", "lo") + "rules: [{kind: blind}]\n",
         ":3: confidence: expected one of high, medium, low, found 'lo'; did you mean low?"),
        (PRESET + "rules:\n  - {kind: hot_share, limit: 5}\n", ":5: rules[0].limit: expected less than 1, found '5'"),
        (PRESET + "rules:\n  - {kind: blind}\n  - {kind: blind}\n",
         ":6: rules[1]: blind is the name of an earlier rule; name this one"),
        (PRESET + "rulez: []\n", ":4: rulez: unknown key; did you mean rules?"),
    ],
)  # fmt: skip
def test_a_broken_preset_is_named_with_its_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "ours.yaml").write_text(content)
    with pytest.raises(ConfigError) as caught:
        resolve(("ours",), folders=[tmp_path, CHECKOUT])
    assert str(caught.value) == f"{tmp_path}/ours.yaml{message}"


# Keys that a configuration gives.


def use(preset: str, **rules: Any) -> PresetUse:  # noqa: ANN401 - YAML values
    return PresetUse(preset=preset, rules={name.replace("_", "-"): keys for name, keys in rules.items()})


def test_a_given_key_takes_the_place_of_the_presets() -> None:
    rule = dict(resolve((use("jp-psa", hot_share={"limit": "0.04"}),), folders=[CHECKOUT]))["jp-psa/hot-share"]
    assert isinstance(rule, HotShare)
    assert (rule.limit, rule.scope) == (Decimal("0.04"), "all")


def test_a_given_key_that_the_preset_leaves_open_is_added() -> None:
    rule = dict(resolve((use("jp-psa", hot_share={"hold": "5m"}),), folders=[CHECKOUT]))["jp-psa/hot-share"]
    assert rule.hold == timedelta(minutes=5)


def test_the_keys_that_a_preset_asks_for_stand_as_if_written_there() -> None:
    found = resolve((use("kr-vaupa", reserve={"floor": "500_000_000 KRW"}),), folders=[CHECKOUT])
    rule = dict(found)["kr-vaupa/reserve"]
    assert isinstance(rule, ReserveRule)
    assert rule.floor == Money(Decimal(500_000_000), "KRW")


def test_a_rule_that_is_left_out_is_not_there_and_its_preset_asks_for_nothing_of_it() -> None:
    found = resolve(
        (PresetUse(preset="kr-vaupa", rules={"hot-share": {"limit": "0.1"}}, without=("reserve",)),), folders=[CHECKOUT]
    )
    rules = {name: rule for name, rule in found if name.startswith("kr-vaupa/")}
    assert list(rules) == ["kr-vaupa/hot-share", "kr-vaupa/daily-check", "kr-vaupa/backing"]
    assert [rule.limit for rule in rules.values() if isinstance(rule, HotShare)] == [Decimal("0.1"), Decimal("0.20")]


def test_an_error_behind_a_rule_that_is_left_out_is_told_with_its_own_line(tmp_path: Path) -> None:
    preset(tmp_path, "ours", "  - {kind: blind}\n  - {kind: hot_share, limit: 5}\n")
    with pytest.raises(ConfigError) as caught:
        resolve((PresetUse(preset="ours", without=("blind",)),), folders=[tmp_path, CHECKOUT])
    assert str(caught.value) == f"{tmp_path}/ours.yaml:6: rules[0].limit: expected less than 1, found '5'"


def test_a_mistake_of_the_preset_is_not_blamed_on_the_configuration(tmp_path: Path) -> None:
    preset(tmp_path, "ours", "  - {kind: hot_share, limit: 5}\n")
    with pytest.raises(ConfigError) as caught:
        resolve((use("ours", hot_share={"hold": "5m"}),), folders=[tmp_path, CHECKOUT])
    assert str(caught.value) == f"{tmp_path}/ours.yaml:5: rules[0].limit: expected less than 1, found '5'"


def test_a_key_that_is_missing_from_both_is_looked_for_where_the_others_are_given(tmp_path: Path) -> None:
    preset(tmp_path, "ours", "  - {kind: hot_share}\n")
    with pytest.raises(ConfigError, match=r"^policies\[0\].rules.hot-share: limit is missing"):
        resolve((use("ours", hot_share={"hold": "5m"}),), folders=[tmp_path, CHECKOUT])


def test_a_preset_can_not_ask_for_keys_of_a_rule_that_it_has_not(tmp_path: Path) -> None:
    preset(tmp_path, "ours", "  - {kind: blind}\nrequired: [{rule: blnd, one_of: [hold], meaning: m}]\n")
    with pytest.raises(ConfigError) as caught:
        resolve(("ours",), folders=[tmp_path, CHECKOUT])
    expected = f"{tmp_path}/ours.yaml:6: required[0].rule: no rule is called so; did you mean blind?"
    assert str(caught.value) == expected


def test_a_value_of_the_environment_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("policies: [{preset: jp-psa, rules: {hot-share: {limit: '${LIMIT}'}}}]\n")
    document = read(tmp_path / "p.yaml").interpolated({"LIMIT": "hunter2"})
    with pytest.raises(ConfigError) as caught:
        resolve((use("jp-psa", hot_share={"limit": "hunter2"}),), folders=[CHECKOUT], document=document)
    where = f"{tmp_path}/p.yaml:1: policies[0].rules.hot-share.limit"
    assert str(caught.value) == f"{where}: expected a number, found '${{LIMIT}}'"


# Those that come with pyrometer.

GIVEN: dict[str, PresetUse] = {
    "kr-vaupa": use("kr-vaupa", reserve={"floor": "1 KRW"}),
    "jp-reserve-2026": use("jp-reserve-2026", reserve={"required": "1 JPY", "insurance_share": "0"}),
}
PATHS = sorted(CHECKOUT.glob("*.yaml"))
OURS = {"kind", "name", "severity", "timezone", "calendar"}
"""Keys that say what a rule is, not what the law says."""


def shipped(path: Path) -> Preset:
    return read_preset(path, use=GIVEN.get(path.stem))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_preset_that_comes_with_pyrometer_is_whole(path: Path) -> None:
    assert resolve((GIVEN.get(path.stem, path.stem),), folders=[CHECKOUT])


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_note_speaks_of_a_key_that_is_there(path: Path) -> None:
    found = shipped(path)
    known = {f"{rule.name}.{key}" for rule in found.rules for key in type(rule).model_fields}
    assert [note for note in found.notes if "." in note and note not in known] == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_every_number_of_a_law_has_a_note(path: Path) -> None:
    """A rule that says the same as the one before it, once more on schedule, needs no notes of its own."""
    found = shipped(path)
    written: list[dict[str, str]] = yaml.safe_load(path.read_text())["rules"]
    notes = set(found.notes)
    said = {(rule["kind"], key, str(rule[key])) for rule in written for key in rule if f"{rule['name']}.{key}" in notes}
    unsaid = {
        f"{rule['name']}.{key}"
        for rule in written
        for key in rule.keys() - OURS
        if (rule["kind"], key, str(rule[key])) not in said and (key, str(rule[key])) not in PLAIN
    }
    assert found.effective == "none" or unsaid == set()


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_a_preset_of_a_law_says_whether_warm_counts_as_hot_or_that_it_is_not_known(path: Path) -> None:
    """Or what is kept warm would pass by every limit, and nobody would be told."""
    found = shipped(path)
    silent = [rule for rule in found.rules if isinstance(rule, HotShare) and "tiers" not in rule.model_fields_set]
    assert not silent or any("warm wallet" in line or line == "as jp-psa" for line in found.unchecked)


PLAIN = {("scope", "all"), ("scope", "asset"), ("limit", "1"), ("tiers", "['hot', 'warm']")}
"""What says no more than the notes on its neighbours do."""
