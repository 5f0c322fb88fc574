"""Any finding at all, for hypothesis."""

from datetime import UTC, date, datetime

from hypothesis import strategies as st

from daemon.interval import Interval
from daemon.model import Due, Finding, Judgement, Move, Severity, State, Verdict

TIMES = st.datetimes(
    min_value=datetime(2000, 1, 1),  # noqa: DTZ001 - hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC]),
)
NUMBERS = st.decimals(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(), max_size=20)
"""Any text that a node could make us carry, lone surrogates and NUL included."""

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
INTERVALS = st.builds(Interval, low=NUMBERS, value=st.none() | NUMBERS, high=st.none() | NUMBERS)
VERDICTS = st.builds(
    Verdict,
    policy=TEXTS,
    subject=TEXTS,
    alert=TEXTS,
    severity=st.sampled_from(Severity),
    judgement=st.sampled_from(Judgement),
    summary=TEXTS,
    cleared=st.booleans(),
    measured=st.none() | INTERVALS,
    limit=st.none() | NUMBERS,
    causes=st.lists(TEXTS, max_size=3).map(tuple),
    moves=st.lists(st.builds(Move, TEXTS, TEXTS, NUMBERS, st.sampled_from(["in", "out"]), TEXTS), max_size=3).map(
        tuple
    ),
    evidence=st.dictionaries(TEXTS, JSON_VALUES, max_size=3),
)
DUES = (
    (),
    (Due("plan\ud800", date(2026, 12, 8), "calendar", -3, overdue=True),),
    (Due("plan", date.min, "business", 0, overdue=False), Due("", date.max, "calendar", 10**6, overdue=False)),
)
FINDINGS = st.builds(
    Finding,
    id=st.text("0123456789abcdef", min_size=16, max_size=16),
    state=st.sampled_from(State),
    since=TIMES,
    verdict=VERDICTS,
    fired=st.none() | TIMES,
    clear_since=st.none() | TIMES,
    resolved=st.none() | TIMES,
    why_resolved=TEXTS,
    due=st.sampled_from(DUES),
)
