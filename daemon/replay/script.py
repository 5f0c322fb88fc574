"""A scenario's timeline as what happens at which moment, its payments in units and checked against what there is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from daemon.model import Owner
from daemon.replay.cast import Account, Cast, Coin, Purse
from daemon.replay.played import Overspent
from daemon.replay.scenario import Approval, ControlChange, Pay, Scenario, Step
from daemon.replay.written import parse_instant


@dataclass(frozen=True, slots=True)
class Payment:
    """Units of a coin on their way. `fee` is in units of the chain's native coin, on top; the payer pays it too.

    `approved` says whether the books hold an approval, `owes` whether customers are owed more afterwards (1), less
    (-1) or as much (0), `step` the place in the timeline, None for ordinary traffic. A `sweep` leaves nothing behind.
    """

    at: datetime
    chain: str
    payer: Account
    payee: Account
    coin: Coin
    units: int
    fee: int = 0
    approved: bool = False
    theft: bool = False
    sweep: bool = False
    owes: int = 0
    step: int | None = None

    @property
    def owed(self) -> Decimal:
        """By how many coins that which customers are owed changes. Who withdraws a native coin pays the fee too."""
        fee = self.fee if self.owes < 0 and self.coin.native else 0
        return self.coin.coins((self.units + fee) * self.owes)


@dataclass(frozen=True, slots=True)
class ControlChanged:
    """Something else decides from now on who can move an account."""

    at: datetime
    chain: str
    account: Account
    what: str
    before: str
    to: str
    step: int


@dataclass(frozen=True, slots=True)
class LiabilitiesChanged:
    """The books owe so many coins more, or less."""

    at: datetime
    changes: Mapping[str, Decimal]
    step: int


@dataclass(frozen=True, slots=True)
class Approved:
    """The books approve a withdrawal without its payment."""

    at: datetime
    payer: Account
    payee: Account
    coin: Coin
    units: int
    step: int


@dataclass(frozen=True, slots=True)
class Told:
    """Something that leaves no trace."""

    at: datetime
    step: int


Happening = Payment | ControlChanged | LiabilitiesChanged | Approved | Told


class Purses:
    """What everybody has, in units."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        # By names, which are unique, because their hashes are known already.
        self._units = {(account.name, coin.asset): units for (account, coin), units in cast.opening().items()}

    def units(self, account: Account, coin: Coin) -> int:
        return self._units.get((account.name, coin.asset), 0)

    def changes(self, payment: Payment) -> tuple[tuple[Purse, int], ...]:
        """Each purse that the payment touches, and by how many units; the payer's first."""
        parts = [((payment.payer, payment.coin), -payment.units)]
        if payment.fee and payment.coin.native:
            parts = [(parts[0][0], -payment.units - payment.fee)]
        elif payment.fee:
            parts.append(((payment.payer, self.native(payment.chain)), -payment.fee))
        return (*parts, ((payment.payee, payment.coin), payment.units))

    def native(self, chain: str) -> Coin:
        """ValueError when no asset is the chain's native coin."""
        if chain not in self._cast.natives:
            raise ValueError(f"no asset is the native coin of {chain}, so that nobody can pay a fee there")
        return self._cast.natives[chain]

    def pay(self, payment: Payment) -> None:
        """Overspent, and nothing has changed, when the payer has not that much."""
        changes = self.changes(payment)
        for (account, coin), units in changes:
            has = self.units(account, coin)
            if has + units < 0:
                wanted = f"{coin.text(-units)} {'is' if coin == payment.coin else 'of fee is'}"
                raise Overspent(f"{account.name} has {coin.text(has)} then; {wanted} more than that")
        for (account, coin), units in changes:
            self._units[account.name, coin.asset] = self.units(account, coin) + units


def moments(scenario: Scenario) -> Iterator[tuple[datetime, ...]]:
    """When each step happens, each time that it does."""
    last = scenario.starts
    for step in scenario.timeline:
        first = step.at or last + (step.after or timedelta(0))
        times, every = (step.repeat.times, step.repeat.every) if step.repeat else (1, timedelta(0))
        happens = tuple(first + number * every for number in range(times))
        yield happens
        last = happens[-1]


def when(reference: str, *, scenario: Scenario) -> datetime:
    """The (first) moment of a step by its name, or an instant; ValueError when it is neither."""
    for step, times in zip(scenario.timeline, moments(scenario), strict=True):
        if step.name == reference:
            return times[0]
    return parse_instant(reference)


def timeline(scenario: Scenario) -> Iterator[tuple[datetime, int, Step]]:
    """Every step at each of its moments, in order: (when, place in the timeline, step)."""
    for place, (step, times) in enumerate(zip(scenario.timeline, moments(scenario), strict=True)):
        for at in times:
            yield at, place, step


def realised(step: Step, *, at: datetime, place: int, cast: Cast, purses: Purses) -> Happening:
    """What a step makes happen. ValueError (Overspent among them) for a payment that can't be."""
    if step.pay is not None:
        return _payment(step.pay, at=at, place=place, cast=cast, purses=purses)
    if step.control is not None:
        return _control(step.control, at=at, place=place, cast=cast)
    if step.approve is not None:
        return _approved(step.approve, at=at, place=place, cast=cast)
    if step.liabilities is not None:
        return LiabilitiesChanged(at, step.liabilities, place)
    return Told(at, place)


def owes(payer: Account, payee: Account, *, approved: bool, theft: bool = False, cast: Cast) -> int:
    """A deposit is owed afterwards, an approved withdrawal no more; what was stolen is owed as before.

    So is what somebody was led to approve: a theft changes nothing, whatever the books say of it.
    """
    if theft:
        return 0
    source, target = cast.wallet_of(payer), cast.wallet_of(payee)
    if source is None and target is not None and target.owner is Owner.CUSTOMER:
        return 1
    return -1 if source is not None and source.owner is Owner.CUSTOMER and target is None and approved else 0


def _payment(pay: Pay, *, at: datetime, place: int, cast: Cast, purses: Purses) -> Payment:
    payer, payee = cast.account(pay.payer), cast.account(pay.to)
    coin = cast.coin(pay.amount.asset, payer.chain)
    fee = purses.native(payer.chain).units(pay.fee) if pay.fee else 0
    units = purses.units(payer, coin) - (fee if coin.native else 0)
    if pay.amount.amount is not None:
        units = coin.units(pay.amount.amount)
    elif units <= 0:
        raise Overspent(f"{payer.name} has {coin.text(purses.units(payer, coin))} then; nothing is left to pay")
    ours = cast.wallet_of(payer) is not None
    approved = ours and not pay.theft if pay.approved is None else pay.approved
    return Payment(
        at=at,
        chain=payer.chain,
        payer=payer,
        payee=payee,
        coin=coin,
        units=units,
        fee=fee,
        approved=approved,
        theft=pay.theft,
        sweep=pay.sweep,
        owes=owes(payer, payee, approved=approved, theft=pay.theft, cast=cast),
        step=place,
    )


def _control(control: ControlChange, *, at: datetime, place: int, cast: Cast) -> ControlChanged:
    account = cast.account(control.account)
    return ControlChanged(at, account.chain, account, control.what, control.before, control.to, place)


def _approved(approval: Approval, *, at: datetime, place: int, cast: Cast) -> Approved:
    payer, payee = cast.account(approval.payer), cast.account(approval.to)
    coin = cast.coin(approval.amount.asset, payer.chain)
    amount = approval.amount.amount
    if amount is None:
        raise ValueError("expected a number of coins, books don't approve `all`")
    return Approved(at, payer, payee, coin, coin.units(amount), place)
