"""What we think of one provider, whatever its protocol: its circuit, its counters, and its words, fit to be shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from connectors.base import ProviderStats
from connectors.circuit import Circuit
from connectors.errors import ConnectorError, Reason

LONGEST_QUOTE = 200
"""Characters of a provider's own words that go into a message."""

E = TypeVar("E", bound=ConnectorError)


class Standing:
    """`secrets` are the parts of our credentials that the provider could echo."""

    def __init__(self, provider: str, *, circuit: Circuit, secrets: Sequence[str] = ()) -> None:
        self.provider = provider
        self.circuit = circuit
        self._secrets = secrets
        self._requests = 0
        self._disagreements = 0
        self._errors: Counter[Reason] = Counter()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.provider})"

    def asked(self) -> None:
        """Counts a request."""
        self._requests += 1

    def blame(self, error: E) -> E:
        """Counts the error against this provider and gives it back to be raised."""
        self._errors[error.reason] += 1
        return error

    def disagreed(self) -> None:
        self._disagreements += 1

    def quote(self, words: object) -> str:
        """A provider's own words, fit for a message: short, printable, and without any part of our credentials."""
        text = words.decode("utf-8", "replace") if isinstance(words, bytes) else str(words)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        text = "".join(mark if mark.isprintable() else " " for mark in text[: LONGEST_QUOTE + 1])
        return text if len(text) <= LONGEST_QUOTE else text[:LONGEST_QUOTE] + "…"

    def stats(self) -> ProviderStats:
        return ProviderStats(self.provider, self._requests, dict(self._errors), self._disagreements)
