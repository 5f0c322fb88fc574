"""Whether approvals can be what they claim to be: all of an answer, or nothing of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from operator import is_
from uuid import UUID

from daemon.detection.approval import Approval
from daemon.document import shown
from daemon.feeds.checking import Flaw, as_of, exact, shape
from daemon.feeds.entries import Entry
from daemon.feeds.rows import dated
from daemon.feeds.source import FeedError, bad
from daemon.interval import EXACT

LONGEST_ID = 200
LONGEST_SHOWN = 64
LONGEST_DESTINATION = 200
LONGEST_TAG = 1100
"""A message of NEM has up to 1,024 bytes."""

SPACE = re.compile(r"\s")


@dataclass(frozen=True, slots=True)
class Approvable:
    """What approvals are held to.

    `decimals` are those of each asset's finest token, `homes` the chains that it is on; `chains` the books' own names
    of chains, and which of ours they mean. What names something `ignored` as its asset or chain is dropped.
    """

    decimals: Mapping[str, int]
    homes: Mapping[str, frozenset[str]] = field(default_factory=dict)
    chains: Mapping[str, str] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Checked:
    """A good answer. `written` is what stood in the row of each id, `meant` what it means, None where it is dropped."""

    approvals: tuple[Approval, ...] = ()
    written: Mapping[str, Entry] = field(default_factory=dict)
    meant: Mapping[str, Approval | None] = field(default_factory=dict)


NOTHING = Checked()


def checked_approvals(
    entries: Iterable[Entry], *, expected: Approvable, now: datetime, before: Checked = NOTHING
) -> Checked:
    """All of it, exact; the very objects of the answer `before` where rows say the same.

    A row that stands there again word for word counts once. FeedError with BAD_ANSWER, which names the first row that
    can't be right.
    """
    written: dict[str, Entry] = {}
    meant: dict[str, Approval | None] = {}
    for place, entry in enumerate(entries, start=1):
        try:
            name = _identifier(entry[0])
            if before.written.get(name) == entry:
                approval = before.meant[name]
            else:
                approval = _approval(name, entry, expected=expected, now=now)
            if name in written:
                _same(meant[name], approval)
        except Flaw as flaw:
            raise bad(f"row {place}{_called(entry[0])}: {flaw}") from None
        written[name], meant[name] = entry, approval
    found = [one for one in meant.values() if one is not None]
    return Checked(_kept(found, before=before.approvals), written, meant)


def _same(one: Approval | None, other: Approval | None) -> None:
    if one != other:
        raise Flaw("stands twice, and not with the same content")


def _called(name: object) -> str:
    """What the row calls itself, where that is short enough: identifiers are no secrets."""
    text = str(name) if isinstance(name, str | int | UUID) else ""
    return f" (id {text})" if 0 < len(text) <= LONGEST_SHOWN and text.isprintable() else ""


def _kept(found: Sequence[Approval], *, before: tuple[Approval, ...]) -> tuple[Approval, ...]:
    same = len(found) == len(before) and all(map(is_, found, before))
    return before if same else tuple(found)


def _approval(name: str, entry: Entry, *, expected: Approvable, now: datetime) -> Approval | None:
    _, asset, amount, destination, at, chain, fee, tag = entry
    asset = _text(asset, "asset")
    place = _text(chain, "chain") if chain is not None and chain != "" else None
    if asset in expected.ignored or place in expected.ignored:
        return None
    if asset not in expected.decimals:
        raise Flaw(f"{shown(asset)} is no asset of the configuration; `ignore` lists names to be dropped")
    coins = _coins(amount, decimals=expected.decimals[asset], what="amount")
    if not coins:
        raise Flaw("amount: 0 is nothing to approve")
    return Approval(
        id=name,
        asset=asset,
        coins=coins,
        destination=_destination(destination),
        at=_time(at, now=now),
        chain=None if place is None else _chain(place, asset=asset, expected=expected),
        fee=None if fee is None or fee == "" else _coins(fee, decimals=expected.decimals[asset], what="fee"),
        tag=_tag(tag),
    )


def _identifier(value: object) -> str:
    text = str(value) if isinstance(value, UUID) or (isinstance(value, int) and not isinstance(value, bool)) else value
    if not isinstance(text, str):
        raise Flaw(f"id: expected a text or a whole number, found {shape(value)}")
    text = text.strip()
    if not 0 < len(text) <= LONGEST_ID or not text.isprintable():
        raise Flaw(f"id: expected 1 to {LONGEST_ID} printable characters, found {shape(text)}")
    return text


def _text(value: object, what: str) -> str:
    if not isinstance(value, str) or not value:
        raise Flaw(f"{what}: expected a text, found {shape(value) if value else 'nothing'}")
    return value


def _coins(value: object, *, decimals: int, what: str) -> Decimal:
    try:
        coins = exact(value)
    except Flaw as flaw:
        raise Flaw(f"{what}: {flaw}") from None
    scaled = coins.scaleb(decimals, EXACT)
    if scaled != scaled.to_integral_value(context=EXACT):
        raise Flaw(f"{what}: {shape(value)} has more than the {decimals} decimals that the asset has")
    return coins


def _destination(value: object) -> str:
    text = _text(value, "destination").strip()
    if not 0 < len(text) <= LONGEST_DESTINATION or not text.isprintable() or SPACE.search(text):
        raise Flaw(f"destination: expected an address, found {shape(value)}")
    return text


def _time(value: object, *, now: datetime) -> datetime:
    try:
        return as_of(dated(value), now=now)
    except FeedError as error:
        raise Flaw(f"at: {error.detail}") from None
    except Flaw as flaw:
        raise Flaw(f"at: {flaw}") from None


def _chain(name: str, *, asset: str, expected: Approvable) -> str:
    chain = expected.chains.get(name, name)
    homes = expected.homes.get(asset, frozenset())
    if chain not in homes:
        raise Flaw(f"chain: {shown(name)} is no chain that {asset} is on; `chains` says what it means, or `ignore` it")
    return chain


def _tag(value: object) -> str | None:
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str) or len(value) > LONGEST_TAG:
        raise Flaw(f"tag: expected a text of up to {LONGEST_TAG:,} characters, found {shape(value)}")
    return value
