"""Presets by name, own rules and the built-in ones, as one list of rules with the ids that findings carry."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from connectors.config import Strict
from daemon.diagnosis import explain, nearest
from daemon.document import Document, Keys, key_path, read
from daemon.errors import ConfigError
from daemon.policy import RuleConfig

BUILT_IN = "builtin"
PRESET_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
CHECKOUT = Path(__file__).resolve().parents[2] / "config" / "policies"
INSTALLED = Path(sys.prefix) / "share" / "pyrometer" / "policies"


class Preset(Strict):
    """A file of rules. Every number in it says where it comes from and how sure that is."""

    title: str = Field(min_length=1, description="what it is, for people")
    citation: str = Field(min_length=1, description="the law or guideline, with its section")
    confidence: Literal["high", "medium", "low"] = Field(description="how well the numbers are known")
    rules: tuple[RuleConfig, ...] = Field(min_length=1, description="the rules, as in `policies:`")


def folders(config: Path) -> tuple[Path, ...]:
    """Where presets are looked for: beside the configuration file, in the checkout, where the package puts them."""
    return (config.parent / "policies", CHECKOUT, INSTALLED)


def resolve(
    policies: Sequence[str | RuleConfig],
    *,
    folders: Sequence[Path],
    where: Callable[[Keys], str] = key_path,
) -> tuple[tuple[str, RuleConfig], ...]:
    """(policy id, rule) for every rule in force, in the order written; the built-in ones last.

    A preset's rules are `<preset>/<name>`, own rules `<name>`. A built-in rule gives way to any rule of its kind.
    `where` says in an error where `("policies", 1)` stands. ConfigError for an unknown preset, a broken preset file,
    or a name used twice.
    """
    rules: list[tuple[str, RuleConfig]] = []
    for place, policy in enumerate(policies):
        at = where(("policies", place))
        found = (
            _from_preset(policy, folders=folders, where=at) if isinstance(policy, str) else [(_name(policy), policy)]
        )
        taken = next((name for name, _ in found if name in dict(rules)), None)
        if taken is not None and isinstance(policy, str):
            raise ConfigError(at, f"the preset {policy} stands in `policies` already")
        if taken is not None:
            raise ConfigError(at, f"{taken} stands in `policies` already; give this rule a `name` of its own")
        rules.extend(found)
    kinds = {rule.kind for _, rule in rules}
    built_in = _from_preset(BUILT_IN, folders=folders, where=where(("policies",)))
    return (*rules, *((name, rule) for name, rule in built_in if rule.kind not in kinds))


def _name(rule: RuleConfig) -> str:
    return rule.name or rule.kind.replace("_", "-")


def _from_preset(preset: str, *, folders: Sequence[Path], where: str) -> list[tuple[str, RuleConfig]]:
    path = next((folder / f"{preset}.yaml" for folder in folders if (folder / f"{preset}.yaml").is_file()), None)
    if path is None or not PRESET_NAME.fullmatch(preset):
        known = {file.stem for folder in folders for file in folder.glob("*.yaml")}
        raise ConfigError(where, f"no such preset{nearest(preset, known)}")
    return [(f"{preset}/{_name(rule)}", rule) for rule in read_preset(path).rules]


def read_preset(path: Path) -> Preset:
    """The rules of one file; ConfigError."""
    document = read(path)
    try:
        preset = Preset.model_validate(document.value)
    except ValidationError as error:
        raise explain(error, document=document, schema=Preset.model_json_schema()) from None
    _refuse_doubles(preset, document=document)
    return preset


def _refuse_doubles(preset: Preset, *, document: Document) -> None:
    seen: Counter[str] = Counter()
    for place, rule in enumerate(preset.rules):
        seen[_name(rule)] += 1
        if seen[_name(rule)] > 1:
            raise document.error(("rules", place), f"{_name(rule)} is the name of an earlier rule; name this one")
