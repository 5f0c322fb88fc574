"""What a scenario needs of a chain: a scripted ledger, and the small nodes before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, Self, runtime_checkable

from daemon.replay.faults import Faults
from daemon.replay.simulation import Simulation

Purse = tuple[str, str | None]
"""What a balance belongs to: an account, and the name of a token's contract or mosaic; None for the native coin."""


class Overspent(ValueError):
    """A payment wants more than its payer has; the message says who, how much there is and how much was wanted."""


@dataclass(frozen=True, slots=True)
class PlayedToken:
    """A token that a scenario's ledger knows. `contract` as in a configuration; `decimals` of one whole coin."""

    contract: str
    symbol: str
    decimals: int


@dataclass(frozen=True, slots=True)
class Opening:
    """How a played chain begins: units of each purse, the tokens, the time of its first block, how many nodes."""

    purses: Mapping[Purse, int]
    tokens: Sequence[PlayedToken]
    time: datetime
    nodes: int
    simulation: Simulation
    seed: int
    controls: Sequence[tuple[str, str, str]] = ()
    """Accounts whose control will change, each with what it is and its value at first."""


class PlayedChain(Protocol):
    """One chain of a scenario, as an async context manager that serves its nodes on the loopback.

    Made as `Played(opening)` by the class of each kind. Accounts are canonical addresses as text. Payments wait in the
    mempool until `mine`, where the chain has one. Nobody else earns or loses anything: a fee goes to a stranger.
    """

    faults: Sequence[Faults]
    """One a node, in the order of `settings`."""

    @property
    def time(self) -> datetime:
        """Of the newest block."""
        ...

    @property
    def tip(self) -> str:
        """The hash of the newest block."""
        ...

    @property
    def requests(self) -> int:
        """That all nodes have answered so far."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *_: object) -> None: ...

    def settings(self) -> dict[str, object]:
        """This chain's section of a configuration: kind, network, endpoints; JSON types only."""
        ...

    @staticmethod
    def account(name: str) -> str:
        """An address of nobody for a name; the same every time. It comes out of a hash: no key is known for it."""
        ...

    @staticmethod
    def contract(name: str) -> str:
        """As `account`, what names a token."""
        ...

    def pay(self, payer: str, payee: str, *, units: int, token: str | None = None, fee: int = 0) -> str:
        """The name of a transaction that now waits for a block. `fee` is in units of the native coin, of the payer too.

        Raises Overspent, also for what waiting transactions already spend.
        """
        ...

    def mine(self, *, time: datetime) -> None:
        """A block with all that waits."""
        ...

    def reorganise(self, depth: int, *, time: datetime) -> None:
        """Other blocks, one more, take the place of the newest `depth`, with the same payments in them."""
        ...

    def units(self, account: str, token: str | None = None) -> int:
        """What an account has now, without what waits."""
        ...


@runtime_checkable
class Controllable(Protocol):
    """A played chain on which who controls an account can change."""

    def control(self, account: str, *, what: str, to: str) -> None:
        """From the next block on; nothing where this chain can't show it."""
        ...


def check_time(time: datetime, *, parent: datetime, apart: timedelta = timedelta.resolution) -> None:
    """Raises ValueError for a block that would come less than `apart` after its parent."""
    if time < parent + apart:
        raise ValueError(f"a block comes after its parent: {time} is not after {parent}")
