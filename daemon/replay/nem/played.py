"""A played NEM chain: one scripted ledger, and several small nodes before it that speak NIS1's REST interface."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from connectors.base import Address
from connectors.nem.block import EPOCH
from connectors.nem.networks import NETWORKS
from connectors.nem.transaction import WHOLE_XEM
from daemon.replay.nem.ledger import BLOCK_TIME, Ledger, Mined, seconds_of, transactions_of
from daemon.replay.nem.node import NemNode
from daemon.replay.nem.transactions import LONGEST_LIFETIME, Json, Notary, Person
from daemon.replay.played import Opening, Overspent, PlayedToken, Purse, check_time
from daemon.replay.served import Served

NOTARY = Notary(NETWORKS["mainnet"])

MOST_DECIMALS = 6
"""Of a mosaic (NEM technical reference 1.2.1, section 4.2)."""


class UnknownKey(ValueError):
    """The account can't pay: transactions carry the payer's public key, and it is known for made-up accounts only."""


class PlayedNem(Served[NemNode]):
    """See `PlayedChain`. Fees go to a harvester who is a stranger. Addresses are those of mainnet.

    A transaction carries its signer's public key, of which the address is a hash. So only who was made up by `account`
    can pay; any address can hold and be paid.
    """

    _people: ClassVar[dict[str, Person]] = {}
    """By address: what a hash can't tell. A name always gives the same, so it does not matter who asked first."""

    def __init__(self, opening: Opening) -> None:
        """ValueError for a token that can't be a mosaic."""
        self._simulation = opening.simulation
        balances = {(Address(account), mosaic): units for (account, mosaic), units in opening.purses.items()}
        # The ledger's second block, without which no node tells what chain it is on, stands at the opening's time.
        self.ledger = Ledger(
            NOTARY, balances=balances, time=opening.time - BLOCK_TIME, definitions=_definitions(opening)
        )
        super().__init__(opening, made=lambda doors: [NemNode(self.ledger, door=door) for door in doors])
        self._payments = 0
        self._waiting: Counter[Purse] = Counter()
        """What waiting transactions bring and take, in units."""

    @property
    def time(self) -> datetime:
        """Of the newest block."""
        return self.ledger.tip.block.header.time

    @property
    def tip(self) -> str:
        """The hash of the newest block."""
        return self.ledger.tip.block.hash

    def settings(self) -> dict[str, object]:
        """This chain's section of a configuration. A majority of its nodes has to agree."""
        return {
            "kind": "nem",
            "network": NOTARY.network.name,
            "nemesis": self.ledger.nemesis,
            "endpoints": self.endpoints(),
            "agree": self.majority,
        }

    @staticmethod
    def account(name: str) -> str:
        """An address of nobody: its public key is a digest of the name, so no private key is known for it."""
        person = NOTARY.person(f"Pyrometer replay: {name}")
        PlayedNem._people[person.address] = person
        return person.address

    @staticmethod
    def contract(name: str) -> str:
        """A mosaic of the namespace `played`, after the name and, as not every name can be one, a digest of it."""
        plain = re.sub("[^a-z0-9]+", "-", name.lower()).strip("-")[:20]
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"played:{plain or 'token'}-{digest}"

    def pay(self, payer: str, payee: str, *, units: int, token: str | None = None, fee: int = 0) -> str:
        """The hash of a transaction that now waits; see `PlayedChain`. UnknownKey where the payer is not made up."""
        person = self._people.get(payer)
        if person is None:
            raise UnknownKey(f"{payer} can't pay on a played chain: only made-up accounts can")
        wanted = Counter[Purse]({(payer, None): fee})
        wanted[payer, token] += units
        for purse, each in wanted.items():
            self._check(purse, units=each)
        self._payments += 1
        name = self.ledger.announce(self._transfer(person, payee, units=units, token=token, fee=fee))
        self._waiting.subtract(wanted)
        self._waiting[payee, token] += units
        return name

    def mine(self, *, time: datetime) -> None:
        """A block with all that waits."""
        self._mine(list(self.ledger.pool.values()), time=time)
        self._waiting.clear()

    def reorganise(self, depth: int, *, time: datetime) -> None:
        """Other blocks, one more, take the place of the newest `depth`; the last of them has this `time`.

        The first of them is empty, each other holds what the undone block before it held, so that on the two branches
        the balances at one height differ. What waits goes on waiting.
        """
        if not 0 < depth <= len(self.ledger.blocks) - 2:
            raise ValueError(f"of {len(self.ledger.blocks) - 2} blocks after the opening, {depth} can't be undone")
        check_time(time, parent=self.time)
        waiting = dict(self.ledger.pool)
        undone = self.ledger.undo(depth)
        held: list[list[Json]] = [[], *(transactions_of(mined) for mined in undone)]
        for transactions, moment in zip(held, [*map(_time_of, undone), time], strict=True):
            self._mine(transactions, time=moment)
        self.ledger.pool = waiting

    def units(self, account: str, token: str | None = None) -> int:
        """What an account has now, without what waits."""
        return self.ledger.units(Address(account), token)

    def _mine(self, transactions: Sequence[Json], *, time: datetime) -> None:
        check_time(time, parent=self.time)
        self.ledger.mine(transactions, after=time - self.time)

    def _check(self, purse: Purse, *, units: int) -> None:
        account, token = purse
        left = self.units(account, token) + self._waiting[purse]
        if units > left:
            raise Overspent(f"{account} has {left} of {token or 'XEM'} left, not {units}")

    def _transfer(self, payer: Person, payee: str, *, units: int, token: str | None, fee: int) -> Json:
        return NOTARY.transfer(
            payer,
            to=Address(payee),
            units=units if token is None else WHOLE_XEM,  # of a mosaic it multiplies the quantity
            mosaics=None if token is None else {token: units},
            fee=fee,
            time=max(self.ledger.now, seconds_of(self._simulation.now())),
            lifetime=LONGEST_LIFETIME,
            message=self._payments.to_bytes(8),  # two payments that are alike are two transactions
        )


def _time_of(mined: Mined) -> datetime:
    return mined.block.header.time


def _definitions(opening: Opening) -> Mapping[str, Json]:
    if opening.time - BLOCK_TIME < EPOCH:
        raise ValueError(f"NEM begins at {EPOCH}, a played chain of it not before {EPOCH + BLOCK_TIME}")
    return {token.contract: _definition(token, purses=opening.purses) for token in opening.tokens}


def _definition(token: PlayedToken, *, purses: Mapping[Purse, int]) -> Json:
    if not 0 <= token.decimals <= MOST_DECIMALS:
        raise ValueError(f"a mosaic has 0 to {MOST_DECIMALS} decimals, {token.symbol} has {token.decimals}")
    units = sum(each for (_, mosaic), each in purses.items() if mosaic == token.contract)
    supply = -(-units // 10**token.decimals)
    creator = NOTARY.person(f"the creator of {token.contract}")
    return NOTARY.definition(creator, name=token.contract, divisibility=token.decimals, supply=supply)
