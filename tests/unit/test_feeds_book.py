"""What of the sources' words is known at a moment."""

from datetime import timedelta
from decimal import Decimal

import pytest

from daemon.feeds.book import FeedBook
from daemon.feeds.plan import Insured, Plan
from daemon.feeds.quotes import Quoting
from daemon.feeds.values import Answer, Fault, FeedKind, FeedReason
from daemon.interval import NOTHING, UNKNOWN, Interval
from tests.build import at
from tests.feeding import BAD, MINUTE, TIMEOUT, Told, book, fixed, source

PRICES, RATES, LIABILITIES = FeedKind.PRICES, FeedKind.RATES, FeedKind.LIABILITIES
CUSTODIANS, FUND, VOLUME = FeedKind.CUSTODIANS, FeedKind.FUND, FeedKind.VOLUME

WITHHELD = {"BTC": "0 is no price"}


def bounds(low: str, high: str) -> Interval:
    return Interval(Decimal(low), None, Decimal(high))


def exactly(value: str) -> Interval:
    return Interval.exactly(Decimal(value))


# Ageing.


@pytest.mark.parametrize(
    ("seconds", "known"),
    [
        (0, exactly("100")),
        (60, exactly("100")),
        (60.000001, bounds("90", "110")),
        (120, bounds("90", "110")),
        (120.000001, None),
        (-60, exactly("100")),
        (-60.000001, None),
        (-86400, None),
    ],
)
def test_what_was_said_is_exact_then_within_its_tolerance_then_unknown(seconds: float, known: Interval | None) -> None:
    told = Told(source(LIABILITIES, "sql", tolerance="0.1"))
    told.hear(0, LIABILITIES, "sql", BTC=100)
    stated = told.look(seconds).liabilities.get("BTC")
    assert (stated and stated.value) == known


def test_without_a_tolerance_it_is_unknown_at_once_when_it_is_too_old() -> None:
    told = Told(source(LIABILITIES, "sql"))
    told.hear(0, LIABILITIES, "sql", BTC=100)
    assert told.look(60.000001).liabilities == {}


def test_the_state_of_a_source_says_since_when_it_is_too_old() -> None:
    told = Told(source(LIABILITIES, "sql"))
    told.hear(0, LIABILITIES, "sql", BTC=100)
    (state,) = told.look(60).sources
    assert (state.reason, state.at, state.since) == (None, at(0), None)
    (state,) = told.look(61).sources
    assert (state.reason, state.at, state.since) == (FeedReason.STALE, at(0), at(60))
    assert state.detail == "no values since 2026-11-23 12:00:00"


def test_values_ahead_of_our_clock_are_not_current_and_the_state_says_why() -> None:
    told = Told(source(LIABILITIES, "sql"))
    told.hear(0, LIABILITIES, "sql", BTC=100)
    (state,) = told.look(-61).sources
    assert (state.reason, state.detail) == (
        FeedReason.STALE,
        "its values are of 2026-11-23 12:00:00, ahead of our clock",
    )


def test_a_source_that_nobody_has_heard_is_starting_until_its_max_age_has_passed() -> None:
    told = Told(source(LIABILITIES, "mqtt"))
    assert told.look(0).sources[0].reason is FeedReason.STARTING
    assert told.look(60).sources[0].reason is FeedReason.STARTING
    state = told.look(61).sources[0]
    assert (state.reason, state.since) == (FeedReason.UNAVAILABLE, at(0))


# Faults.


def test_no_answer_keeps_what_was_said_until_it_is_too_old() -> None:
    told = Told(source(LIABILITIES, "sql"))
    told.hear(0, LIABILITIES, "sql", BTC=100)
    told.fail(10, LIABILITIES, "sql", TIMEOUT)
    found = told.look(60)
    assert found.liabilities["BTC"].value == exactly("100")
    assert (found.sources[0].reason, found.sources[0].detail) == (None, "no answer within 5s")
    found = told.look(61)
    assert found.liabilities == {}
    assert (found.sources[0].reason, found.sources[0].since) == (FeedReason.TIMEOUT, at(10))


def test_a_bad_answer_withdraws_what_the_source_said_at_once_and_for_good() -> None:
    told = Told(source(LIABILITIES, "sql", tolerance="0.1"))
    told.hear(0, LIABILITIES, "sql", BTC=100)
    told.fail(1, LIABILITIES, "sql", BAD)
    found = told.look(1)
    assert found.liabilities == {}
    assert (found.sources[0].reason, found.sources[0].detail) == (FeedReason.BAD_ANSWER, "two rows for BTC")
    told.fail(2, LIABILITIES, "sql", TIMEOUT)
    found = told.look(2)
    assert found.liabilities == {}
    assert found.sources[0].since == at(1)


def test_a_good_answer_brings_it_back() -> None:
    told = Told(source(LIABILITIES, "sql"))
    told.fail(0, LIABILITIES, "sql", BAD)
    told.hear(1, LIABILITIES, "sql", BTC=0)
    found = told.look(1)
    assert found.liabilities["BTC"].value == NOTHING
    assert (found.sources[0].reason, found.sources[0].detail) == (None, "")


def test_a_bad_answer_about_prices_withdraws_none() -> None:
    told = Told(source(PRICES, "http"))
    told.hear(0, PRICES, "http", BTC=100)
    told.fail(1, PRICES, "http", BAD)
    assert told.price(1) == 100
    assert told.price(61) is None


def test_an_asset_that_a_whole_answer_leaves_out_is_not_known_any_more() -> None:
    told = Told(source(LIABILITIES, "sql"))
    told.hear(0, LIABILITIES, "sql", BTC=1, ETH=2)
    told.hear(1, LIABILITIES, "sql", BTC=1)
    assert set(told.look(1).liabilities) == {"BTC"}


def test_a_price_that_is_left_out_ages_on() -> None:
    told = Told(source(PRICES, "http"))
    told.hear(0, PRICES, "http", BTC=1, ETH=2)
    told.hear(50, PRICES, "http", BTC=1)
    assert told.price(60, "ETH") == 2
    assert told.price(61, "ETH") is None
    assert told.price(61, "BTC") == 1


def test_an_answer_of_a_source_that_is_not_planned_is_refused() -> None:
    with pytest.raises(KeyError):
        book().take((PRICES, "http"), TIMEOUT, now=at(0))


# Trust.


def test_each_name_comes_from_the_first_source_that_has_it_current() -> None:
    told = Told(source(LIABILITIES, "sql"), source(LIABILITIES, "file"))
    told.hear(0, LIABILITIES, "file", BTC=1, ETH=1)
    told.hear(0, LIABILITIES, "sql", BTC=2)
    found = told.look(0).liabilities
    assert {asset: (stated.source, stated.value) for asset, stated in found.items()} == {
        "BTC": ("sql", exactly("2")),
        "ETH": ("file", exactly("1")),
    }
    told.fail(1, LIABILITIES, "sql", BAD)
    assert told.look(1).liabilities["BTC"].source == "file"


def test_what_is_current_elsewhere_counts_more_than_the_bounds_of_a_better_source() -> None:
    told = Told(source(LIABILITIES, "sql", tolerance="0.01"), source(LIABILITIES, "file"))
    told.hear(0, LIABILITIES, "sql", BTC=2)
    told.hear(50, LIABILITIES, "file", BTC=1)
    assert told.look(61).liabilities["BTC"].source == "file"


def test_of_bounds_the_narrowest_count_so_that_none_can_get_better_by_dropping_out() -> None:
    told = Told(source(LIABILITIES, "sql", tolerance="0.1"), source(LIABILITIES, "file", tolerance="0.01"))
    told.hear(0, LIABILITIES, "sql", BTC=100)
    told.hear(0, LIABILITIES, "file", BTC=100)
    assert told.look(61).liabilities["BTC"].value == bounds("99", "101")


# Prices.


def test_the_median_of_three_is_the_middle_one_and_of_two_their_mean() -> None:
    told = Told(*(source(PRICES, name) for name in "abc"), quoting=Quoting("median"))
    told.hear(0, PRICES, "a", BTC=100)
    told.hear(0, PRICES, "b", BTC=104)
    assert told.price(0) == 102
    told.hear(0, PRICES, "c", BTC=101)
    assert told.price(0) == 101


def test_a_median_is_as_old_as_the_oldest_quote_in_it() -> None:
    told = Told(source(PRICES, "a"), source(PRICES, "b"), quoting=Quoting("median"))
    told.hear(0, PRICES, "a", BTC=100)
    told.hear(5, PRICES, "b", BTC=104)
    stated = told.look(5).prices["BTC"]
    assert (stated.at, stated.source) == (at(0), "a, b")


def test_a_price_takes_as_many_current_sources_as_are_asked_for() -> None:
    told = Told(source(PRICES, "a"), source(PRICES, "b"), quoting=Quoting(at_least=2))
    told.hear(0, PRICES, "a", BTC=100)
    assert told.price(0) is None
    told.hear(0, PRICES, "b", BTC=104)
    assert told.price(0) == 100


def test_bounds_help_out_where_too_few_sources_are_current() -> None:
    told = Told(source(PRICES, "a", tolerance="0.1"), source(PRICES, "b"), quoting=Quoting(at_least=2))
    told.hear(0, PRICES, "a", BTC=100)
    told.hear(50, PRICES, "b", BTC=200)
    assert told.look(61).prices["BTC"].value == bounds("90", "200")


@pytest.mark.parametrize(("price", "taken"), [("999", True), ("1000", False), ("11", True), ("10", False)])
def test_ten_times_the_last_price_or_a_tenth_of_it_is_withheld(price: str, taken: bool) -> None:
    told = Told(source(PRICES, "http"))
    told.hear(0, PRICES, "http", BTC=100)
    told.hear(1, PRICES, "http", BTC=price)
    assert told.price(1) == (Decimal(price) if taken else 100)
    assert (told.look(1).sources[0].withheld == {}) == taken


def test_what_is_withheld_lets_the_price_before_grow_old() -> None:
    told = Told(source(PRICES, "http"))
    told.hear(0, PRICES, "http", BTC=100)
    told.hear(59, PRICES, "http", BTC=1000)
    assert told.price(60) == 100
    assert told.price(61) is None
    assert told.look(61).sources[0].withheld == {"BTC": "1000 is too far from 100, which it said before"}


def test_a_source_that_comes_back_from_a_jump_is_believed_again() -> None:
    told = Told(source(PRICES, "http"))
    for second, price in enumerate((100, 1000, 101)):
        told.hear(second, PRICES, "http", BTC=price)
    assert told.price(2) == 101
    assert told.look(2).sources[0].withheld == {}


@pytest.mark.parametrize("order", ["ab", "ba"])
def test_a_jump_that_another_source_confirms_is_taken_whoever_comes_first(order: str) -> None:
    told = Told(source(PRICES, "a"), source(PRICES, "b"))
    told.hear(0, PRICES, "a", BTC=100)
    told.hear(0, PRICES, "b", BTC=101)
    for name in order:
        told.hear(1, PRICES, name, BTC=2000)
    assert told.price(1) == 2000
    assert [state.withheld for state in told.look(1).sources] == [{}, {}]


@pytest.mark.parametrize(("before", "jump", "other"), [(100, 1000, 106), (100, 1050, 106), (100, 10, 99)])
def test_a_source_that_stays_where_both_were_confirms_no_jump(before: int, jump: int, other: int) -> None:
    """Although what it says is no jump away from the new price either."""
    told = Told(source(PRICES, "a"), source(PRICES, "b"))
    told.hear(0, PRICES, "a", BTC=before)
    told.hear(0, PRICES, "b", BTC=other)
    told.hear(1, PRICES, "a", BTC=jump)
    told.hear(1, PRICES, "b", BTC=other)
    assert told.price(1) == before
    assert "BTC" in told.look(1).sources[0].withheld


def test_a_source_that_is_not_current_confirms_nothing() -> None:
    told = Told(source(PRICES, "a"), source(PRICES, "b"))
    told.hear(0, PRICES, "b", BTC=2000)
    told.hear(60, PRICES, "a", BTC=100)
    told.hear(61, PRICES, "a", BTC=2000)
    assert told.price(61) == 100


def test_a_jump_is_confirmed_across_currencies() -> None:
    told = Told(source(PRICES, "usd", currency="USD"), source(PRICES, "yen"), fixed(RATES, USD="150"))
    told.hear(0, PRICES, "usd", BTC=100)
    told.hear(1, PRICES, "usd", BTC=2000)
    assert told.price(1) == 15_000
    told.hear(1, PRICES, "yen", BTC=290_000)
    assert told.price(1) == 300_000


def test_what_a_source_says_is_none_of_its_business_stays_out() -> None:
    told = Told(source(PRICES, "http"))
    told.book.take((PRICES, "http"), Answer({"ETH": Decimal(2)}, at(0), WITHHELD), now=at(0))
    found = told.look(0)
    assert set(found.prices) == {"ETH"}
    assert found.sources[0].withheld == WITHHELD
    assert found.sources[0].leaves == ("price:BTC",)


def test_a_source_all_of_whose_numbers_are_withheld_has_nothing_current() -> None:
    told = Told(source(PRICES, "http"))
    told.book.take((PRICES, "http"), Answer({}, at(0), WITHHELD), now=at(0))
    assert told.look(0).sources[0].reason is FeedReason.BAD_ANSWER


def test_each_price_ages_by_its_own_time_where_the_source_tells_it() -> None:
    told = Told(source(PRICES, "chainlink"))
    times = {"BTC": at(0), "ETH": at(30)}
    answer = Answer({"BTC": Decimal(1), "ETH": Decimal(2)}, at(0), times=times)
    told.book.take((PRICES, "chainlink"), answer, now=at(30))
    assert told.price(61, "BTC") is None
    assert told.price(61, "ETH") == 2
    assert told.look(61).sources[0].leaves == ("price:BTC",)


# Rates.


def test_a_foreign_price_is_multiplied_by_its_rate_and_as_old_as_the_older() -> None:
    told = Told(source(PRICES, "http", currency="USD"), source(RATES, "bank"))
    told.hear(0, RATES, "bank", USD="150.5")
    told.hear(5, PRICES, "http", BTC=100)
    stated = told.look(5).prices["BTC"]
    assert (stated.value, stated.at) == (exactly("15050"), at(0))


def test_without_its_rate_a_price_is_unknown_because_of_the_rate() -> None:
    told = Told(source(PRICES, "http", currency="USD"), source(RATES, "bank"))
    told.hear(5, PRICES, "http", BTC=100)
    found = told.look(5)
    assert found.prices == {}
    assert found.unpriced == {"BTC": "rate:USD"}
    assert [state.leaves for state in found.sources] == [(), ("rate:USD",)]


def test_a_rate_within_its_tolerance_makes_bounds_of_the_price() -> None:
    told = Told(source(PRICES, "http", currency="USD"), source(RATES, "bank", tolerance="0.1"))
    told.hear(0, RATES, "bank", USD="150")
    told.hear(50, PRICES, "http", BTC=100)
    found = told.look(61)
    assert found.prices["BTC"].value == bounds("13500", "16500")
    assert found.unpriced == {"BTC": "rate:USD"}


def test_a_rate_may_be_quoted_by_way_of_another_currency() -> None:
    told = Told(
        source(PRICES, "http", currency="EUR"),
        fixed(RATES, "yen", USD="150"),
        fixed(RATES, "dollar", currencies={"EUR": "USD"}, EUR="1.1"),
    )
    told.hear(0, PRICES, "http", BTC=10)
    assert told.price(0) == 1650


def test_a_fixed_price_may_be_in_a_foreign_currency() -> None:
    told = Told(fixed(PRICES, currencies={"BTC": "USD"}, BTC="100", ETH="7"), fixed(RATES, USD="150"))
    assert told.price(0) == 15_000
    assert told.price(0, "ETH") == 7


# Spreads.


def test_who_quotes_in_a_currency_without_a_rate_agrees_with_nobody() -> None:
    told = Told(source(PRICES, "yen"), source(PRICES, "usd", currency="USD"), source(RATES, "fx"))
    told.hear(0, PRICES, "yen", BTC=15_000)
    told.hear(0, PRICES, "usd", BTC=100)
    assert told.look(0).spreads["BTC"].silent == ("usd",)
    told.hear(0, RATES, "fx", USD=150)
    assert told.look(0).spreads["BTC"].silent == ()
    assert told.look(61).spreads["BTC"].silent == ("yen", "usd")


def test_a_spread_tells_the_quotes_in_one_currency_and_who_is_silent() -> None:
    told = Told(source(PRICES, "a", currency="USD"), source(PRICES, "b"), source(PRICES, "c"), fixed(RATES, USD="2"))
    told.hear(0, PRICES, "a", BTC=50)
    told.hear(0, PRICES, "b", BTC=110)
    spread = told.look(0).spreads["BTC"]
    assert spread.quotes == {"a": 100, "b": 110}
    assert (spread.width, spread.silent) == (Decimal("0.1"), ("c",))
    told.hear(0, PRICES, "c", ETH=1)
    assert told.look(0).spreads["BTC"].silent == ()


def test_prices_that_stand_in_the_configuration_have_no_spread() -> None:
    assert Told(fixed(PRICES, BTC="1")).look(0).spreads == {}


def test_a_withheld_rate_is_told_beside_the_prices() -> None:
    told = Told(source(PRICES, "http", currency="USD"), source(RATES, "bank"))
    told.hear(0, RATES, "bank", USD=150)
    told.hear(1, RATES, "bank", USD=1500)
    spread = told.look(1).spreads["rate:USD"]
    assert spread.withheld == {"bank": "1500 is too far from 150, which it said before"}


# Custodians.


def kept(told: Told, seconds: float) -> dict[tuple[str, str], Interval]:
    return {(one.custodian, one.asset): one.amount.value for one in told.look(seconds).custody}


def test_what_a_custodian_may_keep_is_unknown_until_it_has_spoken() -> None:
    told = Told(source(CUSTODIANS, "http", custodian="Bank"))
    assert kept(told, 0) == {("Bank", "BTC"): UNKNOWN, ("Bank", "ETH"): UNKNOWN}
    told.hear(0, CUSTODIANS, "http", BTC=5)
    assert kept(told, 0) == {("Bank", "BTC"): exactly("5")}


def test_what_a_custodian_kept_is_unknown_and_not_gone_when_it_falls_silent() -> None:
    told = Told(source(CUSTODIANS, "http", custodian="Bank"))
    told.hear(0, CUSTODIANS, "http", BTC=5)
    assert kept(told, 61) == {("Bank", "BTC"): UNKNOWN}
    told.hear(62, CUSTODIANS, "http", BTC=5)
    told.fail(63, CUSTODIANS, "http", BAD)
    assert kept(told, 63) == {("Bank", "BTC"): UNKNOWN}
    assert told.look(63).sources[0].leaves == ("custodian:Bank",)


def test_a_source_that_was_never_heard_does_not_hide_what_another_of_the_same_custodian_attests() -> None:
    told = Told(source(CUSTODIANS, "http", custodian="Bank"), source(CUSTODIANS, "file", custodian="Bank"))
    told.hear(0, CUSTODIANS, "file", BTC=5)
    assert kept(told, 0) == {("Bank", "BTC"): exactly("5")}


def test_two_custodians_count_each_for_itself() -> None:
    told = Told(source(CUSTODIANS, "one", custodian="Bank"), source(CUSTODIANS, "two", custodian="Trust"))
    told.hear(0, CUSTODIANS, "one", BTC=5)
    told.hear(0, CUSTODIANS, "two", BTC=7)
    assert kept(told, 0) == {("Bank", "BTC"): exactly("5"), ("Trust", "BTC"): exactly("7")}


# Money.


@pytest.mark.parametrize("feed", [FUND, VOLUME])
def test_a_sum_is_none_where_nobody_is_asked_and_unknown_until_somebody_answers(feed: FeedKind) -> None:
    name = feed.value
    assert getattr(Told().look(0), name) is None
    told = Told(source(feed, "http"))
    assert getattr(told.look(0), name).value == UNKNOWN
    assert told.look(0).sources[0].leaves == ({FUND: "reserve:fund", VOLUME: "volume"}[feed],)
    told.hear(0, feed, "http", all=500)
    assert getattr(told.look(0), name).value == exactly("500")


def test_sums_of_the_configuration_are_always_known() -> None:
    found = FeedBook(Plan(fund=Decimal(5), volume=Decimal(7))).look(at(0))
    assert found.fund is not None
    assert found.volume is not None
    assert (found.fund.value, found.volume.value, found.sources) == (exactly("5"), exactly("7"), ())


def test_insurance_counts_until_the_moment_it_expires() -> None:
    subject = FeedBook(Plan(insured=(Insured(Decimal(5), at(60)), Insured(Decimal(7)))))
    assert subject.look(at(59.999999)).insurance == exactly("12")
    assert subject.look(at(60)).insurance == exactly("7")


def test_the_merkle_root_is_that_of_a_current_source() -> None:
    subject = book(source(LIABILITIES, "http"))
    subject.take((LIABILITIES, "http"), Answer({"BTC": Decimal(1)}, at(0), merkle_root="0xroot"), now=at(0))
    assert subject.look(at(60)).merkle_root == "0xroot"
    assert subject.look(at(61)).merkle_root is None


# Liabilities.


def test_liabilities_are_owed_of_every_asset_unless_a_source_names_its_own() -> None:
    assert book().owed == frozenset()
    assert book(source(LIABILITIES, "sql")).owed == {"BTC", "ETH"}
    assert book(source(LIABILITIES, "sql", assets=frozenset({"BTC"}))).owed == {"BTC"}


def test_a_source_that_is_withdrawn_says_what_it_leaves_unknown() -> None:
    told = Told(source(LIABILITIES, "sql"))
    told.fail(0, LIABILITIES, "sql", BAD)
    assert told.look(0).sources[0].leaves == ("liabilities:BTC", "liabilities:ETH")


def test_a_source_that_another_one_makes_up_for_leaves_nothing_unknown() -> None:
    told = Told(source(LIABILITIES, "sql"), source(LIABILITIES, "file"))
    told.fail(0, LIABILITIES, "sql", TIMEOUT)
    told.hear(0, LIABILITIES, "file", BTC=1, ETH=1)
    first, second = told.look(0).sources
    assert (first.reason, first.leaves, second.leaves) == (FeedReason.TIMEOUT, (), ())


# Looking again, and reloading.


def test_nothing_new_gives_the_very_same_objects() -> None:
    told = Told(source(PRICES, "http"), source(LIABILITIES, "sql"))
    told.hear(0, PRICES, "http", BTC=100, ETH=5)
    told.hear(0, LIABILITIES, "sql", BTC=1, ETH=1)
    assert told.look(1) is told.look(2)


def test_an_answer_leaves_the_objects_of_other_feeds_and_names_alone() -> None:
    told = Told(source(PRICES, "a"), source(PRICES, "b"), source(LIABILITIES, "sql"))
    told.hear(0, PRICES, "a", BTC=100)
    told.hear(0, LIABILITIES, "sql", BTC=1, ETH=1)
    before = told.look(1)
    told.hear(2, PRICES, "b", ETH=5)
    after = told.look(2)
    assert after.liabilities is before.liabilities
    assert after.prices["BTC"] is before.prices["BTC"]
    assert set(after.prices) == {"BTC", "ETH"}


def test_prices_of_the_configuration_are_as_of_now_and_the_same_objects() -> None:
    told = Told(fixed(PRICES, BTC="100"))
    before, after = told.look(0), told.look(1000)
    assert after.prices is before.prices
    assert [state.at for state in (*before.sources, *after.sources)] == [at(0), at(1000)]
    assert after.sources[0].reason is None


def test_a_reload_keeps_what_sources_have_said_that_have_not_changed() -> None:
    told = Told(source(PRICES, "same"), source(PRICES, "other", identity="old url"))
    told.hear(0, PRICES, "same", BTC=100)
    told.hear(0, PRICES, "other", ETH=5)
    newer = book(source(PRICES, "same"), source(PRICES, "other", identity="new url"), source(PRICES, "more"))
    newer.carry_over(told.book)
    found = newer.look(at(30))
    assert set(found.prices) == {"BTC"}
    assert [state.reason for state in found.sources] == [None, FeedReason.STARTING, FeedReason.STARTING]
    assert newer.look(at(91)).sources[2].since == at(30)


def test_a_reload_takes_what_was_withheld_as_a_jump() -> None:
    told = Told(source(PRICES, "http"))
    told.hear(0, PRICES, "http", BTC=100)
    told.hear(1, PRICES, "http", BTC=5000)
    newer = book(source(PRICES, "http"))
    newer.carry_over(told.book)
    assert newer.look(at(1)).prices["BTC"].value == exactly("5000")


def test_the_age_that_a_source_may_have_is_part_of_its_state() -> None:
    (state,) = Told(source(PRICES, "http", max_age=timedelta(hours=1))).look(0).sources
    assert state.max_age == 60 * MINUTE


def test_a_failing_source_names_the_newest_reason_since_the_first_failure() -> None:
    told = Told(source(LIABILITIES, "sql"))
    told.fail(0, LIABILITIES, "sql", TIMEOUT)
    told.fail(5, LIABILITIES, "sql", Fault(FeedReason.UNAVAILABLE, "connection refused"))
    (state,) = told.look(6).sources
    assert (state.reason, state.detail, state.since) == (FeedReason.UNAVAILABLE, "connection refused", at(0))
