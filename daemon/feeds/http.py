"""Sources that answer an HTTP request with JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, SecretStr

from connectors.config import NamedUrl
from daemon.feeds.expression import Expression
from daemon.feeds.source import SourceConfig

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
