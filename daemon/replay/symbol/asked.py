"""What a request to a small Symbol node asks for: numbers, lists and pages, as catapult-rest reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from daemon.replay.symbol.routes import Json, RestError

PAGE_SIZES = (10, 100)
"""The least and the most entries of a page (rest/resources/rest.json)."""

T = TypeVar("T")


def as_it_is(entry: Json) -> Json:
    """For pages of what is written already."""
    return entry


def page(entries: Sequence[T], *, told: Callable[[T], Json], asked: Mapping[str, object]) -> Json:
    """The entries that belong on the page that is asked for; the size is bounded, as routeUtils.js does."""
    least, most = PAGE_SIZES
    size = max(least, min(most, number(asked.get("pageSize", str(least)), name="pageSize")))
    place = max(1, number(asked.get("pageNumber", "1"), name="pageNumber"))
    start = (place - 1) * size
    data = [told(entry) for entry in entries[start : start + size]]
    return {"data": data, "pagination": {"pageNumber": place, "pageSize": size}}


def number(value: object, *, name: str) -> int:
    """The argument called `name`. RestError when it is no whole number."""
    if not isinstance(value, str) or not value.isdecimal():
        raise RestError(409, "InvalidArgument", f"{name} has an invalid format")
    return int(value)


def texts(asked: Mapping[str, object], name: str) -> list[str]:
    """One or several under that name."""
    value = asked.get(name)
    return [str(one) for one in value] if isinstance(value, list) else [str(value)]


def not_found(identity: object) -> RestError:
    """To be raised."""
    return RestError(404, "ResourceNotFound", f"no resource exists with id '{identity}'")
