"""A finding that was written down is, read again, the same to the last digit."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given

from daemon.interval import Interval
from daemon.model import Finding
from daemon.store.codec import decode, encode
from tests.delivery_cases import NOON, firing
from tests.delivery_strategies import FINDINGS


@given(FINDINGS)
def test_every_finding_comes_back_as_it_was(finding: Finding) -> None:
    """Equal, and equal in print: Decimal('1.10') == Decimal('1.1'), but only one of them is what was written."""
    again = decode(encode(finding))
    assert again == finding
    assert repr(again.verdict.measured) == repr(finding.verdict.measured)
    assert repr(again.verdict.moves) == repr(finding.verdict.moves)
    assert repr(again.verdict.limit) == repr(finding.verdict.limit)


@given(FINDINGS)
def test_the_text_is_ascii_whatever_a_node_sent(finding: Finding) -> None:
    assert encode(finding).isascii()


def test_a_decimal_of_78_digits_keeps_them_all() -> None:
    number = Decimal(2**256 - 1).scaleb(-18)
    finding = firing()
    finding = replace(finding, verdict=replace(finding.verdict, measured=Interval.exactly(number)))
    assert decode(encode(finding)).verdict.measured == Interval(number, number, number)


def test_a_number_is_written_as_text_never_as_a_json_number() -> None:
    raw = json.loads(encode(firing()))
    assert raw["verdict"]["limit"] == "0.05"
    assert raw["verdict"]["measured"] == ["0.0600", "0.0625", None]


def test_times_are_written_in_utc() -> None:
    tokyo = datetime(2026, 11, 23, 21, 0, 0, 1, tzinfo=timezone(timedelta(hours=9)))
    finding = replace(firing(), since=tokyo)
    assert json.loads(encode(finding))["since"] == "2026-11-23T12:00:00.000001+00:00"
    assert decode(encode(finding)).since == tokyo


def test_foreign_evidence_is_kept_as_its_text_rather_than_losing_the_finding() -> None:
    finding = firing()
    finding = replace(finding, verdict=replace(finding.verdict, evidence={"at": NOON, "share": Decimal("0.1")}))
    assert decode(encode(finding)).verdict.evidence == {"at": str(NOON), "share": "0.1"}


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", "null", '"x"', encode(firing()).replace('"firing"', '"burning"'), encode(firing())[:-1]],
)
def test_a_text_that_is_no_finding_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode(text)


def test_a_finding_of_a_version_that_knew_no_counterpart_is_read_with_none() -> None:
    raw = json.loads(encode(firing()))
    (move,) = raw["verdict"]["moves"]
    assert move.pop("counterpart") == ""
    assert decode(json.dumps(raw)) == firing()


@pytest.mark.parametrize("damage", [('"0.05"', '"five"'), ('"since":"2', '"since":"x'), ('"moves":[', '"moves":[1,')])
def test_a_damaged_field_is_a_value_error(damage: tuple[str, str]) -> None:
    text = encode(firing())
    assert damage[0] in text
    with pytest.raises(ValueError, match=r".+"):
        decode(text.replace(*damage))
