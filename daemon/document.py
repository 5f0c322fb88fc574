"""A YAML file as plain values that remember where they stand, so that an error can say file, line and key.

Every scalar stays the text that was written (numbers are read from it by the models, never through a float), nothing
is guessed from unquoted words, and what could be a secret stops the reading before anything else can repeat it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from daemon.errors import ConfigError
from daemon.keyless import key_material, key_material_in_list, secret_name

Keys = tuple[str | int, ...]
"""The way from the top of a file to a value, as in `("wallets", "eth-hot-1", "addresses", 0)`."""

Value = dict[str, "Value"] | list["Value"] | str | None

MOST_BYTES = 1 << 20
MOST_VALUES = 100_000
MOST_LEVELS = 32
MOST_DIGITS = 100

NOTHING = ("", "~", "null", "Null", "NULL")
HEXADECIMAL = re.compile(r"[-+]?0[xX][0-9a-fA-F_]+")
NUMBER = re.compile(r"[-+]?[\d_.]+(?:[eE][-+]?(?P<exponent>\d+))?")
VARIABLE = re.compile(r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}|(?P<rest>))")
PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")
SHOWN = 32

BY_ASSET = frozenset(("values", "ids", "contracts", "prices", "amounts", "units"))
"""Keys under which mappings from asset to something stand, in configurations and in the files of feeds."""

TAGS = {
    yaml.ScalarNode: "tag:yaml.org,2002:str",
    yaml.SequenceNode: "tag:yaml.org,2002:seq",
    yaml.MappingNode: "tag:yaml.org,2002:map",
}

TOO_DEEP = f"is nested deeper than {MOST_LEVELS} levels"

# What PyYAML says → what to do about it. Its own words may repeat the text, so none of them are passed on.
SYNTAX = (
    (TOO_DEEP, TOO_DEEP),
    (r"'\t' that cannot start", "a tab stands here; indent with spaces"),
    ("cannot start any token", "a value can't begin with this character; put it in quotes"),
    ("undefined alias", "an alias (*name) has no anchor (&name) before it"),
    ("duplicate anchor", "an anchor (&name) is defined twice"),
    ("expected a single document", "a second document begins here (---); expected one"),
    ("mapping values are not allowed", "a `:` can't stand here; put a value that contains `: ` in quotes"),
    ("could not find expected ':'", "expected `key: value`"),
    ("expected <block end>", "the indentation fits no line above"),
    ("unexpected end of stream", "a quote opens here and never closes"),
    ("unexpected document separator", "a quote opens here and never closes"),
    ("expected ',' or ']'", "a [ opens here and never closes, or a comma is missing behind it"),
    ("expected ',' or '}'", "a { opens here and never closes, or a comma is missing behind it"),
    ("unknown escape character", "unknown escape after a backslash; use single quotes"),
)


@dataclass(frozen=True, slots=True)
class Place:
    """The line of a value (of its key, in a mapping), counted from 1, and the text of a scalar as written."""

    line: int
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A file's values. `variable` are the places whose value came from the environment, `digests` as for `read`."""

    path: Path
    value: Value
    places: Mapping[Keys, Place] = field(repr=False)
    variable: frozenset[Keys] = frozenset()
    digests: frozenset[str] = frozenset()

    def line(self, keys: Keys) -> int:
        """The line of a value, or of the nearest one around it that stands in the file."""
        while keys and keys not in self.places:
            keys = keys[:-1]
        return self.places[keys].line if keys in self.places else 1

    def where(self, keys: Keys) -> str:
        """`file:line: key.path`, or the file alone for the whole of it."""
        return f"{self.path}:{self.line(keys)}: {key_path(keys)}" if keys else str(self.path)

    def found(self, keys: Keys) -> str:
        """What stands there, in few words; a text as written before interpolation, and only when it is short."""
        text = self.places[keys].text if keys in self.places else None
        if text is not None:
            return shown(text) if text else "an empty text"
        value = self.at(keys)
        if value is None:
            return "nothing"
        return ("a " if value else "an empty ") + ("mapping" if isinstance(value, dict) else "list")

    def at(self, keys: Keys) -> Value:
        value = self.value
        for key in keys:
            if isinstance(value, dict) and isinstance(key, str):
                value = value.get(key)
            elif isinstance(value, list) and isinstance(key, int) and key < len(value):
                value = value[key]
            else:
                return None
        return value

    def error(self, keys: Keys, message: str) -> ConfigError:
        return ConfigError(self.where(keys), message)

    def interpolated(self, env: Mapping[str, str]) -> Document:
        """`${NAME}` in values replaced from `env`, `$$` by one dollar sign; ConfigError for an unknown variable."""
        variable: set[Keys] = set()

        def fill(keys: Keys, text: str) -> str:
            if "$" not in text:
                return text
            filled = VARIABLE.sub(lambda match: self._substitute(match, keys=keys, env=env), text)
            secret = key_material(filled, hexadecimal=not _is_digest(keys, digests=self.digests))
            if secret is not None:
                raise self.error(keys, f"the environment's value looks like {secret}; {TAKES_NONE}")
            if any(match["name"] for match in VARIABLE.finditer(text)):
                variable.add(keys)
            return filled

        value = mapped(self.value, change=fill)
        return replace(self, value=value, variable=frozenset(variable))

    def _substitute(self, match: re.Match[str], *, keys: Keys, env: Mapping[str, str]) -> str:
        if match["dollar"]:
            return "$"
        if match["name"] is None:
            raise self.error(keys, "a `$` stands alone; expected ${NAME} for a variable or $$ for a dollar sign")
        if match["name"] not in env:
            raise self.error(keys, f"the environment has no variable {match['name']}")
        return env[match["name"]]


TAKES_NONE = "pyrometer takes none: remove it, and treat it as leaked"


def mapped(value: Value, *, change: Callable[[Keys, str], str], keys: Keys = ()) -> Value:
    """The same values with every text replaced by `change(keys, text)`."""
    if isinstance(value, dict):
        return {name: mapped(part, change=change, keys=(*keys, name)) for name, part in value.items()}
    if isinstance(value, list):
        return [mapped(part, change=change, keys=(*keys, place)) for place, part in enumerate(value)]
    return change(keys, value) if isinstance(value, str) else None


def key_path(keys: Keys) -> str:
    """`wallets.eth-hot-1.addresses[0]`; odd names in quotes, long ones cut."""
    text = ""
    for key in keys:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text else "") + (key if PLAIN_KEY.fullmatch(key) and len(key) <= SHOWN else shown(key))
    return text


def shown(text: str) -> str:
    """A short text in quotes; of any other only its length, because it may be what nobody should read."""
    return f"'{text}'" if len(text) <= SHOWN and text.isprintable() else f"a text of {len(text)} characters"


def read(path: Path, *, digests: frozenset[str] = frozenset()) -> Document:
    """Reads one YAML file. `digests` are names of keys whose values may be 64 hexadecimal digits.

    ConfigError with file and line when it can't be read, isn't YAML, says a key twice, or holds key material.
    """
    text = _text(path)
    node = _compose(text, path=path)
    reading = _Reading(path=path, digests=digests)
    value = reading.value(node, keys=()) if node is not None else None
    if value is None:
        raise ConfigError(str(path), "the file is empty")
    return Document(path, value, reading.places, digests=digests)


def first_bytes(path: Path, *, most: int = MOST_BYTES) -> bytes:
    """A file's bytes, up to one more than `most`; OSError."""
    with path.open("rb") as file:
        return file.read(most + 1)


def reason(error: OSError) -> str:
    """Why a file could not be read, in the system's words."""
    return (error.strerror or type(error).__name__).lower()


def _text(path: Path) -> str:
    try:
        raw = first_bytes(path)
    except OSError as error:
        raise ConfigError(str(path), f"can't be read: {reason(error)}") from error
    if len(raw) > MOST_BYTES:
        raise ConfigError(str(path), "is larger than 1 MiB; many addresses belong into an addresses_file")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}", "is not UTF-8") from None


class _Loader(yaml.SafeLoader):
    """Composes only, and guesses no types: `NO` is a text, and so are 0.05 and 2026-01-01 until a model reads them."""

    levels = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Counts the levels itself: libraries raise Python's own limit until the stack overflows before it."""
        self.levels += 1
        if self.levels > MOST_LEVELS + 1:
            raise yaml.composer.ComposerError(None, None, TOO_DEEP, parent.start_mark if parent else None)
        node: yaml.Node | None = super().compose_node(parent, index)
        self.levels -= 1
        return node


_Loader.yaml_implicit_resolvers = {}


def _compose(text: str, *, path: Path) -> yaml.Node | None:
    try:
        loader = _Loader(text)
        try:
            return loader.get_single_node()
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        code = f"U+{ord(text[error.position]):04X}"
        raise ConfigError(f"{path}:{line}", f"the character {code} can't stand in YAML") from None
    except yaml.MarkedYAMLError as error:
        raise _syntax_error(error, path=path) from None


def _syntax_error(error: yaml.MarkedYAMLError, *, path: Path) -> ConfigError:
    problem = f"{error.context} {error.problem}"
    message = next((ours for theirs, ours in SYNTAX if theirs in problem), "is not valid YAML from here on")
    mark = error.context_mark if "opens here" in message else error.problem_mark
    mark = mark or error.problem_mark or error.context_mark
    return ConfigError(f"{path}:{mark.line + 1}" if mark else str(path), message)


class _Reading:
    """One walk over the composed nodes: values, places, and every check that needs the text as written."""

    def __init__(self, *, path: Path, digests: frozenset[str]) -> None:
        self.path = path
        self.digests = digests
        self.places: dict[Keys, Place] = {}
        self.count = 0

    def value(self, node: yaml.Node, *, keys: Keys) -> Value:
        self.count += 1
        if self.count > MOST_VALUES:
            raise ConfigError(str(self.path), f"its anchors expand to more than {MOST_VALUES:,} values")
        if len(keys) > MOST_LEVELS:
            raise ConfigError(str(self.path), TOO_DEEP)
        self.places.setdefault(keys, Place(_line(node)))
        if node.tag != TAGS[type(node)]:
            raise self._error(keys, "a tag (!...) can't stand here; write the value alone")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, keys=keys)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, keys=keys)
        return self._scalar(node, keys=keys)

    def _mapping(self, node: yaml.MappingNode, *, keys: Keys) -> Value:
        result: dict[str, Value] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(keys, "a key must be a text", line=line)
            key = key_node.value
            self._check_name(key, keys=keys, line=line)
            first = self.places.get((*keys, key))
            self.places[*keys, key] = Place(line)
            value = self.value(value_node, keys=(*keys, key))
            if first is not None:
                raise self._error((*keys, key), f"stands twice, the first time in line {first.line}", line=line)
            result[key] = value
        return result

    def _check_name(self, key: str, *, keys: Keys, line: int) -> None:
        secret = key_material(key)
        if secret is not None:
            raise self._error(keys, f"a key here looks like {secret}; {TAKES_NONE}", line=line)
        if secret_name(key) and not _names_assets(keys):
            raise self._error((*keys, key), f"is the name of a secret; {TAKES_NONE}", line=line)
        if key == "<<":
            raise self._error(keys, "merge keys (<<) are not supported; write the keys out", line=line)

    def _sequence(self, node: yaml.SequenceNode, *, keys: Keys) -> Value:
        words = [item.value for item in node.value if isinstance(item, yaml.ScalarNode)]
        secret = key_material_in_list(words) if len(words) == len(node.value) else None
        if secret is not None:
            raise self._error(keys, f"looks like {secret}; {TAKES_NONE}")
        return [self.value(item, keys=(*keys, place)) for place, item in enumerate(node.value)]

    def _scalar(self, node: yaml.Node, *, keys: Keys) -> Value:
        text: str = node.value
        secret = key_material(text, hexadecimal=not _is_digest(keys, digests=self.digests))
        if secret is not None:
            raise self._error(keys, f"looks like {secret}; {TAKES_NONE}")
        if isinstance(node, yaml.ScalarNode) and node.style is None:
            if text in NOTHING:
                return None
            if HEXADECIMAL.fullmatch(text):
                raise self._error(keys, "is read as a number by other programs; quote it")
        number = NUMBER.fullmatch(text)
        if number and (len(text) > MOST_DIGITS or int(number["exponent"] or 0) > MOST_DIGITS):
            raise self._error(keys, f"is a number of more than {MOST_DIGITS} digits")
        self.places[keys] = Place(self.places[keys].line, text)
        return text

    def _error(self, keys: Keys, message: str, *, line: int | None = None) -> ConfigError:
        at = self.places[keys].line if line is None else line
        return ConfigError(f"{self.path}:{at}: {key_path(keys)}" if keys else f"{self.path}:{at}", message)


def _is_digest(keys: Keys, *, digests: frozenset[str]) -> bool:
    return bool(keys) and keys[-1] in digests


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _names_assets(keys: Keys) -> bool:
    """Whether keys below `keys` are names of assets, some of which (WIF, SEED) are called like secrets."""
    return keys == ("assets",) or (bool(keys) and keys[-1] in BY_ASSET)
