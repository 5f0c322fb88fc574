"""What the log says of an update besides its failures: accounts that drifted, and payments out of our wallets."""

from collections import Counter
from collections.abc import Iterable

import structlog

from daemon.classify import classify
from daemon.interval import amount, plain
from daemon.model import Inventory, Moved, Tier, Transfer
from daemon.movements import named
from daemon.sweeps import SweepState

log = structlog.get_logger(__name__)

MOST_DESTINATIONS = 5
"""In a line of the log; a payout may have thousands."""


def drifted(chain: str, sweep: SweepState) -> None:
    """One line for a sweep that found drift: the first accounts in units, and how many more there are."""
    log.warning(
        "a sweep found drift",
        chain=chain,
        height=sweep.tip.height,
        hash=sweep.tip.hash,
        accounts=sweep.accounts,
        drift=[
            {
                "account": item.drift.account,
                "wallet": item.wallet,
                "asset": item.asset,
                "followed": item.drift.followed,
                "found": item.drift.found,
            }
            for item in sweep.drifted
        ],
        more=sweep.accounts - len(sweep.drifted),
    )


def unmatchable(problems: Iterable[str]) -> None:
    """A line for each approval that no payment can match."""
    for problem in problems:
        log.warning(problem)


def moved(movements: Iterable[Moved], *, inventory: Inventory) -> None:
    """A line for each movement that an account of ours pays for: a warning where it is a cold wallet's.

    Deposits are not logged: there may be thousands, and anybody can make them.
    """
    paid = [one for one in movements if any(units < 0 for _, units in one.movement.changes)]
    tiers = classify(inventory.wallets) if paid else {}
    for one in paid:
        transfer = named(one, inventory=inventory, tiers=tiers)
        if transfer.debits(Tier.COLD):
            log.warning("a cold wallet pays", **_facts(transfer))
        else:
            log.info("a wallet pays", **_facts(transfer))


def _facts(transfer: Transfer) -> dict[str, object]:
    movement, tip = transfer.moved.movement, transfer.moved.movement.tip
    token = movement.token
    facts = {
        "chain": token.chain,
        "transaction": movement.transaction,
        "stage": movement.stage.value,
        "direction": transfer.direction.value,
        "asset": transfer.asset,
        "changes": {
            account: plain(amount(units, decimals=token.decimals), places=80) for account, units in _by_wallet(transfer)
        },
        "destinations": [party.name for party in transfer.destinations[:MOST_DESTINATIONS]],
        "height": tip.height if tip else None,
        "hash": tip.hash if tip else None,
        "replaced_by": movement.replaced_by,
    }
    return {name: fact for name, fact in facts.items() if fact is not None}


def _by_wallet(transfer: Transfer) -> list[tuple[str, int]]:
    """What each wallet gains or loses; an account of none stands for itself."""
    sums = Counter[str]()
    for leg in transfer.legs:
        sums[leg.wallet or leg.account] += leg.units
    return list(sums.items())
