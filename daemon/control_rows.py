"""Who controlled an account, as JSON text and back: what is compared with after a restart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from connectors.base import Address, Control, Tip
from daemon.control import ControlChange, Controlled

if TYPE_CHECKING:
    from collections.abc import Iterable

Raw = list[Any]


def account_key(chain: str, account: Address) -> str:
    return json.dumps([chain, account], separators=(",", ":"))


def wallet_key(wallet: str) -> str:
    return json.dumps([wallet], separators=(",", ":"))


def read_key(text: str) -> tuple[str, ...]:
    """(chain, account) or (wallet,); ValueError when it is neither."""
    parts = json.loads(text)
    if not isinstance(parts, list) or len(parts) not in (1, 2):
        raise ValueError(f"no key: {text}")
    return tuple(map(str, parts))


def digest(accounts: Sequence[Address]) -> str:
    """Of accounts in their order: whether a wallet still begins with them."""
    return hashlib.sha256("\n".join(accounts).encode(errors="backslashreplace")).hexdigest()


def encode(controlled: Controlled) -> str:
    raw = {
        "control": _control(controlled.control),
        "tip": _tip(controlled.tip),
        "changes": [
            [_moment(one.seen), _tip(one.tip), _control(one.before), _control(one.after), one.unwatched]
            for one in controlled.changes
        ],
    }
    return json.dumps(raw, separators=(",", ":"))


def decode(text: str, *, account: Address) -> Controlled:
    """What `encode` was given; ValueError when the text is nothing of the kind."""
    try:
        raw = json.loads(text)
        changes = tuple(_change(one, account=account) for one in raw["changes"])
        return Controlled(account, _to_control(raw["control"], account=account), _to_tip(raw["tip"]), changes=changes)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no control: {type(error).__name__} {error}") from error


def _change(raw: Iterable[Any], *, account: Address) -> ControlChange:
    seen, tip, before, after, unwatched = raw
    old, new = _to_control(before, account=account), _to_control(after, account=account)
    block = _to_tip(tip)
    if old is None or new is None or block is None:
        raise ValueError("a change without both sides")
    return ControlChange(datetime.fromisoformat(seen), block, old, new, unwatched=bool(unwatched))


def _control(control: Control | None) -> Raw | None:
    return None if control is None else [control.kind, control.facts, control.transaction, _tip(control.tip)]


def _to_control(raw: Raw | None, *, account: Address) -> Control | None:
    if raw is None:
        return None
    kind, facts, transaction, tip = raw
    return Control(account, kind, tuple((name, value) for name, value in facts), transaction, _to_tip(tip))


def _tip(tip: Tip | None) -> Raw | None:
    return None if tip is None else [tip.height, tip.hash, _moment(tip.time)]


def _to_tip(raw: Raw | None) -> Tip | None:
    if raw is None:
        return None
    height, hash_, time = raw
    return Tip(height, hash_, datetime.fromisoformat(time))


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
