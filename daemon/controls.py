"""Who controls the accounts that we watch, as last told, and how that has changed, with the block of each change."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from connectors.base import UNREAD, Address, Control, Tip, Update
from daemon.control import SINGLE, ControlChange, Controlled, WalletControl, differs
from daemon.control_rows import account_key, decode, digest, encode, read_key, wallet_key
from daemon.model import Inventory

MOST_CHANGES = 20
"""Of one account; the newest are kept."""

At = tuple[str, Address]


class Controls:
    """The newest control of each account. Mutable, and pure of effects.

    Plain accounts are only counted, unless their wallet is expected to be something, or they were something else. What
    an earlier run was told last is compared with what is told first now; until then the account is awaited.

    Remembered is a row for each account that is not only counted, and one for each wallet whose accounts were all told:
    the others are plain.
    """

    kind = "control"

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._known: dict[str, dict[Address, Controlled]] = {name: {} for name in inventory.wallets}
        self._plain: set[At] = set()
        self._told: Counter[str] = Counter()
        self._views: dict[str, WalletControl] = {}
        """What `of` gives, until something of the wallet is entered: every wallet is asked for at every pass."""
        self.number = 0
        """How often anything was entered."""
        self._awaited: set[At] = set()
        """Accounts that an earlier run knew, and of which this one was not told yet."""
        self._were_plain: dict[str, frozenset[Address]] = {}
        """Wallets whose other accounts were plain in an earlier run, but these, which are new."""
        self._asked = False
        self._rows: set[At] = set()
        self._stirred: set[str] = set()
        self._gone: set[str] = set()

    def take(self, update: Update) -> tuple[ControlChange, ...]:
        """Enters what an update tells, and takes back what its reorganisation undid; gives what has changed."""
        if update.tip is None:
            return ()
        if update.reorg_depth and update.previous is not None:
            self._undo(update.chain, above=update.previous.height - update.reorg_depth)
        changes = (self._enter(update.chain, one, tip=update.tip, seen=update.seen) for one in update.controls)
        return tuple(change for change in changes if change is not None)

    def of(self, wallet: str) -> WalletControl:
        """KeyError when there is no such wallet."""
        found = self._views.get(wallet)
        if found is None:
            awaited = len(self._inventory.wallets[wallet].accounts) - self._told[wallet]
            found = self._views[wallet] = WalletControl(tuple(self._known[wallet].values()), awaited)
        return found

    def carry_over(self, older: Controls, *, chains: Collection[str]) -> None:
        """What `older` knows of accounts that both watch on these chains."""
        for chain, account in older._plain:
            if chain in chains and (wallet := self._inventory.wallet_of.get((chain, account))) is not None:
                self._put(wallet, Controlled(account, Control(account, SINGLE, ()), None))
        for controlled, chain in older._all():
            at = (chain, controlled.account)
            wallet = self._inventory.wallet_of.get(at)
            if chain in chains and wallet is not None:
                self._put(wallet, controlled, told=at not in older._awaited)
        self._were_plain = {name: new for name, new in older._were_plain.items() if self._is_as_in(older, name)}
        self._asked, self._gone = older._asked, older._gone
        self._rows |= {at for at in older._rows if at in self._inventory.wallet_of}

    def _is_as_in(self, older: Controls, name: str) -> bool:
        wallet = self._inventory.wallets.get(name)
        return wallet is not None and wallet.accounts == older._inventory.wallets[name].accounts

    # ── over a restart ──────────────────────────────────────────────────────────────────────────────────────────────

    def changed(self) -> dict[str, str | None]:
        """See Remembers. The first time, all that is known."""
        if not self._asked:
            self._asked, self._stirred = True, set(self._inventory.wallets)
            self._rows = {(chain, controlled.account) for controlled, chain in self._all()}
        rows = dict.fromkeys(self._gone) | {account_key(*at): self._row(at) for at in self._rows}
        rows |= {wallet_key(name): row for name in self._stirred if (row := self._plain_row(name)) is not None}
        self._gone, self._rows, self._stirred = set(), set(), set()
        return rows

    def restore(self, rows: Mapping[str, str]) -> None:
        """See Remembers. What was told in this run already is compared at once."""
        told = [(self._inventory.wallet_of[chain, one.account], one) for one, chain in self._all()]
        parted = {key: read_key(key) for key in rows}
        for key, parts in parted.items():
            if len(parts) == 1:
                self._restore_plain(parts[0], rows[key])
        for wallet, one in told:
            key = account_key(self._inventory.wallets[wallet].chain, one.account)
            if key not in rows and self._was_plain(wallet, one.account):
                self._compare(wallet, Controlled(one.account, Control(one.account, SINGLE, ()), None))
        for key, parts in parted.items():
            if len(parts) == 1:
                continue
            chain, account = parts[0], Address(parts[1])
            owner = self._inventory.wallet_of.get((chain, account))
            if owner is None:
                self._gone.add(key)
            elif (chain, account) in self._plain or account in self._known[owner]:
                self._compare(owner, decode(rows[key], account=account))
            else:
                self._put(owner, decode(rows[key], account=account), told=False)

    def _compare(self, wallet: str, earlier: Controlled) -> None:
        """What this run was told already, with what the earlier one knew of the same account."""
        now = self._get(wallet, earlier.account)
        changes = earlier.changes
        if (
            earlier.control is not None
            and now.control is not None
            and now.tip
            and differs(earlier.control, now.control)
        ):
            change = ControlChange(now.tip.time, now.tip, earlier.control, now.control, unwatched=True)
            changes = (*changes, change)
        self._put(wallet, replace(now, changes=(*changes, *now.changes)[-MOST_CHANGES:]))

    def _was_plain(self, wallet: str, account: Address) -> bool:
        """In an earlier run, as far as it knew."""
        return wallet in self._were_plain and account not in self._were_plain[wallet]

    def _restore_plain(self, name: str, text: str) -> None:
        """As long as the wallet still begins with the same accounts."""
        count, found = json.loads(text)
        wallet = self._inventory.wallets.get(name)
        if wallet is not None and digest(wallet.accounts[:count]) == found:
            self._were_plain[name] = frozenset(wallet.accounts[count:])

    def _row(self, at: At) -> str | None:
        controlled = self._known[self._inventory.wallet_of[at]].get(at[1])
        return None if controlled is None else encode(controlled)

    def _plain_row(self, name: str) -> str | None:
        accounts = self._inventory.wallets[name].accounts
        if not accounts or self._told[name] < len(accounts):
            return None
        return json.dumps([len(accounts), digest(accounts)])

    def _all(self) -> Iterator[tuple[Controlled, str]]:
        for wallet, known in self._known.items():
            for controlled in known.values():
                yield controlled, self._inventory.wallets[wallet].chain

    def _enter(self, chain: str, control: Control, *, tip: Tip, seen: datetime) -> ControlChange | None:
        wallet = self._inventory.wallet_of.get((chain, control.account))
        if wallet is None:
            return None
        known, first = self._get(wallet, control.account), self._is_first(wallet, control.account)
        if control.kind == UNREAD:
            words = ", ".join(value for _, value in control.facts)
            self._put(wallet, replace(known, unread=words or UNREAD))
            return None
        change = None
        if known.control is not None and differs(known.control, control):
            change = ControlChange(seen, control.tip or tip, known.control, control, unwatched=first)
        changes = known.changes if change is None else (*known.changes, change)[-MOST_CHANGES:]
        self._put(wallet, Controlled(control.account, control, tip, changes=changes))
        return change

    def _undo(self, chain: str, *, above: int) -> None:
        """Accounts whose newest changes stand in undone blocks are what they were before.

        Of a change that nobody watched only the latest possible block is known: it stays.
        """
        for controlled, on in list(self._all()):
            undone = [one for one in controlled.changes if one.tip.height > above and not one.unwatched]
            if on == chain and undone:
                kept = tuple(one for one in controlled.changes if one not in undone)
                at = (chain, controlled.account)
                back = replace(controlled, control=undone[0].before, changes=kept)
                self._put(self._inventory.wallet_of[at], back, told=at not in self._awaited)

    def _is_first(self, wallet: str, account: Address) -> bool:
        """Whether this run was not told of it yet."""
        at = (self._inventory.wallets[wallet].chain, account)
        return at in self._awaited or (at not in self._plain and account not in self._known[wallet])

    def _get(self, wallet: str, account: Address) -> Controlled:
        known = self._known[wallet].get(account)
        if known is not None:
            return known
        plain = (self._inventory.wallets[wallet].chain, account) in self._plain
        plain = plain or self._was_plain(wallet, account)
        return Controlled(account, Control(account, SINGLE, ()) if plain else None, None)

    def _put(self, wallet: str, controlled: Controlled, *, told: bool = True) -> None:
        self.number += 1
        self._views.pop(wallet, None)
        found = self._inventory.wallets[wallet]
        at, known = (found.chain, controlled.account), self._known[wallet]
        if told and (at in self._awaited or (at not in self._plain and controlled.account not in known)):
            self._told[wallet] += 1
            self._stirred.add(wallet)
        self._awaited.discard(at) if told else self._awaited.add(at)
        plain = controlled.control is not None and controlled.control.kind == SINGLE
        before = known.get(controlled.account)
        if told and plain and not (controlled.unread or controlled.changes or found.expected):
            known.pop(controlled.account, None)
            self._plain.add(at)
        else:
            self._plain.discard(at)
            known[controlled.account] = controlled
        if self._asked and known.get(controlled.account) is not before:
            self._rows.add(at)
