"""Snapshots of figures, which merge: many of a minute into one of an hour, without a word that was not there before."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

Key = tuple[str, str]
"""(metric, scope), or (policy, subject)."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number over some time: the lowest it may have been, its last value, the highest it may have been.

    `value` is None when the last one was unknown, `high` when nobody knew how high. `known` and `unknown` count
    seconds; what is left of the time is missing, because nobody looked.
    """

    low: Decimal
    value: Decimal | None
    high: Decimal | None
    known: int
    unknown: int

    def __add__(self, later: Figure) -> Figure:
        """Both spans as one; associative, and in this order, because the last value stays."""
        return Figure(
            min(self.low, later.low),
            later.value,
            None if self.high is None or later.high is None else max(self.high, later.high),
            self.known + later.known,
            self.unknown + later.unknown,
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """For how many seconds a rule said what of a subject."""

    ok: int = 0
    breach: int = 0
    unknown: int = 0

    def __add__(self, other: Judged) -> Judged:
        return Judged(self.ok + other.ok, self.breach + other.breach, self.unknown + other.unknown)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Figures by metric and scope, verdicts by policy and subject, of the `grain` that begins `at`."""

    at: datetime
    grain: timedelta
    figures: Mapping[Key, Figure] = field(default_factory=dict)
    judged: Mapping[Key, Judged] = field(default_factory=dict)


def merged(snapshots: Iterable[Snapshot], *, at: datetime, grain: timedelta) -> Snapshot:
    """One snapshot of all of them, which come in the order of their times."""
    figures: dict[Key, Figure] = {}
    judged: dict[Key, Judged] = {}
    for one in snapshots:
        for key, figure in one.figures.items():
            figures[key] = figures[key] + figure if key in figures else figure
        for key, said in one.judged.items():
            judged[key] = judged[key] + said if key in judged else said
    return Snapshot(at, grain, figures, judged)


def encode(snapshot: Snapshot) -> str:
    """JSON text; decimals digit by digit."""
    figures = {_text(key): _figure(figure) for key, figure in snapshot.figures.items()}
    judged = {_text(key): [one.ok, one.breach, one.unknown] for key, one in snapshot.judged.items()}
    return json.dumps({"figures": figures, "judged": judged}, separators=(",", ":"), sort_keys=True)


def decode(text: str, *, at: datetime, grain: timedelta, only: Iterable[Key] | None = None) -> Snapshot:
    """The snapshot that `encode` was given, or `only` those figures of it; ValueError when the text is none."""
    try:
        raw = json.loads(text)
        wanted = raw["figures"] if only is None else raw["figures"].keys() & {_text(key) for key in only}
        figures = {_key(key): _to_figure(raw["figures"][key]) for key in wanted}
        judged = {_key(key): Judged(*one) for key, one in raw["judged"].items()}
    except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise ValueError(f"no snapshot: {type(error).__name__} {error}") from error
    return Snapshot(at, grain, figures, judged)


def exact(value: Decimal) -> str:
    """Decimal text without an exponent, digit by digit but for trailing zeros."""
    text = f"{value:f}"
    return (text.rstrip("0").rstrip(".") or "0") if "." in text else text


def _figure(one: Figure) -> list[object]:
    value, high = (None if number is None else exact(number) for number in (one.value, one.high))
    return [exact(one.low), value, high, one.known, one.unknown]


def _to_figure(raw: list[Any]) -> Figure:
    low, value, high, known, unknown = raw
    return Figure(
        Decimal(low),
        None if value is None else Decimal(value),
        None if high is None else Decimal(high),
        known,
        unknown,
    )


def _text(key: Key) -> str:
    # Neither a metric nor the name of a rule holds a space.
    return " ".join(key)


def _key(text: str) -> Key:
    first, _, second = text.partition(" ")
    return first, second
