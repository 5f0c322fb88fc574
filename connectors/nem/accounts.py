"""Reads what accounts hold, and who controls them, from one NIS1 node as of its newest block.

An account or a mosaic that can't be read is flawed alone; everything here may be out of date the moment it is read, the
book above decides to which block it belongs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from connectors.base import Address, Control, Token, Watch
from connectors.errors import BadAnswer, NodeError, Reason
from connectors.nem.answers import ACCOUNT, AccountAnswer, MosaicName, fault
from connectors.nem.answers import Units as UnitsField
from connectors.nem.node import NisNode
from connectors.quorum import Flaw, Value
from connectors.together import together

NAME = TypeAdapter[MosaicName](MosaicName)
UNITS = TypeAdapter[int](UnitsField)

IDLE = "INACTIVE"
"""The remote status of an account for which nobody harvests (openapi: AccountRemoteStatus)."""


@dataclass(frozen=True, slots=True)
class State:
    """An account as of some block: a value for each token of the watch. `harvests`: fees of blocks that others sign may
    go to it. `control` is None where the account could not be read."""

    values: tuple[Value, ...]
    control: Control | None = None
    harvests: bool = True


@dataclass(frozen=True, slots=True)
class _Main:
    """What /account/get says of an account."""

    xem: Value
    control: Control | None = None
    harvests: bool = True


class AccountReader:
    """Reads accounts of one watch from one node."""

    def __init__(self, node: NisNode, *, watch: Watch) -> None:
        self._node = node
        self._watch = watch
        self._mosaics = [token for token in watch.tokens if token.contract is not None]
        self._settled: dict[str, Flaw | None] = {}
        """Mosaics whose definition has been looked at, and what is wrong with it."""
        self._levies: dict[str, Address | None] = {}

    async def states(self, accounts: Sequence[int]) -> Mapping[int, State]:
        """Of the accounts with these numbers. Raises ConnectorError when the node as a whole can't be read."""
        names = [self._watch.accounts[number] for number in accounts]
        flaws = await self._token_flaws()
        mains, owned = await self._main(names), await self._owned(names)
        return {
            number: self._state(mains[name], owned.get(name, {}), flaws=flaws)
            for number, name in zip(accounts, names, strict=True)
        }

    def forget_definitions(self, mosaics: Iterable[str]) -> None:
        """These were defined anew."""
        for mosaic in mosaics:
            self._settled.pop(mosaic, None)
            self._levies.pop(mosaic, None)

    def forget_all_definitions(self) -> None:
        """A namespace can expire without a transaction."""
        self._settled.clear()
        self._levies.clear()

    async def levied(self, mosaics: Iterable[str]) -> frozenset[Address] | None:
        """Who gets the levies on these mosaics; None where that could not be learnt."""
        recipients: set[Address] = set()
        for mosaic in mosaics:
            if mosaic not in self._levies:
                try:
                    definition = await self._node.definition(mosaic)
                except BadAnswer:
                    return None
                if isinstance(definition, NodeError):
                    return None
                self._levies[mosaic] = definition.levy.recipient if definition.levy else None
            recipient = self._levies[mosaic]
            recipients |= set() if recipient is None else {recipient}
        return frozenset(recipients)

    # ── XEM and control ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _main(self, names: Sequence[Address]) -> Mapping[Address, _Main]:
        size = self._node.asked.batch
        starts = range(0, len(names), size)
        parts = await together(self._batch(names[start : start + size]) for start in starts)
        return {name: main for part in parts for name, main in part.items()}

    async def _batch(self, names: Sequence[Address]) -> Mapping[Address, _Main]:
        if len(names) == 1 or not self._node.takes_batches:
            return await self._singly(names)
        items = await self._node.accounts(names)
        if isinstance(items, NodeError):  # one account that it refuses, or it knows no batches
            self._node.takes_batches = items.code != 404
            return await self._singly(names)
        if len(items) != len(names):
            raise self._node.bad(f"gave {len(items)} accounts for {len(names)}")
        mains = {name: self._understood(item, name=name) for name, item in zip(names, items, strict=True)}
        self._blame(mains)
        return mains

    async def _singly(self, names: Sequence[Address]) -> Mapping[Address, _Main]:
        answers = await together(self._node.account(name) for name in names)
        mains = {name: self._understood(answer, name=name) for name, answer in zip(names, answers, strict=True)}
        self._blame(mains)
        return mains

    def _understood(self, answer: object, *, name: Address) -> _Main:
        if isinstance(answer, NodeError):
            return _Main(Flaw(answer.reason, str(answer)))
        try:
            told = ACCOUNT.validate_python(answer)
        except ValidationError as error:
            return _Main(Flaw(Reason.BAD_ANSWER, f"malformed account: {fault(error)}"))
        if told.account.address != name:
            return _Main(Flaw(Reason.BAD_ANSWER, f"told of account {told.account.address}"))
        return _Main(told.account.balance, _control(told), told.meta.remote_status != IDLE)

    def _blame(self, mains: Mapping[Address, _Main]) -> None:
        """One error for an exchange, so that errors compare with requests."""
        bad = [
            main.xem for main in mains.values() if isinstance(main.xem, Flaw) and main.xem.reason is Reason.BAD_ANSWER
        ]
        if bad:
            self._node.bad(f"{len(bad)} accounts make no sense, first: {bad[0].detail}")

    # ── mosaics ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _token_flaws(self) -> Mapping[str, Flaw]:
        """What is wrong with mosaics themselves. Asked until it is settled."""
        flaws: dict[str, Flaw] = {}
        for token in self._mosaics:
            contract = token.contract or ""
            if contract in self._settled:
                flaw = self._settled[contract]
            else:
                flaw = await self._token_flaw(token, contract=contract)
                if flaw is None or flaw.reason in (Reason.NO_CONTRACT, Reason.MISCONFIGURED):
                    self._settled[contract] = flaw
            if flaw is not None:
                flaws[contract] = flaw
        return flaws

    async def _token_flaw(self, token: Token, *, contract: str) -> Flaw | None:
        try:
            definition = await self._node.definition(contract)
        except BadAnswer as error:
            return Flaw(error.reason, f"its definition could not be read: {error}")
        if isinstance(definition, NodeError):
            if definition.code == 404:
                return Flaw(Reason.NO_CONTRACT, f"there is no mosaic {contract}, or its namespace has expired")
            return Flaw(definition.reason, f"its definition could not be read: {definition}")
        found = definition.divisibility
        if found is None:
            return Flaw(Reason.BAD_ANSWER, f"the definition of {contract} has no divisibility from 0 to 6")
        if found != token.decimals:
            text = f"the mosaic has divisibility {found}, declared are {token.decimals} decimals"
            return Flaw(Reason.MISCONFIGURED, text)
        return None

    async def _owned(self, names: Sequence[Address]) -> Mapping[Address, Mapping[str, Value]]:
        if not self._mosaics:
            return {}
        found = await together(self._owned_by(name) for name in names)
        return dict(zip(names, found, strict=True))

    async def _owned_by(self, name: Address) -> Mapping[str, Value]:
        """Quantities of watched mosaics. A list with an item that can't be understood proves no absence."""
        wanted = {token.contract or "" for token in self._mosaics}
        try:
            items = await self._node.mosaics(name)
        except BadAnswer as error:
            return dict.fromkeys(wanted, Flaw(error.reason, str(error)))
        if isinstance(items, NodeError):
            return dict.fromkeys(wanted, Flaw(items.reason, str(items)))
        found: dict[str, Value] = {}
        absent: Value = 0
        for item in items:
            contract, value = _quantity(item)
            if contract is None:
                absent = Flaw(Reason.BAD_ANSWER, "its list of mosaics holds an item that makes no sense")
            elif contract in found:
                found[contract] = absent = Flaw(Reason.BAD_ANSWER, f"its list of mosaics holds {contract} twice")
            else:
                found[contract] = value
        if isinstance(absent, Flaw) or any(isinstance(found.get(one), Flaw) for one in wanted):
            self._node.bad(f"told mosaics of {name} that make no sense")
        return {contract: found.get(contract, absent) for contract in wanted}

    def _state(self, main: _Main, owned: Mapping[str, Value], *, flaws: Mapping[str, Flaw]) -> State:
        values = [
            main.xem if token.contract is None else flaws.get(token.contract, owned.get(token.contract, 0))
            for token in self._watch.tokens
        ]
        return State(tuple(values), main.control, main.harvests)


def _quantity(item: object) -> tuple[str | None, Value]:
    """A mosaic's name, None where it can't be known, and how much of it there is."""
    fields = item if isinstance(item, dict) else {}
    try:
        contract = NAME.validate_python(fields.get("mosaicId")).contract
    except ValidationError:
        return None, 0
    try:
        return contract, UNITS.validate_python(fields.get("quantity"))
    except ValidationError as error:
        return contract, Flaw(Reason.BAD_ANSWER, f"malformed quantity of {contract}: {fault(error)}")


def _control(told: AccountAnswer) -> Control:
    """One key alone, or cosignatories and how many of them it takes."""
    info, account = told.account.multisig_info, told.account.address
    cosignatories = sorted(one.address for one in told.meta.cosignatories)
    if info is None and not cosignatories:
        return Control(account, "single", ())
    minimum = "unknown" if info is None else str(info.min_cosignatories)
    return Control(account, "multisig", (("minimum", minimum), *(("cosignatory", name) for name in cosignatories)))
