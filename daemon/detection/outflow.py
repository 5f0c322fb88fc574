"""What a transaction takes out of the inventory: the one value that everything in detection looks at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import NamedTuple

from connectors.base import Movement, Party, Stage, Tip, Token
from daemon.model import Inventory, Moved
from daemon.value import value

PENDING, MINED, UNKNOWN = Stage.PENDING, Stage.MINED, Stage.UNKNOWN
"""To look a member up in its class takes longer than to call a function, and every movement asks several times."""


class Key(NamedTuple):
    """What an outflow is known by at whatever stage it is: a transaction may move several tokens."""

    transaction: str
    token: Token


@value
class Outflow:
    """What one transaction takes of one token from our wallets to others than ours.

    `wallet` pays most of it, `payers` are all that pay. `units` leave without the fee, to `destinations` outside the
    inventory, the largest first, and to `unlisted` that the chain's reader does not list; 0 where only a fee is paid.
    `units` are `covered` as far as announcements explain them, which have `announced` so many of each destination.
    `fee` and `size` are a movement's; `change` is all that comes back to us, be it to another account than the one that
    pays. What a restart has lost sight of (stage unknown) counts as mined, without a `tip`: it may be, and then nobody
    will tell.
    """

    key: Key
    wallet: str
    payers: tuple[str, ...]
    asset: str
    units: int
    destinations: tuple[Party, ...]
    unlisted: int
    fee: int | None
    change: int
    stage: Stage
    tip: Tip | None
    first_seen: datetime
    since: datetime
    replaced_by: str | None = None
    covered: int = 0
    size: int = 0
    announced: Mapping[str, int] = field(default_factory=dict)

    @property
    def chain(self) -> str:
        return self.key.token.chain

    @property
    def uncovered(self) -> int:
        """Units that no announcement explains."""
        return self.units - self.covered

    def beyond(self, name: str, units: int) -> int:
        """How many of the units that it pays this destination no announcement of that one explains."""
        left = units - self.announced.get(name, 0)
        return left if left > 0 else 0  # every payment asks, and `max` is dear

    def pays_as(self, other: Outflow) -> bool:
        """Whether both pay the same to the same, at whatever stage they are."""
        return (
            self.units == other.units
            and self.covered == other.covered
            and self.fee == other.fee
            and self.change == other.change
            and self.destinations == other.destinations
            and self.announced == other.announced
        )

    @property
    def stands(self) -> bool:
        """Whether it is on its way or has happened, as far as is known."""
        return self.stage is PENDING or self.stage is MINED


def outflow(moved: Moved, *, inventory: Inventory) -> Outflow | None:
    """None where nothing leaves us, and where the configuration names the token or the payers no longer.

    Internal is what is certain to stay: sweeps and rebalancing within the inventory leave nothing but a fee.
    """
    debits = debits_of(moved.movement, inventory=inventory)
    return outflow_of(moved, debits=debits, inventory=inventory) if debits else None


def outflow_of(moved: Moved, *, debits: Mapping[str, int], inventory: Inventory) -> Outflow | None:
    """As `outflow`, for whoever has asked what each wallet pays: `debits`, of at least one."""
    movement = moved.movement
    asset = inventory.asset_of.get(movement.token)
    if asset is None:
        return None
    wallet_of, chain, fee = inventory.wallet_of, movement.token.chain, movement.fee
    outside: list[Party] = []
    listed = credited = 0
    left = -(fee or 0)
    for party in movement.destinations:  # loops, because every movement comes by here
        name, paid = party
        if paid > 0 and (chain, name) not in wallet_of:
            outside.append(party)
            listed += paid
    for _, change in movement.changes:
        left -= change
        if change > 0:
            credited += change
    units = listed if fee is None else max(listed, left)
    if units <= 0 and (not fee or credited):
        return None
    payers = tuple(debits)
    wallet = payers[0] if len(payers) == 1 else max(payers, key=debits.__getitem__)
    unlisted, change = units - listed, movement.change + credited
    stage = MINED if movement.stage is UNKNOWN else movement.stage
    return Outflow(  # by place, under the names of the fields: to pass one by name takes longer than to set it
        Key(movement.transaction, movement.token),
        wallet,
        payers,
        asset,
        units,
        tuple(outside),
        unlisted,
        fee,
        change,
        stage,
        movement.tip,
        moved.first_seen,
        moved.since,
        replaced_by=movement.replaced_by,
        size=movement.size,
    )


def debits_of(movement: Movement, *, inventory: Inventory) -> dict[str, int]:
    """What each wallet pays in the balance of its accounts."""
    wallet_of, chain = inventory.wallet_of, movement.token.chain
    sums: dict[str, int] = {}
    for account, units in movement.changes:
        wallet = wallet_of.get((chain, account))
        if wallet is not None:
            sums[wallet] = sums.get(wallet, 0) - units
    for name, paid in tuple(sums.items()):
        if paid <= 0:
            del sums[name]
    return sums
