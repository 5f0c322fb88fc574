"""A scripted ledger in the shape of an Ethereum chain: every balance at every block, transfers the only change."""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

NO_PARENT = "0x" + "00" * 32

Purse = tuple[str, str | None]
"""What a balance belongs to: an account and a token's contract, or None for the native coin."""


class Overspent(ValueError):
    """A transfer wants more than its sender has at that point of its block."""


@dataclass(frozen=True, slots=True)
class Transfer:
    """So many smallest units from one account to another. Addresses are lower case, as everywhere in the ledger."""

    sender: str
    recipient: str
    units: int
    token: str | None = None

    def __post_init__(self) -> None:
        if self.units <= 0:
            raise ValueError(f"a transfer moves at least one unit, not {self.units}")


@dataclass(frozen=True, slots=True)
class Block:
    """A block and what it moved. `time` is UTC and whole seconds, as on Ethereum."""

    height: int
    hash: str
    parent: str
    time: datetime
    transfers: tuple[Transfer, ...]

    def transaction_hashes(self) -> list[str]:
        """One transaction a transfer; told apart by block and place, so that equal transfers differ."""
        return [digest(self.hash, "transaction", str(place)) for place in range(len(self.transfers))]


class EvmLedger:
    """The ledger. Nobody pays fees, nothing is minted after the genesis block: every token's total stays as it began.

    Hashes are SHA-256 over a block's content. They are deterministic and differ when anything before them differs, but
    they are not Ethereum's, which are Keccak-256 over an RLP-encoded header.
    """

    def __init__(self, genesis: Mapping[Purse, int], *, time: datetime) -> None:
        if any(units < 0 for units in genesis.values()):
            raise ValueError("nobody starts with less than nothing")
        # Only the heights at which a purse changed: a day of blocks costs what its transfers cost.
        self._heights: dict[Purse, list[int]] = {purse: [0] for purse in genesis}
        self._units: dict[Purse, list[int]] = {purse: [units] for purse, units in genesis.items()}
        content = sorted(f"{account} {token} {units}" for (account, token), units in genesis.items())
        self._blocks = [_block(0, NO_PARENT, time=time, transfers=(), content=content)]
        self._by_hash = {self.tip.hash: self.tip}

    @property
    def tip(self) -> Block:
        return self._blocks[-1]

    def block(self, height: int) -> Block | None:
        return self._blocks[height] if 0 <= height < len(self._blocks) else None

    def block_of(self, block_hash: str) -> Block | None:
        return self._by_hash.get(block_hash)

    def balance(self, purse: Purse, *, height: int | None = None) -> int:
        """Units at the end of that block, the newest by default; 0 for a purse that never held anything."""
        heights = self._heights.get(purse)
        if heights is None:
            return 0
        position = len(heights) if height is None else bisect_right(heights, height)
        return self._units[purse][position - 1] if position else 0

    def supply(self, token: str | None, *, height: int | None = None) -> int:
        """The sum of everybody's balances of a token."""
        return sum(self.balance(purse, height=height) for purse in self._heights if purse[1] == token)

    def mine(self, transfers: Iterable[Transfer] = (), *, time: datetime) -> Block:
        """The next block. All its transfers happen, in their order, or none: Overspent leaves the chain as it was."""
        if time <= self.tip.time:
            raise ValueError(f"a block comes after its parent: {time} is not after {self.tip.time}")
        moved = tuple(transfers)
        after = self._settle(moved)
        content = [f"{move.sender} {move.recipient} {move.units} {move.token}" for move in moved]
        block = _block(self.tip.height + 1, self.tip.hash, time=time, transfers=moved, content=content)
        for purse, units in after.items():
            self._heights.setdefault(purse, []).append(block.height)
            self._units.setdefault(purse, []).append(units)
        self._blocks.append(block)
        self._by_hash[block.hash] = block
        return block

    def _settle(self, transfers: Sequence[Transfer]) -> dict[Purse, int]:
        after: dict[Purse, int] = {}
        for move in transfers:
            payer, payee = (move.sender, move.token), (move.recipient, move.token)
            have = after.get(payer, self.balance(payer))
            if have < move.units:
                raise Overspent(f"{move.sender} has {have} of {move.token or 'the native coin'}, not {move.units}")
            after[payer] = have - move.units
            after[payee] = after.get(payee, self.balance(payee)) + move.units
        return after


def digest(*parts: str) -> str:
    """SHA-256 over the parts, as Ethereum writes 32 bytes."""
    return "0x" + hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _block(
    height: int, parent: str, *, time: datetime, transfers: tuple[Transfer, ...], content: Sequence[str]
) -> Block:
    block_hash = digest(parent, str(height), time.isoformat(), *content)
    return Block(height=height, hash=block_hash, parent=parent, time=time, transfers=transfers)
