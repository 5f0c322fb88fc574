"""The page on patient thieves says what is played."""

from decimal import Decimal
from pathlib import Path

import pytest

from tests.drip import RATES, played, row, table

PAGE = Path(__file__).parents[2] / "docs" / "drip.md"
RATE = Decimal("0.2")


@pytest.mark.timeout(300)
def test_a_rate_comes_out_as_the_page_says() -> None:
    assert row(RATE) in PAGE.read_text().splitlines()
    alarm = next(one for one in played(RATE).alarms if one.alert == "PyrometerUnmatchedOutflow")
    assert alarm.event == "drip"


def test_the_page_has_every_rate_and_the_columns_that_are_played() -> None:
    text = PAGE.read_text()
    assert next(iter(table(()))) in text
    assert text.count(" ETH | 0:01 h") == len(RATES)
