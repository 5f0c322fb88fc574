"""What a scenario says is read, and for each mistake there is one line with file, line, key, and what was expected."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TypedDict

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.config import format_duration
from daemon.document import read
from daemon.errors import ConfigError
from daemon.replay.cast import Account, Cast, Coin
from daemon.replay.catalogue import find, shipped
from daemon.replay.scenario import Scenario, load, scenario_schema
from daemon.replay.script import (
    Approved,
    ControlChanged,
    Happening,
    LiabilitiesChanged,
    Payment,
    Purses,
    Told,
    moments,
    realised,
    timeline,
)
from daemon.replay.written import (
    format_end,
    format_instant,
    parse_change,
    parse_coins,
    parse_end,
    parse_instant,
)

DATA = Path(__file__).parents[2] / "data"
GOOD = (DATA / "good_scenario.yaml").read_text()


class Mistake(TypedDict):
    """`old` in the good file becomes `new`, once."""

    title: str
    old: str
    new: str
    expected: str


MISTAKES: list[Mistake] = yaml.safe_load((DATA / "bad_scenarios.yaml").read_text())


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(text: str) -> Path:
    path = Path("s.yaml")
    path.write_text(text)
    return path


def good() -> Scenario:
    return load(written(GOOD))


def happening(scenario: Scenario) -> list[Happening]:
    """What the timeline makes happen, without traffic."""
    cast = Cast(scenario)
    purses, found = Purses(cast), []
    for at, place, step in timeline(scenario):
        found.append(realised(step, at=at, place=place, cast=cast, purses=purses))
        if isinstance(found[-1], Payment):
            purses.pay(found[-1])
    return found


# Mistakes.


def test_every_mistake_has_a_title_of_its_own() -> None:
    titles = [mistake["title"] for mistake in MISTAKES]
    assert len(set(titles)) == len(titles) >= 80


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: mistake["title"])
def test_a_mistake_is_said_in_one_line(mistake: Mistake) -> None:
    assert mistake["old"] in GOOD, "the table no longer fits the good file"
    with pytest.raises(ConfigError) as caught:
        load(written(GOOD.replace(mistake["old"], mistake["new"], 1)))
    assert str(caught.value) == mistake["expected"]
    assert "\n" not in str(caught.value)


def test_a_mistake_in_the_yaml_itself_is_said_with_its_line() -> None:
    with pytest.raises(ConfigError, match=r"^s\.yaml:3: "):
        load(written('incident: a\ntitle: b\nsummary: "c\n'))


CONTENT = yaml.load(GOOD, yaml.BaseLoader)
ODD = ("", "~", "-1", "0", "1e9", "9" * 30, "[]", "{}", "[1, 2]", "{a: b}", "all", "é", "xem-hot/99999", "-5d")
PLACES = [keys for keys in read(DATA / "good_scenario.yaml").places if keys]


@pytest.mark.timeout(180)
@given(st.sampled_from(PLACES), st.sampled_from(ODD))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_a_place_the_file_is_good_or_refused_in_one_line(
    keys: tuple[str | int, ...], odd: str
) -> None:
    around = content = deepcopy(CONTENT)
    for key in keys[:-1]:
        around = around[key]
    around[keys[-1]] = yaml.load(odd, yaml.BaseLoader)
    try:
        load(written(yaml.safe_dump(content)))
    except ConfigError as error:
        assert str(error).startswith("s.yaml")
        assert "\n" not in str(error)


# What is read.


def test_an_end_may_be_an_instant_or_a_duration() -> None:
    assert good().end == datetime(2026, 1, 5, 6, tzinfo=UTC)
    later = load(written(GOOD.replace("ends: 6h", "ends: 2026-01-05T07:30:00Z")))
    assert later.end == datetime(2026, 1, 5, 7, 30, tzinfo=UTC)


def test_steps_happen_at_their_moments_relative_ones_after_the_last_time_of_the_step_before() -> None:
    clocks = [tuple(f"{at:%H:%M}" for at in times) for times in moments(good())]
    assert clocks == [("01:00",), ("01:05", "01:06", "01:07"), ("01:08",), ("01:09",), ("01:10",), ("03:00",)]


def test_every_action_becomes_what_happens() -> None:
    sorts = [type(each) for each in happening(good())]
    assert sorts == [Payment, Payment, Payment, Payment, ControlChanged, LiabilitiesChanged, Approved, Told]


def test_a_theft_is_not_approved_and_what_it_took_is_still_owed() -> None:
    theft = happening(good())[0]
    assert isinstance(theft, Payment)
    assert (theft.theft, theft.approved) == (True, False)
    assert theft.owed == 0
    assert (theft.units, theft.fee) == (10_000_000, 50_000)


def test_all_takes_what_is_there_less_the_fee() -> None:
    last = GOOD.replace("amount: 300 XEM, theft: true}\n    repeat: {times: 3, every: 1m}", "amount: all XEM, fee: 1}")
    payments = [each for each in happening(load(written(last))) if isinstance(each, Payment)]
    assert payments[-1].units == (1000 - 10 - 1) * 10**6 - 50_000


def test_a_payment_into_a_customers_wallet_is_owed_and_one_out_of_it_no_more() -> None:
    swapped = GOOD.replace(
        "from: xem-hot, to: thief, amount: 300 XEM, theft: true", "from: thief, to: xem-hot, amount: 2 XEM"
    )
    owed = [each.owed for each in happening(load(written(swapped))) if isinstance(each, Payment)]
    assert owed == [0, 2, 2, 2]
    honest = load(written(GOOD.replace("amount: 300 XEM, theft: true", "amount: 300 XEM")))
    assert [each.owed for each in happening(honest) if isinstance(each, Payment)] == [0, -300, -300, -300]


def test_holdings_are_spread_over_the_accounts_and_copies_hold_as_much_each() -> None:
    cast = Cast(good())
    opening = {(account.name, coin.asset): units for (account, coin), units in cast.opening().items()}
    assert opening["eth-hot/1", "ETH"] == opening["eth-hot/2", "ETH"] == 55 * 10**17
    assert opening["customers/1", "ETH"] - opening["customers/2", "ETH"] == 1  # what can't be divided
    assert opening["eth-cold-1/1", "ETH"] == opening["eth-cold-2/1", "ETH"] == 100 * 10**18


def test_an_account_has_its_address_or_one_that_the_played_chain_makes_up() -> None:
    thief = "outside:\n  thief: {chain: nem, addresses: [NC4C6PSUW5CLTDT5SXAGJDQJGZNESKFK5MCN77OG]}"
    cast = Cast(load(written(GOOD.replace("outside:\n  thief: {chain: nem}", thief))))
    assert cast.account("thief").on(lambda _: "made up") == "NC4C6PSUW5CLTDT5SXAGJDQJGZNESKFK5MCN77OG"
    assert cast.account("xem-hot").on(lambda _: "made up") == "made up"
    assert cast.account("eth-hot/2").on(lambda name: f"of {name}") == "of eth-hot/2"
    assert cast.coin("USDC", "ethereum").on(lambda name: f"of {name}") == "of USDC"
    assert cast.coin("ETH", "ethereum").on(lambda name: f"of {name}") is None


@given(st.integers(min_value=-(10**40), max_value=10**40), st.integers(min_value=0, max_value=30))
def test_units_and_coins_are_the_same_amount(units: int, decimals: int) -> None:
    coin = Coin("A", "c", None, invented=False, decimals=decimals)
    assert coin.units(coin.coins(units)) == units


def test_accounts_of_two_casts_are_equal() -> None:
    assert Account("c", "hot/1") == Account("c", "hot/1")
    assert Cast(good()).groups == Cast(good()).groups


# Texts.


@given(st.datetimes(datetime(1970, 1, 1), datetime(2080, 12, 31)))  # noqa: DTZ001 - made aware below
def test_an_instant_is_read_back_as_it_was_written(moment: datetime) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    assert parse_instant(format_instant(moment)) == moment
    assert parse_end(format_end(moment)) == moment


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=400)))
def test_a_duration_is_read_back_as_it_was_written(duration: timedelta) -> None:
    duration = timedelta(seconds=int(duration.total_seconds()))
    assert parse_end(format_end(duration)) == duration == parse_end(format_duration(duration))


def test_amounts_are_exact() -> None:
    assert parse_coins("401_346.76 ETH").amount == Decimal("401346.76")
    assert parse_coins("all ETH").amount is None
    assert str(parse_coins("0.84 ETH")) == "0.84 ETH"
    assert parse_change("+620_000") == 620_000
    assert parse_change("-5") == -5


@pytest.mark.parametrize("text", ["10", "10XEM", "10 20 XEM", "-10 XEM", "1e3 XEM", "All XEM", "9" * 50 + " XEM", ""])
def test_what_is_no_amount_of_coins_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an amount and its asset"):
        parse_coins(text)


# The catalogue and the schema.


def test_a_scenario_is_found_by_name_or_by_file() -> None:
    assert find("coincheck") == shipped()["coincheck"]
    assert find(str(written(GOOD))) == Path("s.yaml")


def test_an_unknown_scenario_is_said_with_the_nearest_name() -> None:
    with pytest.raises(ConfigError) as caught:
        find("coinchek")
    assert str(caught.value) == "'coinchek': is neither a file nor a scenario; did you mean coincheck?"


def test_the_schema_shows_the_keys_as_they_are_written() -> None:
    schema = scenario_schema()
    assert schema["title"] == "pyrometer scenario"
    assert "from" in schema["$defs"]["Pay"]["properties"]
    assert schema["$defs"]["ChainSetup"]["required"] == ["kind", "block_time"]
