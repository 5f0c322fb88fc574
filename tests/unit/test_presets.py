"""Which rules are in force, under which ids, and what is wrong with a preset that can't be used."""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from daemon.errors import ConfigError
from daemon.policy.blind import Blind
from daemon.policy.disagreement import DisagreementRule
from daemon.policy.hot_share import HotShare
from daemon.policy.presets import CHECKOUT, INSTALLED, folders, resolve

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
    assert names == ["jp-psa/hot-share", "hot-share", "stricter", *BUILT_IN]


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
        resolve(("jp_psa",), folders=[CHECKOUT], where=lambda keys: f"p.yaml:7: {keys}")
    assert str(caught.value) == "p.yaml:7: ('policies', 0): no such preset; did you mean jp-psa?"


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


@pytest.mark.parametrize("path", sorted(CHECKOUT.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_that_comes_with_pyrometer_is_whole(path: Path) -> None:
    assert resolve((path.stem,), folders=[CHECKOUT])
