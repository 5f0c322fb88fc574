"""Keys that a configuration gives to the rules of a preset, as if they stood in the preset's file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import Field, JsonValue

from connectors.config import Strict
from daemon.diagnosis import nearest
from daemon.document import Document, Keys, Place, Value, key_path
from daemon.errors import ConfigError

OWN = ("kind", "name")
"""Keys by which a rule is known; another kind of rule is a rule of one's own."""


class PresetUse(Strict):
    """A preset, and what differs from it."""

    preset: str = Field(min_length=1, description="its name")
    rules: Mapping[str, Mapping[str, JsonValue]] = Field(
        default_factory=dict,
        description="keys of its rules, by the name of the rule: those that it asks for, or others",
    )


@dataclass(frozen=True, slots=True)
class Written:
    """Where something stands: at `keys` of a file, or of values that came from none."""

    document: Document | None
    keys: Keys

    def below(self, *keys: str | int) -> Written:
        return Written(self.document, (*self.keys, *keys))

    @property
    def where(self) -> str:
        return key_path(self.keys) if self.document is None else self.document.where(self.keys)

    def places(self, value: object) -> Mapping[Keys, Place]:
        """The places of a value and all that is in it, by their keys from there."""
        if self.document is None:
            return dict(_places(value, keys=()))
        length = len(self.keys)
        known = self.document.places.items()
        return {keys[length:]: place for keys, place in known if keys[:length] == self.keys}


def _places(value: object, *, keys: Keys) -> Iterator[tuple[Keys, Place]]:
    yield keys, Place(1, value if isinstance(value, str) else None)
    parts = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _places(part, keys=(*keys, key))


@dataclass(frozen=True, slots=True)
class Overlaid(Document):
    """A preset's file with values that were `given` elsewhere: what is wrong with those is said of that place."""

    given: Mapping[Keys, Written] = field(default_factory=dict)

    def where(self, keys: Keys) -> str:
        for length in range(len(keys), 0, -1):
            written = self.given.get(keys[:length])
            # What is wrong with a rule as a whole is up to whoever has changed it; its other keys are the preset's.
            if written is not None and (length == len(keys) or length > 2):
                return written.below(*keys[length:]).where
        return Document.where(self, keys)


def overlaid(preset: Document, use: PresetUse, *, written: Written) -> Overlaid:
    """The preset's values with the given keys in the place of its own; ConfigError for a rule that it has not."""
    places, given = dict(preset.places), dict[Keys, Written]()
    rules = names_of(preset.value)
    value = preset.value
    for name, keys in use.rules.items():
        at = written.below("rules", name)
        if name not in rules:
            raise ConfigError(at.where, f"{use.preset} has no rule of this name{nearest(name, rules)}")
        place: Keys = ("rules", rules.index(name))
        given[place] = at
        for key, wanted in keys.items():
            if key in OWN:
                raise ConfigError(at.below(key).where, "can't be changed; write a rule of your own instead")
            spot = (*place, key)
            given[spot] = at.below(key)
            places = {known: where for known, where in places.items() if known[: len(spot)] != spot}
            places |= {(*spot, *rest): where for rest, where in given[spot].places(wanted).items()}
        value = _with_rule(value, rules.index(name), keys)
    return Overlaid(preset.path, value, places, preset.variable, preset.digests, given=given)


def rules_of(value: Value) -> list[Value]:
    """The rules in a preset's file, whatever they are."""
    rules = value.get("rules") if isinstance(value, dict) else None
    return rules if isinstance(rules, list) else []


def names_of(value: Value) -> Sequence[str]:
    """Their names, in order; "" for what is no rule."""
    return [_name(rule) if isinstance(rule, dict) else "" for rule in rules_of(value)]


def _name(rule: Mapping[str, Value]) -> str:
    name, kind = rule.get("name"), rule.get("kind")
    return name if isinstance(name, str) else kind.replace("_", "-") if isinstance(kind, str) else ""


def _with_rule(value: Value, place: int, keys: Mapping[str, JsonValue]) -> Value:
    assert isinstance(value, dict)
    rules = rules_of(value)
    rule = rules[place]
    assert isinstance(rule, dict)
    changed: list[Value] = [*rules[:place], {**rule, **_values(keys)}, *rules[place + 1 :]]
    return {**value, "rules": changed}


def _values(keys: Mapping[str, JsonValue]) -> dict[str, Value]:
    """As a file would hold them: every scalar a text."""
    return {key: _as_text(value) for key, value in keys.items()}


def _as_text(value: JsonValue) -> Value:
    if isinstance(value, dict):
        return {key: _as_text(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_as_text(part) for part in value]
    return None if value is None else str(value)
