"""Every regulator's preset, worked out by hand: just within each of its limits, and one unit beyond.

The numbers in the comments were computed on paper from the figures beside them; nothing here asks the program for one.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from connectors.base import Token
from daemon.feeds.values import Custody, Feeds, Stated
from daemon.findings import advance
from daemon.interval import NOTHING, Interval
from daemon.ledger import Ledger
from daemon.model import Judgement, Owner, Tier
from daemon.policy import judge
from daemon.policy.overrides import PresetUse
from daemon.policy.presets import CHECKOUT, resolve
from daemon.policy.rule import Picture, Rule
from tests.build import ETH, NOON, USDT, complete, inventory, picture, wallet

OK, BREACH, UNKNOWN = Judgement.OK, Judgement.BREACH, Judgement.UNKNOWN

WEI = Decimal("0.000000000000000001")
"""The smallest unit of ETH."""
BTC = Token("ethereum", "0x" + "b" * 40, 8)
SATOSHI = Decimal("0.00000001")
MICRO = Decimal("0.000001")
"""The smallest unit of USDT."""
TOKENS = {"ETH": ETH, "USDT": USDT, "BTC": BTC}
WALLETS = {
    "hot": wallet("hot", Tier.HOT, 1),
    "warm": wallet("warm", Tier.WARM, 2),
    "cold": wallet("cold", Tier.COLD, 3),
    "guarantee": wallet("guarantee", Tier.COLD, 4, owner=Owner.GUARANTEE),
    "company": wallet("company", Tier.COLD, 5, owner=Owner.COMPANY),
}

Coins = Mapping[str, Decimal | int | str]
"""By asset, in whole coins."""


def stated(value: Decimal | int | str) -> Stated:
    return Stated(Interval.exactly(Decimal(value)), "by hand", NOON)


def every(values: Coins | None) -> dict[str, Stated]:
    return {name: stated(value) for name, value in (values or {}).items()}


def seen(
    currency: str,
    *,
    prices: Coins,
    trailing: Coins | None = None,
    owed: Coins | None = None,
    custody: Coins | None = None,
    fund: Decimal | int | str | None = None,
    insurance: Decimal | int | str | None = None,
    volume: Decimal | int | str | None = None,
    **holdings: Coins,
) -> Picture:
    """What an exchange holds, by wallet, all of it read; `custody` is kept cold by a third party."""
    tokens = {asset: [TOKENS[asset]] for asset in prices}
    inv = inventory(*WALLETS.values(), assets=tokens)
    units = {(number, TOKENS[asset]): 0 for number in range(1, 6) for asset in prices}
    for number, name in enumerate(WALLETS, start=1):
        for asset, coins in holdings.get(name, {}).items():
            token = TOKENS[asset]
            units[number, token] = int(Decimal(coins).scaleb(token.decimals))
    ledger = Ledger(inv)
    ledger.apply(complete(1, units))
    feeds = Feeds(
        prices=every(prices),
        trailing=every(trailing),
        liabilities=every(owed),
        custody=tuple(Custody("Bank", asset, Tier.COLD, stated(coins)) for asset, coins in (custody or {}).items()),
        fund=None if fund is None else stated(fund),
        insurance=NOTHING if insurance is None else Interval.exactly(Decimal(insurance)),
        volume=None if volume is None else stated(volume),
    )
    return replace(picture(ledger, inv, prices={}, feeds=feeds), currency=currency)


def rules(preset: str, **given: Any) -> tuple[tuple[str, Rule], ...]:  # noqa: ANN401 - YAML values
    """The preset's own rules; `given` keys by the name of the rule."""
    keys = {name.replace("_", "-"): value for name, value in given.items()}
    found = resolve((PresetUse(preset=preset, rules=keys),), folders=[CHECKOUT])
    return tuple((name, rule) for name, rule in found if not name.startswith("builtin/"))


def says(found: Picture, preset: str, **given: Any) -> dict[str, Judgement]:  # noqa: ANN401 - YAML values
    """The verdicts by `<rule>` or, where it judges assets, `<rule> <asset>`."""
    verdicts = judge(rules(preset, **given), found)
    return {
        verdict.policy.removeprefix(f"{preset}/") + ("" if verdict.subject == "all" else f" {verdict.subject}"): (
            verdict.judgement
        )
        for verdict in verdicts
    }


# Japan.
#
#   ETH at 500,000 JPY, BTC at 10,000,000 JPY.
#   hot:    30 ETH =  15,000,000;   4 BTC =  40,000,000; together    55,000,000
#   cold:  570 ETH = 285,000,000;  76 BTC = 760,000,000; together 1,045,000,000
#   all of it 1,100,000,000, of which 5 % are 55,000,000: exactly what is hot.

YEN = {"ETH": 500_000, "BTC": 10_000_000}


def japan(*, more_hot: Decimal = Decimal(0), more_btc: Decimal = Decimal(0), **more: Any) -> Picture:  # noqa: ANN401
    keys: dict[str, Any] = {
        "hot": {"ETH": 30 + more_hot, "BTC": 4},
        "cold": {"ETH": 570, "BTC": 76},
        "guarantee": {"ETH": 31, "BTC": 4 + more_btc},
        **more,
    }
    return seen("JPY", prices=YEN, **keys)


def test_japan_exactly_five_hundredths_hot_and_the_guarantee_exactly_there() -> None:
    assert says(japan(), "jp-psa") == {"hot-share": OK, "guarantee BTC": OK, "guarantee ETH": OK}


def test_japan_a_wei_more_is_hot() -> None:
    """There is an ETH more set aside than is hot, so that the guarantee still stands."""
    assert says(japan(more_hot=WEI), "jp-psa") == {"hot-share": BREACH, "guarantee BTC": OK, "guarantee ETH": OK}


def test_japan_one_asset_is_short_of_guarantee_by_one_unit_while_the_share_is_fine() -> None:
    """A satoshi of BTC is missing; the ETH too many, worth five hundred thousand times as much, does not stand in."""
    found = says(japan(more_btc=-SATOSHI), "jp-psa")
    assert found == {"hot-share": OK, "guarantee BTC": BREACH, "guarantee ETH": OK}


def test_japan_what_is_set_aside_must_itself_be_cold_and_the_companys_own() -> None:
    """The company's 100 BTC in its own cold wallet are not set aside."""
    found = says(japan(more_btc=-SATOSHI, company={"BTC": 100}), "jp-psa")
    assert found["guarantee BTC"] is BREACH


# Japan, the reserve as proposed; what it asks for is given here as an operator would.
#
#   required 2,000,000,000 JPY, of which insurance may fill a quarter: 500,000,000.
#   The insurance of 600,000,000 counts for 500,000,000, so the fund must hold 1,500,000,000.

REQUIRED = {"required": "2_000_000_000 JPY", "insurance_share": "0.25"}


@pytest.mark.parametrize(("fund", "judgement"), [("1500000000", OK), ("1499999999", BREACH)])
def test_japans_reserve_of_an_amount(fund: str, judgement: Judgement) -> None:
    found = says(japan(fund=fund, insurance=600_000_000), "jp-reserve-2026", reserve=REQUIRED)
    assert found == {"hot-share": OK, "guarantee BTC": OK, "guarantee ETH": OK, "reserve": judgement}


# A rate of 0.1 % of 3,000,000,000,000 JPY traded in the year is 3,000,000,000, between the floor of 2bn and the cap of
# 40bn. Half of it may be insurance: 1,500,000,000 of the 1,600,000,000 there are; the fund must hold the other half.

BY_VOLUME = {
    "volume_rate": "0.001",
    "floor": "2_000_000_000 JPY",
    "cap": "40_000_000_000 JPY",
    "insurance_share": "0.5",
}


@pytest.mark.parametrize(
    ("volume", "fund", "judgement"),
    [
        ("3000000000000", "1500000000", OK),
        ("3000000000000", "1499999999", BREACH),
        ("3000000002000", "1500000000", BREACH),  # 2,000 JPY more traded: 2 JPY more required, one of them of the fund
        ("1000000000000", "1000000000", OK),  # 1bn by the rate, so the floor of 2bn: half of it
        ("1000000000000", "999999999", BREACH),
        ("90000000000000", "38400000000", OK),  # 90bn by the rate, so the cap of 40bn, less 1.6bn insured
        ("90000000000000", "38399999999", BREACH),
    ],
)
def test_japans_reserve_by_volume(volume: str, fund: str, judgement: Judgement) -> None:
    found = says(japan(volume=volume, fund=fund, insurance=1_600_000_000), "jp-reserve-2026", reserve=BY_VOLUME)
    assert found["reserve"] is judgement


# Hong Kong.
#
#   ETH at 20,000 HKD. hot 20 ETH = 400,000; cold 980 ETH = 19,600,000; all of it 20,000,000, of which 2 % are 400,000.
#   Compensation: 100 % of 400,000 and 50 % of 19,600,000 = 400,000 + 9,800,000 = 10,200,000.


def hong_kong(
    *, hot: Decimal | int = 20, cold: Decimal | int = 980, insurance: Decimal | int | str = 200_000
) -> Picture:
    prices = {"ETH": 20_000}
    return seen("HKD", prices=prices, hot={"ETH": hot}, cold={"ETH": cold}, fund=10_000_000, insurance=insurance)


def test_hong_kong_exactly_two_hundredths_hot_and_exactly_compensated() -> None:
    assert says(hong_kong(), "hk-sfc") == {"hot-share": OK, "reserve": OK}


def test_hong_kong_a_wei_from_cold_to_hot_breaks_both() -> None:
    """It is counted whole and no longer half."""
    assert says(hong_kong(hot=20 + WEI, cold=980 - WEI), "hk-sfc") == {"hot-share": BREACH, "reserve": BREACH}


def test_hong_kong_a_cent_too_little_insured() -> None:
    assert says(hong_kong(insurance="199999.99"), "hk-sfc") == {"hot-share": OK, "reserve": BREACH}


def test_hong_kong_warm_counts_with_the_cold() -> None:
    """10 of the 980 ETH are warm: still half of 19,600,000."""
    found = seen(
        "HKD",
        prices={"ETH": 20_000},
        hot={"ETH": 20},
        warm={"ETH": 10},
        cold={"ETH": 970},
        fund=10_000_000,
        insurance=200_000,
    )
    assert says(found, "hk-sfc") == {"hot-share": OK, "reserve": OK}


# Korea.
#
#   By the year's averages ETH counts 4,000,000 KRW and USDT 1,600 KRW.
#   hot 60 and warm 40 ETH: 100 × 4,000,000 = 400,000,000, not cold
#   cold 1,000,000 USDT × 1,600 = 1,600,000,000
#   all of it 2,000,000,000, of which 20 % are 400,000,000: exactly what is not cold.
#   The reserve: 5 % of 400,000,000 are 20,000,000, below the floor of a coin market, 500,000,000.

AVERAGES = {"ETH": 4_000_000, "USDT": 1_600}
COIN_MARKET = {"floor": "500_000_000 KRW"}
WON_MARKET = {"floor": "3_000_000_000 KRW"}


def korea(
    *,
    hot: Decimal | int = 60,
    spot: int = 4_000_000,
    owed: Coins | None = None,
    fund: Decimal | int = 300_000_000,
    trailing: Coins | None = None,
) -> Picture:
    return seen(
        "KRW",
        prices={"ETH": spot, "USDT": 1_600},
        trailing=AVERAGES if trailing is None else trailing,
        hot={"ETH": hot},
        warm={"ETH": 40},
        cold={"USDT": 1_000_000},
        owed={"ETH": 100, "USDT": 1_000_000} if owed is None else owed,
        fund=fund,
        insurance=200_000_000,
    )


ALL_WELL = {"hot-share": OK, "daily-check": OK, "backing ETH": OK, "backing USDT": OK, "reserve": OK}


def test_korea_exactly_a_fifth_not_cold_all_there_and_the_reserve_at_its_floor() -> None:
    assert says(korea(), "kr-vaupa", reserve=COIN_MARKET) == ALL_WELL


def test_korea_a_wei_more_is_hot() -> None:
    """What is hot beyond what is owed harms nobody but the share."""
    found = says(korea(hot=60 + WEI), "kr-vaupa", reserve=COIN_MARKET)
    assert found == {**ALL_WELL, "hot-share": BREACH, "daily-check": BREACH}


def test_korea_a_breach_by_todays_prices_is_none_by_the_years() -> None:
    """ETH at 6,000,000 today: 600,000,000 of 2,200,000,000 are 27 %."""
    assert says(korea(spot=6_000_000), "kr-vaupa", reserve=COIN_MARKET) == ALL_WELL


def test_korea_no_breach_by_todays_prices_is_one_by_the_years() -> None:
    """ETH at 2,000,000 today: 101 ETH are 202,000,000 of 1,802,000,000, 11 %; by the year's average more than 20 %."""
    found = says(korea(hot=61, spot=2_000_000), "kr-vaupa", reserve=COIN_MARKET)
    assert found == {**ALL_WELL, "hot-share": BREACH, "daily-check": BREACH}


def test_korea_without_a_years_prices_nobody_knows() -> None:
    """The backing in kind needs no prices."""
    found = says(korea(trailing={"USDT": 1_600}), "kr-vaupa", reserve=COIN_MARKET)
    assert found == {**ALL_WELL, "hot-share": UNKNOWN, "daily-check": UNKNOWN, "reserve": UNKNOWN}


@pytest.mark.parametrize(
    ("owed", "short"),
    [
        ({"ETH": 100, "USDT": 1_000_000 + MICRO}, "backing USDT"),
        ({"ETH": 100 + WEI, "USDT": 1_000_000}, "backing ETH"),
    ],
)
def test_korea_one_unit_more_is_owed_than_is_there(owed: Coins, short: str) -> None:
    assert says(korea(owed=owed), "kr-vaupa", reserve=COIN_MARKET) == {**ALL_WELL, short: BREACH}


def test_korea_the_reserve_is_a_won_below_the_floor_of_a_coin_market() -> None:
    """300,000,000 in the fund and 200,000,000 insured are 500,000,000."""
    assert says(korea(fund=299_999_999), "kr-vaupa", reserve=COIN_MARKET) == {**ALL_WELL, "reserve": BREACH}


@pytest.mark.parametrize(("fund", "judgement"), [(2_800_000_000, OK), (2_799_999_999, BREACH)])
def test_korea_a_won_market_has_the_higher_floor(fund: int, judgement: Judgement) -> None:
    """3,000,000,000, of which 200,000,000 are insured."""
    assert says(korea(fund=fund), "kr-vaupa", reserve=WON_MARKET)["reserve"] is judgement


@pytest.mark.parametrize(("fund", "judgement"), [(3_800_000_000, OK), (3_799_999_999, BREACH)])
def test_korea_above_the_floor_the_rate_decides(fund: int, judgement: Judgement) -> None:
    """20,000 ETH not cold: 80,000,000,000 KRW, of which 5 % are 4,000,000,000, less 200,000,000 insured."""
    assert says(korea(hot=19_960, fund=fund), "kr-vaupa", reserve=WON_MARKET)["reserve"] is judgement


# Singapore: 10 of 100 ETH are 10 %, whatever they cost.


def test_singapore_exactly_a_tenth_hot_and_all_reconciled() -> None:
    found = seen("SGD", prices={"ETH": 4_000}, hot={"ETH": 10}, cold={"ETH": 90}, owed={"ETH": 100})
    assert says(found, "sg-mas") == {"hot-share": OK, "reconciliation ETH": OK}


def test_singapore_a_wei_more_is_hot() -> None:
    found = seen("SGD", prices={"ETH": 4_000}, hot={"ETH": 10 + WEI}, cold={"ETH": 90}, owed={"ETH": 100})
    assert says(found, "sg-mas") == {"hot-share": BREACH, "reconciliation ETH": OK}


def test_singapore_a_wei_more_is_owed_than_is_there() -> None:
    found = seen("SGD", prices={"ETH": 4_000}, hot={"ETH": 10}, cold={"ETH": 90}, owed={"ETH": 100 + WEI})
    assert says(found, "sg-mas") == {"hot-share": OK, "reconciliation ETH": BREACH}


# Thailand.
#
#   ETH at 100,000 THB: 10,000 ETH are THB 1,000,000,000 exactly, where the limit is still 50 %, 5,000 ETH.


def thailand(*, hot: Decimal | int, cold: Decimal | int) -> Picture:
    return seen("THB", prices={"ETH": 100_000}, hot={"ETH": hot}, cold={"ETH": cold})


@pytest.mark.parametrize(
    ("hot", "cold", "judgement"),
    [
        (5_000, 5_000, OK),  # half of exactly THB 1bn
        (5_000 + WEI, 5_000 - WEI, BREACH),  # a wei more than half of it
        (5_000, 5_000 + WEI, BREACH),  # a wei above THB 1bn the limit is 10 %
        (1_000, 9_000 + WEI, OK),  # 10 % of THB 1bn and a wei are more than 1,000 ETH
        (2_000, 18_000, OK),  # 10 % of THB 2bn
        (2_000 + WEI, 18_000, BREACH),
        (1, 0, BREACH),  # all of little is more than half of it
    ],
)
def test_thailand_the_limit_is_half_up_to_a_billion_baht_and_a_tenth_above(
    hot: Decimal | int, cold: Decimal | int, judgement: Judgement
) -> None:
    assert says(thailand(hot=hot, cold=cold), "th-operator") == {"hot-share": judgement}


def test_thailand_a_plan_is_due_in_15_days_and_the_cure_in_45() -> None:
    """From Monday, 23 November 2026, 19:00 in Bangkok: 15 days later is 8 December, 45 days later 7 January 2027."""
    found = rules("th-operator")
    verdicts = judge(found, thailand(hot=3_000, cold=17_000))
    step = advance((), verdicts, rules=dict(found), now=NOON)
    assert [(due.what, due.by, due.left) for due in step.open[0].due] == [
        ("plan", date(2026, 12, 8), 15),
        ("cure", date(2027, 1, 7), 45),
    ]
    later = advance(step.open, verdicts, rules=dict(found), now=datetime(2026, 12, 9, 3, tzinfo=UTC))
    assert [(due.left, due.overdue) for due in later.open[0].due] == [(-1, True), (29, False)]


@pytest.mark.parametrize(("hot", "judgement"), [(Decimal(5), OK), (5 + WEI, BREACH)])
def test_thailands_custodians_keep_a_twentieth_hot(hot: Decimal, judgement: Judgement) -> None:
    assert says(thailand(hot=hot, cold=95), "th-custodian") == {"hot-share": judgement}


# Turkey: 3 ETH hot and 2 warm in the platform's own wallets, 95 with a custodian: 5 of 100.


@pytest.mark.parametrize(("hot", "judgement"), [(Decimal(3), OK), (3 + WEI, BREACH)])
def test_turkey_a_twentieth_is_in_the_platforms_own_wallets(hot: Decimal, judgement: Judgement) -> None:
    found = seen("TRY", prices={"ETH": 100_000}, hot={"ETH": hot}, warm={"ETH": 2}, custody={"ETH": 95})
    assert says(found, "tr-platform") == {"hot-share": judgement}


# European Union: 60 ETH in own wallets and 40 with a custodian are the 100 of the register, however much is hot.


@pytest.mark.parametrize(("owed", "judgement"), [(Decimal(100), OK), (100 + WEI, BREACH)])
def test_europe_what_is_kept_reaches_the_register_and_nothing_limits_what_is_hot(
    owed: Decimal, judgement: Judgement
) -> None:
    found = seen("EUR", prices={"ETH": 3_000}, hot={"ETH": 60}, custody={"ETH": 40}, owed={"ETH": owed})
    assert says(found, "eu-mica") == {"backing ETH": judgement}


def test_europe_the_companys_own_assets_are_nobodys_position() -> None:
    found = seen("EUR", prices={"ETH": 3_000}, hot={"ETH": 60}, company={"ETH": 40}, owed={"ETH": 100})
    assert says(found, "eu-mica") == {"backing ETH": BREACH}
