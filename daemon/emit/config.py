"""What is configured of the MQTT broker that states are published to."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainSerializer, SecretStr, field_validator, model_validator

from connectors.config import AN_INSTANT, Duration, Strict
from daemon.broker import PORT, TLS_PORT

PREFIX = "pyrometer"
LONGEST_PREFIX = 200
SHORTEST_EXPIRY = timedelta(seconds=2)
"""A broker counts whole seconds, and each message is sent anew when a third of its time is over."""

Password = Annotated[SecretStr, PlainSerializer(lambda _: "***", return_type=str, when_used="json")]


class TlsConfig(Strict):
    """How the broker is told from an impostor, and we from one. The key is of TLS: no wallet's key is ever taken."""

    ca_file: Path | None = Field(None, description="PEM file of the authorities that are good; default: the known ones")
    cert_file: Path | None = Field(None, description="PEM file of our own certificate, where the broker asks for one")
    key_file: Path | None = Field(None, description="PEM file of the key of that certificate, not encrypted")

    @model_validator(mode="after")
    def _both_or_none(self) -> TlsConfig:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("expected cert_file and key_file together")
        return self


class MqttConfig(Strict):
    """Where states, findings and gates are published."""

    host: str = Field(pattern=r"^[A-Za-z0-9._:-]{1,253}$", description="the broker's name or address")
    port: int | None = Field(None, ge=1, le=65_535, description="default: 1883, with tls 8883")
    prefix: str = Field(
        PREFIX, min_length=1, max_length=LONGEST_PREFIX, description="what every topic begins with; one daemon for each"
    )
    username: str | None = Field(None, min_length=1, max_length=1000, description="as whom we come; default: nobody")
    password: Password | None = Field(None, description="never shown")
    password_file: Path | None = Field(None, description="instead of `password`: a file that holds it, beside this one")
    tls: TlsConfig | None = Field(None, description="with it, even empty, TLS is spoken; default: it is not")
    expiry: Duration = Field(
        timedelta(seconds=30),
        ge=SHORTEST_EXPIRY,
        le=timedelta(hours=1),
        description="the broker forgets what is not sent anew for so long; it is sent anew after a third of it",
    )
    timeout: Duration = Field(timedelta(seconds=5), gt=AN_INSTANT, description="deadline of one exchange with the broker")

    @field_validator("prefix")
    @classmethod
    def _is_topic(cls, value: str) -> str:
        if not is_prefix(value):
            raise ValueError("expected the beginning of a topic, such as pyrometer or plant/pyrometer, without + and #")
        return value

    @model_validator(mode="after")
    def _somebodys_password(self) -> MqttConfig:
        if self.password is not None and self.username is None:
            raise ValueError("username is missing (whose password it is)")
        return self

    @property
    def usual_port(self) -> int:
        """The port that is meant."""
        return self.port or (PORT if self.tls is None else TLS_PORT)


def is_prefix(text: str) -> bool:
    """Whether topics may begin with it: no wildcards, no empty levels, nothing of the broker's own (MQTT 5.0, 4.7)."""
    return text.isprintable() and not any(mark in text for mark in "+#") and text[0] != "$" and all(text.split("/"))
