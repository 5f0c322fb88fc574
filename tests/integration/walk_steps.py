"""What random walks are made of. Numbers called a choice choose among what there is at the time, by their remainder."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from itertools import cycle, islice
from operator import add

from hypothesis import strategies as st

DEEPEST = 50
"""Blocks that a reorganisation takes back."""

Choice = int


@dataclass(frozen=True, slots=True)
class Pay:
    """From the faucet to these places, each so many satoshis."""

    to: tuple[tuple[Choice, int], ...]


@dataclass(frozen=True, slots=True)
class Spend:
    """Coins of the walk's own, confirmed or pending."""

    coins: tuple[Choice, ...]
    to: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """A coin that is handed on from place to place, all of it pending."""

    coin: Choice
    over: tuple[Choice, ...]


@dataclass(frozen=True, slots=True)
class Replace:
    """A pending transaction, by one that spends the first of the same coins and pays more (RBF)."""

    which: Choice
    inputs: int
    to: Choice


@dataclass(frozen=True, slots=True)
class Evict:
    """A pending transaction and all that spend of it."""

    which: Choice


@dataclass(frozen=True, slots=True)
class Mine:
    """One block, with what is pending; its reward to a place, or to nobody."""

    reward: Choice | None = None


class Fate(Enum):
    """What becomes of a transaction on the other branch."""

    AGAIN = "again"
    OTHERWISE = "otherwise"  # its coins are spent elsewhere
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Reorganise:
    """The newest blocks, by one more. `fates` go round over the old transactions: fate, and how many blocks later.

    `to` is paid on the other branch. Not `at_once`: the node is back at the older block and mines the other branch
    from there, as after Bitcoin Core's `invalidateblock`; else it moves over when the other branch is longer.
    """

    depth: int
    fates: tuple[tuple[Fate, int], ...]
    to: Choice
    at_once: bool


@dataclass(frozen=True, slots=True)
class Restart:
    """In good order; so many blocks come while it is away, or a reorganisation."""

    blocks: int
    away: Reorganise | None


@dataclass(frozen=True, slots=True)
class Kill:
    """kill -9 while blocks or a reorganisation are taken in: at the so many-th statement that its files are given from
    now on, at the latest after so many milliseconds; again so many statements after it has started again.
    """

    statements: int
    milliseconds: int
    blocks: int
    meanwhile: Reorganise | None
    again: int | None


Step = Pay | Spend | Chain | Replace | Evict | Mine | Reorganise | Restart | Kill


@dataclass(frozen=True, slots=True)
class Plan:
    """A walk. `early`: the connector follows from before the first payment, and can so take every block back.

    `die_in`: it is killed first at this statement of its life.
    """

    early: bool
    die_in: int | None
    steps: tuple[Step, ...]


choices = st.integers(0, 9_999)
few = st.lists(choices, min_size=1, max_size=3).map(tuple)
values = st.integers(30_000, 1_000_000)
statements = st.integers(1, 120)

payments = st.builds(Pay, st.lists(st.tuples(choices, values), min_size=1, max_size=4).map(tuple))
spends = st.builds(Spend, few, few)
chains = st.builds(Chain, choices, st.lists(choices, min_size=2, max_size=5).map(tuple))
replacements = st.builds(Replace, choices, st.integers(1, 2), choices)
evictions = st.builds(Evict, choices)
blocks = st.builds(Mine, st.none() | choices)
fates = st.lists(st.tuples(st.sampled_from(Fate), st.integers(0, 3)), min_size=1, max_size=6).map(tuple)
reorganisations = st.builds(Reorganise, st.integers(1, DEEPEST), fates, choices, st.booleans())
restarts = st.builds(Restart, st.integers(0, 3), st.none() | reorganisations)
kills = st.builds(
    Kill, statements, st.integers(0, 300), st.integers(1, 3), st.none() | reorganisations, st.none() | statements
)

# With each kind of movement comes a block, so that a walk is about half blocks.
moves = st.one_of(payments, spends, chains, replacements)
steps = st.one_of(blocks, moves, moves, moves, blocks, blocks, evictions, reorganisations, restarts, kills)


# The simplest walk, which is tried first, has a step of each kind.
simplest = (
    payments,
    blocks,
    spends,
    chains,
    blocks,
    replacements,
    reorganisations,
    payments,
    restarts,
    evictions,
    kills,
)


def plans(*, shortest: int = 15, longest: int = 25) -> st.SearchStrategy[Plan]:
    """Of so many steps."""
    begin: st.SearchStrategy[tuple[Step, ...]] = st.tuples(
        *(kind | steps for kind in islice(cycle(simplest), shortest))
    )
    rest = st.lists(steps, max_size=longest - shortest).map(tuple)
    return st.builds(Plan, st.booleans(), st.none() | statements, st.builds(add, begin, rest))
