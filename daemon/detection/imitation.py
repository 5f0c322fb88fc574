"""Destinations that look like known ones before anything is paid to them: what people are warned of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from daemon.detection.destinations import Destinations
from daemon.detection.payees import Payees


@dataclass(frozen=True, slots=True)
class Imitation:
    """A destination that looks like a known address and is not it: so many of the `first` and `last` characters agree.
    `known_as` is what that address is called here, None where it is only often paid."""

    destination: str
    looks_like: str
    known_as: str | None
    first: int
    last: int

    @property
    def says(self) -> str:
        return (
            f"{self.destination} looks like {self.known_as or 'the usual destination'} {self.looks_like} but is not it"
        )


def imitations(destinations: Iterable[str], chain: str, *, known: Destinations, payees: Payees) -> Iterator[Imitation]:
    """Those that look like an address of the inventory or the allowlist, or like one that is often paid, as the rule
    `unknown_destination` looks at what is paid."""
    for name in destinations:
        if known.known(chain, name):
            continue
        found = known.looks_like(chain, name, usual=payees.usual)
        if found is None or (found.name is None and payees.is_usual(chain, name)):
            continue  # two usual ones look like each other
        alike = found.resemblance
        yield Imitation(name, alike.known, found.name, alike.first, alike.last)
