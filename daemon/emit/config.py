"""What is configured of the MQTT broker that states are published to."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, PlainSerializer, SecretStr, field_validator, model_validator

from connectors.config import AN_INSTANT, Duration, Strict
from daemon.broker import PORT, TLS_PORT, Broker, is_loopback
from daemon.document import reason
from daemon.errors import DaemonError

NAME = "mqtt"
"""How metrics and the status call the broker."""
PREFIX = "pyrometer"
LONGEST_PREFIX = 200
SHORTEST_EXPIRY = timedelta(seconds=2)
"""A broker counts whole seconds, and each message is sent anew when a third of its time is over."""


class CertificateError(DaemonError):
    """A file of TLS can't be used: under which `key` it stands, and why."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(f"{key}: {message}")
        self.key = key
        self.message = message


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

    def context(self, folder: Path) -> ssl.SSLContext:
        """What TLS is spoken with; paths count from `folder`. CertificateError when a file can't be used."""
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else folder / self.ca_file)
        except OSError as error:  # of which ssl.SSLError is one
            raise CertificateError("ca_file", f"{_why(error)}; expected certificates as PEM") from None
        if self.cert_file is not None and self.key_file is not None:
            try:
                # A key that is encrypted would be asked for at the terminal.
                context.load_cert_chain(folder / self.cert_file, folder / self.key_file, password=lambda: "")
            except OSError as error:
                message = f"{_why(error)}; expected a certificate as PEM, and beside it its key_file, not encrypted"
                raise CertificateError("cert_file", message) from None
        return context


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
    timeout: Duration = Field(
        timedelta(seconds=5), gt=AN_INSTANT, description="deadline of one exchange with the broker"
    )

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

    def broker(self, tls: ssl.SSLContext | None) -> Broker:
        """Where it listens, and as whom we come."""
        password = None if self.password is None else self.password.get_secret_value()
        port = self.port or (PORT if self.tls is None else TLS_PORT)
        return Broker(self.host, port, self.username, password, tls, self.timeout.total_seconds())

    @property
    def in_the_clear(self) -> str:
        """What is to be warned of when others can read along or take the broker's place; "" when they can't."""
        if self.tls is not None or is_loopback(self.host):
            return ""
        return "mqtt: without tls others on the network can read along, and say what gates say"


def _why(error: OSError) -> str:
    return "can't be read" if isinstance(error, ssl.SSLError) else f"can't be read: {reason(error)}"


def is_prefix(text: str) -> bool:
    """Whether topics may begin with it: no wildcards, no empty levels, nothing of the broker's own (MQTT 5.0, 4.7)."""
    return text.isprintable() and not any(mark in text for mark in "+#") and text[0] != "$" and all(text.split("/"))
