"""What finds payments to unknown destinations, and to those that only look like known ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from daemon.detection.case import Case, Cases
from daemon.detection.destinations import Destinations, LookAlike
from daemon.detection.outflow import Key, Outflow
from daemon.detection.payees import Payees
from daemon.detection.standing import Standing, by_wallet
from daemon.interval import amount, plain
from daemon.model import Inventory
from daemon.policy.unknown_destination import UnknownDestination

MOST_FINE = 2000
"""Payments that nothing was found in, which are not searched again when they are mined; at most 2 MB."""

Reason = tuple[str, Case]
"""The wallet that it is held against, and why."""


class UnknownDestinations:
    """Mutable; remembers the cases that stand (`Standing`), and with the other rules on destinations whom we paid."""

    def __init__(self, rule: UnknownDestination, *, inventory: Inventory, known: Destinations, payees: Payees) -> None:
        self._rule = rule
        self._known = known
        self._payees = payees
        self._looks = rule.look_alikes_of_all_tiers
        self._concerned = frozenset(wallet.name for wallet in inventory.wallets.values() if rule.concerns(wallet))
        self._standing: Standing[Reason] = Standing(rule.keep)
        self._fine: dict[Key, Outflow] = {}

    def take(self, outflow: Outflow) -> None:
        fine = self._fine.get(outflow.key)
        if fine is not None and fine.pays_as(outflow):
            self._payees.take(outflow, known=self._known, again=True)
            return
        reason = self._reason(outflow)
        self._payees.take(outflow, known=self._known)
        if reason is not None:
            self._fine.pop(outflow.key, None)
            self._standing.put(outflow, reason)
            return
        self._standing.drop(outflow.key)
        self._fine[outflow.key] = outflow
        if len(self._fine) > MOST_FINE:
            del self._fine[next(iter(self._fine))]

    def withdraw(self, key: Key) -> None:
        self._fine.pop(key, None)
        self._payees.withdraw(key)
        self._standing.drop(key)

    def cases(self, now: datetime) -> Cases:
        return by_wallet(reason for _, reason in self._standing.at(now))

    def _reason(self, outflow: Outflow) -> Reason | None:
        if outflow.units <= outflow.covered:
            return None
        concerned = self._payer_of_concern(outflow)
        if concerned is None and not self._looks:
            return None
        chain, known = outflow.chain, self._known
        unknown: dict[str, int] = {}
        for name, units in outflow.destinations:  # a loop, because every payment comes by here
            if not known.known(chain, name) and outflow.beyond(name, units):
                unknown[name] = units
        alike = self._alike(chain, unknown, concerned=concerned is not None)
        if alike is None and (concerned is None or not (unknown or outflow.unlisted)):
            return None
        wallet = concerned or outflow.wallet
        return wallet, _case(outflow, wallet=wallet, unknown=unknown, alike=alike)

    def _payer_of_concern(self, outflow: Outflow) -> str | None:
        for name in outflow.payers:
            if name in self._concerned:
                return name
        return None

    def _alike(self, chain: str, unknown: dict[str, int], *, concerned: bool) -> tuple[str, LookAlike] | None:
        """The destination that looks most like a known one."""
        best: tuple[str, LookAlike] | None = None
        for name in unknown:
            found = self._known.looks_like(chain, name, usual=self._payees.usual)
            if found is None or not (concerned or found.resemblance.alone):
                continue
            if found.name is None and self._payees.is_usual(chain, name):
                continue  # two usual ones look like each other
            if best is None or found.resemblance.bits > best[1].resemblance.bits:
                best = name, found
        return best


def _case(outflow: Outflow, *, wallet: str, unknown: dict[str, int], alike: tuple[str, LookAlike] | None) -> Case:
    parts = list(_parts(outflow, unknown=unknown, first=alike[0] if alike else None))
    paid = f"{wallet} pays {', '.join(parts)}"
    if alike is None:
        return Case(outflow, f"{paid}, neither in the inventory nor among the destinations", {"unknown": len(unknown)})
    name, found = alike
    facts = {
        "destination": name,
        "looks_like": found.resemblance.known,
        "known_as": found.name or "usual",
        "agree_first": found.resemblance.first,
        "agree_last": found.resemblance.last,
    }
    return Case(outflow, f"{paid}, which {found.says}", {"unknown": len(unknown), "look_alike": facts})


def _parts(outflow: Outflow, *, unknown: dict[str, int], first: str | None) -> Iterator[str]:
    """The destination that is spoken of last, so that what is said next is said of it."""
    named = [first] if first else list(unknown)[:1]
    others = len(unknown) - len(named)
    if others:
        yield f"{others} unknown destinations" if others > 1 else "another unknown destination"
    if outflow.unlisted:
        yield f"{_coins(outflow, outflow.unlisted)} {outflow.asset} to nobody knows whom"
    for name in named:
        paid, beyond = unknown[name], outflow.beyond(name, unknown[name])
        exceeds = f", {_coins(outflow, beyond)} more than was announced" if beyond < paid else ""
        yield f"{_coins(outflow, paid)} {outflow.asset} to {name}{exceeds}"


def _coins(outflow: Outflow, units: int) -> str:
    return plain(amount(units, decimals=outflow.key.token.decimals), places=80)
