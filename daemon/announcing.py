"""Announcing planned transfers: what is refused, who the second person is, and what the store and the log are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from connectors.base import Address
from connectors.errors import BadAddress
from daemon.announcement import Act, Announcement, State, decode, encode
from daemon.announcements import Announced
from daemon.detection.destinations import Destinations
from daemon.detection.imitation import Imitation, imitations
from daemon.detection.payees import Payees
from daemon.diagnosis import nearest
from daemon.errors import DaemonError, StoreError
from daemon.interval import ZERO, amount, plain
from daemon.model import Inventory
from daemon.store import AnnouncementRow, Announcements, Entry

ALONE = "local"
"""Who asks where there are no tokens: everybody is the same then."""

LONGEST = timedelta(days=7)
"""A window that is open for longer is no plan for a transfer."""

LATE = timedelta(minutes=1)
"""So long ago a start may lie: it takes a moment to write an announcement."""

AGAIN = timedelta(minutes=1)
"""Who says the same again within it, because no answer came, is given the first one."""

KEPT = timedelta(days=40)
"""How long an announcement is remembered after its end: longer than the longest window of `drain`."""

MOST_OPEN = 1000
PAUSE_SECONDS = 1.0

Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class Refused(DaemonError):
    """What was asked for is not done: one line, with the HTTP status that says of what kind it is."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Plan(BaseModel):
    """The body of an announcement. Amounts are texts: a JSON number may have been rounded by whoever wrote it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    wallet: Line = Field(description="which wallet pays")
    asset: Line = Field(description="what it pays")
    at_most: str = Field(max_length=100, description='whole coins in all, as a text, such as "12.5"')
    destinations: tuple[Line, ...] = Field(min_length=1, max_length=100, description="addresses outside the inventory")
    starts: AwareDatetime = Field(description="no payment seen before it is explained")
    ends: AwareDatetime = Field(description="nor one seen after it; at most 7 days later")
    ticket: Line = Field(description="where it is written down why")
    note: str = Field("", max_length=2000, description="anything else")


class Approval(BaseModel):
    """The body of an approval, which may be empty."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    look_alikes: tuple[Line, ...] = Field(
        (), max_length=100, description="destinations that look like known ones, in full: approved all the same"
    )


class Withdrawal(BaseModel):
    """The body of a withdrawal."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    reason: Line = Field(description="why, for the audit log")


@dataclass(frozen=True, slots=True)
class Ground:
    """What an announcement is checked against: the inventory, what reads the addresses of each chain, and the
    destinations that are known."""

    inventory: Inventory
    canonical: Mapping[str, Callable[[str], Address]]
    destinations: Destinations


class Announcer:
    """Keeps the book of what is announced as the store has it: what is not stored is not in force.

    Every method that changes something raises Refused, and StoreError when the store does not take it: then it is not
    done, unless the store took it too late to say so; the worker finds that out.
    """

    def __init__(
        self,
        store: Announcements,
        book: Announced,
        *,
        ground: Callable[[], Ground],
        payees: Payees,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._payees = payees
        self._store = store
        self._book = book
        self._ground = ground
        self._clock = clock
        self._new_id = new_id
        self._turn = asyncio.Lock()

    @property
    def book(self) -> Announced:
        return self._book

    async def announce(self, body: bytes, *, who: str) -> tuple[Announcement, bool]:
        """The announcement, and whether it is new: the same said again within a minute is the same announcement."""
        plan, now = _parsed(Plan, body), self._clock()
        async with self._turn:
            await self._refresh()
            new = _announcement(plan, ground=self._ground(), act=Act(who, now), number=self._new_id())
            new = replace(new, look_alikes=await self._look_alikes(new))
            for known in self._book.all():
                if now - known.announced.at <= AGAIN and _same(known, new, plan=plan):
                    return known, False
            waiting = sum(one.state(now) in (State.ANNOUNCED, State.APPROVED) for one in self._book.all())
            if waiting >= MOST_OPEN:
                raise Refused(409, f"{waiting} announcements are open already; withdraw what is not needed any more")
            entry = Entry(now, who, "announce", plan.ticket, _facts(new))
            return await self._keep(new, before=None, entry=entry), True

    async def approve(self, number: str, body: bytes = b"", *, who: str) -> Announcement:
        """By another name than the one that announced it; who asks without a token may be anybody, also the first.

        Refused while a destination looks like a known one, unless the body names it in full.
        """
        seen = _parsed(Approval, body).look_alikes if body.strip() not in (b"", b"null") else ()
        async with self._turn:
            known, now = await self._known(number), self._clock()
            if known.state(now) is not State.ANNOUNCED:
                raise Refused(
                    409, f"announcement {number} is {known.state(now)}; only one that is announced is approved"
                )
            if who == known.announced.by or ALONE in (who, known.announced.by):
                raise Refused(403, _alone(known.announced.by, who=who))
            look_alikes = await self._look_alikes(known)
            unseen = [one for one in look_alikes if one.destination not in self._read(seen, wallet=known.wallet)]
            if unseen:
                raise Refused(409, _not_it(unseen))
            approved = replace(known, approved=Act(who, now), look_alikes=look_alikes)
            return await self._keep(approved, before=known, entry=_entry(approved, "approve", act=Act(who, now)))

    async def withdraw(self, number: str, body: bytes, *, who: str) -> Announcement:
        """By anybody who may operate: taking back needs no second person."""
        reason = _parsed(Withdrawal, body).reason
        async with self._turn:
            known, now = await self._known(number), self._clock()
            if known.state(now) in (State.WITHDRAWN, State.EXPIRED):
                raise Refused(409, f"announcement {number} is {known.state(now)} already")
            act = Act(who, now, reason)
            withdrawn = replace(known, withdrawn=act)
            return await self._keep(withdrawn, before=known, entry=_entry(withdrawn, "withdraw", act=act))

    async def restore(self) -> None:
        """Brings in what the store has; StoreError."""
        async with self._turn:
            await self._refresh()

    async def step(self) -> None:
        """For the supervisor: another daemon on the same store may have been told something; StoreError."""
        await asyncio.sleep(PAUSE_SECONDS)
        await self.restore()

    async def drop(self, *, before: datetime) -> None:
        """Forgets what ended before that time, and before it is not needed any more; StoreError."""
        await self._store.drop(before=min(before, self._clock() - KEPT))

    async def _look_alikes(self, one: Announcement) -> tuple[Imitation, ...]:
        """Of its destinations, by what is known now; as before where its wallet is not configured any more."""
        ground = self._ground()
        wallet = ground.inventory.wallets.get(one.wallet)
        if wallet is None:
            return one.look_alikes
        await asyncio.to_thread(ground.destinations.prepare)  # at most once for a configuration, and then for seconds
        return tuple(imitations(one.destinations, wallet.chain, known=ground.destinations, payees=self._payees))

    def _read(self, texts: Iterable[str], *, wallet: str) -> frozenset[str]:
        """Destinations as people write them; what is none is taken as it is."""
        ground = self._ground()
        found = ground.inventory.wallets.get(wallet)
        read = ground.canonical[found.chain] if found else Address
        return frozenset(_canonical(text, read) for text in texts)

    async def _refresh(self) -> None:
        rows = await self._store.since(self._clock() - KEPT)
        try:
            self._book.put(decode(row.body) for row in rows)
        except ValueError as error:
            raise StoreError(f"an announcement can't be read: {error}") from error

    async def _known(self, number: str) -> Announcement:
        await self._refresh()
        known = self._book.get(number)
        if known is None:
            raise Refused(404, f"there is no announcement {number}")
        return known

    async def _keep(self, new: Announcement, *, before: Announcement | None, entry: Entry) -> Announcement:
        row = AnnouncementRow(new.id, new.ends, encode(new))
        if not await self._store.keep(row, before=None if before is None else encode(before), entry=entry):
            raise Refused(409, f"announcement {new.id} was changed by somebody else at the same time; look again")
        self._book.put([*(one for one in self._book.all() if one.id != new.id), new])
        return new


M = TypeVar("M", bound=BaseModel)


def _parsed(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise Refused(422, _complaint(error, model=model)) from error


def _announcement(plan: Plan, *, ground: Ground, act: Act, number: str) -> Announcement:
    inventory = ground.inventory
    wallet = inventory.wallets.get(plan.wallet)
    if wallet is None:
        raise Refused(422, f"wallet: there is no wallet {plan.wallet}{nearest(plan.wallet, inventory.wallets)}")
    if plan.asset not in inventory.assets:
        raise Refused(422, f"asset: there is no asset {plan.asset}{nearest(plan.asset, inventory.assets)}")
    places = [token.decimals for token in inventory.assets[plan.asset] if token.chain == wallet.chain]
    if not places:
        raise Refused(422, f"asset: {plan.asset} is not on {wallet.chain}, where {plan.wallet} is")
    destinations = [_destination(text, chain=wallet.chain, ground=ground) for text in plan.destinations]
    starts = _starts(plan, now=act.at)
    return Announcement(
        id=number,
        wallet=plan.wallet,
        asset=plan.asset,
        at_most=_coins(plan.at_most, decimals=max(places)),
        destinations=tuple(dict.fromkeys(destinations)),
        starts=starts,
        ends=plan.ends,
        ticket=plan.ticket,
        note=plan.note,
        announced=act,
    )


def _starts(plan: Plan, *, now: datetime) -> datetime:
    """When its window begins: not before now. Refused for a window that is none, or too long."""
    if plan.ends <= plan.starts:
        raise Refused(422, "ends: expected a time after starts")
    if plan.ends <= now:
        raise Refused(422, f"ends: expected a time that is not over, found {plan.ends.isoformat()}")
    starts = now if plan.starts < now - LATE else plan.starts
    if plan.ends - starts > LONGEST:
        raise Refused(422, f"ends: expected a window of at most {LONGEST.days} days")
    return starts


def _coins(text: str, *, decimals: int) -> Decimal:
    try:
        coins = Decimal(text)
    except InvalidOperation:
        coins = Decimal("NaN")
    if not coins.is_finite() or not text.isascii() or coins <= ZERO or coins.adjusted() > 77:
        raise Refused(422, f'at_most: expected whole coins above 0 as a text, such as "12.5", found {text!r}')
    exponent = coins.normalize().as_tuple().exponent
    if isinstance(exponent, int) and -exponent > decimals:
        smallest = plain(amount(1, decimals=decimals), places=80)
        raise Refused(422, f"at_most: expected a multiple of {smallest}, the smallest unit, found {text}")
    return coins


def _destination(text: str, *, chain: str, ground: Ground) -> Address:
    try:
        address = ground.canonical[chain](text)
    except BadAddress as error:
        raise Refused(422, f"destinations: no address on {chain}: {error}") from error
    name = ground.inventory.wallet_of.get((chain, address))
    if name is not None:
        raise Refused(422, f"destinations: {text} is our own, of {name}: what stays inside needs no announcement")
    return address


def _canonical(text: str, read: Callable[[str], Address]) -> str:
    try:
        return read(text)
    except BadAddress:
        return text


def _not_it(found: Sequence[Imitation]) -> str:
    """What the second person is to know before approving."""
    said = "; ".join(f"{one.says} (the first {one.first} and the last {one.last} characters agree)" for one in found)
    again = json.dumps({"look_alikes": [one.destination for one in found]})
    return (
        f"{said}. Compare every character with what the receiver has told you by another way; to approve it all the "
        f"same, send {again}"
    )


def _same(known: Announcement, new: Announcement, *, plan: Plan) -> bool:
    """Whether the same person says the same; a start that was moved up was moved to the moment it was said."""
    starts = new.starts if plan.starts == new.starts else known.starts
    announced = Act(new.announced.by, known.announced.at)
    same = replace(new, id=known.id, starts=starts, announced=announced, approved=known.approved)
    return known == replace(same, look_alikes=known.look_alikes)


def _alone(first: str, *, who: str) -> str:
    said = f"{first} has announced it: approval takes a second person"
    if ALONE in (first, who):
        return f"{said}, and without api.tokens_file everybody is {ALONE}; give each person a token, with scope operate"
    return f"{said}, with a token of another name"


def _entry(one: Announcement, what: str, *, act: Act) -> Entry:
    return Entry(act.at, act.by, what, act.reason or one.ticket, _facts(one))


def _facts(one: Announcement) -> dict[str, Any]:
    return {
        "announcement": one.id,
        "wallet": one.wallet,
        "asset": one.asset,
        "at_most": plain(one.at_most, places=80),
        "destinations": list(one.destinations),
        "starts": one.starts.isoformat(),
        "ends": one.ends.isoformat(),
        "ticket": one.ticket,
        "note": one.note,
        "announced_by": one.announced.by,
        "look_alikes": [alike.says for alike in one.look_alikes],
    }


def _complaint(error: ValidationError, *, model: type[BaseModel]) -> str:
    """The first of pydantic's complaints, in one line that repeats nothing but names."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    says = {
        "extra_forbidden": f"unknown key{nearest(where, model.model_fields)}",
        "missing": "is missing",
        "string_type": "expected a text; amounts are texts too",
        "json_invalid": "expected a JSON object",
        "timezone_aware": "expected a time with its zone, such as 2026-11-23T05:00:00Z",
    }.get(first["type"], first["msg"])
    return f"{where}: {says}" if where else says
