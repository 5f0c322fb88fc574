"""Movements as JSON text and back, exactly: as the journal keeps them over a restart."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from connectors.base import Address, Movement, Party, Stage, Tip, Token
from daemon.model import Moved, Step


def row_key(transaction: str, token: Token) -> str:
    """What a movement is kept under: ASCII, whatever a node calls its transactions."""
    return json.dumps([token.chain, token.contract, token.decimals, transaction], separators=(",", ":"))


def encode(moved: Moved) -> str:
    """ASCII JSON, so that no text of a node can make a movement unstorable."""
    movement = moved.movement
    raw = {
        "number": moved.number,
        "first_seen": _moment(moved.first_seen),
        "history": [[step.stage.value, _moment(step.at), _tip(step.tip)] for step in moved.history],
        "transaction": movement.transaction,
        "token": list(movement.token),
        "stage": movement.stage.value,
        "tip": _tip(movement.tip),
        "changes": movement.changes,
        "change": movement.change,
        "destinations": movement.destinations,
        "sources": movement.sources,
        "fee": movement.fee,
        "size": movement.size,
        "replaced_by": movement.replaced_by,
    }
    return json.dumps(raw, separators=(",", ":"))


def decode(text: str) -> Moved:
    """What `encode` was given; ValueError when the text is nothing of the kind."""
    try:
        return _to_moved(json.loads(text))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no movement: {type(error).__name__} {error}") from error


def _to_moved(raw: dict[str, Any]) -> Moved:
    chain, contract, decimals = raw["token"]
    movement = Movement(
        transaction=raw["transaction"],
        token=Token(chain, contract, decimals),
        stage=Stage(raw["stage"]),
        tip=_to_tip(raw["tip"]),
        changes=tuple((Address(account), units) for account, units in raw["changes"]),
        change=raw["change"],
        destinations=tuple(Party(name, units) for name, units in raw["destinations"]),
        sources=tuple(Party(name, units) for name, units in raw["sources"]),
        fee=raw["fee"],
        size=raw["size"],
        replaced_by=raw["replaced_by"],
    )
    history = tuple(Step(Stage(stage), datetime.fromisoformat(at), _to_tip(tip)) for stage, at, tip in raw["history"])
    if not history:
        raise ValueError("a movement without a history")
    return Moved(raw["number"], movement, datetime.fromisoformat(raw["first_seen"]), history)


def _tip(tip: Tip | None) -> list[object] | None:
    return None if tip is None else [tip.height, tip.hash, _moment(tip.time)]


def _to_tip(raw: list[Any] | None) -> Tip | None:
    if raw is None:
        return None
    height, hash_, time = raw
    return Tip(height, hash_, datetime.fromisoformat(time))


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
