"""A played EVM chain for tests: eight wallets with ether and a token, and strangers with plenty."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.base import Address, Token, Watch
from daemon.replay.evm.played import PlayedEvm
from daemon.replay.played import PlayedToken
from tests.drilled import Ground, filled

START = datetime(2018, 1, 26, tzinfo=UTC)
USDT = PlayedEvm.contract("USDT")
COIN, TETHER = Token("eth", None, 18), Token("eth", USDT, 6)
ACCOUNTS = tuple(Address(PlayedEvm.account(f"wallet {number}")) for number in range(1, 9))
STRANGERS = tuple(PlayedEvm.account(f"stranger {number}") for number in range(1, 4))
WATCH = Watch("eth", ACCOUNTS, (COIN, TETHER))
GROUND = Ground(
    "evm",
    WATCH,
    PlayedEvm,
    filled(WATCH, strangers=STRANGERS, plenty=10**21),
    START,
    tokens=(PlayedToken(USDT, "USDT", 6),),
    strangers=STRANGERS,
    fee=21_000,
    most=10**6,
)
