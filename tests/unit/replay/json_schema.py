"""As much of JSON Schema as the scenarios' schema uses: what does a document violate, and where."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

Schema = Mapping[str, Any]

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
KNOWN = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "items", "anyOf", "oneOf", "$ref", "enum", "const"),
        *("pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "minLength"),
        *("maxLength", "minProperties", "maxProperties", "propertyNames"),
        *("title", "description", "default", "examples", "discriminator", "$defs", "$schema", "format"),
    )
)


class _Loader(yaml.SafeLoader):
    """Reads as editors do, to whom an instant is a text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def as_editors_read(text: str) -> object:
    value: object = yaml.load(text, _Loader)
    return value


def violations(value: object, schema: Schema, *, root: Schema, at: str = "") -> Iterator[str]:
    """`path: keyword` of everything that the schema forbids."""
    unknown = set(schema) - KNOWN
    assert not unknown, f"this checker does not know {unknown}"
    if "$ref" in schema:
        target = root["$defs"][schema["$ref"].rpartition("/")[2]]
        yield from violations(value, target, root=root, at=at)
    for union in ("anyOf", "oneOf"):
        members = schema.get(union)
        if members and all(list(violations(value, member, root=root, at=at)) for member in members):
            yield f"{at}: {union}"
    if "type" in schema and not _is(value, schema["type"]):
        yield f"{at}: type"
        return
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        yield f"{at}: enum"
    if isinstance(value, str) and not re.search(schema.get("pattern", ""), value):
        yield f"{at}: pattern"
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bounds(value, schema, at=at)
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from violations(item, schema.get("items", {}), root=root, at=f"{at}[{place}]")
    if isinstance(value, dict):
        yield from _object(value, schema, root=root, at=at)


def _is(value: object, names: str | list[str]) -> bool:
    allowed = [names] if isinstance(names, str) else names
    if isinstance(value, bool):
        return "boolean" in allowed
    return any(isinstance(value, TYPES[name]) for name in allowed)


def _bounds(value: float, schema: Schema, *, at: str) -> Iterator[str]:
    if value < schema.get("minimum", value) or value > schema.get("maximum", value):
        yield f"{at}: bounds"
    if value <= schema.get("exclusiveMinimum", value - 1) or value >= schema.get("exclusiveMaximum", value + 1):
        yield f"{at}: bounds"


def _object(value: dict[str, object], schema: Schema, *, root: Schema, at: str) -> Iterator[str]:
    properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    yield from (f"{at}.{name}: required" for name in schema.get("required", ()) if name not in value)
    for name, part in value.items():
        if name in properties:
            yield from violations(part, properties[name], root=root, at=f"{at}.{name}")
        elif others is False:
            yield f"{at}.{name}: additionalProperties"
        elif isinstance(others, dict):
            yield from violations(part, others, root=root, at=f"{at}.{name}")
