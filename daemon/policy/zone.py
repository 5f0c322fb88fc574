"""Time zones as rules name them."""

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator


def _known(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("expected the name of a time zone, such as Asia/Tokyo or UTC") from None
    return name


ZoneName = Annotated[str, AfterValidator(_known)]
"""Of the IANA time zone database."""
