"""Times and blocks as JSON."""

from datetime import datetime
from typing import Any

from connectors.base import Tip

JSON = dict[str, Any]


def moment(at: datetime) -> str:
    """RFC 3339 in UTC, with milliseconds only where there are any."""
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")


def block(tip: Tip | None) -> JSON:
    return {
        "height": tip.height if tip else None,
        "hash": tip.hash if tip else None,
        "time": moment(tip.time) if tip else None,
    }
