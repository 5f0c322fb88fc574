"""A played Symbol chain for tests: wallets with XYM and a mosaic, and strangers with plenty."""

from __future__ import annotations

from datetime import UTC, datetime

from connectors.base import Address, Token, Watch
from daemon.replay.played import PlayedToken
from daemon.replay.symbol.played import PlayedSymbol
from tests.drilled import Ground, filled

START = datetime(2026, 1, 26, tzinfo=UTC)
GOLD = PlayedSymbol.contract("GOLD")
COIN, METAL = Token("symbol", None, 6), Token("symbol", GOLD, 2)
STRANGERS = tuple(PlayedSymbol.account(f"stranger {number}") for number in range(1, 4))
PLENTY = 10**15
FEE = 21_000


def accounts(count: int) -> tuple[Address, ...]:
    return tuple(Address(PlayedSymbol.account(f"wallet {number}")) for number in range(1, count + 1))


def ground(watched: int) -> Ground[PlayedSymbol]:
    """With so many wallets."""
    watch = Watch("symbol", accounts(watched), (COIN, METAL))
    return Ground(
        "symbol",
        watch,
        PlayedSymbol,
        filled(watch, strangers=STRANGERS, plenty=PLENTY),
        START,
        tokens=(PlayedToken(GOLD, "GOLD", 2),),
        strangers=STRANGERS,
        fee=FEE,
        most=10**6,
        settings={"poll": "5s", "max_age": "5m"},
    )


GROUND = ground(8)
