"""What several nodes say that blocks did: each deed is one that enough of them tell alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from connectors.base import Address, Disagreement, Stage, Tip, Token
from connectors.errors import Reason, Unavailable
from connectors.evm.mined import Mined
from connectors.evm.transfers import Deed, Teller

NOTHING = "no such movement"

Deeds = Mapping[tuple[str, Token], Deed]


@dataclass(frozen=True, slots=True)
class Way:
    """The blocks that lead from one that was told, or from the first after a gap, to the tip; in their order.

    `begins`: the hash of the block before them, if it was told; None after a gap.
    """

    begins: str | None
    blocks: tuple[Mined, ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """`dissenters` are nodes that tell something else than what was accepted, or, where nothing was, at all."""

    way: Way
    disputes: tuple[Disagreement, ...] = ()
    dissenters: frozenset[str] = frozenset()


def settle(answers: Mapping[str, Way], *, need: int, teller: Teller) -> Settled:
    """What at least `need` nodes tell, where no other statement has as many; the absence of a deed is a statement.

    What stays open is not told: balances, which are agreed for themselves, show what it came to. Raises Unavailable
    when not enough nodes tell of the same blocks.
    """
    course = Counter(_course(way) for way in answers.values()).most_common(1)
    if not course or course[0][1] < need:
        raise Unavailable("the nodes tell of different blocks", reason=Reason.NO_QUORUM)
    alike = {name: way for name, way in answers.items() if _course(way) == course[0][0]}
    first = next(iter(alike.values()))
    if all(way == first for way in alike.values()):
        return Settled(first)
    blocks: list[Mined] = []
    disputes: list[Disagreement] = []
    dissenters: set[str] = set()
    for place, block in enumerate(first.blocks):
        said = {name: _by_key(way.blocks[place]) for name, way in alike.items()}
        accepted, open_ = _vote(said, need=need)
        deeds = tuple(deed for deed in accepted.values() if deed is not None)
        blocks.append(
            replace(
                block,
                deeds=deeds,
                sent=_sent(way.blocks[place] for way in alike.values()),
                touched=tuple(dict.fromkeys(one for way in alike.values() for one in way.blocks[place].touched)),
            )
        )
        disputes += (_dispute(said, key=key, tip=block.tip, teller=teller) for key in open_)
        dissenters |= {name for name, deeds in said.items() for key in open_ if deeds.get(key) != accepted.get(key)}
    return Settled(Way(first.begins, tuple(blocks)), tuple(disputes), frozenset(dissenters))


def _course(way: Way) -> tuple[str | None, ...]:
    return (way.begins, *(block.tip.hash for block in way.blocks))


def _by_key(block: Mined) -> Deeds:
    return {(deed.transaction, deed.token): deed for deed in block.deeds}


def _vote(
    said: Mapping[str, Deeds], *, need: int
) -> tuple[Mapping[tuple[str, Token], Deed | None], Sequence[tuple[str, Token]]]:
    """What is accepted of each transaction and token, None for nothing; and those that nodes differ in."""
    accepted: dict[tuple[str, Token], Deed | None] = {}
    differing: list[tuple[str, Token]] = []
    for key in dict.fromkeys(key for deeds in said.values() for key in deeds):
        votes = Counter(deeds.get(key) for deeds in said.values()).most_common()
        winners = [deed for deed, count in votes if count >= need]
        accepted[key] = winners[0] if len(winners) == 1 else None
        if len(votes) > 1:
            differing.append(key)
    return accepted, differing


def _sent(blocks: Iterable[Mined]) -> tuple[tuple[str, tuple[Address, int]], ...]:
    """Whatever any of them names: it only says what waits no more, and who sent it."""
    return tuple(dict.fromkeys(one for block in blocks for one in block.sent))


def _dispute(said: Mapping[str, Deeds], *, key: tuple[str, Token], tip: Tip, teller: Teller) -> Disagreement:
    """Of the account that it is most about."""
    words: list[tuple[str, str]] = []
    most: tuple[Address, int] | None = None
    for name, deeds in said.items():
        deed = deeds.get(key)
        movement = None if deed is None else teller.movement(deed, stage=Stage.MINED)
        change = max(movement.changes, key=lambda one: abs(one[1])) if movement is not None else None
        most = change if most is None else most
        words.append((name, NOTHING if change is None else f"{change[1]} by {key[0]}"))
    account = most[0] if most is not None else Address(key[0])
    return Disagreement(account, key[1], tip, tuple(words))
