"""What pydantic finds wrong with a file, said as one line: where, what was expected, what stands there instead.

Pydantic's own words are not used: they may repeat a value, and they know neither lines nor nearest names.
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from daemon.document import Document, Keys
from daemon.errors import ConfigError

Schema = Mapping[str, Any]
"""A JSON Schema, whose values are whatever JSON holds."""

UNBUILT = frozenset(("feeds.announcements",))
"""Sections that the documentation promises and this version lacks."""

QUOTED = re.compile(r"'([^']*)'")

# Pydantic's type of error → what was expected. `{...}` are names in the error's context.
EXPECTED = {
    "string_type": "a text",
    "path_type": "a path",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "tuple_type": "a list",
    "list_type": "a list",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "decimal_type": "a number",
    "decimal_parsing": "a number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "date_from_datetime_parsing": "a day such as 2027-04-01",
    "date_from_datetime_inexact": "a day such as 2027-04-01",
    "date_parsing": "a day such as 2027-04-01",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "at least {min_length} entry",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text that matches {pattern}",
}


def nearest(name: str, names: Iterable[str]) -> str:
    """`; did you mean X?`, or the names to choose from when none is near and they are few; "" otherwise."""
    known = sorted(set(names))
    near = _near(name, known)
    if near:
        return f"; did you mean {near[0]}?"
    return f"; expected {one_of(known)}" if known and len(known) <= 12 else ""


def one_of(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"one of {', '.join(names)}"


def explain(error: ValidationError, *, document: Document, schema: Schema) -> ConfigError:
    """The first of pydantic's complaints in the order of the file, and how many there are besides."""
    details = error.errors(include_url=False, include_input=False)
    problems = [
        _problem(detail, document=document, schema=schema)
        for detail in details
        if not any(_follows_from(detail, other) for other in details)
    ]
    return first_of(problems, document=document)


def first_of(problems: Sequence[tuple[Keys, str]], *, document: Document) -> ConfigError:
    """The problem whose value stands first in the file, as an error that counts the others."""
    keys, message = min(problems, key=lambda problem: document.line(problem[0]))
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return document.error(keys, message + more)


def _follows_from(detail: ErrorDetails, other: ErrorDetails) -> bool:
    """Whether `other` says it all: a list is too short because its item is wrong, a key is missing because misspelt."""
    loc, cause = detail["loc"], other["loc"]
    if detail["type"] == "too_short":
        return len(cause) > len(loc) and cause[: len(loc)] == loc
    if detail["type"] == "missing" and other["type"] == "extra_forbidden":
        return loc[:-1] == cause[:-1] and bool(_near(str(cause[-1]), [str(loc[-1])]))
    return False


def _near(name: str, names: Iterable[str]) -> list[str]:
    """The one name that resembles `name`, whatever its capitals, or none."""
    folded = {each.casefold(): each for each in names}
    return [folded[each] for each in difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)]


def _problem(detail: ErrorDetails, *, document: Document, schema: Schema) -> tuple[Keys, str]:
    loc, context = detail["loc"], detail.get("ctx", {})
    keys = _keys_in(document, loc=loc)
    match detail["type"]:
        case "extra_forbidden":
            message = _unknown_key(keys, models=_models_at(schema, loc=loc[:-1]))
        case "missing":
            message = f"{loc[-1]} is missing{_meaning(str(loc[-1]), models=_models_at(schema, loc=loc[:-1]))}"
        case "union_tag_not_found":
            message = f"kind is missing; expected {one_of(_kinds(schema, loc=loc))}"
        case "union_tag_invalid":
            keys = (*keys, "kind")
            message = _choice(keys, expected=str(context["expected_tags"]), document=document)
        case "enum" | "literal_error":
            message = _choice(keys, expected=str(context["expected"]), document=document)
        case "value_error":
            message = str(context["error"])
        case other:
            expected = EXPECTED.get(other, "another value").format_map(context)
            message = f"expected {expected}, found {document.found(keys)}"
    return keys, message


def _unknown_key(keys: Keys, *, models: Sequence[Schema]) -> str:
    if ".".join(map(str, keys)) in UNBUILT:
        return "not available in this version"
    known = {each for model in models for each in model.get("properties", {})}
    return f"unknown key{nearest(str(keys[-1]), known)}"


def _meaning(name: str, *, models: Sequence[Schema]) -> str:
    described = (model["properties"][name].get("description") for model in models if name in model["properties"])
    return next((f" ({text})" for text in described if text), "")


def _choice(keys: Keys, *, expected: str, document: Document) -> str:
    names = QUOTED.findall(expected)
    text = document.places[keys].text if keys in document.places else None
    near = _near(text or "", names)
    hint = f"; did you mean {near[0]}?" if near and len(names) > 1 else ""
    return f"expected {one_of(names)}, found {document.found(keys)}{hint}"


def _kinds(schema: Schema, *, loc: Sequence[str | int]) -> list[str]:
    kinds = (model["properties"].get("kind", {}).get("const") for model in _models_at(schema, loc=loc))
    return [str(kind) for kind in kinds if kind is not None]


def _keys_in(document: Document, *, loc: Sequence[str | int]) -> Keys:
    """Pydantic's location as a place in the file: the names of union members in it stand for nothing there."""
    keys: Keys = ()
    for part in loc:
        if (*keys, part) in document.places:
            keys = (*keys, part)
    return keys


def _models_at(schema: Schema, *, loc: Sequence[str | int]) -> list[Schema]:
    """The object schemas that a location may be validated by."""
    here = _alternatives(schema, definitions=schema.get("$defs", {}))
    for part in loc:
        here = [
            each
            for step in _steps(here, part=part)
            for each in _alternatives(step, definitions=schema.get("$defs", {}))
        ]
    return [each for each in here if "properties" in each]


def _steps(here: Sequence[Schema], *, part: str | int) -> list[Schema]:
    """One step down: into a list, into a named key, into the union member of that `kind`; else nowhere."""
    if isinstance(part, int):
        return [each["items"] for each in here if "items" in each]
    ways: tuple[Callable[[Schema], object], ...] = (
        lambda each: each.get("properties", {}).get(part),
        lambda each: each if each.get("properties", {}).get("kind", {}).get("const") == part else None,
        lambda each: each.get("additionalProperties") or None,
    )
    for way in ways:
        found = [step for step in map(way, here) if isinstance(step, Mapping)]
        if found:
            return found
    return list(here)


def _alternatives(schema: Schema, *, definitions: Schema) -> list[Schema]:
    """The schema itself with its references followed, and the members of its unions instead of a union."""
    if "$ref" in schema:
        return _alternatives(definitions[schema["$ref"].rpartition("/")[2]], definitions=definitions)
    members = [member for union in ("anyOf", "oneOf") for member in schema.get(union, ())]
    if "properties" in schema or not members:
        return [schema]
    return [each for member in members for each in _alternatives(member, definitions=definitions)]
