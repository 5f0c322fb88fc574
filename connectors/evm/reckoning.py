"""The balances that were told against the movements that were told: what is left over is told as well."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from connectors.base import Address, Movement, Token, Update, Watch

Key = tuple[Address, Token]
Rests = Mapping[Token, Mapping[Address, int]]


class Reckoning:
    """One consumer's view. The sum of an account's movements is what its balance changed by, once rests are told.

    An account that can't be read has its rest told when it can be read again. The first balance of all is where the
    reckoning begins.
    """

    def __init__(self, watch: Watch) -> None:
        self.accounts: Mapping[Address, int] = {account: place for place, account in enumerate(watch.accounts)}
        """Where each stands in the watch."""
        self._tokens = {token: place for place, token in enumerate(watch.tokens)}
        self._units: list[int | None] = [None] * (len(watch.accounts) * len(watch.tokens))
        self._unread: set[Key] = set()
        self._left: Counter[Key] = Counter()
        """What balances changed by, less what movements did, since it was told last."""
        self._new: set[Key] = set()
        """Read for the first time since rests were told last: what was before nobody knows."""

    def balances(self, update: Update) -> None:
        """Takes what the update says of balances."""
        if update.complete:
            self._unread.clear()
        for one in update.held:
            self._hold((one.account, one.token), one.units)
        self._unread.update((one.account, one.token) for one in update.unread)

    def told(self, movements: Iterable[Movement], *, undone: bool = False) -> None:
        """Takes mined movements into the reckoning, or out of it again."""
        for movement in movements:
            for account, units in movement.changes:
                self._left[account, movement.token] -= -units if undone else units

    def rests(self) -> Rests:
        """What is not accounted for, by token and account, of those that are read."""
        found: defaultdict[Token, dict[Address, int]] = defaultdict(dict)
        for key, units in self._left.items():
            if units and key not in self._unread and key not in self._new:
                found[key[1]][key[0]] = units
        return found

    def settle(self) -> None:
        """The rests are told, or there is nothing to compare with."""
        self._left = Counter({key: units for key, units in self._left.items() if units and key in self._unread})
        self._new.clear()

    def _hold(self, key: Key, units: int) -> None:
        place = self.accounts[key[0]] * len(self._tokens) + self._tokens[key[1]]
        known = self._units[place]
        self._units[place] = units
        if self._unread:
            self._unread.discard(key)
        if known is None:
            self._new.add(key)
        elif known != units:
            self._left[key] += units - known
