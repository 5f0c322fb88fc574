"""What judging costs: the same pass of the pipe over a thousand accounts and over a million."""

import time

from connectors.base import Held, Update
from daemon.ledger import Ledger
from daemon.model import Tier
from daemon.policy import judge
from daemon.policy.hot_share import HotShare
from daemon.policy.wallet_band import WalletBand
from tests.build import ETH, address, at, complete, inventory, picture, tip, wallet

ROUNDS = 200
WALLETS = 20


async def judge_cost() -> dict[str, object]:
    """CPU milliseconds from one changed balance to all verdicts, 1,000,000 accounts (`ours`) against 1,000 (`peer`)."""
    many, few = _pass_after_one_change(1_000_000), _pass_after_one_change(1_000)
    return {"bench": "judge_cost", "ours": many, "peer": few, "ratio": round(few / many, 2), "unit": "ms of CPU a pass"}


def _pass_after_one_change(accounts: int) -> float:
    each = accounts // WALLETS
    wallets = [
        wallet(f"w{n}", Tier.HOT if n < 2 else Tier.COLD, *range(n * each, (n + 1) * each)) for n in range(WALLETS)
    ]
    inv = inventory(*wallets)
    ledger = Ledger(inv)
    ledger.apply(complete(1, {(number, ETH): 10**18 for number in range(accounts)}))
    rules = [
        ("share", HotShare.model_validate({"kind": "hot_share", "limit": "0.5", "scope": "both"})),
        ("band", WalletBand.model_validate({"kind": "wallet_band", "wallets": ["*"], "asset": "ETH", "floor": 1})),
    ]
    started = time.process_time()
    for height in range(2, 2 + ROUNDS):
        held = (Held(address(height), ETH, height),)
        ledger.apply(Update("ethereum", at(height), tip=tip(height), previous=tip(height - 1), held=held))
        assert len(judge(rules, picture(ledger, inv, seconds=height))) == WALLETS + 2
    return round((time.process_time() - started) * 1000 / ROUNDS, 3)
