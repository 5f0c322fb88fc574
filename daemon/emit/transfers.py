"""Movements as JSON, with whom they pay and how they came to where they stand."""

from decimal import Decimal
from typing import Any

from daemon.emit.moments import block, moment
from daemon.interval import amount, plain
from daemon.model import Counterparty, Leg, Transfer

JSON = dict[str, Any]


def transfer(item: Transfer, *, parties: int | None = None) -> JSON:
    """A movement; of its destinations and sources the first `parties`, all of them by default.

    `fee_rate` is in units per virtual byte, to three places; a block stands there while it is in one.
    """
    movement = item.moved.movement
    decimals = movement.token.decimals
    rate = None if movement.fee is None or not movement.size else Decimal(movement.fee) / movement.size
    return {
        "chain": movement.token.chain,
        "transaction": movement.transaction,
        "stage": movement.stage.value,
        "direction": item.direction.value,
        "first_seen": moment(item.moved.first_seen),
        "since": moment(item.moved.since),
        **block(movement.tip),
        "asset": item.asset,
        "contract": movement.token.contract,
        "wallets": _wallet_legs(item.legs, decimals=decimals),
        "destinations": [_counterparty(party, decimals=decimals) for party in item.destinations[:parties]],
        "sources": [_counterparty(party, decimals=decimals) for party in item.sources[:parties]],
        "change": _quantity(movement.change, decimals=decimals),
        "fee": None if movement.fee is None else _quantity(movement.fee, decimals=decimals),
        "fee_rate": None if rate is None else plain(rate, places=3),
        "size": movement.size,
        "replaced_by": movement.replaced_by,
        "history": [
            {"stage": step.stage.value, "at": moment(step.at), **block(step.tip)} for step in item.moved.history
        ],
    }


def _wallet_legs(legs: tuple[Leg, ...], *, decimals: int) -> list[JSON]:
    """What each wallet gains or loses, and each of its accounts; those of no wallet stand under the wallet null."""
    grouped: dict[str | None, list[Leg]] = {}
    for leg in legs:
        grouped.setdefault(leg.wallet, []).append(leg)
    return [
        {
            "wallet": wallet,
            "tier": own[0].tier.value if own[0].tier else None,
            **_quantity(sum(leg.units for leg in own), decimals=decimals),
            "accounts": [{"account": leg.account, **_quantity(leg.units, decimals=decimals)} for leg in own],
        }
        for wallet, own in grouped.items()
    ]


def _counterparty(party: Counterparty, *, decimals: int) -> JSON:
    return {"address": party.name, **_quantity(party.units, decimals=decimals), "wallet": party.wallet}


def _quantity(units: int, *, decimals: int) -> JSON:
    return {"units": str(units), "amount": plain(amount(units, decimals=decimals), places=80)}
