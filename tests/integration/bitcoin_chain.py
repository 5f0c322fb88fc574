"""A watched Bitcoin chain for tests: a connector on real parts, and what accounts hold by recomputing every block."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import UTC, datetime
from typing import cast

from connectors import CONNECTORS
from connectors.base import Address, Connector, Movement, Stage, Token, Update, Watch
from connectors.bitcoin.address import address_of
from connectors.bitcoin.config import BitcoinConfig
from connectors.bitcoin.networks import NETWORKS
from tests.integration.purse import Lock
from tests.integration.regtest import Regtest

REGTEST = NETWORKS["regtest"]
COIN = Token("btc", None, 8)


def address(script: bytes) -> Address:
    found = address_of(script, network=REGTEST)
    assert found is not None
    return found


def watching(locks: Sequence[Lock], *more: Address) -> Watch:
    return Watch("btc", (*(address(lock.script) for lock in locks), *more), (COIN,))


@asynccontextmanager
async def connected_to(**settings: object) -> AsyncIterator[Connector]:
    wanted = {"kind": "bitcoin", "network": "regtest", "poll": "20ms", "max_tip_age": "30d", **settings}
    config = BitcoinConfig.model_validate(wanted)
    async with CONNECTORS["bitcoin"].connect(config, chain="btc", now=lambda: datetime.now(UTC)) as connector:
        yield connector


def following(connector: Connector, watch: Watch) -> aclosing[AsyncGenerator[Update, None]]:
    return aclosing(cast(AsyncGenerator[Update, None], connector.updates(watch)))


def held(update: Update) -> dict[Address, int]:
    assert update.failure is None, update.failure
    assert not update.unread, update.unread
    return {one.account: one.units for one in update.held}


async def balances(chain: Regtest, scripts: Collection[bytes]) -> tuple[str, dict[Address, int]]:
    """The newest block's hash and each address's units there, from all blocks."""
    tip, coins = await chain.truth(scripts)
    found = {address(script): 0 for script in scripts}
    for coin in coins:
        found[address(coin.script)] += coin.value
    return tip, found


class Known:
    """What a consumer of the updates knows."""

    def __init__(self) -> None:
        self.holdings: dict[Address, int] = {}
        self.last: Update | None = None
        self.movements: list[Movement] = []

    def take(self, update: Update) -> None:
        self.holdings = held(update) if update.complete else self.holdings | held(update)
        self.last = update
        self.movements += update.movements

    @property
    def mined(self) -> list[Movement]:
        """What was told of blocks; whether it was seen pending before is a matter of moments."""
        return [movement for movement in self.movements if movement.stage is Stage.MINED]

    async def until(self, updates: AsyncGenerator[Update, None], *, tip: str) -> None:
        """Follows until the block with this hash is the tip; failures on the way are left out."""
        async for update in updates:
            if update.failure is None:
                self.take(update)
                if update.tip is not None and update.tip.hash == tip:
                    return
