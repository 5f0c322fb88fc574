"""Presets by name, own rules and the built-in ones, as one list of rules with the ids that findings carry."""

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, TypeAdapter, ValidationError

from connectors.config import Strict
from daemon.diagnosis import explain, nearest
from daemon.document import Document, Keys, Value, read
from daemon.errors import ConfigError
from daemon.policy import RuleConfig
from daemon.policy.overrides import PresetUse, Written, names_of, overlaid, rules_of

BUILT_IN = "builtin"
PRESET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
CHECKOUT = Path(__file__).resolve().parents[2] / "config" / "policies"
INSTALLED = Path(sys.prefix) / "share" / "pyrometer" / "policies"


class Needed(Strict):
    """What a preset can't say for the operator."""

    rule: str = Field(description="the name of the rule")
    one_of: tuple[str, ...] = Field(min_length=1, description="keys of that rule, one of which must be given")
    meaning: str = Field(min_length=1, description="what to give, for people")


class Preset(Strict):
    """A file of rules. Every number in it says where it comes from and how sure that is."""

    title: str = Field(min_length=1, description="what it is, for people")
    citation: str = Field(min_length=1, description="the law or guideline, with its section")
    effective: str = Field(
        "none",
        pattern=r"^(\d{4}(-\d{2}(-\d{2})?)?|proposed|unknown|none)$",
        description="the date that the citation gives it, or `proposed`, `unknown`, or `none` of what is no law",
    )
    confidence: Literal["high", "medium", "low"] = Field(description="how well the numbers are known")
    notes: Mapping[str, str] = Field(
        default_factory=dict, description="where a number comes from, by `<rule>.<key>`, or what else is to be known"
    )
    required: tuple[Needed, ...] = Field((), description="what whoever uses it must give")
    unchecked: tuple[str, ...] = Field((), description="what the law asks for and no rule here checks")
    rules: tuple[RuleConfig, ...] = Field(min_length=1, description="the rules, as in `policies:`")


NEEDED = TypeAdapter(tuple[Needed, ...])


def folders(config: Path) -> tuple[Path, ...]:
    """Where presets are looked for: beside the configuration file, in the checkout, where the package puts them."""
    return (config.parent / "policies", CHECKOUT, INSTALLED)


def resolve(
    policies: Sequence[str | PresetUse | RuleConfig], *, folders: Sequence[Path], document: Document | None = None
) -> tuple[tuple[str, RuleConfig], ...]:
    """(policy id, rule) for every rule in force, in the order written; the built-in ones last.

    A preset's rules are `<preset>/<name>`, own rules `<name>`. A built-in rule gives way to any rule of its kind.
    `document` is the file that `policies` stand in. ConfigError for an unknown preset, a broken preset file, a preset
    that lacks what it asks for, or a name used twice.
    """
    rules: list[tuple[str, RuleConfig]] = []
    for place, policy in enumerate(policies):
        written = Written(document, ("policies", place))
        if isinstance(policy, str | PresetUse):
            use = used(policy)
            found = _from_preset(use, folders, written=written)
            again = f"the preset {use.preset} stands in `policies` already"
        else:
            found = [(_name(policy), policy)]
            again = f"{_name(policy)} stands in `policies` already; give this rule a `name` of its own"
        if any(name in dict(rules) for name, _ in found):
            raise ConfigError(written.where, again)
        rules.extend(found)
    kinds = {rule.kind for _, rule in rules}
    built_in = _from_preset(PresetUse(preset=BUILT_IN), folders, written=Written(document, ("policies",)))
    return (*rules, *((name, rule) for name, rule in built_in if rule.kind not in kinds))


def used(policy: str | PresetUse) -> PresetUse:
    """A preset that is used as it is, or with other keys."""
    return PresetUse.model_construct(preset=policy, rules={}, without=()) if isinstance(policy, str) else policy


def standing_at(policies: Sequence[str | PresetUse | RuleConfig], policy: str, *, key: str | int) -> Keys:
    """Where in a configuration a key of the rule with this id is given, or else the preset that it comes with."""
    preset, _, name = policy.partition("/")
    for place, item in enumerate(policies):
        if isinstance(item, str | PresetUse) and used(item).preset == preset:
            given = key in used(item).rules.get(name, {})
            return ("policies", place, "rules", name) if given else ("policies", place)
    return ("policies",)


def _name(rule: RuleConfig) -> str:
    return rule.name or rule.kind.replace("_", "-")


def _from_preset(use: PresetUse, folders: Sequence[Path], *, written: Written) -> list[tuple[str, RuleConfig]]:
    name = use.preset
    path = next((folder / f"{name}.yaml" for folder in folders if (folder / f"{name}.yaml").is_file()), None)
    if path is None or not PRESET_NAME.fullmatch(name):
        known = {file.stem for folder in folders for file in folder.glob("*.yaml")}
        raise ConfigError(written.where, f"no such preset{nearest(name, known)}")
    return [(f"{name}/{_name(rule)}", rule) for rule in read_preset(path, use=use, written=written).rules]


def read_preset(path: Path, *, use: PresetUse | None = None, written: Written | None = None) -> Preset:
    """The preset in one file, with the keys that were given at `written`; ConfigError."""
    plain = read(path)
    use, written = use or PresetUse(preset=path.stem), written or Written(plain, ())
    document = overlaid(plain, use, written=written)
    _refuse_gaps(document, use, written=written)
    try:
        preset = Preset.model_validate(document.value)
    except ValidationError as error:
        raise explain(error, document=document, schema=Preset.model_json_schema()) from None
    _refuse_doubles(preset, document=document)
    return preset


def _refuse_gaps(document: Document, use: PresetUse, *, written: Written) -> None:
    """ConfigError, which says what is missing and what it means."""
    rules = dict(zip(names_of(document.value), rules_of(document.value), strict=True))
    for place, needed in enumerate(_needed(document.value)):
        rule = rules.get(needed.rule)
        if rule is None and needed.rule not in use.without:
            raise document.error(("required", place, "rule"), f"no rule is called so{nearest(needed.rule, rules)}")
        if isinstance(rule, dict) and all(rule.get(key) is None for key in needed.one_of):
            keys = " or ".join(f"rules.{needed.rule}.{key}" for key in needed.one_of)
            example = f"{{preset: {use.preset}, rules: {{{needed.rule}: {{{needed.one_of[0]}: ...}}}}}}"
            raise ConfigError(
                written.where, f"the preset {use.preset} needs {keys} ({needed.meaning}): write {example}"
            )


def _needed(value: Value) -> tuple[Needed, ...]:
    """What a preset's file asks for; nothing where it can't be read, which its validation will say."""
    try:
        return NEEDED.validate_python((value.get("required") if isinstance(value, dict) else None) or ())
    except ValidationError:
        return ()


def _refuse_doubles(preset: Preset, *, document: Document) -> None:
    seen: Counter[str] = Counter()
    for place, rule in enumerate(preset.rules):
        seen[_name(rule)] += 1
        if seen[_name(rule)] > 1:
            raise document.error(("rules", place), f"{_name(rule)} is the name of an earlier rule; name this one")
