"""A scenario's chains with their nodes, the exchange's books, and what happens put on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from importlib import import_module
from types import TracebackType
from typing import Protocol, Self, cast

from daemon.replay.back_office import BackOffice
from daemon.replay.books import Books
from daemon.replay.cast import Account, Cast, Coin
from daemon.replay.expectation import robbed
from daemon.replay.faults import Door, Faults
from daemon.replay.outcome import Loot
from daemon.replay.played import Controllable, Opening, PlayedChain, PlayedToken
from daemon.replay.played import Purse as PlayedPurse
from daemon.replay.scenario import Scenario
from daemon.replay.script import Approved, ControlChanged, Happening, Payment
from daemon.replay.simulation import Simulation
from daemon.replay.trial import Trial
from daemon.replay.withdrawals import BLOCKS_KEPT, LEAST_KEPT, Withdrawals

PLAYED: Mapping[str, tuple[str, str]] = {
    "bitcoin": ("daemon.replay.bitcoin.played", "PlayedBitcoin"),
    "evm": ("daemon.replay.evm.played", "PlayedEvm"),
    "nem": ("daemon.replay.nem.played", "PlayedNem"),
    "symbol": ("daemon.replay.symbol.played", "PlayedSymbol"),
}
"""Kind of chain → the module and the class that plays it; imported when a scenario has such a chain."""

CHANCE_OF_BOOKS = 1_000
"""Seed of the back office's failures; those of nodes are small numbers."""


class Plays(Protocol):
    """A class of PLAYED."""

    def __call__(self, opening: Opening) -> PlayedChain: ...

    def account(self, name: str) -> str: ...

    def contract(self, name: str) -> str: ...


class Stage:
    """As an async context manager: chains and books serve while it is open."""

    def __init__(self, scenario: Scenario, *, simulation: Simulation, trial: Trial) -> None:
        self.scenario = scenario
        self._trial = trial
        self.cast = Cast(scenario)
        self.books = Books(scenario)
        self._robbed = frozenset(robbed(scenario, cast=self.cast))
        self._before: dict[str, Decimal] = {}
        self._gone: dict[str, Decimal] = {}
        self._plays = {chain: _plays(setup.kind) for chain, setup in scenario.chains.items()}
        openings = {chain: self._opening(chain, simulation=simulation, trial=trial) for chain in scenario.chains}
        self.chains = {chain: self._plays[chain](opening) for chain, opening in openings.items()}
        self.withdrawals = Withdrawals(self.cast, address=self.address, kept=_kept(scenario))
        self.back_office = self._back_office(simulation)
        self._held = self._holdings_of_the_robbed()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for chain in self.chains.values():
            await self._stack.enter_async_context(chain)
            self._trial.apply(chain.faults)
        await self._stack.enter_async_context(self.back_office)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def requests(self) -> int:
        """That all nodes have answered so far."""
        return sum(chain.requests for chain in self.chains.values())

    @property
    def loot(self) -> Loot:
        """What thefts have taken so far."""
        return Loot(dict(self._before), dict(self._gone))

    def address(self, account: Account) -> str:
        """Where an account is on its chain."""
        return account.on(self._plays[account.chain].account)

    def contract(self, coin: Coin) -> str | None:
        """What names an asset on its chain; None for the native coin."""
        return coin.on(self._plays[coin.chain].contract)

    def perform(self, happening: Happening) -> None:
        """Puts it on its chain, where it leaves a trace there, and into the books."""
        self.books.take(happening)
        if isinstance(happening, Approved):
            self.withdrawals.approve(happening, at=happening.at)
        if isinstance(happening, Payment):
            self._pay(happening)
        if isinstance(happening, ControlChanged):
            chain = self.chains[happening.chain]
            if isinstance(chain, Controllable):
                chain.control(self.address(happening.account), what=happening.what, to=happening.to)

    def mine(self, chain: str, *, time: datetime) -> None:
        """A block with all that waits."""
        self.chains[chain].mine(time=time)
        self.books.mined(chain)

    def reorganise(self, depth: int, *, time: datetime) -> None:
        """On all chains, blocks are undone, and others come with the same payments."""
        for chain in self.chains.values():
            chain.reorganise(depth, time=time)

    def _pay(self, payment: Payment) -> None:
        self.chains[payment.chain].pay(
            self.address(payment.payer),
            self.address(payment.payee),
            units=payment.units,
            token=self.contract(payment.coin),
            fee=payment.fee,
        )
        coins, asset = payment.coin.coins(payment.units), payment.coin.asset
        if payment.theft:
            self._before.setdefault(asset, self._held.get(asset, Decimal(0)))
            self._gone[asset] = self._gone.get(asset, Decimal(0)) + coins
        for account, change in ((payment.payer, -coins), (payment.payee, coins)):
            if self._is_robbed(account):
                self._held[asset] = self._held.get(asset, Decimal(0)) + change

    def _holdings_of_the_robbed(self) -> dict[str, Decimal]:
        held: dict[str, Decimal] = {}
        for (account, coin), units in self.cast.opening().items():
            if self._is_robbed(account):
                held[coin.asset] = held.get(coin.asset, Decimal(0)) + coin.coins(units)
        return held

    def _is_robbed(self, account: Account) -> bool:
        """Whether a wallet of it is stolen from at any time."""
        return self.cast.group_of(account) in self._robbed

    def _back_office(self, simulation: Simulation) -> BackOffice:
        faults = Faults()
        self._trial.burden(faults)
        door = Door(faults, simulation=simulation, seed=CHANCE_OF_BOOKS)
        return BackOffice(self.books, self.withdrawals, door=door, now=simulation.now)

    def _opening(self, chain: str, *, simulation: Simulation, trial: Trial) -> Opening:
        purses: dict[PlayedPurse, int] = {
            (self.address(account), self.contract(coin)): units
            for (account, coin), units in self.cast.opening().items()
            if coin.chain == chain
        }
        return Opening(
            purses=purses,
            tokens=self._tokens(chain),
            time=self.scenario.starts,
            nodes=max(self.scenario.chains[chain].nodes, trial.nodes),
            simulation=simulation,
            seed=list(self.scenario.chains).index(chain) + 1,
            controls=self._controls(chain),
        )

    def _controls(self, chain: str) -> Sequence[tuple[str, str, str]]:
        """What each account's control is before the first step that changes it."""
        first: dict[tuple[str, str], str] = {}
        for step in self.scenario.timeline:
            account = None if step.control is None else self.cast.account(step.control.account)
            if step.control is not None and account is not None and account.chain == chain:
                first.setdefault((self.address(account), step.control.what), step.control.before)
        return [(address, what, value) for (address, what), value in first.items()]

    def _tokens(self, chain: str) -> Sequence[PlayedToken]:
        tokens = ((coin, self.contract(coin)) for coin in self.cast.coins.values() if coin.chain == chain)
        return [PlayedToken(contract, coin.asset, coin.decimals) for coin, contract in tokens if contract is not None]


def _kept(scenario: Scenario) -> timedelta:
    """How long approvals are told."""
    return max(LEAST_KEPT, *(BLOCKS_KEPT * setup.block_time for setup in scenario.chains.values()))


def _plays(kind: str) -> Plays:
    module, name = PLAYED[kind]
    return cast(Plays, getattr(import_module(module), name))
