"""A played Bitcoin chain for tests: who has what on it, and who watches whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from connectors.base import Address, Token, Watch
from daemon.replay.bitcoin.played import PlayedBitcoin
from tests.drilled import Ground

BEGIN = datetime(2024, 5, 31, 4, tzinfo=UTC)
COIN = Token("btc", None, 8)
WHOLE = 10**8
HOT, COLD, CUSTOMER, THIEF = (PlayedBitcoin.account(name) for name in ("hot", "cold", "customer", "thief"))


def ground(
    balances: Mapping[str, int],
    *,
    watched: Sequence[str] | None = None,
    coins: Mapping[str, int] | None = None,
    time: datetime = BEGIN,
) -> Ground[PlayedBitcoin]:
    """Who has something is `watched`, where nothing else is told. `coins`: see PlayedBitcoin's `opening_coins`."""
    accounts = tuple(Address(account) for account in watched or balances)
    return Ground(
        "bitcoin",
        Watch("btc", accounts, (COIN,)),
        partial(PlayedBitcoin, opening_coins=coins),
        {(account, None): units for account, units in balances.items()},
        time,
        settings={"max_tip_age": "3h"},
    )
