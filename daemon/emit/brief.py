"""What of a finding's evidence fits on a phone: how much it is about, its transaction, and what is still there."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from connectors.base import Stage
from daemon.model import Verdict

MOST_ASSETS = 3
"""Assets that are named of what a wallet still holds."""

Row = Mapping[str, Any]


def brief(verdict: Verdict) -> dict[str, str]:
    """Annotations for people, "" where the evidence does not say: of several payments or changes, those of the newest.

    `amount` is what was paid, or what a drain has lost; `transaction` its hash and `transaction_stage` where it stands;
    `still_there` what is left of that asset, or in that wallet.
    """
    row = _newest(verdict)
    return {
        "amount": _amount(verdict, row),
        "transaction": _text(row, "transaction"),
        "transaction_stage": _stage(row) if _text(row, "transaction") else "",
        "still_there": _still_there(verdict),
    }


def _newest(verdict: Verdict) -> Row:
    """Of the payments in the evidence the first that the verdict rests on: some may have been taken back since."""
    changes = _rows(verdict.evidence, "changes")
    payments = (row for row in _rows(verdict.evidence, "transactions") if row.get("transaction") in verdict.grounds)
    return next(payments, next(changes, {}))


def _rows(evidence: Row, key: str) -> Iterator[Row]:
    listed = evidence.get(key)
    return (row for row in listed if isinstance(row, Mapping)) if isinstance(listed, list | tuple) else iter(())


def _amount(verdict: Verdict, row: Row) -> str:
    if lost := _text(verdict.evidence, "lost"):
        return f"{lost} {_asset(verdict)}"
    amount, asset = _text(row, "amount"), _text(row, "asset")
    payments = len(verdict.grounds)
    newest = f", the newest of {payments} payments" if payments > 1 else ""
    return f"{amount} {asset}{newest}" if amount and asset else ""


def _stage(row: Row) -> str:
    """`in block 870000` or `pending since 2026-11-23 12:00:04 UTC`."""
    if row.get("height") is not None:
        return f"in block {row['height']}"
    since = f" since {_moment(_text(row, 'since'))}" if row.get("stage") == Stage.PENDING.value else ""
    return f"{_text(row, 'stage')}{since}"


def _moment(text: str) -> str:
    try:
        return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M:%S} UTC"
    except ValueError:  # evidence of another version
        return text


def _still_there(verdict: Verdict) -> str:
    evidence = verdict.evidence
    if least := _text(evidence, "held_at_least"):
        sure = "" if least == evidence.get("held_at_most") else "at least "
        return f"{sure}{least} {_asset(verdict)}"
    held = evidence.get("still_there")
    if not isinstance(held, Mapping):
        return ""
    named = [f"{asset} unknown" if coins is None else f"{coins} {asset}" for asset, coins in held.items()]
    more = f" and {len(named) - MOST_ASSETS} more" if len(named) > MOST_ASSETS else ""
    return f"{', '.join(named[:MOST_ASSETS]) or 'nothing'}{more} in {verdict.subject}"


def _asset(verdict: Verdict) -> str:
    """Of the subject of a drain: `ETH`, `hot/ETH`, `eth-hot-1/ETH`."""
    return verdict.subject.rpartition("/")[2]


def _text(row: Row, key: str) -> str:
    found = row.get(key)
    return found if isinstance(found, str) else ""
