"""What accounts hold at the word of a source without blocks: asked anew, as far as something has changed."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence

from connectors.base import Tip
from connectors.bitcoin.accounts import Accounts, Derivation
from connectors.bitcoin.coins import Coin
from connectors.bitcoin.parts import coins_of, flaws, shorten
from connectors.bitcoin.sources.base import Snapshot, Source
from connectors.follow import UnknownBlock
from connectors.quorum import Value

REMEMBERED = 4
"""Blocks whose values are kept where a source can't be asked for an earlier block."""


class SnapshotBook:
    """Of a source without blocks: read anew, as far as something has changed, at every block."""

    def __init__(self, source: Source, *, accounts: Accounts) -> None:
        self.accounts = accounts
        self.found = 0
        self._derivation = Derivation(accounts)
        self._source = source
        self._read: dict[str, Sequence[Value]] = {}
        self._compared: deque[str] = deque(maxlen=REMEMBERED)
        self.touched: set[bytes] = set()
        """Scripts whose history has changed since somebody took them from here."""
        self._statuses: Mapping[bytes, str] = {}
        self._coins: dict[bytes, Coin] = {}
        self._gone: dict[bytes, Coin] = {}
        self._refused: Collection[bytes] = ()
        self._whole = False
        self._tip: Tip | None = None
        self._lock = asyncio.Lock()

    @property
    def whole(self) -> bool:
        """See Book."""
        return self._whole

    @property
    def tip(self) -> Tip | None:
        """See Book."""
        return self._tip

    @property
    def refused(self) -> Collection[bytes]:
        """See Book."""
        return self._refused

    def coin(self, outpoint: bytes) -> Coin | None:
        """See Book."""
        return self._coins.get(outpoint) or self._gone.get(outpoint)

    def has_read(self, block: str) -> bool:
        """Whether what had changed as of this block, one of the last that were asked for, was put to `touched`."""
        return block in self._compared

    async def at(self, block: str) -> Sequence[Value]:
        """See Book."""
        async with self._lock:
            if block not in self._read:
                part = await self._all_coins()
                if part.header.hash != block:
                    name = self._source.transport.provider
                    raise UnknownBlock(f"{name}: tells coins as of block {part.header.hash}, not {block}", code=0)
                self._compare(part)
                values = self._valued(part)
                if part.refused:
                    return values
                self._read[block] = values
                for old in list(self._read)[:-REMEMBERED]:
                    del self._read[old]
            return self._read[block]

    async def _all_coins(self) -> Snapshot:
        await self._derivation.extend()
        while True:
            (part,) = await self._source.coins(self.accounts.scripts.keys())
            self.accounts.use(part.used)
            self.accounts.use(coin.script for coin in part.coins)
            if not await self._derivation.extend():
                return part

    def _compare(self, part: Snapshot) -> None:
        """Notes what has changed since the last reading, and keeps the coins of this one."""
        coins = dict(coins_of(part))
        self._gone |= {outpoint: coin for outpoint, coin in self._coins.items() if outpoint not in coins}
        shorten(self._gone)
        self.found = len(part.scripts)
        self.touched.update(one for one, status in part.statuses.items() if self._statuses.get(one) != status)
        self._coins, self._statuses = coins, part.statuses
        self._refused, self._whole, self._tip = part.refused.keys(), True, part.header.tip
        self._compared.append(part.header.hash)

    def _valued(self, part: Snapshot) -> Sequence[Value]:
        values: list[Value] = [0] * len(self.accounts.names)
        sums = Counter[int]()
        for coin in part.coins:
            sums[self.accounts.scripts[coin.script]] += coin.value
        for number, units in sums.items():
            values[number] = units
        for number, flaw in flaws(self.accounts, refused=part.refused).items():
            values[number] = flaw
        return values
