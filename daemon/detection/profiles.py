"""The profiles of all wallets: told every movement once, and kept over restarts."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Any

from connectors.base import Stage, Tip, Token
from daemon.detection.outflow import Key, Outflow
from daemon.detection.profile import OfAsset, Paid, Profile, Spend, Tally
from daemon.detection.usual_fees import UsualFees, rate
from daemon.model import Moved

MOST_FORMER = 1000
"""Profiles of wallets that the configuration names no longer; they may come back with the next reload."""

BATCH = 10
"""Destinations from which on a payment is a batch."""

FINEST = 18
"""Decimals in which payments of one asset are compared; tokens of more are counted in their own."""

FACTORS = tuple(10 ** (FINEST - decimals) for decimals in range(FINEST))

REPLACED = Stage.REPLACED

FEES = "fees:"
"""How the keys of rows begin that are no wallet's."""


def counterparty(one: Outflow) -> str:
    """The class of whom it pays: `single`, `few` or `batch` by the number of destinations, `unlisted` where the chain
    names none."""
    number = len(one.destinations)
    if number == 1:
        return "single"
    if not number:
        return "unlisted"
    return "few" if number < BATCH else "batch"


def paid_at(tip: Tip | None, *, first_seen: datetime) -> datetime:
    """When we were told of it, or when its block was made, if that was before."""
    return first_seen if tip is None or first_seen <= tip.time else tip.time


def comparable(units: int, *, token: Token) -> int:
    """Units as a token of FINEST decimals would count them: one asset may be several tokens."""
    return units * FACTORS[token.decimals] if token.decimals < FINEST else units


class Profiles:
    """By wallet. Mutable, and pure of effects; remembers as in Remembers.

    Its size is that of its profiles (see MOST_FRESH), of configured wallets and at most MOST_FORMER others.
    """

    kind = "profile"

    def __init__(self) -> None:
        self._profiles: dict[str, Profile] = {}
        self._fees: dict[Token, UsualFees] = {}
        self._rows: set[str] = set()
        """Wallets that have changed since their rows were asked for, and tokens whose fees have."""
        self._fee_rows: set[Token] = set()
        self._number = 0
        self._numbers: dict[str, int] = {}
        """By wallet the number of its newest change, the newest last."""

    @property
    def number(self) -> int:
        """How often anything has changed."""
        return self._number

    def changed_after(self, number: int) -> Iterator[str]:
        """The wallets that have changed after it was so often that anything had."""
        for wallet, newest in reversed(self._numbers.items()):
            if newest <= number:
                return
            yield wallet

    def of(self, wallet: str) -> Profile | None:
        """None of a wallet that was never watched."""
        return self._profiles.get(wallet)

    def fees(self, token: Token) -> UsualFees:
        """What transactions have cost of late that pay their fee in this token."""
        found = self._fees.get(token)
        if found is None:
            found = self._fees[token] = UsualFees()
        return found

    def watch(self, wallets: Collection[str], *, now: datetime) -> None:
        """From now on these are watched, those that were not so before too; a profile goes on where there is one."""
        for wallet in wallets:
            if wallet not in self._profiles:
                self._begin(wallet, at=now)
        former = [wallet for wallet in self._profiles if wallet not in wallets]
        for wallet in former[: max(0, len(former) - MOST_FORMER)]:
            del self._profiles[wallet]
            self._numbers.pop(wallet, None)
            self._rows.add(wallet)

    def take(self, moved: Moved, one: Outflow | None, *, payers: Collection[str]) -> None:
        """A movement that came to another stage, or is told again, which changes nothing; `one` is what it takes out of
        our wallets, if anything. `payers` are the wallets that pay for it, if any.

        One that left the mempool, or whose block was undone, counts on: it was signed, and mostly comes back in another
        block; what came after it must not look larger meanwhile. One that was replaced never happened.
        """
        movement = moved.movement
        key = Key(movement.transaction, movement.token) if one is None else one.key
        stands = movement.stage is not REPLACED
        at = paid_at(movement.tip, first_seen=moved.first_seen)
        for wallet in payers:
            profile = self._profiles.get(wallet) or self._begin(wallet, at=at)
            paid = _paid(one) if one is not None and one.wallet == wallet else None
            if profile.take(key, at=at, tip=movement.tip, paid=paid) if stands else profile.withdraw(key):
                self._changed(wallet)
        if movement.fee and payers:
            fees, transaction = self.fees(movement.token), movement.transaction
            per_byte = rate(movement.fee, size=movement.size)
            if fees.take(transaction, per_byte) if stands else fees.withdraw(transaction):
                self._fee_rows.add(movement.token)

    def changed(self) -> dict[str, str | None]:
        """See Remembers: a row for each wallet, and one for the fees of each token."""
        wallets = {wallet: self._row(wallet) for wallet in self._rows}
        fees = {_fees_key(token): self._row_of_fees(token) for token in self._fee_rows}
        self._rows, self._fee_rows = set(), set()
        return {**wallets, **fees}

    def restore(self, rows: dict[str, str]) -> None:
        """See Remembers."""
        for key, text in rows.items():
            try:
                body = json.loads(text)
                if key.startswith(FEES):
                    self._fees[_token(body["token"])] = UsualFees({name: int(one) for name, one in body["rates"]})
                else:
                    self._profiles[key] = _read(body)
                    self._changed(key)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(f"the profile {key} can't be read: {error!r}") from error
        self._rows, self._fee_rows = set(), set()

    def _begin(self, wallet: str, *, at: datetime) -> Profile:
        profile = self._profiles[wallet] = Profile(at)
        self._changed(wallet)
        return profile

    def _changed(self, wallet: str) -> None:
        self._number += 1
        self._numbers.pop(wallet, None)
        self._numbers[wallet] = self._number
        self._rows.add(wallet)

    def _row(self, wallet: str) -> str | None:
        profile = self._profiles.get(wallet)
        return None if profile is None else json.dumps(_written(profile))

    def _row_of_fees(self, token: Token) -> str:
        return json.dumps({"token": list(token), "rates": list(self._fees[token].rates.items())})


def _paid(one: Outflow) -> Paid | None:
    units = comparable(one.units, token=one.key.token)
    return Paid(one.asset, units, counterparty(one), one.change > 0) if units else None


def _fees_key(token: Token) -> str:
    return f"{FEES}{token.chain}:{token.contract or ''}"


def _token(raw: list[Any]) -> Token:
    chain, contract, decimals = raw
    return Token(chain, contract, decimals)


# ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _written(profile: Profile) -> dict[str, Any]:
    tally = profile.tally
    return {
        "began": profile.began.isoformat(),
        "number": profile.number,
        "spends": tally.spends,
        "last": _moment(tally.last),
        "days": list(tally.days.items()),
        "payments": tally.payments,
        "with_change": tally.with_change,
        "hours": tally.hours,
        "counterparties": tally.counterparties,
        "assets": {asset: [one.payments, one.largest] for asset, one in tally.assets.items()},
        "settled": [profile.settled_height, _moment(profile.settled_last), profile.settled_largest],
        "fresh": [
            _spend(transaction, one) for shelf in (profile.mined, profile.pending) for transaction, one in shelf.items()
        ],
    }


def _read(body: dict[str, Any]) -> Profile:
    profile = Profile(datetime.fromisoformat(body["began"]))
    profile.number = body["number"]
    profile.tally = Tally(
        spends=body["spends"],
        last=_time(body["last"]),
        days={int(day): int(count) for day, count in body["days"]},
        payments=body["payments"],
        with_change=body["with_change"],
        hours=list(body["hours"]),
        counterparties=dict(body["counterparties"]),
        assets={asset: OfAsset(*counted) for asset, counted in body["assets"].items()},
    )
    height, last, largest = body["settled"]
    profile.settled_height, profile.settled_last, profile.settled_largest = height, _time(last), dict(largest)
    for transaction, *rest in body["fresh"]:
        spend = _to_spend(rest)
        (profile.pending if spend.tip is None else profile.mined)[transaction] = spend
    return profile


def _spend(transaction: str, one: Spend) -> list[Any]:
    tip = [one.tip.height, one.tip.hash, one.tip.time.isoformat()] if one.tip else None
    parts = [[list(token), None if paid is None else list(paid)] for token, paid in one.parts.items()]
    return [transaction, one.number, one.at.isoformat(), tip, parts]


def _to_spend(raw: list[Any]) -> Spend:
    number, at, tip, parts = raw
    block = None if tip is None else Tip(tip[0], tip[1], datetime.fromisoformat(tip[2]))
    spend = Spend(number, datetime.fromisoformat(at), block)
    spend.parts = {_token(token): None if paid is None else Paid(*paid) for token, paid in parts}
    return spend


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
