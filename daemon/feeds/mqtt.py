"""Sources that publish to an MQTT broker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PlainSerializer, SecretStr, field_validator

from connectors.config import masked
from daemon.feeds.source import SourceConfig

PORTS = {"mqtt": 1883, "mqtts": 8883}
LONGEST_TOPIC = 65_535


def _is_broker(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    try:
        parts = urlsplit(text)
        good = parts.scheme in PORTS and bool(parts.hostname) and parts.port != 0
    except ValueError:  # its message repeats the part that may be a password
        good = False
    if not good or parts.path.strip("/") or parts.query or parts.fragment or text.count("@") > 1 or not _plain(text):
        raise ValueError("expected mqtt://user:password@host:port, or mqtts:// for TLS, with %40 for @ and %2F for /")
    return value


def _plain(text: str) -> bool:
    return text.isprintable() and not any(map(str.isspace, text))


BrokerUrl = Annotated[SecretStr, AfterValidator(_is_broker), PlainSerializer(masked, return_type=str, when_used="json")]
"""Where a broker listens; printed without user and password."""


class MqttSource(SourceConfig):
    """A topic whose newest message holds."""

    kind: Literal["mqtt"]
    url: BrokerUrl = Field(
        description="mqtt://user:password@host:port, or mqtts:// for TLS; only scheme and host are ever shown"
    )
    url_file: Path | None = Field(None, description="instead of `url`: a file that holds it, beside this one")
    certificate: Path | None = Field(
        None, description="with mqtts://: a file with the authorities that are good; default: the known ones"
    )
    topic: str = Field(
        "pyrometer/feed/liabilities",
        min_length=1,
        max_length=LONGEST_TOPIC,
        description="where the messages come; no wildcards",
    )

    @field_validator("topic")
    @classmethod
    def _is_one_topic(cls, value: str) -> str:
        if not value.isprintable() or any(mark in value for mark in "+#"):
            raise ValueError("expected one topic, without the wildcards + and #")
        return value
