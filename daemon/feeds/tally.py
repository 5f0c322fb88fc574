"""What is known at a moment, from what every source has said last. Pure: it changes no record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

from daemon.feeds.plan import Plan
from daemon.feeds.quotes import FIRST, Quote, Quoting, combined
from daemon.feeds.record import Record
from daemon.feeds.source import SUM
from daemon.feeds.values import Custody, FeedKind, Feeds, SourceState, Spread, Stated
from daemon.interval import UNKNOWN, Interval, total

FIXED = "fixed"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Quoted:
    """`prices` that are known, `quotes` that they come from, and which rate is missing to a price that has a quote."""

    prices: Mapping[str, Stated] = field(default_factory=dict)
    quotes: Mapping[str, Sequence[Quote]] = field(default_factory=dict)
    lacking: Mapping[str, str] = field(default_factory=dict)


def feeds(plan: Plan, records: Sequence[Record], *, began: datetime, now: datetime) -> Feeds:
    """Everything. `records` stand in the order of trust; `began` is when the configuration was taken up."""
    by_feed = {feed: [record for record in records if record.plan.feed is feed] for feed in FeedKind}
    currencies = _rates(by_feed[FeedKind.RATES], by=plan.quoting, now=now)
    priced = _quoted(by_feed[FeedKind.PRICES], rates=currencies.prices, by=plan.quoting, now=now)
    owing = by_feed[FeedKind.LIABILITIES]
    known = Feeds(
        prices=priced.prices,
        rates=currencies.prices,
        liabilities=_by_trust(owing, now=now),
        custody=tuple(_custody(by_feed[FeedKind.CUSTODIANS], assets=plan.assets, now=now)),
        fund=_sum(plan.fund, by_feed[FeedKind.FUND], began=began, now=now),
        insurance=total(
            Interval.exactly(cover.limit) for cover in plan.insured if cover.ends is None or now < cover.ends
        ),
        volume=_sum(plan.volume, by_feed[FeedKind.VOLUME], began=began, now=now),
        spreads={
            **_spreads(by_feed[FeedKind.PRICES], priced, names=plan.assets),
            **_spreads(by_feed[FeedKind.RATES], currencies, names=plan.currencies),
        },
        merkle_root=next((record.merkle_root for record in owing if record.merkle_root and record.current(now)), None),
        unpriced={asset: f"rate:{currency}" for asset, currency in priced.lacking.items()},
    )
    approving = by_feed[FeedKind.APPROVALS]
    unknown = {record.plan.cause(SUM) for record in approving if not record.current(now)}
    unknown |= {*_unknown(plan, known, rates=currencies.prices)}
    return replace(known, sources=tuple(_state(record, plan, unknown=unknown, now=now) for record in records))


def rates(plan: Plan, records: Iterable[Record], *, now: datetime) -> Mapping[str, Stated]:
    """What one unit of each foreign currency is worth."""
    quoting = [record for record in records if record.plan.feed is FeedKind.RATES]
    return _rates(quoting, by=plan.quoting, now=now).prices


def seconded(
    record: Record, rivals: Iterable[Record], *, rates: Mapping[str, Stated], by: Quoting, now: datetime
) -> list[str]:
    """The names of which another source has now said what confirms what this one withholds."""
    others = [other for other in rivals if other is not record]
    return [
        name
        for name, leap in record.leaps.items()
        if (before := _worth(record, record.said[name].value, name, rates=rates)) is not None
        and (after := _worth(record, leap.value, name, rates=rates)) is not None
        and any(
            (said := other.newest(name)) is not None
            and other.plan.ageing.current(said.at, now=now)
            and (theirs := _worth(other, said.value, name, rates=rates)) is not None
            and by.confirms(theirs, before=before, after=after)
            for other in others
        )
    ]


def kept(found: Feeds, *, before: Feeds) -> Feeds:
    """The same, made of the objects of `before` where these say the same: who remembers by identity need not look."""
    return replace(
        found,
        prices=_mapping(found.prices, before.prices),
        rates=_mapping(found.rates, before.rates),
        liabilities=_mapping(found.liabilities, before.liabilities),
        spreads=_mapping(found.spreads, before.spreads),
        unpriced=before.unpriced if found.unpriced == before.unpriced else found.unpriced,
        custody=before.custody if found.custody == before.custody else found.custody,
        fund=before.fund if found.fund == before.fund else found.fund,
        volume=before.volume if found.volume == before.volume else found.volume,
        insurance=before.insurance if found.insurance == before.insurance else found.insurance,
    )


def fixed_until(known: Feeds, *, now: datetime) -> Feeds:
    """What stands in the configuration itself is as of now whenever one looks."""
    if not any(source.max_age is None and source.at != now for source in known.sources):
        return known
    return replace(known, sources=tuple(replace(one, at=now) if one.max_age is None else one for one in known.sources))


def _mapping(found: Mapping[str, T], before: Mapping[str, T]) -> Mapping[str, T]:
    if found == before and list(found) == list(before):
        return before
    return {name: before[name] if before.get(name) == value else value for name, value in found.items()}


# Prices.


def _rates(records: Sequence[Record], *, by: Quoting, now: datetime) -> Quoted:
    """A rate may itself be quoted in a foreign currency whose rate is quoted in the entity's."""
    first = _quoted(records, rates={}, by=by, now=now)
    return _quoted(records, rates=first.prices, by=by, now=now) if first.lacking else first


def _quoted(records: Iterable[Record], *, rates: Mapping[str, Stated], by: Quoting, now: datetime) -> Quoted:
    quotes: dict[str, list[Quote]] = {}
    lacking: dict[str, str] = {}
    for record in records:
        for name, said in record.said.items():
            known = record.known(name, now=now)
            currency = record.plan.currency_of(name)
            if known is None:
                continue
            at, price = said.at, known
            if currency is not None:
                rate = rates.get(currency)
                if rate is None or rate.value.value is None:
                    lacking.setdefault(name, currency)
                if rate is None:
                    continue
                at, price = min(at, rate.at), known.times(rate.value)
            quotes.setdefault(name, []).append(Quote(record.plan.name, price, at))
    found = ((name, combined(those, by=by)) for name, those in quotes.items())
    prices = {name: price for name, price in found if price is not None}
    unpriced = {name: code for name, code in lacking.items() if name not in prices or prices[name].value.value is None}
    return Quoted(prices, quotes, unpriced)


def _worth(record: Record, number: Decimal, name: str, *, rates: Mapping[str, Stated]) -> Decimal | None:
    """A number of a source in the entity's currency, where the rate is known."""
    currency = record.plan.currency_of(name)
    if currency is None:
        return number
    rate = rates.get(currency)
    return None if rate is None else Interval.exactly(number).times(rate.value).value


def _spreads(records: Sequence[Record], quoted: Quoted, *, names: Iterable[str]) -> dict[str, Spread]:
    """By cause without its `price:`. Prices that stand in the configuration have nothing to tell of themselves.

    Who quotes in a currency whose rate is not known says nothing that could be compared.
    """
    if all(record.plan.fixed is not None for record in records):
        return {}
    expected = [(record.plan.name, record.expected(names)) for record in records]
    withheld = [(record.plan.name, record.withheld) for record in records]
    cause = records[0].plan.cause
    spreads: dict[str, Spread] = {}
    for name in sorted(names):
        found = ((quote.source, quote.price.value) for quote in quoted.quotes.get(name, ()))
        quotes = {source: price for source, price in found if price is not None}
        spreads[cause(name).removeprefix("price:")] = Spread(
            quotes,
            withheld={source: why[name] for source, why in withheld if name in why},
            silent=tuple(source for source, those in expected if name in those and source not in quotes),
        )
    return spreads


# The other feeds.


def _by_trust(records: Iterable[Record], *, now: datetime) -> dict[str, Stated]:
    """Each name from the first source that has it current; else the narrowest of the bounds that are left."""
    found: dict[str, list[Quote]] = {}
    for record in records:
        for name, said in record.said.items():
            known = record.known(name, now=now)
            if known is not None:
                found.setdefault(name, []).append(Quote(record.plan.name, known, said.at))
    stated = ((name, combined(those, by=FIRST)) for name, those in found.items())
    return {name: one for name, one in stated if one is not None}


def _custody(records: Sequence[Record], *, assets: Iterable[str], now: datetime) -> Iterator[Custody]:
    """What each custodian attests. What it may keep and says nothing current of is unknown, not left out."""
    for custodian in dict.fromkeys(record.plan.custodian for record in records):
        own = [record for record in records if record.plan.custodian == custodian]
        known = _by_trust(own, now=now)
        attested = any(record.current(now) for record in own)
        silent = {
            name
            for record in own
            if record.heard or not attested  # another one's whole attestation stands for a source not heard yet
            for name in record.silent_of(assets, now=now)
        }
        first = own[0]
        for asset in sorted(known.keys() | silent):
            amount = known.get(asset) or Stated(UNKNOWN, first.plan.name, first.began)
            yield Custody(custodian, asset, first.plan.tier, amount)


def _sum(stated: Decimal | None, records: Sequence[Record], *, began: datetime, now: datetime) -> Stated | None:
    if stated is not None:
        return Stated(Interval.exactly(stated), FIXED, began)
    if not records:
        return None
    return _by_trust(records, now=now).get(SUM) or Stated(UNKNOWN, records[0].plan.name, records[0].began)


def _unknown(plan: Plan, known: Feeds, *, rates: Mapping[str, Stated]) -> Iterator[str]:
    """The causes of all that the sources are to say and that is not known for certain."""
    for asset in plan.assets - known.unpriced.keys():
        if not _certain(known.prices.get(asset)):
            yield f"price:{asset}"
    for currency in plan.currencies:
        if not _certain(rates.get(currency)):
            yield f"rate:{currency}"
    for asset in plan.owed:
        if not _certain(known.liabilities.get(asset)):
            yield f"liabilities:{asset}"
    for custody in known.custody:
        if not _certain(custody.amount):
            yield f"custodian:{custody.custodian}"
    if known.fund is not None and not _certain(known.fund):
        yield "reserve:fund"
    if known.volume is not None and not _certain(known.volume):
        yield "volume"


def _certain(stated: Stated | None) -> bool:
    return stated is not None and stated.value.value is not None


def _state(record: Record, plan: Plan, *, unknown: AbstractSet[str], now: datetime) -> SourceState:
    missing = {record.plan.cause(name) for name in record.silent_of(plan.names(record.plan), now=now)}
    return record.state(now, leaves=tuple(sorted(missing & unknown)), causes=plan.causes[record.plan.key])
