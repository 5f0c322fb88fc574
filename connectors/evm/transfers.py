"""What transactions do to watched accounts: ether, ERC-20 transfers and fees, as movements. Pure.

Source: ERC-20 for calls and the event; what contracts do that follow it loosely is read as far as it is clear.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from connectors.base import Address, Movement, Party, Stage, Tip, Token, Watch
from connectors.evm.address import ZERO
from connectors.evm.answers import Event, Receipt, Sent

TRANSFER_EVENT = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
"""Keccak of Transfer(address,address,uint256)."""

TRANSFER, TRANSFER_FROM = "0xa9059cbb", "0x23b872dd"  # transfer(to,units), transferFrom(from,to,units)
LARGEST_ADDRESS = 2**160 - 1
MOST_PARTIES = 100
"""Of one transaction that is told; a payout to thousands by others is told by its largest."""

MOST_PAID = 3_500
"""Destinations of one in which a watched account pays: a block of 60,000,000 gas holds some 2,000
transfers of ERC-20. Some 200 bytes each."""

UNKNOWN = "unknown"
"""The name of whoever has what no transaction accounts for."""


class Flow(NamedTuple):
    """So many units from one account to another; the zero address mints and burns."""

    source: Address
    target: Address
    units: int


@dataclass(frozen=True, slots=True)
class Deed:
    """What one transaction does with one token; `payer` pays the `fee`, where it is known and paid in this token."""

    transaction: str
    token: Token
    flows: tuple[Flow, ...]
    payer: Address | None = None
    fee: int | None = None


class Teller:
    """Puts transactions into the words of the contract, for one watch. `accounts` are its accounts."""

    def __init__(self, watch: Watch, *, accounts: Collection[Address]) -> None:
        self.accounts = accounts
        self.coin = next((token for token in watch.tokens if token.contract is None), None)
        self.tokens: Mapping[str, Token] = {token.contract: token for token in watch.tokens if token.contract}

    def needs_receipt(self, one: Sent) -> bool:
        """Whether it pays a fee of ours, or ether to us if it succeeds."""
        return self.coin is not None and (one.sender in self.accounts or (one.to in self.accounts and one.value > 0))

    def waiting(self, one: Sent) -> tuple[Deed, ...]:
        """What a transaction does if it succeeds, but for its fee and for what contracts do that it calls.

        Whom a creation pays is not known before; it stands as the zero address.
        """
        deeds = [self._asked_of_token(one)]
        if self.coin is not None and one.value:
            flow = Flow(one.sender, one.to or ZERO, one.value)
            deeds.append(Deed(one.hash, self.coin, (flow,)))
        return tuple(deed for deed in deeds if deed is not None and self.concerns(deed.flows))

    def mined(self, one: Sent, receipt: Receipt) -> Deed | None:
        """Its ether and its fee; None where the chain's coin is not watched."""
        if self.coin is None:
            return None
        target = one.to or receipt.created or ZERO
        flows = (Flow(one.sender, target, one.value),) if receipt.succeeded and one.value else ()
        return Deed(one.hash, self.coin, flows, payer=one.sender, fee=receipt.fee)

    def transfers(self, events: Iterable[Event]) -> Mapping[tuple[str, Token], tuple[Flow, ...]]:
        """By transaction and token, all transfers of those in which a watched account takes part."""
        found: defaultdict[tuple[str, Token], list[Flow]] = defaultdict(list)
        for event in events:
            flow, token = transfer_of(event), self.tokens.get(event.contract)
            if token is not None and flow is not None and flow.units:
                found[event.transaction, token].append(flow)
        return {key: tuple(flows) for key, flows in found.items() if self.concerns(flows)}

    def concerns(self, flows: Iterable[Flow]) -> bool:
        return any(flow.source in self.accounts or flow.target in self.accounts for flow in flows)

    def movement(self, deed: Deed, *, stage: Stage, tip: Tip | None = None, by: str | None = None) -> Movement | None:
        """None where it changes nothing of ours. `by`: what has replaced it."""
        net: Counter[Address] = Counter()
        if deed.payer is not None and deed.fee:
            net[deed.payer] -= deed.fee
        for flow in deed.flows:
            net[flow.source] -= flow.units
            net[flow.target] += flow.units
        changes = tuple((account, units) for account, units in net.items() if account in self.accounts)
        if not changes:
            return None
        return Movement(
            transaction=deed.transaction,
            token=deed.token,
            stage=stage,
            tip=tip,
            changes=changes,
            change=sum(
                flow.units for flow in deed.flows if flow.source == flow.target and flow.source in self.accounts
            ),
            destinations=self._destinations(deed.flows),
            sources=self._sources(deed.flows),
            fee=deed.fee if deed.token.contract is None else 0,
            size=0,
            replaced_by=by,
        )

    def _asked_of_token(self, one: Sent) -> Deed | None:
        token = self.tokens.get(one.to or "")
        flow = _called(one) if token is not None else None
        return None if token is None or flow is None or not flow.units else Deed(one.hash, token, (flow,))

    def _destinations(self, flows: Sequence[Flow]) -> tuple[Party, ...]:
        """Who has it in the end of what watched accounts pay, also through others, such as routers."""
        ours = {flow.source for flow in flows if flow.source in self.accounts}
        reached = _reached(ours, along=flows)
        return _parties(
            {str(one): units for one, units in _net(flows).items() if one in reached and one not in self.accounts},
            most=MOST_PAID,
        )

    def _sources(self, flows: Sequence[Flow]) -> tuple[Party, ...]:
        """Who had it before of what watched accounts are paid; and those of them that pay."""
        ours = {flow.target for flow in flows if flow.target in self.accounts}
        reached = _reached(ours, along=[Flow(flow.target, flow.source, flow.units) for flow in flows])
        net = _net(flows)
        return _parties({one: -units for one, units in net.items() if one in reached or one in self.accounts})


def transfer_of(event: Event) -> Flow | None:
    """From whom to whom and how much, whichever of the three is indexed; None where they are not three, or no accounts.

    A token in the manner of ERC-721 puts its number where the units stand: as ERC-20 it can't be read, nor told apart.
    """
    if len(event.words) != 3:
        return None
    source, target, units = event.words
    if max(source, target) > LARGEST_ADDRESS:
        return None
    return Flow(_address(source), _address(target), units)


def rest(changes: Mapping[Address, int], *, token: Token, tip: Tip, stage: Stage = Stage.MINED) -> Movement:
    """What balances changed by up to a block beyond what transactions account for.

    Its transaction is `block:` and the block's hash. What the accounts together have less went to UNKNOWN, what they
    have more came from there.
    """
    total = sum(changes.values())
    payers: dict[str, int] = {account: -units for account, units in changes.items() if units < 0}
    return Movement(
        transaction=f"block:{tip.hash}",
        token=token,
        stage=stage,
        tip=tip if stage is Stage.MINED else None,
        changes=tuple(changes.items()),
        change=0,
        destinations=_parties({UNKNOWN: -total}),
        sources=_parties({**payers, UNKNOWN: total}),
        fee=None,
        size=0,
    )


def _called(one: Sent) -> Flow | None:
    """What ERC-20 call data asks for."""
    selector, words = one.data[:10].lower(), list(_words(one.data[10:]))
    if selector == TRANSFER and len(words) >= 2:
        target, units, source = words[0], words[1], int(one.sender, 16)
    elif selector == TRANSFER_FROM and len(words) >= 3:
        source, target, units = words[:3]
    else:
        return None
    return None if max(source, target) > LARGEST_ADDRESS else Flow(_address(source), _address(target), units)


def _words(digits: str) -> Iterator[int]:
    for place in range(0, min(len(digits), 192) - 63, 64):
        yield int(digits[place : place + 64], 16)


def _address(word: int) -> Address:
    return Address(f"0x{word:040x}")


def _net(flows: Iterable[Flow]) -> Counter[Address]:
    net: Counter[Address] = Counter()
    for flow in flows:
        net[flow.source] -= flow.units
        net[flow.target] += flow.units
    return net


def _reached(start: Iterable[Address], *, along: Iterable[Flow]) -> set[Address]:
    """Everybody to whom flows lead from the start; others' flows in the same transaction are not ours."""
    leads: defaultdict[Address, set[Address]] = defaultdict(set)
    for flow in along:
        leads[flow.source].add(flow.target)
    reached: set[Address] = set()
    left = list(start)
    while left:
        for target in leads.pop(left.pop(), ()):
            if target not in reached:
                reached.add(target)
                left.append(target)
    return reached


def _parties(units: Mapping[str, int], *, most: int = MOST_PARTIES) -> tuple[Party, ...]:
    largest = sorted(((name, one) for name, one in units.items() if one > 0), key=lambda one: -one[1])
    return tuple(Party(name, one) for name, one in largest[:most])
