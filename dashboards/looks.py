"""How the states of a number look: fine, near its limit, over it, not known; alike in Grafana and in the pictures."""

from __future__ import annotations

from collections.abc import Mapping

from grafana_foundation_sdk.builders.dashboard import ThresholdsConfig
from grafana_foundation_sdk.models import dashboard as model

OK, NEAR, OVER, UNKNOWN, NEUTRAL = "#009E73", "#E69F00", "#D55E00", "#8E6BC9", "#0072B2"
"""Of Okabe and Ito's palette for colour-blind readers (Color Universal Design, 2008), but for the purple, which is a
darker one than theirs. Colour is never alone: what is not fine is also said in a word."""

SERIES = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D31", "#5E4FA2", "#7F7F7F")
"""For lines that mean nothing good or bad."""

STATES = {0: ("ok", OK), 1: ("UNKNOWN", UNKNOWN), 2: ("BREACH", OVER)}
"""What `rules.worst` and its like give."""


def steps(*levels: tuple[float, str]) -> ThresholdsConfig:
    """Colours from these values on. Below the first, and where there is no value at all, it is not known."""
    found = [model.Threshold(None, UNKNOWN), *(model.Threshold(value, colour) for value, colour in levels)]
    return ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


def words(said: Mapping[int, tuple[str, str]], *, nothing: str) -> list[model.ValueMapping]:
    """Numbers as words with colours; no value at all reads `nothing`, in the colour of what is not known."""
    named = {str(value): _result(text, colour, place) for place, (value, (text, colour)) in enumerate(said.items())}
    absent = model.DashboardSpecialValueMapOptions(
        match=model.SpecialValueMatch.NULL_AND_NAN, result=_result(nothing, UNKNOWN, len(named))
    )
    found: list[model.ValueMapping] = [model.ValueMap(named)] if named else []
    return [*found, model.SpecialValueMap(absent)]


def _result(text: str, colour: str, place: int) -> model.ValueMappingResult:
    return model.ValueMappingResult(text=text, color=colour, index=place)
