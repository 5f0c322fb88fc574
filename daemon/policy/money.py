"""Amounts of money in rules, in the currency that everything is counted in."""

from daemon.feeds.money import Money
from daemon.interval import UNKNOWN, Interval
from daemon.policy.customers import Sum
from daemon.policy.rule import Picture


def converted(money: Money, picture: Picture) -> Sum:
    """The amount in the entity's currency, by the rate of the day where it is written in another one."""
    written = Interval.exactly(money.amount)
    if money.currency in (None, picture.currency):
        return Sum(written)
    stated = picture.feeds.rates.get(money.currency or "")
    rate = UNKNOWN if stated is None else stated.value
    return Sum(written.times(rate), frozenset({f"rate:{money.currency}"} if rate.value is None else ()))
