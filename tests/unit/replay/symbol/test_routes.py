"""The routes of a small Symbol node, and what a request to it asks for."""

from __future__ import annotations

import pytest

from daemon.replay.symbol.asked import number, page, texts
from daemon.replay.symbol.routes import Json, RestError, Routes


def answer(asked: Json) -> object:
    return asked


ROUTES = Routes(
    [("GET", "/blocks", answer), ("GET", "/blocks/{height}", answer), ("GET", "/account/{address}/multisig", answer)]
)


@pytest.mark.parametrize(
    ("path", "route", "arguments"),
    [
        ("/blocks", "/blocks", {}),
        ("/blocks/7", "/blocks/{height}", {"height": "7"}),
        ("/account/N/multisig", "/account/{address}/multisig", {"address": "N"}),
    ],
)
def test_a_path_is_found_with_its_arguments(path: str, route: str, arguments: Json) -> None:
    found = ROUTES.find("GET", path=path)
    assert (found.route, found.arguments) == (route, arguments)
    assert found.answer({"a": 1}) == {"a": 1}


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", ""), ("POST", "/blocks"), ("GET", "/blocks/7/8")])
def test_what_is_no_route_does_not_exist(method: str, path: str) -> None:
    with pytest.raises(RestError, match="does not exist") as refused:
        ROUTES.find(method, path=path)
    assert (refused.value.status, refused.value.code) == (404, "ResourceNotFound")


def test_only_what_is_on_the_page_is_written() -> None:
    written: list[int] = []

    def told(entry: int) -> Json:
        written.append(entry)
        return {"entry": entry}

    found = page(range(100), told=told, asked={"pageNumber": "2", "pageSize": "20"})
    assert written == list(range(20, 40))
    assert found["pagination"] == {"pageNumber": 2, "pageSize": 20}


@pytest.mark.parametrize("value", ["", "-1", "1.5", "x", 7, None])
def test_what_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(RestError, match="height has an invalid format"):
        number(value, name="height")


def test_one_text_is_a_list_of_one() -> None:
    assert texts({"ids": ["a", "b"]}, "ids") == ["a", "b"]
    assert texts({"ids": "a"}, "ids") == ["a"]
