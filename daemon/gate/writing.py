"""A latch as JSON text and back."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from daemon.gate.latch import Latch


def encode(latch: Latch) -> str:
    """ASCII JSON, so that no text of a node can make it unstorable."""
    raw = {
        "open": latch.open,
        "since": latch.since.astimezone(UTC).isoformat(),
        "reason": latch.reason,
        "findings": list(latch.findings),
        "by": latch.by,
        "accepted": {key: list(grounds) for key, grounds in latch.accepted.items()},
    }
    return json.dumps(raw, separators=(",", ":"))


def decode(text: str) -> Latch:
    """The latch that `encode` was given; ValueError when the text is nothing of the kind."""
    try:
        raw = json.loads(text)
        return Latch(
            open=raw["open"] is True,
            since=datetime.fromisoformat(raw["since"]),
            reason=str(raw["reason"]),
            findings=tuple(raw["findings"]),
            by=raw["by"],
            accepted={key: tuple(grounds) for key, grounds in raw["accepted"].items()},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no gate: {type(error).__name__} {error}") from error
