"""What an alert says: labels that never change over a finding's life, and annotations for people."""

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given

from daemon.emit.alert import TEXT_LIMIT, Origin, alert, identity, watchdog
from daemon.interval import Interval
from daemon.model import Due, Finding, Move, Severity
from tests.delivery_cases import NOON, firing, resolved, verdict
from tests.delivery_strategies import FINDINGS

ORIGIN = Origin(
    entity="Example KK", external_url="https://pyrometer.example/", runbook_url="https://docs.example/alerts"
)


def said(finding: Finding, *, origin: Origin = ORIGIN, ends: datetime = NOON) -> dict[str, Any]:
    return dict(alert(finding, origin=origin, ends=ends))


def annotations(**changes: object) -> dict[str, str]:
    """Of a firing finding whose verdict was changed."""
    finding = firing()
    result: dict[str, str] = said(replace(finding, verdict=replace(finding.verdict, **changes)))["annotations"]  # type: ignore[arg-type]
    return result


def test_a_whole_alert() -> None:
    assert said(firing("f1"), ends=NOON + timedelta(minutes=5)) == {
        "labels": {
            "alertname": "PyrometerHotShareHigh",
            "policy": "jp-psa/hot-share",
            "subject": "all",
            "severity": "critical",
            "entity": "Example KK",
        },
        "annotations": {
            "summary": "6.25 % of customers' assets are hot, over 5 %",
            "value": "0.0625",
            "low": "0.06",
            "high": "unknown",
            "limit": "0.05",
            "amount_to_move": "12.5 ETH from eth-hot-1",
            "causes": "chain:ethereum",
            "since": "2026-11-23T12:00:00.000000Z",
            "blocks": "ethereum 19 0xabc",
            "finding": "f1",
            "runbook_url": "https://docs.example/alerts/PyrometerHotShareHigh.md",
        },
        "startsAt": "2026-11-23T12:00:00.000000Z",
        "endsAt": "2026-11-23T12:05:00.000000Z",
        "generatorURL": "https://pyrometer.example/api/v1/findings",
    }


@given(FINDINGS)
def test_the_labels_are_always_the_same_five(finding: Finding) -> None:
    assert set(said(finding)["labels"]) == {"alertname", "policy", "subject", "severity", "entity"}


def test_no_number_moves_the_labels() -> None:
    before = firing()
    measured = replace(before.verdict, measured=Interval.exactly(Decimal("0.07")), summary="7 %", moves=(), evidence={})
    after = resolved(replace(before, verdict=measured, id="f2", since=NOON + timedelta(hours=1)), at=NOON)
    assert said(before)["labels"] == said(after)["labels"]
    assert identity(before.verdict) == identity(after.verdict)


def test_subject_and_severity_do() -> None:
    assert identity(verdict("ETH")) != identity(verdict("BTC"))
    assert identity(verdict(severity=Severity.WARNING)) != identity(verdict(severity=Severity.CRITICAL))


@given(FINDINGS)
def test_every_annotation_is_text_and_none_is_empty(finding: Finding) -> None:
    assert all(isinstance(text, str) and text for text in said(finding)["annotations"].values())


def test_the_start_does_not_move_with_the_end() -> None:
    early, late = said(firing(), ends=NOON), said(firing(), ends=NOON + timedelta(hours=1))
    assert early["startsAt"] == late["startsAt"]
    assert early["endsAt"] != late["endsAt"]


def test_times_are_in_utc_whatever_zone_they_came_in() -> None:
    tokyo = NOON.astimezone(timezone(timedelta(hours=9)))
    assert said(replace(firing(), since=tokyo))["startsAt"] == "2026-11-23T12:00:00.000000Z"


def test_moves_are_a_list_to_read() -> None:
    moves = (Move("eth-hot-1", "ETH", Decimal("1E+3")), Move("btc-hot", "BTC", Decimal("0.10"), "in"))
    assert annotations(moves=moves)["amount_to_move"] == "1000 ETH from eth-hot-1; 0.1 BTC into btc-hot"


@pytest.mark.parametrize(
    ("move", "said"),
    [
        (Move("hot", "ETH", Decimal(2), counterpart="tier cold"), "2 ETH from hot to tier cold"),
        (Move("hot", "ETH", Decimal(2), "in", "tier cold"), "2 ETH from tier cold to hot"),
        (Move("", "JPY", Decimal(2), "in", "reserve fund"), "2 JPY from outside to reserve fund"),
        (Move("v", "X", Decimal("1E-24"), counterpart="owner guarantee, tier cold"),
         "0.000000000000000000000001 X from v to owner guarantee, tier cold"),
    ],
)  # fmt: skip
def test_a_move_says_where_from_and_where_to_and_exactly_how_much(move: Move, said: str) -> None:
    assert annotations(moves=(move,))["amount_to_move"] == said


@pytest.mark.parametrize(
    ("due", "text"),
    [
        (Due("plan", date(2026, 12, 8), "calendar", 15, overdue=False), "plan due by 2026-12-08, 15 days left"),
        (Due("cure", date(2027, 1, 6), "business", 1, overdue=False), "cure due by 2027-01-06, 1 business day left"),
        (Due("plan", date(2026, 12, 8), "calendar", 0, overdue=False), "plan due by 2026-12-08, today"),
        (Due("plan", date(2026, 12, 8), "calendar", -2, overdue=True), "plan was due by 2026-12-08, 2 days ago"),
        (Due("plan", date(2026, 12, 4), "business", 0, overdue=True), "plan was due by 2026-12-04"),
    ],
)
def test_what_a_breach_obliges_to_is_counted_down(due: Due, text: str) -> None:
    assert texts_of(replace(firing(), due=(due,)))["due"] == text
    assert texts_of(replace(firing(), due=(due, due)))["due"] == f"{text}; {text}"


def texts_of(finding: Finding) -> dict[str, str]:
    texts = said(finding)["annotations"]
    assert isinstance(texts, dict)
    return texts


@pytest.mark.parametrize(
    "name",
    [
        *("due", "amount_to_move", "causes", "value", "low", "high", "limit", "blocks", "evidence"),
        *("amount", "still_there", "transaction", "transaction_stage"),
    ],
)
def test_what_a_rule_does_not_say_is_left_out(name: str) -> None:
    assert name not in annotations(moves=(), causes=(), measured=None, limit=None, evidence={})


def test_an_unknown_value_is_called_so_and_never_zero() -> None:
    texts = annotations(measured=Interval(Decimal(0), None, None))
    assert (texts["value"], texts["low"], texts["high"]) == ("unknown", "0", "unknown")


def test_numbers_are_written_without_exponents() -> None:
    texts = annotations(measured=Interval.exactly(Decimal("1E+20")), limit=Decimal("1E-10"))
    assert (texts["value"], texts["limit"]) == ("100000000000000000000", "0.0000000001")


def test_evidence_names_the_block_of_every_chain() -> None:
    blocks = {"ethereum": {"height": 19, "hash": "0xabc"}, "bitcoin": {"height": 870000, "hash": "00ff"}}
    assert annotations(evidence={"blocks": blocks})["blocks"] == "bitcoin 870000 00ff; ethereum 19 0xabc"


def test_other_evidence_is_one_line_of_json() -> None:
    texts = annotations(evidence={"reason": "timeout", "unread": {"timeout": 3}})
    assert texts["evidence"] == '{"reason": "timeout", "unread": {"timeout": 3}}'
    assert "blocks" not in texts


@pytest.mark.parametrize("blocks", ["ethereum", ["ethereum"], {"ethereum": "0xabc"}, None])
def test_blocks_of_an_unforeseen_shape_break_nothing(blocks: object) -> None:
    assert "blocks" not in annotations(evidence={"blocks": blocks})


def test_long_evidence_is_cut() -> None:
    text = annotations(evidence={"answers": ["x" * 100] * 100})["evidence"]
    assert len(text) == TEXT_LIMIT + 1
    assert text.endswith("…")


def test_links_without_a_base_are_left_out() -> None:
    plainly = said(firing(), origin=Origin(entity="Example KK"))
    assert "generatorURL" not in plainly
    assert "runbook_url" not in plainly["annotations"]


def test_a_resolved_finding_says_why_it_is_over() -> None:
    assert said(resolved(firing(), at=NOON))["annotations"]["why_resolved"] == "back within the limit"


PAGE = (Path(__file__).parents[2] / "docs" / "alertmanager.md").read_text()


@given(FINDINGS)
def test_every_annotation_stands_in_the_documentation(finding: Finding) -> None:
    assert all(f"| `{name}` |" in PAGE for name in said(finding)["annotations"])


def test_the_annotations_of_a_payment_say_how_much_where_it_stands_and_what_is_left() -> None:
    payment = {"transaction": "0x77", "stage": "mined", "asset": "ETH", "amount": "7", "height": 19}
    texts = annotations(grounds=("0x77",), evidence={"transactions": [payment], "still_there": {"ETH": "3"}})
    assert (texts["amount"], texts["still_there"]) == ("7 ETH", "3 ETH in all")
    assert (texts["transaction"], texts["transaction_stage"]) == ("0x77", "in block 19")


def test_the_watchdog_of_a_drill_is_told_from_the_real_one() -> None:
    """Or a drill would keep the dead man's switch of a dead daemon quiet."""
    drill = watchdog(replace(ORIGIN, drill="dmm-2024"), since=NOON, ends=NOON)
    assert isinstance(drill["labels"], dict)
    assert drill["labels"]["drill"] == "dmm-2024"


def test_the_watchdog_has_the_labels_of_an_alert() -> None:
    dog: dict[str, Any] = dict(watchdog(ORIGIN, since=NOON, ends=NOON + timedelta(minutes=5)))
    assert dog["labels"] == {
        "alertname": "PyrometerWatchdog",
        "policy": "builtin/watchdog",
        "subject": "daemon",
        "severity": "info",
        "entity": "Example KK",
    }
    assert (dog["startsAt"], dog["endsAt"]) == ("2026-11-23T12:00:00.000000Z", "2026-11-23T12:05:00.000000Z")
