"""The exchange's books: what honest business does to them, and when; what a theft does not do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import cache

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from daemon.model import Owner
from daemon.replay.books import Books
from daemon.replay.cast import Account, Cast
from daemon.replay.catalogue import shipped
from daemon.replay.scenario import Scenario, load
from daemon.replay.script import Approved, Happening, LiabilitiesChanged, Payment, Told, owes
from daemon.replay.timetable import Timetable
from daemon.replay.traffic import happenings

SMALL = """
incident: small
title: small
summary: small
entity: Example Exchange KK
currency: JPY
sources: {invented: {where: made up, confidence: low, figures: all}}
starts: 2026-01-05T00:00:00Z
ends: 6h
chains:
  ethereum: {kind: evm, block_time: 12s}
  nem: {kind: nem, block_time: 1m, confirmations: 3}
assets:
  ETH: {tokens: [{chain: ethereum}]}
  USDC: {tokens: [{chain: ethereum, contract: invented, decimals: 6}]}
  XEM: {tokens: [{chain: nem}]}
  SOL: {tokens: [{chain: ethereum, contract: invented, decimals: 9}]}
wallets:
  hot: {chain: ethereum, tier: hot, accounts: 2}
  cold: {chain: ethereum, tier: cold}
  fees: {chain: ethereum, tier: hot, owner: company}
  aside: {chain: ethereum, tier: cold, owner: guarantee}
  xem-hot: {chain: nem, tier: hot}
outside:
  customers: {chain: ethereum, accounts: 2}
  xem-customers: {chain: nem}
liabilities: {ETH: 1_000, USDC: 1_000, XEM: 1_000}
"""
SCENARIO = Scenario.model_validate(yaml.safe_load(SMALL))
CAST = Cast(SCENARIO)
DEPTHS = {"ethereum": 2, "nem": 4}
"""Blocks until a deposit is credited: one more than until it is read."""


def payment(
    payer: str, payee: str, *, units: int, asset: str = "ETH", fee: int = 0, theft: bool = False, approved: bool = True
) -> Payment:
    source, target = CAST.account(payer), CAST.account(payee)
    owing = owes(source, target, approved=approved, theft=theft, cast=CAST)
    coin = CAST.coin(asset, source.chain)
    return Payment(
        SCENARIO.starts, source.chain, source, target, coin, units, fee, approved=approved, theft=theft, owes=owing
    )


def opened() -> Books:
    return Books(SCENARIO)


def mined(books: Books, chain: str, *, times: int) -> Decimal:
    """What they say of the chain's native coin then."""
    for _ in range(times):
        books.mined(chain)
    return books.owed["ETH" if chain == "ethereum" else "XEM"]


ETHER = 10**18
THOUSAND = Decimal(1000)


def test_they_begin_with_what_the_scenario_says_and_speak_of_nothing_else() -> None:
    assert opened().owed == {"ETH": 1000, "USDC": 1000, "XEM": 1000}


def test_a_deposit_is_credited_a_block_after_the_one_in_which_it_can_be_read() -> None:
    books = opened()
    books.take(payment("customers/1", "hot/1", units=5 * ETHER))
    assert [mined(books, "ethereum", times=1) for _ in range(3)] == [1000, 1005, 1005]


def test_a_chain_that_is_read_deeper_credits_later() -> None:
    books = opened()
    books.take(payment("xem-customers", "xem-hot", units=5_000_000, asset="XEM"))
    assert mined(books, "ethereum", times=9) == 1000  # another chain's blocks say nothing of it
    assert [mined(books, "nem", times=1) for _ in range(5)] == [1000, 1000, 1000, 1005, 1005]


def test_a_withdrawal_is_debited_when_it_is_paid_with_the_fee_that_is_paid_in_the_same_coin() -> None:
    books = opened()
    books.take(payment("hot/1", "customers/1", units=5 * ETHER, fee=ETHER // 2))
    books.take(payment("hot/1", "customers/1", units=7_000_000, asset="USDC", fee=ETHER // 4))
    assert books.owed == {"ETH": Decimal("994.5"), "USDC": 993, "XEM": 1000}


@pytest.mark.parametrize(
    ("payer", "payee"),
    [
        *(("hot/1", "hot/2"), ("hot/1", "cold"), ("cold", "hot/2"), ("hot/1", "fees"), ("fees", "customers/1")),
        *(("customers/1", "fees"), ("customers/1", "customers/2"), ("customers/1", "aside"), ("aside", "hot/1")),
    ],
)
def test_what_neither_comes_from_customers_to_their_wallets_nor_goes_back_changes_nothing(
    payer: str, payee: str
) -> None:
    books = opened()
    books.take(payment(payer, payee, units=5 * ETHER, fee=1))
    assert mined(books, "ethereum", times=5) == THOUSAND


@pytest.mark.parametrize("approved", [False, True])
def test_a_theft_changes_nothing_even_where_somebody_was_led_to_approve_it(approved: bool) -> None:
    books = opened()
    books.take(payment("hot/1", "customers/1", units=5 * ETHER, theft=True, approved=approved))
    assert mined(books, "ethereum", times=5) == THOUSAND


def test_what_nobody_approved_is_still_owed() -> None:
    books = opened()
    books.take(payment("hot/1", "customers/1", units=5 * ETHER, approved=False))
    assert mined(books, "ethereum", times=5) == THOUSAND


def test_a_scripted_change_is_there_at_once() -> None:
    books = opened()
    books.take(LiabilitiesChanged(SCENARIO.starts, {"ETH": Decimal("+620_000"), "XEM": Decimal("-0.000001")}, 0))
    assert books.owed == {"ETH": 621_000, "USDC": 1000, "XEM": Decimal("999.999999")}


def test_what_leaves_no_trace_in_books_and_what_they_do_not_speak_of_changes_nothing() -> None:
    books = opened()
    books.take(Told(SCENARIO.starts, 0))
    approved = payment("hot/1", "customers/1", units=ETHER)
    books.take(Approved(SCENARIO.starts, approved.payer, approved.payee, approved.coin, ETHER, 0))
    books.take(payment("customers/1", "hot/1", units=5, asset="SOL"))
    assert mined(books, "ethereum", times=5) == THOUSAND
    assert books.owed == {"ETH": 1000, "USDC": 1000, "XEM": 1000}


# Holdings and books together.

Purse = tuple[str, str]


class Ledger:
    """Naive: what customers' wallets hold in whole coins, as of the newest block, and what waits for the next."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self.held: Counter[str] = Counter()
        self._waiting: list[Payment] = []
        self.spent: Counter[str] = Counter()
        """Fees of the exchange's own, and thefts: what honest business takes off the surplus, and what is lost."""

    def take(self, paid: Payment) -> None:
        self._waiting.append(paid)
        if self._ours(paid.payer):
            own = paid.fee if not (paid.owes < 0 and paid.coin.native) else 0
            native = self._cast.natives[paid.chain] if own else paid.coin
            self.spent[native.asset] += native.coins(own)  # type: ignore[assignment]
            if not self._ours(paid.payee) and not paid.owes:
                self.spent[paid.coin.asset] += paid.coin.coins(paid.units)  # type: ignore[assignment]

    def mined(self, chain: str) -> None:
        for paid in [each for each in self._waiting if each.chain == chain]:
            self._waiting.remove(paid)
            self._move(paid.payer, paid, -paid.units)
            self._move(paid.payee, paid, paid.units)
            if paid.fee and self._ours(paid.payer):
                native = self._cast.natives[chain]
                self.held[native.asset] -= native.coins(paid.fee)  # type: ignore[assignment]

    def _move(self, account: Account, paid: Payment, units: int) -> None:
        if self._ours(account):
            self.held[paid.coin.asset] += paid.coin.coins(units)  # type: ignore[assignment]

    def _ours(self, account: Account) -> bool:
        wallet = self._cast.wallet_of(account)
        return wallet is not None and wallet.owner is Owner.CUSTOMER


ON_ETHEREUM = ("hot/1", "hot/2", "cold", "fees", "customers/1", "customers/2")
HONEST = st.builds(
    lambda pair, asset, units, fee: payment(*pair, units=units, asset=asset, fee=fee),
    st.permutations(ON_ETHEREUM).map(lambda names: (names[0], names[1])).filter(lambda pair: pair[0] != "fees"),
    st.sampled_from(["ETH", "USDC"]),
    st.integers(1, 10**20),
    st.integers(0, 10**16),
)
XEM = st.builds(
    lambda names, units, fee: payment(*names, units=units, asset="XEM", fee=fee),
    st.permutations(["xem-hot", "xem-customers"]),
    st.integers(1, 10**10),
    st.integers(0, 10**6),
)
BLOCK = st.sampled_from(["ethereum", "nem"])


@given(st.lists(st.one_of(HONEST, XEM, BLOCK), max_size=60))
def test_once_all_is_mined_honest_business_leaves_holdings_less_books_as_they_were_but_for_fees(
    happens: Sequence[Payment | str],
) -> None:
    books, ledger = opened(), Ledger(CAST)
    for each in happens:
        if isinstance(each, str):
            books.mined(each)
            ledger.mined(each)
            for asset, owed in books.owed.items():  # and before it is, what is held is never short of them
                assert ledger.held[asset] + ledger.spent[asset] >= owed - THOUSAND
        else:
            books.take(each)
            ledger.take(each)
    for chain, depth in DEPTHS.items():
        for _ in range(depth):
            books.mined(chain)
            ledger.mined(chain)
    for asset, owed in books.owed.items():
        assert ledger.held[asset] + ledger.spent[asset] == owed - THOUSAND


@cache
def scenario(name: str) -> Scenario:
    return load(shipped()[name])


def day(name: str) -> Iterator[tuple[datetime, Happening | str]]:
    """What happens on the first day, and blocks by the names of their chains, in the order of the player."""
    play = scenario(name)
    end = min(play.end, play.starts + timedelta(days=1))
    acts: list[tuple[datetime, int, Happening | str]] = []
    for chain in play.chains:
        acts += [(at, 1, chain) for at in Timetable(play).blocks(chain) if at <= end]
    for each in happenings(play):
        if each.at > end:
            break
        acts.append((each.at, 0, each))
    yield from ((at, each) for at, _, each in sorted(acts, key=lambda act: act[:2]))


@pytest.mark.parametrize("name", sorted(shipped()))
def test_before_any_theft_the_holdings_of_a_shipped_scenario_are_never_short_of_its_books(name: str) -> None:
    play = scenario(name)
    cast, books, ledger = Cast(play), Books(play), Ledger(Cast(play))
    for (account, coin), units in cast.opening().items():
        wallet = cast.wallet_of(account)
        if wallet is not None and wallet.owner is Owner.CUSTOMER:
            ledger.held[coin.asset] += coin.coins(units)  # type: ignore[assignment]
    for _, each in day(name):
        if isinstance(each, str):
            books.mined(each)
            ledger.mined(each)
        elif isinstance(each, Payment) and not each.theft:
            books.take(each)
            ledger.take(each)
        for asset, owed in books.owed.items():
            assert ledger.held[asset] >= owed > 0
