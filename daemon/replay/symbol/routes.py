"""Finds the answer to a request by its method and path, as the routes of a REST interface are written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

Json = dict[str, object]
Answer = Callable[[Json], object]
"""Takes the arguments of path, query and body together."""


class RestError(Exception):
    """A ModelError (symbol/symbol, openapi/openapi-symbol.yml), and its HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class Found(NamedTuple):
    """The route as it is written, the arguments in the path, and what answers."""

    route: str
    arguments: Json
    answer: Answer


@dataclass(frozen=True, slots=True)
class _Route:
    text: str
    names: tuple[tuple[int, str], ...]
    answer: Answer


class Routes:
    """Made of (method, path, answer), where a part of the path in braces is an argument."""

    def __init__(self, routes: Iterable[tuple[str, str, Answer]]) -> None:
        self._routes: dict[tuple[str, str, int], _Route] = {}
        for method, text, answer in routes:
            parts = text.split("/")
            names = tuple((place, part[1:-1]) for place, part in enumerate(parts) if part.startswith("{"))
            self._routes[method, parts[1], len(parts)] = _Route(text, names, answer)

    def find(self, method: str, *, path: str) -> Found:
        """No two routes share method, first part and length. Raises RestError when there is none for the path."""
        parts = path.split("/")
        route = self._routes.get((method, "".join(parts[1:2]), len(parts)))
        if route is None:
            raise RestError(404, "ResourceNotFound", f"{path} does not exist")
        return Found(route.text, {name: parts[place] for place, name in route.names}, route.answer)
