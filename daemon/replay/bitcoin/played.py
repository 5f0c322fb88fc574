"""A scenario's Bitcoin chain: one ledger, and before it a node that speaks Core's RPC and Electrum servers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from connectors.bitcoin.address import address_of
from daemon.replay.bitcoin.core import CoreNode
from daemon.replay.bitcoin.electrum import ElectrumServer
from daemon.replay.bitcoin.ledger import REGTEST, Ledger
from daemon.replay.bitcoin.records import Coin
from daemon.replay.bitcoin.view import View
from daemon.replay.faults import Door
from daemon.replay.played import Opening
from daemon.replay.served import Served


class PlayedBitcoin(Served[CoreNode | ElectrumServer]):
    """A PlayedChain on regtest, with the native coin alone. The first node speaks Core's RPC, the others Electrum.

    `opening_coins`: of how many coins, equal but for the last, an account's opening balance consists; 1 if not told.
    """

    def __init__(self, opening: Opening, *, opening_coins: Mapping[str, int] | None = None) -> None:
        """Raises ValueError for tokens, and for accounts that are no addresses of regtest."""
        if opening.tokens or any(token is not None for _, token in opening.purses):
            raise ValueError("Bitcoin has no tokens")
        if opening.nodes < 1:
            raise ValueError("a chain needs a node")
        parts = opening_coins or {}
        balances = [
            (account, units)
            for (account, _), whole in opening.purses.items()
            for units in _parts(whole, number=parts.get(account, 1))
        ]
        self.ledger = Ledger(balances, time=opening.time)
        super().__init__(opening, made=self._made)

    @property
    def time(self) -> datetime:
        """Of the newest block."""
        return datetime.fromtimestamp(self.ledger.tip.time, UTC)

    @property
    def tip(self) -> str:
        """The hash of the newest block."""
        return self.ledger.tip.hash

    @property
    def height(self) -> int:
        return self.ledger.tip.height

    def settings(self) -> dict[str, object]:
        """See PlayedChain."""
        core, *servers = self.nodes
        settings: dict[str, object] = {
            "kind": "bitcoin",
            "network": REGTEST.name,
            "node": {"url": core.url, "name": "core"},
        }
        if servers:
            named = enumerate(servers, start=1)
            settings["electrum"] = [{"url": server.url, "name": f"electrum-{place}"} for place, server in named]
        return settings

    @staticmethod
    def account(name: str) -> str:
        """The P2WPKH address of a hash of the name, in the place of a key's hash."""
        program = hashlib.sha256(f"pyrometer played account {name}".encode()).digest()[:20]
        address = address_of(b"\x00\x14" + program, network=REGTEST)
        assert address is not None, "every witness program of version 0 and 20 bytes has an address"
        return address

    @staticmethod
    def contract(name: str) -> str:
        """Raises ValueError, whatever the name."""
        raise ValueError(f"there are no contracts on Bitcoin, so none is called {name}")

    def pay(self, payer: str, payee: str, *, units: int, token: str | None = None, fee: int = 0) -> str:
        """See PlayedChain and Ledger.pay."""
        _native(token)
        return self.ledger.pay(payer, payee, units=units, fee=fee)

    def sweep(self, payer: str, payee: str, *, fee: int = 0) -> str:
        """Everything that the payer can spend in one transaction, as many inputs as it has coins, without change.

        Raises Overspent when that is not more than the fee. The waiting transaction's id.
        """
        return self.ledger.sweep(payer, payee, fee=fee)

    def coins(self, account: str) -> Sequence[Coin]:
        """What an account can spend; see Ledger.spend."""
        return self.ledger.coins(account)

    def spend(self, inputs: Sequence[Coin], *, outputs: Sequence[tuple[str, int]]) -> str:
        """See Ledger.spend."""
        return self.ledger.spend(inputs, outputs=outputs)

    def mine(self, *, time: datetime) -> None:
        """See PlayedChain. Raises ValueError when `time` is not after the newest block's."""
        self.ledger.mine(time=time)

    def reorganise(self, depth: int, *, time: datetime) -> None:
        """See PlayedChain and Ledger.reorganise."""
        self.ledger.reorganise(depth, time=time)

    def units(self, account: str, token: str | None = None) -> int:
        """See PlayedChain."""
        _native(token)
        return self.ledger.units(account)

    def _made(self, doors: Sequence[Door]) -> Sequence[CoreNode | ElectrumServer]:
        core, *others = doors
        servers = [ElectrumServer(self.ledger, view=View(self.ledger, door.faults), door=door) for door in others]
        return [CoreNode(View(self.ledger, core.faults), door=core), *servers]


def _native(token: str | None) -> None:
    if token is not None:
        raise ValueError(f"there are no contracts on Bitcoin, so there is no token {token}")


def _parts(whole: int, *, number: int) -> list[int]:
    """Nothing where there is nothing: no output holds zero."""
    if not whole:
        return []
    part = whole // number
    return [part] * (number - 1) + [whole - part * (number - 1)]
