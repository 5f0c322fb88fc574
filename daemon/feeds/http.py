"""Sources that answer an HTTP request with JSON."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, SecretStr

from connectors.config import EndpointConfig, NamedUrl
from connectors.transport import Retry, Timing, Transport
from daemon.feeds.expression import Expression, Look
from daemon.feeds.rows import AMOUNTS, PRICES, dated, root, rows_of, sum_row
from daemon.feeds.source import Measure, Raw, Row, SourceConfig, ours

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")  # RFC 9110, section 5.6.2
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]{0,8192}")


def _headers(value: Mapping[str, SecretStr]) -> Mapping[str, SecretStr]:
    if not all(HEADER_NAME.fullmatch(name) for name in value):
        raise ValueError("expected names of HTTP headers, such as Authorization or X-Api-Key")
    if not all(HEADER_VALUE.fullmatch(text.get_secret_value()) for text in value.values()):
        raise ValueError("expected values of HTTP headers, each in one line of Latin-1 characters")
    return value


def _masked(value: Mapping[str, SecretStr]) -> dict[str, str]:
    return dict.fromkeys(value, "***")


Headers = Annotated[
    Mapping[str, SecretStr],
    AfterValidator(_headers),
    PlainSerializer(_masked, return_type=dict[str, str], when_used="json"),
]
"""HTTP headers whose values are never shown."""


class HttpSource(SourceConfig, NamedUrl):
    """What is asked of a server by GET, and how."""

    kind: Literal["http"]
    headers: Headers = Field({}, description="sent with each request; the values are never shown")
    at: Expression | None = Field(
        None,
        description="JMESPath of as of when the answer is, unix seconds or RFC 3339; default: when it was asked for",
    )


MOST_BYTES = 4 * 1024 * 1024
"""Of an answer, decompressed."""


class HttpReader:
    """One source. `rows` finds the numbers in its answer."""

    pushed = False

    def __init__(
        self,
        transport: Transport,
        *,
        rows: Callable[[object], Sequence[Row]],
        at: str | None,
        merkle_root: str | None = None,
    ) -> None:
        self._transport = transport
        self._rows = rows
        self._at = None if at is None else Look(at)
        self._merkle_root = None if merkle_root is None else Look(merkle_root)

    async def read(self) -> Raw:
        answer = await exact_json(self._transport)
        return Raw(
            self._rows(answer),
            at=None if self._at is None else dated(self._at.at(answer)),
            merkle_root=None if self._merkle_root is None else root(self._merkle_root.at(answer)),
        )


def amounts(config_values: str, *, measure: Measure) -> Callable[[object], Sequence[Row]]:
    """Rows of amounts in what an expression finds."""
    look = Look(config_values)
    return lambda answer: rows_of(look.at(answer), columns=AMOUNTS, measure=measure)


def prices(values: str | Mapping[str, str]) -> Callable[[object], Sequence[Row]]:
    """Rows of prices, all by one expression or each by its own."""
    if isinstance(values, str):
        look = Look(values)
        return lambda answer: rows_of(look.at(answer), columns=PRICES)
    looks = {asset: Look(expression) for asset, expression in values.items()}
    return lambda answer: [Row(asset, each.at(answer)) for asset, each in looks.items()]


def money(value: str) -> Callable[[object], Sequence[Row]]:
    """The one row of a sum."""
    look = Look(value)
    return lambda answer: [sum_row(look.at(answer))]


@asynccontextmanager
async def transport_to(
    url: NamedUrl, *, headers: Mapping[str, SecretStr], deadline: timedelta, timing: Timing
) -> AsyncIterator[Transport]:
    """The connections to a source, which is asked once each time: who asks for it comes back soon enough."""
    endpoint = EndpointConfig(url=url.url, name=url.name or url.provider)
    sent = {name: value.get_secret_value() for name, value in headers.items()}
    async with Transport(
        endpoint, chain="feeds", timeout=deadline, timing=timing, retry=Retry(attempts=1), headers=sent
    ) as transport:
        yield transport


async def exact_json(transport: Transport, *, path: str = "", query: Mapping[str, str] | None = None) -> object:
    """The JSON value at `path`, numbers exact, no name twice in an object. FeedError."""
    with ours():
        answer = await transport.request("GET", path=path, query=query, ceiling=MOST_BYTES)
        return transport.parse(answer.body, decimals=True, unique=True)
