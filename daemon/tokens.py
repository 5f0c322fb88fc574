"""Who may use the API: bearer tokens, of which the file holds the hashes and nobody the text."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from connectors.config import Strict
from daemon.diagnosis import explain, first_of
from daemon.document import Keys, read


class Scope(StrEnum):
    """What a token allows; each includes the ones before it."""

    READ = "read"
    OPERATE = "operate"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """`sha256` is the hash of the token's text (UTF-8), 64 small hexadecimal digits; `name` goes into the audit log."""

    name: str
    scope: Scope
    sha256: str


def _digest(text: str) -> str:
    if len(text) != 64 or not set(text.lower()) <= set("0123456789abcdef"):
        raise ValueError("expected the SHA-256 of the token's text, 64 hexadecimal digits")
    return text.lower()


class TokenConfig(Strict):
    """One entry of the tokens file."""

    name: str = Field(pattern=r"^[A-Za-z0-9._@-]{1,64}$", description="who uses it, for the audit log")
    scope: Scope = Field(description="read, operate or admin")
    sha256: Annotated[str, AfterValidator(_digest)] = Field(
        description="SHA-256 of the token's text, 64 hexadecimal digits"
    )


_ENTRIES = TypeAdapter(Annotated[tuple[TokenConfig, ...], Field(min_length=1)])


def load_tokens(path: Path) -> tuple[ApiToken, ...]:
    """Reads a tokens file; ConfigError with its line when an entry is wrong or two share a name or a hash."""
    document = read(path, digests=frozenset(("sha256",)))
    try:
        entries = _ENTRIES.validate_python(document.value)
    except ValidationError as error:
        raise explain(error, document=document, schema=_ENTRIES.json_schema()) from None
    problems: list[tuple[Keys, str]] = []
    for place, entry in enumerate(entries):
        for earlier, other in enumerate(entries[:place]):
            if entry.name == other.name:
                problems.append(((place, "name"), f"[{earlier}] has this name already"))
            if entry.sha256 == other.sha256:
                problems.append(((place, "sha256"), f"[{earlier}] has this hash already"))
    if problems:
        raise first_of(problems, document=document)
    return tuple(ApiToken(entry.name, entry.scope, entry.sha256) for entry in entries)
