"""A payment that approvals do not explain: what of it they do not, and what to say of that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.base import Address, Party
from daemon.detection.approvals import ApprovalKey, Known
from daemon.detection.case import Case
from daemon.detection.fitting import Group, Output, Terms, first_fitting, in_time
from daemon.detection.outflow import Outflow
from daemon.interval import amount, plain

MOST_NAMED = 3


@dataclass(slots=True)
class Tracked:
    """A payment, with what it pays at each place."""

    outflow: Outflow
    outputs: list[Output]

    @property
    def loose(self) -> bool:
        """Whether something of it is not explained."""
        if self.outflow.unlisted:
            return True
        for one in self.outputs:  # noqa: SIM110 - a loop, because every payment comes by here
            if not one.by:
                return True
        return False

    @property
    def missing(self) -> int:
        """Units that nothing explains, in the token's."""
        outflow = self.outflow
        loose = (outflow.beyond(one.place.to, one.units // one.step) for one in self.outputs if not one.by)
        return sum(loose) + outflow.unlisted


def unexplained(
    tracked: Tracked, *, groups: Mapping[tuple[str, str], Group], user: Mapping[ApprovalKey, Output], terms: Terms
) -> Case:
    """Why it is one: an approval left twice, or nobody approved it. `user` is what has used each approval."""
    outflow = tracked.outflow
    loose = [one for one in tracked.outputs if not one.by]
    found = [_left_twice(one, groups.get(one.place), terms=terms) for one in loose]
    twice = [used for used in found if used is not None and used.key in user]
    facts: dict[str, Any] = {
        "unmatched": {str(one.place.to): _coins(one.units // one.step, outflow) for one in loose[:MOST_NAMED]},
        "unmatched_total": _coins(tracked.missing, outflow),
    }
    if twice:
        facts["left_twice"] = {used.key.id: user[used.key].key.transaction for used in twice[:MOST_NAMED]}
        first = user[twice[0].key].key.transaction
        return Case(outflow, f"approval {twice[0].key.id} left twice: first in {first}", facts)
    near = {one.place.to: ids for one in loose[:MOST_NAMED] if (ids := _near(one, groups.get(one.place), terms=terms))}
    if near:
        facts["approved_otherwise"] = near
    return Case(outflow, _says(tracked, loose, near=near), facts)


def _left_twice(output: Output, group: Group | None, *, terms: Terms) -> Known | None:
    """An approval that would explain it, had it not been used."""
    return None if group is None else first_fitting(group.used, output, terms=terms, widest=group.widest)


def _near(output: Output, group: Group | None, *, terms: Terms) -> dict[str, str]:
    """What else was approved for this destination, and not paid."""
    timely = [one for one in group.free if in_time(one, output, terms=terms)] if group else []
    return {one.key.id: plain(one.approval.coins, places=80) for one in timely[:MOST_NAMED]}


def _says(tracked: Tracked, loose: Sequence[Output], *, near: Mapping[Address, Mapping[str, str]]) -> str:
    outflow = tracked.outflow
    parties = [Party(str(one.place.to), one.units // one.step) for one in loose]
    parts = [f"{_coins(party.units, outflow)} to {party.name}" for party in parties[:2]]
    if len(parties) > len(parts):
        parts.append(f"and {len(parties) - len(parts)} destinations more")
    if outflow.unlisted:
        parts.append(f"{_coins(outflow.unlisted, outflow)} to nobody knows whom")
    total = _coins(tracked.missing, outflow)
    other = next(iter(near.values()), {})
    instead = ", ".join(f"{coins} ({name})" for name, coins in other.items())
    approved = f"; approved there: {instead}" if instead else ""
    return f"{outflow.wallet} pays {total} {outflow.asset} that nobody approved: {', '.join(parts)}{approved}"


def _coins(units: int, outflow: Outflow) -> str:
    return plain(amount(units, decimals=outflow.key.token.decimals), places=80)
