"""Whom a walk pays: watched addresses, bare scripts and descriptors, and others that nobody watches."""

from __future__ import annotations

from collections.abc import Iterable

from connectors.base import Address
from connectors.bitcoin.descriptors import canonical
from tests.integration.bitcoin_chain import REGTEST, address
from tests.integration.purse import BARE, KINDS, SPENDABLE, Lock, Tree
from tests.integration.regtest import FAUCET, Regtest
from tests.integration.walk_steps import Choice

DATA = b"\x6a\x04walk"
"""An output that is no coin: OP_RETURN."""

USED, HIGHEST = 15, 35
"""Of each branch of a descriptor this index is paid for good at first, so that one gap limit farther all are found."""


class Accounts:
    """Each for the first time on this chain."""

    def __init__(self, chain: Regtest) -> None:
        watched = chain.locks(*KINDS, *BARE)
        others = chain.locks(*KINDS, *BARE)
        tree = Tree(watched[0].number)
        indices = range(HIGHEST + 1)
        branches = [[tree.lock("p2wpkh", branch, index) for index in indices] for branch in (0, 1)]
        branches.append([tree.lock("p2tr", 2, index) for index in indices])
        self.branches = [_scripts(locks) for locks in branches]
        """Of ranged descriptors, in the order of their indices."""
        self.scripts: dict[str, list[bytes]] = {
            **{_account(lock): [lock.script] for lock in watched},
            canonical(f"wpkh({tree.public}/<0;1>/*)", network=REGTEST): self.branches[0] + self.branches[1],
            canonical(f"tr({tree.public}/2/*)", network=REGTEST): self.branches[2],
        }
        """Of each watched account, as far as any is paid."""
        spendable = [lock for lock in (*watched, *others, *branches[0], *branches[1]) if lock.kind in SPENDABLE]
        self.keys = {lock.script: lock for lock in spendable}
        """Of scripts that can be spent from."""
        elsewhere = [*_scripts(others), FAUCET.script, DATA]
        self._places = [*([lock.script] for lock in watched), *self.branches, elsewhere, elsewhere]

    def place(self, choice: Choice) -> bytes:
        """First which kind, so that the many scripts of descriptors are not most of what is paid."""
        rest, kind = divmod(choice, len(self._places))
        return self._places[kind][rest % len(self._places[kind])]


def _account(lock: Lock) -> Address:
    return canonical(lock.descriptor, network=REGTEST) if lock.kind in BARE else address(lock.script)


def _scripts(locks: Iterable[Lock]) -> list[bytes]:
    return [lock.script for lock in locks]
