"""Movements out of blocks and of unconfirmed transactions: who pays whom what, and the fee."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from connectors.base import Address, Movement, Party, Stage, Tip, Token, Watch
from connectors.nem.transaction import Flow, TransactionFields

MOST_PARTIES = 100


class Teller:
    """Tells transactions as movements of what is watched."""

    def __init__(self, watch: Watch) -> None:
        self.chain = watch.chain
        self._accounts = frozenset(watch.accounts)
        self._tokens = {token.contract: token for token in watch.tokens}

    def concerns(self, transaction: TransactionFields) -> bool:
        """Whether it moves anything that is watched."""
        return any(True for _ in self.told(transaction, stage=Stage.PENDING, tip=None))

    def told(self, transaction: TransactionFields, *, stage: Stage, tip: Tip | None) -> Iterator[Movement]:
        """A movement for each watched token that it moves on a watched account; a levy on mosaics is not known here.

        A multisig account's transaction is told with what is wrapped in it, under the hash of the wrapping one, which
        stays the same while cosignatures come in.
        """
        flows = list(transaction.flows())
        for contract, token in self._tokens.items():
            fees = transaction.fees if contract is None else 0
            moved = [flow for flow in flows if flow.mosaic == contract and flow.units]
            changes = self._changes(moved, debtor=transaction.debtor, fees=fees)
            if changes:
                yield self._movement(transaction, token=token, flows=moved, changes=changes, stage=stage, tip=tip)

    def _changes(self, flows: Sequence[Flow], *, debtor: Address, fees: int) -> tuple[tuple[Address, int], ...]:
        """Net units of watched accounts; one that pays itself is among them with 0."""
        net: Counter[Address] = Counter()
        if fees:
            net[debtor] -= fees
        for flow in flows:
            net[flow.payer] -= flow.units
            net[flow.payee] += flow.units
        return tuple((account, units) for account, units in net.items() if account in self._accounts)

    def _movement(
        self,
        transaction: TransactionFields,
        *,
        token: Token,
        flows: Sequence[Flow],
        changes: tuple[tuple[Address, int], ...],
        stage: Stage,
        tip: Tip | None,
    ) -> Movement:
        native = token.contract is None
        destinations: Counter[Address] = Counter()
        sources: Counter[Address] = Counter()
        if native and transaction.fees:
            sources[transaction.debtor] += transaction.fees
        back = 0
        for flow in flows:
            sources[flow.payer] += flow.units
            if flow.payee == flow.payer:
                back += flow.units
            elif flow.payee not in self._accounts:
                destinations[flow.payee] += flow.units
        return Movement(
            transaction=transaction.hash(),
            token=token,
            stage=stage,
            tip=tip,
            changes=changes,
            change=back,
            destinations=_parties(destinations),
            sources=_parties(sources),
            fee=transaction.fees if native else None,
            size=len(transaction.serial(signed=True)),
        )


def _parties(sums: Counter[Address]) -> tuple[Party, ...]:
    return tuple(Party(name, units) for name, units in sums.most_common(MOST_PARTIES))
