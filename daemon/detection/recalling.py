"""What matching remembers over a restart, as rows of JSON: an approval with the payment that used it, one a row."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from connectors.base import Address, Token
from daemon.detection.approval import Approval
from daemon.detection.approvals import ApprovalKey, Known, Place
from daemon.detection.fitting import Output
from daemon.detection.outflow import Key
from daemon.feeds.values import FeedKind


@dataclass(frozen=True, slots=True)
class Used:
    """An approval that a payment used: at which place, and so many units, in the asset's finest."""

    key: ApprovalKey
    approval: Approval
    payment: Key
    place: Place
    units: int
    step: int
    seen: datetime


@dataclass(slots=True)
class Recalled:
    """All rows of one policy: since when it matches, what was used, and the payments that nothing explained."""

    began: datetime | None = None
    used: list[Used] = field(default_factory=list)
    open: list[Key] = field(default_factory=list)


def row_of(known: Known, output: Output) -> str:
    """An approval and the payment that has used it."""
    one = known.approval
    return json.dumps(
        {
            "source": known.key.source[1],
            "id": one.id,
            "asset": one.asset,
            "coins": str(one.coins),
            "destination": one.destination,
            "at": one.at.isoformat(),
            "chain": one.chain,
            "fee": None if one.fee is None else str(one.fee),
            "tag": one.tag,
            "payment": [output.key.transaction, *output.key.token],
            "to": output.place.to,
            "units": str(output.units),
            "step": str(output.step),
            "seen": output.seen.isoformat(),
        }
    )


def recalled(rows: Mapping[str, str]) -> Recalled:
    """What the rows say. ValueError when they can't be read."""
    found = Recalled()
    for name, text in rows.items():
        try:
            body = json.loads(text)
            if "began" in body:
                found.began = datetime.fromisoformat(body["began"])
            elif "open" in body:
                found.open.append(_payment(body["open"]))
            else:
                found.used.append(_used(body))
        except (KeyError, TypeError, ValueError, InvalidOperation) as error:
            raise ValueError(f"the row {name} can't be read: {type(error).__name__}") from error
    return found


def _used(body: Mapping[str, Any]) -> Used:
    return Used(
        key=ApprovalKey((FeedKind.APPROVALS, body["source"]), body["id"]),
        approval=Approval(
            id=body["id"],
            asset=body["asset"],
            coins=Decimal(body["coins"]),
            destination=body["destination"],
            at=datetime.fromisoformat(body["at"]),
            chain=body["chain"],
            fee=None if body["fee"] is None else Decimal(body["fee"]),
            tag=body["tag"],
        ),
        payment=_payment(body["payment"]),
        place=Place(body["asset"], Address(body["to"])),
        units=int(body["units"]),
        step=int(body["step"]),
        seen=datetime.fromisoformat(body["seen"]),
    )


def _payment(value: list[Any]) -> Key:
    transaction, chain, contract, decimals = value
    return Key(transaction, Token(chain, contract, int(decimals)))
