"""What a transaction moves: who pays whom, what comes back as change, and the fee where it is known."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from connectors.base import Movement, Party, Stage, Tip, Token
from connectors.bitcoin.accounts import Accounts
from connectors.bitcoin.address import address_of
from connectors.bitcoin.block import BlockEvents
from connectors.bitcoin.coins import Changes, Coin, CoinSet, Undo
from connectors.bitcoin.networks import Network
from connectors.bitcoin.transaction import NOTHING, Transaction

REMEMBERED = 1000
"""Blocks whose movements are kept until they are asked for."""

MOST_PARTIES = 100
"""Of one transaction that is told; a payout to thousands by others is told by its largest."""

MOST_PAID = 3_500
"""Destinations of one in which a watched account pays: a standard transaction of 100,000 virtual bytes
(Bitcoin Core's MAX_STANDARD_TX_WEIGHT) has at most some 3,200 outputs of 31 bytes or more. Some 200 bytes each."""


@dataclass(frozen=True, slots=True)
class Traced:
    """A movement, and the outpoints that its transaction spends: two that share one can't both be mined."""

    movement: Movement
    inputs: tuple[bytes, ...]


class Describer:
    """Puts transactions into the words of the contract, for the accounts of one book."""

    def __init__(self, accounts: Accounts, *, network: Network, coin: Token) -> None:
        """`coin` is the chain's own."""
        self.accounts = accounts
        self._coin = coin
        self._network = network

    def describe(
        self, transaction: Transaction, *, taken: Mapping[bytes, Coin], tip: Tip | None = None, fee: int | None = None
    ) -> Traced:
        """What the transaction moves, mined in the block `tip`, or pending.

        `taken` are the watched coins that it spends, by outpoint; `fee` is what somebody says it is, in units: it
        counts where not every input is watched, so that the fee can't be known.
        """
        inputs = tuple(transaction.inputs())
        scripts = self.accounts.scripts
        payers = {scripts[coin.script] for coin in taken.values()}
        net: Counter[int] = Counter()
        for coin in taken.values():
            net[scripts[coin.script]] -= coin.value
        change, paid, others = 0, 0, Counter[bytes]()
        for script, value in transaction.outputs():
            account = scripts.get(script)
            paid += value
            if account is None:
                others[script] += value
                continue
            net[account] += value
            change += value if account in payers else 0
        worth = sum(coin.value for coin in taken.values())
        movement = Movement(
            transaction=transaction.txid[::-1].hex(),
            token=self._coin,
            stage=Stage.PENDING if tip is None else Stage.MINED,
            tip=tip,
            changes=tuple((self.accounts.names[account], units) for account, units in net.items()),
            change=change,
            destinations=self._parties(others.items(), most=MOST_PAID if taken else MOST_PARTIES),
            sources=self._parties(_sums(taken.values()).items()),
            fee=worth - paid if len(taken) == len(inputs) else fee,
            size=transaction.vsize,
        )
        return Traced(movement, tuple(outpoint for outpoint in inputs if outpoint != NOTHING))

    def paid(self, transaction: Transaction) -> dict[bytes, Coin]:
        """The coins that the transaction makes for watched scripts, by outpoint; their height is not known here."""
        return {
            transaction.txid + number.to_bytes(4, "little"): Coin(script, value, 0, coinbase=False)
            for number, (script, value) in enumerate(transaction.outputs())
            if script in self.accounts.scripts
        }

    def _parties(self, sums: Iterable[tuple[bytes, int]], *, most: int = MOST_PARTIES) -> tuple[Party, ...]:
        largest = sorted(sums, key=lambda one: -one[1])[:most]
        return tuple(
            Party(address_of(script, network=self._network) or script.hex(), units) for script, units in largest
        )


@dataclass(frozen=True, slots=True)
class Way:
    """What blocks moved on the way to a block. `whole`: none of the blocks that were asked for is missing.

    `jumped`: those that are missing were passed over, when coins were found anew above them.
    """

    traced: tuple[Traced, ...]
    whole: bool
    jumped: bool


@dataclass(frozen=True, slots=True)
class _Block:
    parent: str
    height: int
    traced: tuple[Traced, ...]


class MinedMovements:
    """A Listener of a book that keeps what its newest blocks moved."""

    def __init__(self, describer: Describer) -> None:
        self._describer = describer
        self._blocks: dict[str, _Block] = {}
        self._landed: dict[str, None] = {}
        """Blocks at which coins were found anew."""

    def up_to(self, tip: Tip, *, above: int | None) -> Way:
        """What the blocks of the branch that ends in `tip` moved above this height; None: as far as it is known."""
        found: list[tuple[Traced, ...]] = []
        at, height = tip.hash, tip.height
        while at in self._blocks and (above is None or height > above):
            block = self._blocks[at]
            at, height = block.parent, block.height - 1
            found.append(block.traced)
        traced = tuple(one for moved in reversed(found) for one in moved)
        return Way(traced, whole=above is None or height <= above, jumped=at in self._landed)

    def loaded(self, coins: CoinSet) -> None:
        """See Listener."""
        if coins.tip is not None:
            self._landed[coins.tip.hash] = None
            for old in list(self._landed)[: max(0, len(self._landed) - REMEMBERED)]:
                del self._landed[old]

    def applied(self, coins: CoinSet, *, events: BlockEvents, changes: Changes) -> None:  # noqa: ARG002
        """See Listener."""
        told = (self._told(one, changes=changes) for one in events.transactions)
        self._blocks[changes.tip.hash] = _Block(events.header.parent[::-1].hex(), changes.tip.height, tuple(told))
        for old in list(self._blocks)[: max(0, len(self._blocks) - REMEMBERED)]:
            del self._blocks[old]

    def undone(self, coins: CoinSet, *, undo: Undo) -> None:
        """See Listener."""

    def forgotten(self) -> None:
        """See Listener."""

    def _told(self, transaction: Transaction, *, changes: Changes) -> Traced:
        taken = {outpoint: changes.spent[outpoint] for outpoint in transaction.inputs() if outpoint in changes.spent}
        return self._describer.describe(transaction, taken=taken, tip=changes.tip)


def _sums(coins: Iterable[Coin]) -> Mapping[bytes, int]:
    sums: Counter[bytes] = Counter()
    for coin in coins:
        sums[coin.script] += coin.value
    return sums
