"""Keys that a configuration gives to the rules of a preset, as if they stood in the preset's file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from pydantic import Field, JsonValue

from connectors.config import Strict
from daemon.diagnosis import nearest
from daemon.document import Document, Keys, Place, Value, key_path, shown
from daemon.errors import ConfigError

OWN = ("kind", "name")
"""Keys by which a rule is known; another kind of rule is a rule of one's own."""


class PresetUse(Strict):
    """A preset, and what differs from it."""

    preset: str = Field(min_length=1, description="its name")
    rules: Mapping[str, Mapping[str, JsonValue]] = Field(
        default_factory=dict, description="keys for its rules, by their names: those that it asks for, and others"
    )
    without: tuple[str, ...] = Field((), description="names of its rules that are not to hold")


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
    _refuse_strangers(names_of(preset.value), use, written=written)
    kept = _without(preset, use.without)
    places, value, given = dict(kept.places), kept.value, dict[Keys, Written]()
    for place, name in enumerate(names_of(kept.value)):
        at = written.below("rules", name)
        if keys := use.rules.get(name, {}):
            given["rules", place] = at
            value = _with_rule(value, place, keys)
        for key, wanted in keys.items():
            if key in OWN:
                raise ConfigError(at.below(key).where, "can't be changed; write a rule of your own instead")
            spot = ("rules", place, key)
            given[spot] = at.below(key)
            places = {known: where for known, where in places.items() if known[:3] != spot}
            places |= {(*spot, *rest): where for rest, where in given[spot].places(wanted).items()}
    return Overlaid(preset.path, value, places, preset.variable, preset.digests, given=given)


def _refuse_strangers(names: Sequence[str], use: PresetUse, *, written: Written) -> None:
    places: list[tuple[str, Keys]] = [(name, ("rules", name)) for name in use.rules]
    places += [(name, ("without", place)) for place, name in enumerate(use.without)]
    for name, keys in places:
        if name not in names:
            raise ConfigError(
                written.below(*keys).where, f"{use.preset} has no rule {shown(name)}{nearest(name, names)}"
            )
        if name in use.rules and name in use.without:
            raise ConfigError(written.below(*keys).where, f"{name} is left out, so keys for it mean nothing")


def _without(preset: Document, off: Collection[str]) -> Document:
    """The preset without some of its rules; those behind them move up."""
    stay = [place for place, name in enumerate(names_of(preset.value)) if name not in off]
    if not off or not isinstance(preset.value, dict):
        return preset
    rules = rules_of(preset.value)
    now: dict[str | int, int] = {before: after for after, before in enumerate(stay)}
    places: dict[Keys, Place] = {}
    for keys, place in preset.places.items():
        if len(keys) < 2 or keys[0] != "rules":
            places[keys] = place
        elif keys[1] in now:
            places["rules", now[keys[1]], *keys[2:]] = place
    return replace(preset, value={**preset.value, "rules": [rules[place] for place in stay]}, places=places)


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
