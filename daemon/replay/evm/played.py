"""A played EVM chain: one scripted ledger, and several small nodes before it that speak Ethereum's JSON-RPC."""

from __future__ import annotations

import hashlib
from datetime import datetime

from daemon.replay.evm.controls import controlled, dressed
from daemon.replay.evm.ledger import CodeSet, EvmLedger, Transfer
from daemon.replay.evm.node import Node
from daemon.replay.evm.rpc import TokenContract
from daemon.replay.played import Opening
from daemon.replay.served import Served

CHAIN_ID = 31337  # the number that test chains use, so that nobody takes it for Ethereum


class PlayedEvm(Served[Node]):
    """See `PlayedChain`. Fees are burnt. `ledger` may be asked and told directly, also for code and storage."""

    def __init__(self, opening: Opening) -> None:
        self.ledger = EvmLedger(opening.purses, time=opening.time, changes=dressed(opening.controls))
        tokens = {token.contract: TokenContract(token.symbol, token.decimals) for token in opening.tokens}
        super().__init__(
            opening,
            made=lambda doors: [Node(self.ledger, chain_id=CHAIN_ID, tokens=tokens, door=door) for door in doors],
        )

    @property
    def time(self) -> datetime:
        """Of the newest block."""
        return self.ledger.tip.time

    @property
    def tip(self) -> str:
        """The hash of the newest block."""
        return self.ledger.tip.hash

    def settings(self) -> dict[str, object]:
        """This chain's section of a configuration. A majority of its nodes has to agree."""
        return {"kind": "evm", "chain_id": CHAIN_ID, "endpoints": self.endpoints(), "agree": self.majority}

    @staticmethod
    def account(name: str) -> str:
        """An address of nobody: it comes out of a hash, so no key is known for it."""
        return "0x" + hashlib.sha256(f"Pyrometer replay: {name}".encode()).hexdigest()[:40]

    @staticmethod
    def contract(name: str) -> str:
        """The address of a token's contract."""
        return PlayedEvm.account(f"token {name}")

    def pay(self, payer: str, payee: str, *, units: int, token: str | None = None, fee: int = 0) -> str:
        """The hash of a transaction that now waits; see `PlayedChain`."""
        return self.ledger.pay(Transfer(payer, payee, units, token, fee))

    def control(self, account: str, *, what: str, to: str) -> None:
        """See `Controllable`; what `controlled` can show is shown."""
        for change in controlled(account, what=what, to=to):
            if isinstance(change, CodeSet):
                self.ledger.set_code(change.account, change.code)
            else:
                self.ledger.set_storage(change.account, slot=change.slot, value=change.value)

    def mine(self, *, time: datetime) -> None:
        """A block with all that waits."""
        self.ledger.mine(time=time)

    def reorganise(self, depth: int, *, time: datetime) -> None:
        """Other blocks, one more, in the place of the newest `depth`; see `EvmLedger.reorganise`."""
        self.ledger.reorganise(depth, time=time)

    def units(self, account: str, token: str | None = None) -> int:
        """What an account has now, without what waits."""
        return self.ledger.units(account, token)
