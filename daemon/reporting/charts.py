"""The two charts that an examiner looks for, as inline SVG that reads in black and white. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from daemon.history.closing import JSON

WIDTH, HEIGHT = 720, 220
LEFT, TOP, BOTTOM = 56, 12, 28
PLOT = WIDTH - LEFT - 12
TALL = HEIGHT - TOP - BOTTOM
BAR, ROW = 14, 24


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels; `kind` is its class."""

    kind: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Label:
    x: float
    y: float
    text: str
    anchor: str = "end"


@dataclass(frozen=True, slots=True)
class Chart:
    """What a template draws: boxes, lines by their points, labels, and the same in words."""

    height: int
    boxes: Sequence[Box]
    lines: Sequence[str]
    limits: Sequence[float]
    labels: Sequence[Label]
    words: str
    vertical: bool = False
    """Whether the limits are places on the x axis."""


@dataclass(frozen=True, slots=True)
class Plot:
    """Where a time and a share are drawn; `top` is the share at the upper edge."""

    start: datetime
    seconds: float
    top: Decimal

    def x(self, at: str) -> float:
        return round(LEFT + PLOT * (datetime.fromisoformat(at) - self.start).total_seconds() / self.seconds, 1)

    def y(self, share: str | Decimal | None) -> float:
        shown = self.top if share is None else min(Decimal(share), self.top)
        return round(TOP + TALL * float(1 - shown / self.top), 1)


def hot_share(section: JSON, *, start: str, end: str) -> Chart:
    """The share of all through the day: a line where it is known, hatched between its bounds where it is not, grey
    where nobody looked."""
    steps = section["steps"]
    limits = sorted({Decimal(one["limit"]) for one in section["limits"] if one["subject"] == "all"})
    highest = [Decimal(one["high"]) for one in steps if one["value"] is not None]
    began = datetime.fromisoformat(start)
    seconds = (datetime.fromisoformat(end) - began).total_seconds()
    top = min(Decimal(1), max([*highest, *limits, Decimal("0.01")]) * Decimal("1.25"))
    plot = Plot(began, seconds, top)
    return Chart(
        height=HEIGHT,
        boxes=list(_boxes(steps, plot=plot)),
        lines=list(_runs(steps, plot=plot)),
        limits=[plot.y(one) for one in limits],
        labels=[*_shares(limits, plot=plot), *_hours(steps, plot=plot)],
        words=_in_words(section, limits=limits),
    )


def _boxes(steps: Sequence[JSON], *, plot: Plot) -> Iterator[Box]:
    for one in steps:
        left = plot.x(one["from"])
        width = round(plot.x(one["to"]) - left, 1)
        if one["low"] is None:
            yield Box("missing", left, TOP, width, TALL)
        elif one["unknown"] or one["value"] is None:
            upper = plot.y(one["high"])
            yield Box("unknown", left, upper, width, round(plot.y(one["low"]) - upper, 1))
        elif one["missing"]:
            yield Box("missing", left, TOP, width, TALL)


def _runs(steps: Sequence[JSON], *, plot: Plot) -> Iterator[str]:
    """The points of a line for every stretch in which the value is known; each step is level at its last value."""
    points: list[str] = []
    for one in [*steps, None]:
        if one is not None and one["value"] is not None:
            y = plot.y(one["value"])
            points += [f"{plot.x(one['from'])},{y}", f"{plot.x(one['to'])},{y}"]
        elif points:
            yield " ".join(points)
            points = []


def _shares(limits: Sequence[Decimal], *, plot: Plot) -> Iterator[Label]:
    for share in (Decimal(0), *limits):
        yield Label(LEFT - 6, plot.y(share) + 4, _percent(share))


def _hours(steps: Sequence[JSON], *, plot: Plot) -> Iterator[Label]:
    """UTC below every third hour."""
    for one in steps:
        at = datetime.fromisoformat(one["from"])
        if at.minute == 0 and at.hour % 3 == 0:
            yield Label(plot.x(one["from"]), HEIGHT - 8, f"{at:%H:%M}", "middle")


def _in_words(section: JSON, *, limits: Sequence[Decimal]) -> str:
    known = [one for one in section["steps"] if one["value"] is not None]
    if not known:
        return "The hot share is not known at any time of the day."
    lowest, highest = min(Decimal(one["low"]) for one in known), max(Decimal(one["high"]) for one in known)
    unknown = sum(one["unknown"] for one in section["steps"])
    missing = sum(one["missing"] for one in section["steps"])
    against = f", against a limit of {' and '.join(_percent(one) for one in limits)}" if limits else ""
    return (
        f"The hot share of all, where it is known, lies between {_percent(lowest)} and {_percent(highest)}{against}. "
        f"It is unknown for {unknown} s, and nobody looked for {missing} s."
    )


def coverage(section: JSON) -> Chart:
    """A bar for every asset with its backing, and one with its guarantee, against the line of one."""
    bars = [
        (f"{asset} {name}", one["ratio"])
        for name, covers in sorted(section["per_asset"].items())
        for asset, one in sorted(covers.items())
        if one["ratio"] is not None
    ]
    known = [Decimal(ratio["high"]) for _, ratio in bars if ratio["high"] is not None]
    top = min(Decimal(3), max([*known, Decimal(1)]) * Decimal("1.1"))

    def x(text: str | None) -> float:
        share = top if text is None else min(Decimal(text), top)
        return round(float(share / top) * (PLOT - 120), 1)

    boxes, labels = [], []
    for number, (name, ratio) in enumerate(bars):
        at = TOP + number * ROW
        low, high = x(ratio["low"]), x(ratio["high"])
        boxes.append(Box("known", LEFT + 120, at, low, BAR))
        if ratio["value"] is None:
            boxes.append(Box("unknown", LEFT + 120 + low, at, max(1.0, high - low), BAR))
        labels.append(Label(LEFT + 112, at + BAR - 3, name))
        labels.append(Label(LEFT + 126 + high, at + BAR - 3, percent(ratio), "start"))
    words = "; ".join(f"{name} {percent(ratio)}" for name, ratio in bars) or "there is nothing to cover"
    height = TOP + len(bars) * ROW + 8
    return Chart(height, boxes, [], [LEFT + 120 + x("1")], labels, f"Coverage at the closing: {words}.", vertical=True)


def percent(raw: Mapping[str, str | None]) -> str:
    """`5.12 %`, `between 4.9 % and 7 %`, `at least 3 %`; the JSON alone is exact."""
    if raw["value"] is not None:
        return _percent(raw["value"])
    low = _percent(raw["low"] or "0")
    return f"at least {low}" if raw["high"] is None else f"between {low} and {_percent(raw['high'])}"


def _percent(share: str | Decimal) -> str:
    """Six places, or as many as it takes not to look like a round number that it is not."""
    exact = Decimal(share) * 100
    rounded = round(exact, 6)
    text = f"{exact if rounded != exact and rounded == round(exact, 2) else rounded:f}"
    return f"{(text.rstrip('0').rstrip('.') if '.' in text else text) or '0'} %"
