"""A closing read back, and what it is worth: the same reckoning as live, on the stored readings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any

from connectors.base import Tip, Token
from connectors.errors import Reason
from daemon.coverage import Coverage, cover
from daemon.errors import StoreError
from daemon.exposure import Valuation, expose
from daemon.feeds.values import Custody, Stated
from daemon.groups import Group
from daemon.interval import Interval
from daemon.ledger import Total
from daemon.model import ChainState, Exposure, Inventory, Owner, Tier

JSON = dict[str, Any]
Roles = Mapping[str, tuple[Tier, Owner]]
"""What each wallet counts as."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The raw readings at the end of a day. `raw` is the stored object, whose figures are exact decimals as text."""

    raw: JSON
    roles: Roles
    prices: Mapping[str, Stated]
    trailing: Mapping[str, Stated]
    liabilities: Mapping[str, Stated]
    custody: tuple[Custody, ...]
    chains: Mapping[str, ChainState] = field(repr=False)
    totals: tuple[tuple[str, Token, Total], ...] = field(repr=False)
    """Of every wallet and token."""
    inventory: Inventory = field(repr=False)

    def exposure(
        self, *, prices: Mapping[str, Stated] | None = None, roles: Roles | None = None, custody: bool = True
    ) -> Exposure:
        """Sums of the readings: at other prices, with other roles of the wallets, or without custodians, if asked."""
        valuation = Valuation(
            self.inventory,
            self.prices if prices is None else prices,
            self.chains,
            Decimal(self.raw["unread_growth"]),
        )
        counted = self.roles if roles is None else {**self.roles, **roles}
        groups: dict[Group, Total] = {}
        for wallet, token, part in self.totals:
            key = (token, *counted[wallet])
            groups[key] = groups[key] + part if key in groups else part
        return expose(groups, valuation=valuation, custody=self.custody if custody else ())

    def coverage(self, exposure: Exposure) -> Coverage:
        """What stands behind what, asset by asset."""
        return cover(exposure, liabilities=self.liabilities, owed=self.raw["owed"])


def read(text: str) -> Closed:
    """StoreError when it is no closing that this version understands."""
    try:
        return _closed(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise StoreError(f"a closing can't be made out: {type(error).__name__} {error}") from error


def interval(raw: Mapping[str, Any]) -> Interval:
    """From the form in which closings and reports hold bounds."""
    return Interval(*(None if raw[name] is None else Decimal(raw[name]) for name in ("low", "value", "high")))  # type: ignore[arg-type]


def _closed(raw: JSON) -> Closed:
    if raw["format"] != "pyrometer-closing/1":
        raise ValueError(f"the format is {raw['format']}")
    assets = {
        asset: tuple(Token(one["chain"], one["contract"], one["decimals"]) for one in tokens)
        for asset, tokens in raw["assets"].items()
    }
    asset_of = {token: asset for asset, tokens in assets.items() for token in tokens}
    return Closed(
        raw=raw,
        roles={name: (Tier(one["tier"]), Owner(one["owner"])) for name, one in raw["wallets"].items()},
        prices=_stated(raw["prices"]),
        trailing=_stated(raw["trailing"]),
        liabilities=_stated(raw["liabilities"]),
        custody=tuple(
            Custody(one["custodian"], one["asset"], Tier(one["tier"]), _one_stated(one)) for one in raw["custody"]
        ),
        chains={name: _chain(name, one) for name, one in raw["chains"].items()},
        totals=tuple(_totals(raw["wallets"], {(one.chain, one.contract): one for one in asset_of})),
        inventory=Inventory({}, assets, {}, {}, asset_of),
    )


def _totals(
    wallets: Mapping[str, JSON], tokens: Mapping[tuple[str, str | None], Token]
) -> Iterator[tuple[str, Token, Total]]:
    for name, wallet in wallets.items():
        for reading in wallet["readings"]:
            yield name, tokens[wallet["chain"], reading["contract"]], _total(reading)


def _total(reading: JSON) -> Total:
    return Total(
        known=int(reading["units"]),
        lost=int(reading["unread_units"]),
        pairs=reading["accounts"],
        unread=reading["unread"],
        never=reading["never_read"],
    )


def _stated(raw: Mapping[str, JSON]) -> dict[str, Stated]:
    return {name: _one_stated(one) for name, one in raw.items()}


def _one_stated(raw: JSON) -> Stated:
    return Stated(interval(raw), raw["source"], datetime.fromisoformat(raw["at"]))


def _chain(name: str, raw: JSON) -> ChainState:
    tip = None if raw["hash"] is None else Tip(raw["height"], raw["hash"], datetime.fromisoformat(raw["time"]))
    reason = None if raw["reason"] is None else Reason(raw["reason"])
    return ChainState(name, raw["reader"], tip, None, {}, reason, raw["detail"], None)
