"""What rules on payments cost: movements a second with a million accounts and 100,000 open approvals."""

import gc
import time
from collections.abc import Sequence
from datetime import timedelta

from pydantic import TypeAdapter

from connectors.base import Address, Movement, Party, Stage, Token, Update
from daemon.detection.approval import Approval, Approved
from daemon.detection.approvals import ApprovalBook, Grounds
from daemon.detection.detection import DETECTORS, Around, Detection
from daemon.interval import amount
from daemon.model import Inventory, Tier
from daemon.movements import Movements
from daemon.policy import RuleConfig
from daemon.policy.rule import Rule
from tests.bench.judging import COIN
from tests.build import address, at, inventory, tip, wallet
from tests.matched import BOOKS

MOVEMENTS = 20_000
AT_ONCE = 1_000
RULES: Sequence[dict[str, object]] = ({"kind": "unmatched_outflow"},)
"""Every rule on payments belongs here, once, with the settings of its documentation."""


async def movements_per_second() -> dict[str, object]:
    """Microseconds of CPU a movement with 1,000,000 accounts and 100,000 open approvals (`ours`), and with 1,000 and
    100 (`peer`): through the movements and every detector, with a look after each 1,000. Every movement is a payment
    that an approval explains."""
    many = _each(1_000_000, approvals=100_000)
    few = _each(1_000, approvals=100)
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


def _each(accounts: int, *, approvals: int) -> float:
    inv = inventory(wallet("hot", Tier.HOT, *range(1, accounts + 1), chain="bitcoin"), assets={"BTC": [COIN]})
    book = ApprovalBook(_grounds(inv))
    book.tick(at(0))
    detection = Detection(Around(inv, approvals=book), policies=policies())
    detection.look(at(0))
    standing = tuple(_approval(n) for n in range(approvals))
    book.take(Approved(BOOKS, standing, complete=False, asked=at(1)), now=at(1))
    moved = Movements()
    gc.freeze()  # what is there before is no part of the cost, nor of what collections walk
    spent, found = 0.0, 0
    for start in range(0, MOVEMENTS, AT_ONCE):
        now = 2.0 + start / AT_ONCE
        numbers = range(start, start + AT_ONCE)
        fresh = tuple(_approval(n) for n in numbers if n >= approvals)
        book.take(Approved(BOOKS, fresh, complete=False, asked=at(now)), now=at(now))
        told = tuple(_payment(n, token=COIN, accounts=accounts) for n in numbers)
        update = Update("bitcoin", at(now), tip(1), tip(1), movements=told)
        began = time.process_time()
        moved.take(update)
        detection.take(moved.drained())
        cases = detection.look(at(now))
        spent += time.process_time() - began
        found += sum(len(one.by_wallet) for one in cases.values())
    gc.unfreeze()
    assert not found
    return round(spent / MOVEMENTS * 1_000_000, 2)


def _grounds(inv: Inventory) -> Grounds:
    return Grounds({BOOKS: timedelta(days=1)}, inv.assets, {"bitcoin": Address}, {"bitcoin": "mainnet"})


def _approval(n: int) -> Approval:
    return Approval(f"W-{n}", "BTC", amount(10_000 + n, decimals=8), f"customer{n}", at(0))


def _payment(n: int, *, token: Token, accounts: int) -> Movement:
    payer = address(1 + n * 7_919 % accounts)
    party = Party(f"customer{n}", 10_000 + n)
    return Movement(
        transaction=f"{n:064x}",
        token=token,
        stage=Stage.PENDING,
        tip=None,
        changes=((payer, -party.units - 1_000),),
        change=500,
        destinations=(party,),
        sources=(Party(payer, party.units + 1_500),),
        fee=1_000,
        size=200,
    )
