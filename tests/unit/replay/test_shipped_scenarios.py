"""The scenarios that come with the program load, and their figures are those of their sources."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from daemon.document import read
from daemon.model import Owner, Tier
from daemon.replay.cast import Cast
from daemon.replay.catalogue import shipped
from daemon.replay.expectation import deadlines, not_yet, robbed
from daemon.replay.scenario import DIGESTS, Scenario, load, scenario_schema
from daemon.replay.script import ControlChanged, Happening, LiabilitiesChanged, Payment, moments, when
from daemon.replay.traffic import happenings
from tests.unit.replay.json_schema import as_editors_read, violations

INCIDENTS = ("coincheck", "mtgox", "dmm", "bybit", "bithumb-2026", "bitget-2026")
SCENARIOS: dict[str, Scenario] = {name: load(path) for name, path in shipped().items()}
STREAMS: dict[str, list[Happening]] = {name: list(happenings(SCENARIOS[name])) for name in INCIDENTS}


def thefts(name: str) -> list[Payment]:
    return [each for each in STREAMS[name] if isinstance(each, Payment) and each.theft]


def stolen(name: str) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for theft in thefts(name):
        sums[theft.coin.asset] = sums.get(theft.coin.asset, Decimal(0)) + theft.coin.coins(theft.units)
    return sums


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# All of them.


def test_the_six_incidents_and_the_benign_year_are_shipped() -> None:
    assert set(SCENARIOS) == {*INCIDENTS, "benign-year"}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_scenario_is_called_as_its_file(name: str) -> None:
    assert SCENARIOS[name].incident == name


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_a_scenario_obeys_the_schema(name: str) -> None:
    schema = scenario_schema()
    assert list(violations(as_editors_read(shipped()[name].read_text()), schema, root=schema)) == []


@pytest.mark.parametrize(
    ("old", "new", "violated"),
    [
        ("block_time: 60s", "block_time: 60", ".chains.nem.block_time: type"),
        ("kind: nem", "kind: nemo", ".chains.nem.kind: enum"),
        ("from: xem-hot, to: thief, amount: 10 XEM", "to: thief, amount: 10 XEM", "anyOf"),
        ("currency: JPY", "currency: Yen", ".currency: pattern"),
        ("variant: 1", "seed: 1", "anyOf"),
    ],
)
def test_the_schema_finds_mistakes(old: str, new: str, violated: str) -> None:
    schema, text = scenario_schema(), shipped()["coincheck"].read_text()
    found = list(violations(as_editors_read(text.replace(old, new, 1)), schema, root=schema))
    assert any(each.endswith(violated) for each in found), found


@pytest.mark.parametrize("name", INCIDENTS)
def test_every_source_of_an_incident_is_used_or_assumed(name: str) -> None:
    scenario = SCENARIOS[name]
    used = {step.source for step in scenario.timeline}
    assert None not in used or name == "coincheck"
    told = {key for key, source in scenario.sources.items() if source.confidence == "high"}
    assert told <= used | {"look-alike"}
    assert any(source.where == "made up" for source in scenario.sources.values())


@pytest.mark.parametrize("name", INCIDENTS)
def test_a_clock_that_was_made_up_is_not_called_measured(name: str) -> None:
    made_up = {key for key, source in SCENARIOS[name].sources.items() if source.where == "made up"}
    assert not [step for step in SCENARIOS[name].timeline if step.source in made_up and step.clock == "measured"]


@pytest.mark.parametrize("name", INCIDENTS)
def test_alerts_are_expected_after_the_start_and_before_the_end(name: str) -> None:
    scenario = SCENARIOS[name]
    cast = Cast(scenario)
    for expectation in scenario.expected:
        found = deadlines(expectation, scenario=scenario, cast=cast)
        assert found
        assert all(scenario.starts < deadline.at <= scenario.end for deadline in found)


@pytest.mark.parametrize("name", INCIDENTS)
def test_what_must_be_left_was_left_when_the_alert_is_due_at_the_step_it_names(name: str) -> None:
    scenario = SCENARIOS[name]
    cast = Cast(scenario)
    wallets = [cast.wallets[wallet] for wallet in robbed(scenario, cast=cast)]
    held = {asset: sum(wallet.holds.get(asset, Decimal(0)) for wallet in wallets) for asset in scenario.assets}
    for expectation in scenario.expected:
        named = expectation.no_later_than or expectation.before or str(expectation.before_mined)
        gone = [theft for theft in thefts(name) if theft.at <= when(named, scenario=scenario)]
        if expectation.before:
            gone = [theft for theft in gone if theft.at < when(named, scenario=scenario)]
        for asset, share in expectation.left.items():
            taken = sum((each.coin.coins(each.units) for each in gone if each.coin.asset == asset), Decimal(0))
            assert 1 - taken / held[asset] >= share, expectation


def test_an_expectation_is_not_yet_to_be_met_where_its_rule_is_still_to_come() -> None:
    expected = [expectation for scenario in SCENARIOS.values() for expectation in scenario.expected]
    assert {each.needs for each in expected if not not_yet(each)} >= {"hot_share"}
    assert {each.needs for each in expected} == {
        *("hot_share", "drain", "probe", "cold_moved", "unmatched_outflow", "unknown_destination"),
        *("control_changed", "backing"),
    }


@pytest.mark.parametrize("name", ["bybit", "dmm", "bithumb-2026", "bitget-2026"])
def test_an_exchange_that_kept_to_the_limit_of_hot_assets_does_so_before_the_incident(name: str) -> None:
    scenario = SCENARIOS[name]
    values = {Tier.HOT: Decimal(0), Tier.WARM: Decimal(0), Tier.COLD: Decimal(0)}
    for wallet in scenario.wallets.values():
        for asset, amount in wallet.holds.items():
            price = scenario.assets[asset].price
            assert price is not None
            values[wallet.tier] += amount * price.amount
    assert values[Tier.HOT] / sum(values.values()) < Decimal("0.05")


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_what_is_owed_at_the_start_is_covered(name: str) -> None:
    scenario = SCENARIOS[name]
    cast = Cast(scenario)
    for asset, owed in scenario.liabilities.items():
        held = sum(
            wallet.holds.get(asset, Decimal(0)) for wallet in cast.wallets.values() if wallet.owner is Owner.CUSTOMER
        )
        assert held >= owed, asset


# Coincheck.


def test_coincheck_lost_526_300_010_xem_in_eleven_transfers() -> None:
    assert stolen("coincheck") == {"XEM": 526_300_010}
    assert [theft.coin.coins(theft.units) for theft in thefts("coincheck")] == [
        *(10, 100_000_000, 100_000_000, 100_000_000, 100_000_000, 100_000_000),
        *(20_000_000, 3_000_000, 1_500_000, 1_000_000, 800_000),
    ]


def test_coincheck_was_robbed_by_the_real_address_and_its_own_is_told() -> None:
    """Nobody knows the public key that pays from its own, so that an account of nobody plays it."""
    assert {theft.payee.address for theft in thefts("coincheck")} == {"NC4C6PSUW5CLTDT5SXAGJDQJGZNESKFK5MCN77OG"}
    assert SCENARIOS["coincheck"].wallets["xem-hot"].historical == ("NC3BI3DNMR2PGEOOMP2NKXQGSAKMS7GYRKVA5CSZ",)


def test_coincheck_noticed_11_hours_and_23_minutes_after_the_first_transfer() -> None:
    scenario = SCENARIOS["coincheck"]
    noticed = when("noticed", scenario=scenario) - when("first", scenario=scenario)
    assert noticed.total_seconds() == (11 * 60 + 23) * 60
    assert when("first", scenario=scenario) == utc("2018-01-25T15:02:00")  # 00:02 in Japan, nine hours ahead


def test_coincheck_measured_clocks_are_those_that_are_known() -> None:
    measured = [step.name for step in SCENARIOS["coincheck"].timeline if step.clock == "measured"]
    assert measured == ["first", "ninth", "tenth", "eleventh", "noticed"]


# Mt. Gox.


def test_mtgox_loses_957_btc_a_day_without_an_approval() -> None:
    days: dict[date, Decimal] = {}
    for theft in thefts("mtgox"):
        days[theft.at.date()] = days.get(theft.at.date(), Decimal(0)) + theft.coin.coins(theft.units)
        assert not theft.approved
    assert set(list(days.values())[:-1]) == {Decimal(957)}
    assert min(days) > when("copied", scenario=SCENARIOS["mtgox"]).date()


# DMM.


def test_dmm_sends_nine_coins_of_4503_btc_with_a_fee_of_a_tenth_and_no_change() -> None:
    filled = [
        each.coin.coins(each.units)
        for each in STREAMS["dmm"]
        if isinstance(each, Payment) and each.payee.name == "btc-vault/1"
    ]
    assert filled == [503] + [500] * 8
    (theft,) = thefts("dmm")
    assert (theft.coin.coins(theft.units), theft.fee, theft.sweep) == (Decimal("4502.9"), 10**7, True)


def test_dmm_paid_an_address_that_looks_like_the_usual_one() -> None:
    outside = SCENARIOS["dmm"].outside
    (usual,), (fake,) = outside["usual"].historical, outside["look-alike"].historical
    assert (usual, fake) == ("1B6rJ6ZKfZmkqMyBGe5KR27oWkEbQdNM7P", "1B6rJRfjTXwEy36SCs5zofGMmdv2kdZw7P")
    assert (usual[:5], usual[-2:]) == (fake[:5], fake[-2:])
    played = [outside[name].addresses[0] for name in ("usual", "look-alike")]
    assert played[0][:5] == played[1][:5]
    assert played[0][-2:] == played[1][-2:]
    assert SCENARIOS["dmm"].wallets["btc-vault"].historical == ("3P8MfdM4pULv7ozdQvfwAqNF29zAjmnUYD",)


def test_dmm_names_the_transaction_and_calls_its_clock_interpolated() -> None:
    (step,) = [step for step in SCENARIOS["dmm"].timeline if step.transaction]
    assert step.transaction == "975ec405ac9dc9fa5ab8009d94d6a1fe31dff8a8127ea90d023104e52754e4d7"
    assert step.clock == "interpolated"


# Bybit.


def test_bybit_changed_hands_156_seconds_before_the_first_loss() -> None:
    (change,) = [each for each in STREAMS["bybit"] if isinstance(each, ControlChanged)]
    assert (change.at, thefts("bybit")[0].at) == (utc("2025-02-21T14:13:35"), utc("2025-02-21T14:16:11"))
    assert change.before == "0x34CfAC646f301356fAa8B21e94227e3583Fe3F5F"
    assert change.to == "0xbDd077f651EBe7f7b3cE16fe5F2b025BE2969516"


def test_bybit_loses_what_was_lost_at_blocks_of_their_numbers() -> None:
    assert stolen("bybit") == {
        "ETH": Decimal("401346.76"),
        "stETH": Decimal("90375.55"),
        "cmETH": 15_000,
        "mETH": 8_000,
    }
    scenario = SCENARIOS["bybit"]
    times = [times[0] for times in moments(scenario)][:5]
    blocks = [(at - scenario.starts) / scenario.chains["ethereum"].block_time for at in times]
    assert [block - blocks[0] for block in blocks] == [0, 13, 13, 13, 18]  # 21,895,238, …251, …256
    assert blocks[0] == int(blocks[0])


# Bithumb.


def test_bithumb_credits_thirteen_times_what_it_holds_and_keeps_owing_what_was_sold() -> None:
    changes = [each for each in STREAMS["bithumb-2026"] if isinstance(each, LiabilitiesChanged)]
    assert [dict(each.changes) for each in changes] == [{"BTC": 620_000}, {"BTC": -618_212}]
    assert sum(each.changes["BTC"] for each in changes) == 1_788
    held = sum(wallet.holds["BTC"] for wallet in SCENARIOS["bithumb-2026"].wallets.values())
    assert held == 46_000
    assert 13 < Decimal(620_000) / held < 14
    assert (changes[1].at - changes[0].at).total_seconds() == 35 * 60
    assert not thefts("bithumb-2026")


# Bitget.


def dollars(payments: list[Payment]) -> Decimal:
    assets = SCENARIOS["bitget-2026"].assets
    return sum(
        (each.coin.coins(each.units) * price.amount for each in payments if (price := assets[each.coin.asset].price)),
        Decimal(0),
    )


def test_bitget_loses_387_million_in_26_outflows_after_two_tests() -> None:
    tests, outflows = thefts("bitget-2026")[:2], thefts("bitget-2026")[2:]
    assert [test.coin.text(test.units) for test in tests] == ["0.84 ETH", "93 TRX"]
    assert {test.at for test in tests} == {utc("2026-09-24T18:31:00")}
    assert len(outflows) == 26
    assert dollars(outflows) == 387_500_000
    assert (outflows[0].at, outflows[-1].at) == (utc("2026-09-24T18:58:00"), utc("2026-09-24T21:23:00"))


def test_bitget_loses_228_million_in_the_first_18_minutes() -> None:
    early = [theft for theft in thefts("bitget-2026")[2:] if theft.at < utc("2026-09-24T19:16:00")]
    assert dollars(early) == 228_000_000


# Benign.


def test_the_benign_year_has_200_wallets_on_four_chains_and_a_year() -> None:
    scenario = SCENARIOS["benign-year"]
    assert len(Cast(scenario).wallets) == 200
    assert {setup.kind for setup in scenario.chains.values()} == {"evm", "bitcoin", "nem", "symbol"}
    assert (scenario.end - scenario.starts).days == 365
    assert (scenario.tolerated.critical, scenario.tolerated.warning) == (0, 2)
    assert not scenario.expected


@pytest.mark.parametrize("path", shipped().values(), ids=lambda path: path.stem)
def test_every_transaction_is_64_hexadecimal_digits(path: Path) -> None:
    document = read(path, digests=DIGESTS)
    steps = (item for item in document.places.items() if item[0][:1] == ("timeline",))
    found = [place.text or "" for keys, place in steps if keys[-1] == "transaction"]
    assert all(re.fullmatch("(0x)?[0-9a-f]{64}", text) for text in found)
