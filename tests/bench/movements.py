"""What rules on payments cost: movements a second with a million accounts and 100,000 open approvals."""

import gc
import time
from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256

from pydantic import TypeAdapter

from connectors.base import Address, Movement, Party, Stage, Tip, Update
from daemon.detection.approval import Approval, Approved
from daemon.detection.approvals import ApprovalBook, Grounds
from daemon.detection.destinations import Destinations
from daemon.detection.detection import DETECTORS, Around, Detection
from daemon.detection.payees import MOST, Payees, Stock
from daemon.garbage import collect_seldom
from daemon.interval import amount
from daemon.model import Inventory, Owner, Tier, Wallet
from daemon.movements import Movements
from daemon.policy import RuleConfig
from daemon.policy.rule import Rule
from tests.bench.judging import COIN
from tests.build import at, inventory, tip
from tests.matched import BOOKS

MOVEMENTS = 40_000
AT_ONCE = 1_000
"""Movements in an update: half of them new, half those of the update before, that are in a block now."""

HOLDS = Stock(10**15, 10**15)
PAID_ONCE = "[1, []]"
"""What the store remembers of a payee who was paid once, long ago."""

RULES: Sequence[dict[str, object]] = (
    {"kind": "unmatched_outflow"},
    {"kind": "unknown_destination"},
    {"kind": "probe"},
    {"kind": "unusual"},
    {"kind": "dormant"},
)
"""Every rule on payments belongs here, once, with the settings of its documentation."""


async def movements_per_second() -> dict[str, object]:
    """Microseconds of CPU a movement with 1,000,000 accounts, 100,000 open approvals and as many former payees as are
    remembered (`ours`), and with 1,000, 100 and none (`peer`): through the movements and every detector, with a look
    after each 1,000.

    Of ten movements seven are withdrawals that were approved, nearly all of them to somebody new, two are deposits, and
    one sweeps five accounts into cold storage. Each is told twice: as it waits, and in a block.
    """
    many = _each(1_000_000, approvals=100_000, payees=MOST)
    few = _each(1_000, approvals=100, payees=0)
    return {
        "bench": "movements_per_second",
        "ours": many,
        "peer": few,
        "ratio": round(few / many, 2),
        "unit": "µs of CPU a movement",
        "movements_per_second": round(1_000_000 / many),
        "rules": [str(rule["kind"]) for rule in RULES],
    }


def policies() -> list[tuple[str, Rule]]:
    """The rules, each with a detector of its own: one that has none is not measured."""
    rules: list[RuleConfig] = TypeAdapter(list[RuleConfig]).validate_python(list(RULES))
    assert {type(rule) for rule in rules} == set(DETECTORS), "a rule on payments is missing in RULES"
    return [(rule.kind, rule) for rule in rules]


def _each(accounts: int, *, approvals: int, payees: int) -> float:
    exchange = Exchange(accounts)
    paid = Payees(held=lambda wallet, token: HOLDS)
    paid.restore({f"bitcoin {_address('former', n)}": PAID_ONCE for n in range(payees)})
    book = ApprovalBook(exchange.grounds)
    book.tick(at(0))
    destinations = Destinations(exchange.inventory)
    destinations.prepare()
    around = Around(
        exchange.inventory,
        destinations=destinations,
        payees=paid,
        approvals=book,
    )
    around.profiles.watch(exchange.inventory.wallets, now=at(0))
    detection = Detection(around, policies=policies())
    detection.look(at(0))
    standing = tuple(exchange.approval(n) for n in range(approvals))
    book.take(Approved(BOOKS, standing, complete=False, asked=at(1)), now=at(1))
    moved, usual = Movements(), gc.get_threshold()
    collect_seldom()  # as the daemon does; what is there before is no part of the cost, nor of what collections walk
    spent, found = 0.0, 0
    waiting: tuple[Movement, ...] = ()
    for turn in range(MOVEMENTS // AT_ONCE):
        now, numbers = at(2 + turn), range(turn * AT_ONCE // 2, (turn + 1) * AT_ONCE // 2)
        fresh = tuple(exchange.approval(n) for n in numbers if n >= approvals)
        book.take(Approved(BOOKS, fresh, complete=False, asked=now), now=now)
        block = tip(2 + turn)
        mined = tuple(_in_block(one, block) for one in waiting)
        waiting = tuple(exchange.movement(n) for n in numbers)
        update = Update("bitcoin", now, block, block, movements=waiting + mined)
        began = time.process_time()
        moved.take(update)
        detection.take(moved.drained())
        cases = detection.look(now)
        spent += time.process_time() - began
        found += sum(len(one.by_wallet) + len(one.unsure) for one in cases.values())
    gc.unfreeze()
    gc.set_threshold(*usual)
    assert not found
    return round(spent / MOVEMENTS * 1_000_000, 2)


class Exchange:
    """One with so many accounts on Bitcoin, nearly all of them hot."""

    def __init__(self, accounts: int) -> None:
        all_of_them = tuple(_address("ours", n) for n in range(accounts))
        self._hot, self._cold = all_of_them[:-10], all_of_them[-10:]
        wallets = [
            Wallet("hot", "bitcoin", Tier.HOT, Owner.CUSTOMER, None, self._hot),
            Wallet("cold", "bitcoin", Tier.COLD, Owner.CUSTOMER, None, self._cold),
        ]
        self.inventory: Inventory = inventory(*wallets, assets={"BTC": [COIN]})
        self.grounds = Grounds(
            {BOOKS: timedelta(days=1)}, self.inventory.assets, {"bitcoin": Address}, {"bitcoin": "mainnet"}
        )

    def approval(self, n: int) -> Approval:
        return Approval(f"W-{n}", "BTC", amount(_units(n), decimals=8), _customer(n), at(0))

    def movement(self, n: int) -> Movement:
        """Of ten in a row two are deposits, one is a sweep, all others pay customers."""
        account = self._hot[n * 7_919 % len(self._hot)]
        match n % 10:
            case 0 | 5:
                return self._told(n, {account: _units(n)}, sources=(Party(_customer(n), _units(n) + 900),))
            case 9:
                swept = {self._hot[(n * 7_919 + place) % len(self._hot)]: -1_000_000 - place for place in range(5)}
                into = self._cold[n // 10 % len(self._cold)]
                return self._told(n, {**swept, into: -sum(swept.values()) - 1_000})
            case _:
                paid = Party(_customer(n), _units(n))
                return self._told(n, {account: -paid.units - 1_000}, destinations=(paid,), change=500)

    def _told(
        self,
        n: int,
        changes: dict[Address, int],
        *,
        destinations: tuple[Party, ...] = (),
        sources: tuple[Party, ...] = (),
        change: int = 0,
    ) -> Movement:
        return Movement(
            transaction=f"{n:064x}",
            token=COIN,
            stage=Stage.PENDING,
            tip=None,
            changes=tuple(changes.items()),
            change=change,
            destinations=destinations,
            sources=sources,
            fee=1_000,
            size=200,
        )


def _in_block(one: Movement, block: Tip) -> Movement:
    return Movement(
        transaction=one.transaction,
        token=one.token,
        stage=Stage.MINED,
        tip=block,
        changes=one.changes,
        change=one.change,
        destinations=one.destinations,
        sources=one.sources,
        fee=one.fee,
        size=one.size,
    )


def _units(n: int) -> int:
    return 10_000 + n * 7_919 % 1_000_003


def _customer(n: int) -> str:
    """Every eleventh has been paid before."""
    return _address("customer", n - 11 if n > 11 and not n % 11 else n)


def _address(whose: str, n: int) -> Address:
    return Address("bc1q" + sha256(f"{whose} {n}".encode()).hexdigest()[:38])
