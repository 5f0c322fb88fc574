"""Who comes after a closed gate: the wallets that have its accounts now, whatever they are called."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from daemon.gate.accounts import NOTHING, Marks, Stands, marks_of, shared
from daemon.model import Wallet


class Heir(NamedTuple):
    """A wallet that has an account which the wallet `of` another gate had while that was closed."""

    name: str
    of: str


class Succession:
    """Mutable. Looks at accounts only when the configuration has changed, and only where a gate is closed."""

    def __init__(self) -> None:
        self._wallets: Mapping[str, Wallet] = {}
        self._former: dict[str, Marks] = {}
        self._stands: dict[str, Stands] = {}

    @property
    def wallets(self) -> Mapping[str, Wallet]:
        """As configured last."""
        return self._wallets

    def left(self, name: str, marks: Marks) -> None:
        """What a closed gate stood for in an earlier run."""
        self._former[name] = self._former.get(name, NOTHING) | marks

    def opened(self, name: str) -> None:
        """An operator's word is for all that it stood for."""
        self._former.pop(name, None)

    def configured(self, wallets: Mapping[str, Wallet], *, closed: Iterable[str]) -> None:
        """Other wallets are in force, whoever of them has lost accounts."""
        before, self._wallets = self._wallets, wallets
        for name in closed:
            old, new = before.get(name), wallets.get(name)
            if old is not None and (new is None or (old.accounts, old.identity) != (new.accounts, new.identity)):
                self._former[name] = self._former.get(name, NOTHING) | marks_of(old)

    def heirs(self) -> tuple[Heir, ...]:
        """Whoever has a former account of a closed gate now; each is told once."""
        lost = dict(self._lost())
        found = dict(self._found(lost))
        for heir, marks in found.items():
            lost[heir.of] -= marks
        self._former = {name: marks for name, marks in lost.items() if marks}
        return tuple(found)

    def _found(self, lost: Mapping[str, Marks]) -> Iterator[tuple[Heir, Marks]]:
        everything = NOTHING.union(*lost.values())
        for wallet in self._wallets.values() if everything else ():
            theirs = shared(wallet, everything)
            for name, marks in lost.items():
                if theirs & marks:
                    yield Heir(wallet.name, name), theirs & marks

    def _lost(self) -> Iterator[tuple[str, Marks]]:
        """What is in its own wallet is not lost."""
        for name, marks in self._former.items():
            own = self._wallets.get(name)
            yield name, marks - shared(own, marks) if own else marks

    def stands(self, name: str) -> Stands:
        """What a gate stands for: the same object as long as that is the same."""
        wallet, former, known = self._wallets.get(name), self._former.get(name, NOTHING), self._stands.get(name)
        if known is None or known.wallet is not wallet or known.former is not former:
            known = self._stands[name] = Stands(wallet, former)
        return known
