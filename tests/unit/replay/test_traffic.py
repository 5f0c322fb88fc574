"""Ordinary traffic: it repeats, keeps its rhythm, never overspends, never breaches, and never spoils the timeline."""

import math
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from daemon.model import Owner, Tier
from daemon.replay.cast import Cast
from daemon.replay.catalogue import shipped
from daemon.replay.scenario import Scenario, TrafficConfig, load
from daemon.replay.script import Happening, Payment, when
from daemon.replay.traffic import happenings, rhythm, traffic

GOOD = (Path(__file__).parents[2] / "data" / "good_scenario.yaml").read_text()
Purse = tuple[str, str]


@cache
def scenario(name: str) -> Scenario:
    return load(shipped()[name])


@cache
def stream(name: str) -> list[Happening]:
    return list(happenings(scenario(name)))


def ordinary(name: str) -> list[Payment]:
    return [each for each in stream(name) if isinstance(each, Payment) and each.step is None]


def played(tmp_path: Path, text: str) -> list[Happening]:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return list(happenings(load(path)))


def balances(play: Scenario, stream: Iterable[Happening]) -> dict[Purse, int]:
    """Naive: what everybody has in the end, by names; fails as soon as somebody has less than nothing."""
    cast = Cast(play)
    purses: Counter[Purse] = Counter()
    for (account, coin), units in cast.opening().items():
        purses[account.name, coin.asset] = units
    for each in stream:
        if isinstance(each, Payment):
            purses[each.payer.name, each.coin.asset] -= each.units
            purses[each.payee.name, each.coin.asset] += each.units
            if each.fee:
                purses[each.payer.name, cast.natives[each.chain].asset] -= each.fee
                assert purses[each.payer.name, cast.natives[each.chain].asset] >= 0, each
            assert purses[each.payer.name, each.coin.asset] >= 0, each
    return purses


@pytest.mark.parametrize("name", sorted(shipped()))
def test_nobody_ever_spends_what_they_do_not_have(name: str) -> None:
    balances(scenario(name), stream(name))


@pytest.mark.parametrize("name", sorted(shipped()))
def test_everything_happens_in_order_within_the_scenario(name: str) -> None:
    assert all(earlier.at <= later.at for earlier, later in pairwise(stream(name)))
    assert scenario(name).starts <= stream(name)[0].at
    assert stream(name)[-1].at <= scenario(name).end


@pytest.mark.parametrize("name", sorted(shipped()))
def test_every_step_of_the_timeline_happens_as_often_as_it_says(name: str) -> None:
    found = Counter(each.step for each in stream(name) if each.step is not None)
    wanted = {place: step.repeat.times if step.repeat else 1 for place, step in enumerate(scenario(name).timeline)}
    assert found == wanted


@pytest.mark.parametrize("name", ["coincheck", "bitget-2026"])
def test_the_same_variant_gives_the_same_traffic(name: str) -> None:
    assert list(happenings(scenario(name))) == stream(name)
    assert list(traffic(scenario(name))) == ordinary(name)


def test_another_variant_gives_other_traffic(tmp_path: Path) -> None:
    assert played(tmp_path, GOOD) != played(tmp_path, GOOD.replace("variant: 1", "variant: 2"))


def test_every_ordinary_payment_out_of_a_wallet_is_approved_and_no_other() -> None:
    cast = Cast(scenario("bitget-2026"))
    for each in ordinary("bitget-2026"):
        assert each.approved == (cast.group_of(each.payer) in cast.wallets)
        assert not each.theft


@pytest.mark.parametrize("name", ["benign-year", "bithumb-2026"])
def test_what_is_owed_never_exceeds_what_is_held(name: str) -> None:
    play = scenario(name)
    cast = Cast(play)
    owed = dict(play.liabilities)
    for each in ordinary(name):
        owed[each.coin.asset] += each.owed
    held: Counter[str] = Counter()
    for (account, asset), units in balances(play, stream(name)).items():
        group = account.partition("/")[0]
        if group in cast.wallets and cast.wallets[group].owner is Owner.CUSTOMER:
            held[asset] += units
    for asset, amount in owed.items():
        coin = next(coin for (known, _), coin in cast.coins.items() if known == asset)
        assert coin.coins(held[asset]) >= amount, asset


def test_the_hot_share_of_the_benign_year_stays_between_one_and_five_per_cent() -> None:
    play = scenario("benign-year")
    cast = Cast(play)
    prices = {asset: played.price.amount for asset, played in play.assets.items() if played.price}
    tiers = {account.name: cast.wallets[name].tier for name in cast.wallets for account in cast.groups[name]}
    ours = {name for name in tiers if cast.wallets[name.partition("/")[0]].owner is Owner.CUSTOMER}
    hot = rest = Decimal(0)
    for (account, coin), units in cast.opening().items():
        value = coin.coins(units) * prices[coin.asset]
        if account.name in ours:
            hot, rest = (hot + value, rest) if tiers[account.name] is Tier.HOT else (hot, rest + value)
    shares = [hot / (hot + rest)]
    for each in (each for each in stream("benign-year") if isinstance(each, Payment)):
        value = each.coin.coins(each.units) * prices[each.coin.asset]
        for name, change in ((each.payer.name, -value), (each.payee.name, value)):
            if name in ours:
                hot, rest = (hot + change, rest) if tiers[name] is Tier.HOT else (hot, rest + change)
        shares.append(hot / (hot + rest))
    assert Decimal("0.01") < min(shares)
    assert max(shares) < Decimal("0.05")


def test_the_benign_year_holds_deposits_withdrawals_sweeps_refills_and_relief_on_every_chain() -> None:
    cast = Cast(scenario("benign-year"))
    kinds: Counter[tuple[str, str, str]] = Counter()

    def role(name: str) -> str:
        return "customers" if name not in cast.wallets else name.split("-")[1]

    for each in ordinary("benign-year"):
        kinds[each.chain, role(cast.group_of(each.payer)), role(cast.group_of(each.payee))] += 1
    for chain in scenario("benign-year").chains:
        assert kinds[chain, "customers", "deposits"] > 1000
        assert kinds[chain, "hot", "customers"] > 1000
        assert kinds[chain, "deposits", "hot"] > 1000
        assert kinds[chain, "warm", "hot"] + kinds[chain, "cold", "hot"] >= 4
        assert kinds[chain, "hot", "warm"] + kinds[chain, "hot", "cold"] >= 4


def test_some_withdrawals_of_the_benign_year_are_large() -> None:
    config = scenario("benign-year").traffic
    assert config is not None
    flow = config.flows[0]
    paid = (each for each in ordinary("benign-year") if each.coin.asset == flow.asset and each.owes < 0)
    sizes = sorted(each.coin.coins(each.units) for each in paid)
    assert sizes[-1] <= flow.largest
    assert 5 < sum(size > flow.largest / 2 for size in sizes) < len(sizes) / 20
    assert flow.typical * Decimal("0.8") < sizes[len(sizes) // 2] < flow.typical * Decimal("1.25")


def test_traffic_keeps_the_rhythm_of_day_and_week() -> None:
    deposits = [each.at for each in ordinary("benign-year") if each.owes > 0]
    hours = Counter(at.hour for at in deposits)
    busy, calm = sum(hours[hour] for hour in (9, 10, 11)), sum(hours[hour] for hour in (21, 22, 23))
    assert 2.5 < busy / calm < 6  # (1 + 0.6) / (1 - 0.6) is 4 at the extremes
    days = Counter(at.weekday() for at in deposits)
    weekend, working = (days[5] + days[6]) / 2, sum(days[day] for day in range(5)) / 5
    assert 0.4 < weekend / working < 0.6


def test_traffic_has_the_rate_that_it_is_given() -> None:
    deposits = Counter(each.coin.asset for each in ordinary("benign-year") if each.owes > 0)
    expected = 365 * 24 * 0.35 * (5 + 2 * 0.5) / 7
    assert all(abs(count - expected) < 5 * math.sqrt(expected) for count in deposits.values())


def test_the_rhythm_is_one_on_average_and_highest_at_the_busiest_hour() -> None:
    config = scenario("coincheck").traffic
    assert isinstance(config, TrafficConfig)
    monday = datetime(2018, 1, 22, tzinfo=UTC)
    day = [rhythm(monday + timedelta(hours=hour), config) for hour in range(24)]
    assert abs(sum(day) / 24 - 1) < 1e-9
    assert day.index(max(day)) == config.busiest_hour


def test_traffic_ends_where_it_is_told_to() -> None:
    blocked = when("blocked", scenario=scenario("bitget-2026"))
    assert max(each.at for each in ordinary("bitget-2026")) <= blocked


def test_a_sweep_leaves_a_deposit_account_what_it_held_at_first() -> None:
    ended = balances(scenario("benign-year"), stream("benign-year"))
    left = [units for (account, asset), units in ended.items() if "-deposits-" in account and asset == "XEM"]
    assert sum(1 for units in left if units) <= 3  # those that were paid to in the last hour


def test_traffic_leaves_what_the_timeline_will_need(tmp_path: Path) -> None:
    greedy = GOOD.replace("until: second", "until: over").replace("typical: 0.1", "typical: 2")
    greedy = greedy.replace("withdrawals_per_hour: 10", "withdrawals_per_hour: 100")
    need = (
        "\n  - {name: big, at: 2026-01-05T02:59:00Z, clock: measured,"
        " pay: {from: eth-hot/1, to: customers/1, amount: 5.4 ETH}}"
    )
    taking = played(tmp_path, greedy.replace("\n  - {name: over", need + "\n  - {name: over"))
    (big,) = [each for each in taking if isinstance(each, Payment) and each.step == 5]
    assert big.units == 54 * 10**17
    paid = [each for each in taking if isinstance(each, Payment) and each.step is None and each.owes < 0]
    assert paid  # the rest was paid out


def test_traffic_that_nobody_can_pay_does_not_happen(tmp_path: Path) -> None:
    poor = GOOD.replace("accounts: 3, holds: {ETH: 100}", "accounts: 3")
    found = [each for each in played(tmp_path, poor) if isinstance(each, Payment) and each.step is None]
    assert found[0].owes < 0  # nobody deposits before something was withdrawn


def test_a_scenario_without_traffic_is_its_timeline_alone(tmp_path: Path) -> None:
    head, _, rest = GOOD.partition("traffic:\n")
    quiet = played(tmp_path, head + "timeline:\n" + rest.partition("timeline:\n")[2])
    assert [each.step for each in quiet] == [0, 1, 1, 1, 2, 3, 4, 5]
