"""A played NEM chain for tests: eight wallets with XEM and a mosaic, and strangers with plenty."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.base import Address, Token, Watch
from daemon.replay.nem.played import PlayedNem
from daemon.replay.played import PlayedToken
from tests.drilled import Ground, filled

START = datetime(2018, 1, 26, tzinfo=UTC)
COIN = PlayedNem.contract("COIN")
XEM, MOSAIC = Token("nem", None, 6), Token("nem", COIN, 2)
ACCOUNTS = tuple(Address(PlayedNem.account(f"wallet {number}")) for number in range(1, 9))
STRANGERS = tuple(PlayedNem.account(f"stranger {number}") for number in range(1, 4))
WATCH = Watch("nem", ACCOUNTS, (XEM, MOSAIC))
GROUND = Ground(
    "nem",
    WATCH,
    PlayedNem,
    filled(WATCH, strangers=STRANGERS, plenty=10**13),
    START,
    tokens=(PlayedToken(COIN, "COIN", 2),),
    strangers=STRANGERS,
)
