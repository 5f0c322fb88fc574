"""Values as people read them: units, thresholds and words, as Grafana shows them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

from dashboards.pictures.reading import Shown

SCALED: dict[str, Sequence[tuple[float, str]]] = {
    "short": ((1e12, " T"), (1e9, " bn"), (1e6, " m"), (1e3, " k")),
    "bytes": ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB")),
    "s": ((86400, " d"), (3600, " h"), (60, " min")),
}
ENDINGS = {"percentunit": " %", "s": " s", "reqps": " /s", "bytes": " B"}


def written(value: float | None, shown: Shown) -> str:
    """With its unit; words where they take its place."""
    known = None if value is None or math.isnan(value) else value
    said = next((mapped for mapping in shown.mappings if (mapped := mapping.of(known)) is not None), None)
    if said is not None and said.text:
        return said.text
    return shown.noValue if known is None else number(known, unit=shown.unit, decimals=shown.decimals)


def number(value: float, *, unit: str, decimals: int | None = None) -> str:
    """`5.12 %`, `1.2 bn`, `350 ms`."""
    if unit == "dateTimeAsIso":
        return f"{datetime.fromtimestamp(value / 1000, UTC):%Y-%m-%d %H:%M:%S}"
    if unit == "percentunit":
        return f"{_plain(value * 100, decimals, most=2)} %"
    if unit == "s" and 0 < abs(value) < 1:
        return f"{_plain(value * 1000, None, most=1)} ms"
    if unit == "locale":
        return f"{value:,.{decimals or 0}f}".rstrip("0").rstrip(".") if decimals else f"{value:,.0f}"
    for size, ending in SCALED.get(unit, ()):
        if abs(value) >= size:
            return f"{_plain(value / size, None if decimals == 0 else decimals, most=2)}{ending}"
    return f"{_plain(value, decimals, most=3)}{ENDINGS.get(unit, '')}"


def colour(value: float | None, shown: Shown) -> str:
    """Of the word that takes its place, else of the highest threshold that it reaches."""
    known = None if value is None or math.isnan(value) else value
    for mapping in shown.mappings:
        mapped = mapping.of(known)
        if mapped is not None and mapped.color:
            return mapped.color
    reached = [
        one.color for one in shown.thresholds.steps if one.value is None or (known is not None and known >= one.value)
    ]
    return reached[-1] if reached else ""


def _plain(value: float, decimals: int | None, *, most: int) -> str:
    """With this many decimals, or as many as it needs, `most` at most."""
    if decimals is not None:
        return f"{value:,.{decimals}f}"
    places = most if value == 0 else max(0, min(most, 2 - math.floor(math.log10(abs(value)))))
    text = f"{value:,.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
