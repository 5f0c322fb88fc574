"""A played Symbol chain: one scripted ledger, and several small nodes before it that speak REST."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.base import Address
from connectors.symbol.address import NAMESPACE
from daemon.replay.played import Opening, Overspent, check_time
from daemon.replay.served import Served
from daemon.replay.symbol.ledger import XYM, Ledger, Person, Purse, digest, transfer
from daemon.replay.symbol.node import SymbolNode

FINAL_DEPTH = 20
"""Blocks after which one is final, as on mainnet while all is well."""

SHORTEST = timedelta(milliseconds=1)
"""Between two blocks: their times are told in milliseconds."""

_people: dict[Address, Person] = {}
"""Whose address was asked for: a transaction names its signer by the public key, which can't be had from an address."""


class PlayedSymbol(Served[SymbolNode]):
    """See `PlayedChain`. Fees go to the harvester; `ledger` may be asked and told directly.

    Blocks have the fee multiplier 1, and a transaction is as long as its fee, so that every fee can be told as it is.
    """

    def __init__(self, opening: Opening) -> None:
        mosaics = {token.contract: token.decimals for token in opening.tokens}
        self.ledger = Ledger({}, time=opening.time, mosaics=mosaics, fee_multiplier=1)
        for (account, token), units in opening.purses.items():
            self.ledger.grant(Address(account), mosaic=token or XYM, units=units)
        super().__init__(opening, made=lambda doors: [SymbolNode(self.ledger, door=door) for door in doors])
        self._numbers = itertools.count()
        self._waiting: Counter[Purse] = Counter()
        """What waiting transactions bring and take, in units."""

    @property
    def time(self) -> datetime:
        """Of the newest block."""
        return self.ledger.tip.time

    @property
    def tip(self) -> str:
        """The hash of the newest block."""
        return self.ledger.tip.hash

    def settings(self) -> dict[str, object]:
        """This chain's section of a configuration. A majority of its nodes has to agree.

        These nodes tell account states together with their block, so that no block has to settle first.
        """
        agreed = {"endpoints": self.endpoints(), "agree": self.majority}
        return {"kind": "symbol", "network": "mainnet", **agreed, "settle": "0s"}

    @staticmethod
    def account(name: str) -> str:
        """An address of nobody: that of a public key which is a hash, so that no private key is known for it."""
        person = Person(f"replay {name}")
        _people[person.address] = person
        return person.address

    @staticmethod
    def contract(name: str) -> str:
        """The id of a mosaic."""
        return f"{int(digest('mosaic', name)[:16], 16) & ~NAMESPACE:016X}"

    def pay(self, payer: str, payee: str, *, units: int, token: str | None = None, fee: int = 0) -> str:
        """The hash of a transaction that now waits; see `PlayedChain`.

        ValueError for a payer whose address did not come from `account`: there is no public key to name it by.
        """
        signer = _people.get(Address(payer))
        if signer is None:
            raise ValueError(f"{payer} can't pay: on Symbol a payer is told by its public key, which is not known")
        mosaic = token or XYM
        taken = {(signer.address, XYM): fee}
        taken[signer.address, mosaic] = taken.get((signer.address, mosaic), 0) + units
        for (account, what), wanted in taken.items():
            have = self.ledger.held(account, mosaic=what) + self._waiting[account, what]
            if wanted > have:
                raise Overspent(f"{account} has {have} units of {token or 'the native coin'} left, not {wanted}")
        self._waiting.subtract(taken)
        self._waiting[Address(payee), mosaic] += units
        sent = transfer(signer, Address(payee), units=units, mosaic=mosaic, nonce=next(self._numbers))
        return self.ledger.announce(replace(sent, given_size=fee)).hash

    def mine(self, *, time: datetime) -> None:
        """A block with all that waits. ValueError when it does not come after the newest."""
        check_time(time, parent=self.time, apart=SHORTEST)
        self.ledger.mine(*self.ledger.unconfirmed.values(), time=time)
        self.ledger.final = max(self.ledger.final, self.ledger.tip.height - FINAL_DEPTH)
        self._waiting.clear()

    def reorganise(self, depth: int, *, time: datetime) -> None:
        """Other blocks, one more, in the place of the newest `depth`; the last one has this time.

        The first of them is empty, each other holds what the undone block before it held, so that on the two branches
        the balances at one height differ. What waits goes on waiting.
        """
        if not 0 < depth < self.ledger.tip.height:
            raise ValueError(f"of {self.ledger.tip.height - 1} blocks after the first, {depth} can't be undone")
        check_time(time, parent=self.time, apart=SHORTEST)
        undone = self.ledger.undo(depth)
        held = [(), *(block.transactions for block in undone)]
        for transactions, moment in zip(held, [*(block.time for block in undone), time], strict=True):
            self.ledger.mine(*transactions, time=moment)

    def units(self, account: str, token: str | None = None) -> int:
        """What an account has now, without what waits."""
        return self.ledger.held(Address(account), mosaic=token or XYM)
