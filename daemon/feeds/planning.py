"""From the `feeds:` section of the configuration to the plan that the book keeps to."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from daemon.feeds.ageing import Ageing
from daemon.feeds.asking import Asked
from daemon.feeds.config import FeedsConfig, QuotesConfig, Source
from daemon.feeds.custodians import Attestation
from daemon.feeds.fixed import FixedPrices
from daemon.feeds.liabilities import Ledger
from daemon.feeds.money import Money
from daemon.feeds.plan import Insured, Plan, SourcePlan
from daemon.feeds.quoted import QuoteSource
from daemon.feeds.quotes import Quoting
from daemon.feeds.reserves import ReservesConfig


def planned(
    config: FeedsConfig,
    *,
    asked: Iterable[Asked] = (),
    assets: Iterable[str],
    currency: str,
    written: AbstractSet[str] = frozenset(),
) -> Plan:
    """What the configuration means.

    `assets` are all that it names, `currency` is the entity's, `written` are the currencies of amounts in rules.
    """
    identities = {one.key: one.identity for one in asked}
    return Plan(
        sources=tuple(
            _source(source, currency=currency, identity=identities.get((source.feed, source.name)))
            for source in config.sources
        ),
        quoting=_quoting(config.quotes),
        fund=_amount(config.reserves.fund),
        volume=_amount(config.volume),
        insured=tuple(_insured(config.reserves)),
        assets=frozenset(assets),
        written=frozenset(written - {currency}),
    )


def _source(source: Source, *, currency: str, identity: object) -> SourcePlan:
    config = source.config
    if isinstance(config, FixedPrices):
        return _fixed(source, config, currency=currency)
    more: dict[str, Any] = {}
    if isinstance(config, QuoteSource):
        more["currency"] = _foreign(config.currency, currency)
    if isinstance(config, Ledger | Attestation):
        more["assets"] = frozenset(config.assets)
    if isinstance(config, Attestation):
        more |= {"custodian": config.custodian, "tier": config.tier}
    ageing = Ageing(config.max_age, config.tolerance)
    return SourcePlan(source.feed, source.name, ageing, **more, identity=identity)


def _fixed(source: Source, config: FixedPrices, *, currency: str) -> SourcePlan:
    own = {name: money.currency or config.currency for name, money in config.values.items()}
    return SourcePlan(
        source.feed,
        source.name,
        currencies={name: code for name, code in own.items() if code is not None and code != currency},
        fixed={name: money.amount for name, money in config.values.items()},
    )


def _foreign(currency: str | None, entitys: str) -> str | None:
    return None if currency == entitys else currency


def _quoting(config: QuotesConfig) -> Quoting:
    return Quoting(config.take, config.at_least, config.max_jump)


def _amount(stated: object) -> Decimal | None:
    return stated.amount if isinstance(stated, Money) else None


def _insured(config: ReservesConfig) -> Iterable[Insured]:
    if isinstance(config.insurance, Money):
        return [Insured(config.insurance.amount)]
    return [Insured(cover.limit.amount, ends=_midnight(cover.expires)) for cover in config.insurance or ()]


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), tzinfo=UTC)
