"""What accounts hold at the word of one source: a book that is brought to exactly the block that is asked for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import structlog

from connectors.base import Tip
from connectors.bitcoin.accounts import Accounts, Derivation
from connectors.bitcoin.block import BlockEvents, read_block
from connectors.bitcoin.coins import Changes, Coin, CoinSet, Undo, unpack
from connectors.bitcoin.forms import BlockForm
from connectors.bitcoin.parts import coins_of, flaws, shorten
from connectors.bitcoin.sources.base import BlockSource, Pruned, Snapshot
from connectors.errors import BadAnswer, NodeError
from connectors.follow import UnknownBlock
from connectors.quorum import Header, Value

log = structlog.get_logger()

FARTHEST = 1000
"""Blocks that are applied one by one; a book farther behind finds its coins anew."""

STRIDE = 50
"""Headers asked for at a time."""

LOOKED_BELOW = 10
"""How far below a source's newest block the one that is asked for is looked for."""


class Book(Protocol):
    """The accounts at the word of one source."""

    accounts: Accounts
    found: int
    """Another one whenever coins were found that no block brought."""

    @property
    def whole(self) -> bool:
        """Whether the coins of all accounts are known."""
        ...

    @property
    def tip(self) -> Tip | None:
        """The block as of which `coin` tells; None before the first."""
        ...

    @property
    def refused(self) -> Collection[bytes]:
        """Scripts that the source does not tell of."""
        ...

    def coin(self, outpoint: bytes) -> Coin | None:
        """The watched coin at this outpoint, as of the block that was last asked for, or one that was lately spent."""
        ...

    async def at(self, block: str) -> Sequence[Value]:
        """Each account's units as of the block with this hash. Raises UnknownBlock or another ConnectorError."""
        ...


class Listener(Protocol):
    """Is told of every step of a book, after it was taken."""

    def loaded(self, coins: CoinSet) -> None:
        """Everything was found anew, or coins of more scripts were added: no step before this can be undone."""
        ...

    def applied(self, coins: CoinSet, *, events: BlockEvents, changes: Changes) -> None: ...

    def undone(self, coins: CoinSet, *, undo: Undo) -> None: ...

    def forgotten(self) -> None:
        """The book does not know the coins of all its scripts: what it knows must not outlive it."""
        ...


class _Astray(Exception):
    """No way leads from where the book stands to the block that is asked for."""


class BlockBook:
    """Kept by applying blocks. With `verify`, the source's blocks are not believed without their merkle root."""

    def __init__(
        self,
        source: BlockSource,
        *,
        accounts: Accounts,
        form: BlockForm,
        verify: bool,
        listeners: Sequence[Listener] = (),
        resume: Callable[[], CoinSet | None] | None = None,
    ) -> None:
        self.accounts = accounts
        self.found = 0
        self._derivation = Derivation(accounts)
        self._source = source
        self._form = form
        self._verify = verify
        self._listeners = listeners
        self._resume = resume
        self._coins = CoinSet({})
        self._gone: dict[bytes, Coin] = {}
        self._units: list[int] = []
        self._refused: dict[bytes, NodeError] = {}
        self._sought: dict[bytes, int] = {}
        """Scripts that are to be watched, once their coins are found."""
        self._whole = False
        self._settled = False
        """Whether the gap limit was looked at since the last block."""
        self._lock = asyncio.Lock()

    @property
    def whole(self) -> bool:
        """See Book."""
        return self._whole

    @property
    def tip(self) -> Tip | None:
        """See Book."""
        return self._coins.tip

    @property
    def refused(self) -> Collection[bytes]:
        """See Book."""
        return self._refused.keys()

    def coin(self, outpoint: bytes) -> Coin | None:
        """See Book."""
        return self._coins.coin(outpoint) or self._gone.get(outpoint)

    async def begin(self) -> Tip:
        """Finds the coins; the block as of which they are known. Raises ConnectorError."""
        async with self._lock:
            if not self._whole:
                await self._begin()
            if self._coins.tip is None:
                raise self._bad("told of coins without a block")
            return self._coins.tip

    def lacks(self, other: BlockBook) -> bool:
        """Whether another book, at the same block, knows what this one does not, or has no coin where this one has."""
        odd = self._coins.outpoints ^ other._coins.outpoints
        coins = (self._coins.coin(outpoint) or other._coins.coin(outpoint) for outpoint in odd)
        misplaced = any(coin is not None and coin.script not in other._refused for coin in coins)
        return misplaced or not self._refused.keys() <= other._refused.keys()

    async def adopt(self, other: BlockBook) -> None:
        """Goes on with the coins of another book of the same source and accounts, which is not used any more."""
        async with self._lock:
            self.accounts.widen(other.accounts)
            self._coins, self._refused = other._coins, other._refused
            self._whole, self._settled = True, False
            known = self._coins.scripts | self._refused.keys()
            self._sought = {script: number for script, number in self.accounts.scripts.items() if script not in known}
            self._told_anew()

    async def at(self, block: str) -> Sequence[Value]:
        """See Book."""
        async with self._lock:
            if not self._whole:
                await self._begin()
            if not self._settled or self._coins.tip is None or self._coins.tip.hash != block:
                await self._go(block)
            values: list[Value] = [*self._units]
            for number, flaw in flaws(self.accounts, refused=self._refused).items():
                values[number] = flaw
            return values

    # ── on the way ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _go(self, block: str) -> None:
        try:
            await self._walk(block)
        except (_Astray, Pruned, BadAnswer) as error:
            log.info("finding coins anew", provider=self._source.transport.provider, why=str(error) or "too far away")
            await self._load()
            await self._walk_again(block)
        await self._catch_up()
        tip = self._coins.tip
        if tip is None or tip.hash != block:
            raise self._unknown(block, why=f"its coins are known as of block {tip.height if tip else 0}")

    async def _walk_again(self, block: str) -> None:
        try:
            await self._walk(block)
        except _Astray:
            raise self._unknown(block, why="its chain changed while coins were looked for") from None

    async def _walk(self, block: str, *, header: Header | None = None) -> None:
        """Back to where the branches part, then forward, block by block. Stands at a whole block wherever it ends."""
        branch = await self._branch(block, header=header)
        parting = branch[-1].parent if branch else block
        while self._coins.tip is not None and self._coins.tip.hash != parting:
            self._undo()
        for step in reversed(branch):
            await self._apply(step)

    async def _branch(self, block: str, *, header: Header | None) -> Sequence[Header]:
        """The headers from the block down to the first above one where we were; empty when we were at the block."""
        known = self._known()
        if block in known:
            return ()
        branch = [header or await self._find(block)]
        lowest = min(known.values())
        while branch[-1].parent not in known:
            height = branch[-1].height
            if height <= lowest + 1 or len(branch) > FARTHEST:
                raise await self._no_way(branch[0])
            below = await self._source.headers_between(max(height - 1 - STRIDE, lowest), height)
            if not below:
                raise self._unknown(block, why="its headers can't be had")
            for found in reversed(below):
                if found.hash != branch[-1].parent:
                    raise self._unknown(block, why="its chain changes")
                branch.append(found)
                if found.parent in known:
                    break
        if known[branch[-1].parent] != branch[-1].height - 1:
            raise self._bad("told of a block at another height than the one after its parent")
        return branch

    async def _no_way(self, wanted: Header) -> Exception:
        """Where the wanted block is only an earlier one of our own branch, finding coins anew would not help."""
        tip = self._coins.tip
        if tip is not None and wanted.height < tip.height:
            held = await self._source.header_at(tip.height)
            if held is not None and held.hash == tip.hash:
                return self._unknown(wanted.hash, why=f"its coins are known as of block {tip.height}")
        return _Astray()

    async def _find(self, block: str) -> Header:
        head = await self._source.head()
        if head.hash == block:
            return head
        for height in range(head.height + 1, max(head.height - LOOKED_BELOW, -1), -1):
            found = await self._source.header_at(height)
            if found is not None and found.hash == block:
                return found
        raise self._unknown(block, why="it holds another branch, or is behind")

    def _known(self) -> dict[str, int]:
        """Where we are and where we can go back to: hash → height."""
        tips: list[Tip] = [undo.tip for undo in self._coins.history]
        if self._coins.tip is not None:
            tips.append(self._coins.tip)
        return {tip.hash: tip.height for tip in tips}

    async def _apply(self, header: Header) -> None:
        raw = await self._source.block(header.hash)
        try:
            events = await asyncio.to_thread(
                read_block,
                raw,
                form=self._form,
                outpoints=self._coins.outpoints,
                scripts=self._coins.scripts,
                asked=bytes.fromhex(header.hash)[::-1],
                verify=self._verify,
            )
            changes = self._coins.apply(events, header.tip)
        except BadAnswer as error:
            raise self._bad(f"block {header.hash}: {error}") from None
        self._settled = False
        self._gone |= changes.spent
        shorten(self._gone)
        self.accounts.use(made.script for made in events.created)
        self._enter(changes.balances)
        for listener in self._audience:
            listener.applied(self._coins, events=events, changes=changes)

    def _undo(self) -> None:
        undo = self._coins.history[-1]
        self._enter(self._coins.undo().balances)
        for listener in self._audience:
            listener.undone(self._coins, undo=undo)

    @property
    def _audience(self) -> Sequence[Listener]:
        """Whoever listens; nobody while coins are found anew, on whose way the book knows only a part of them."""
        return self._listeners if self._whole else ()

    # ── finding coins ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _begin(self) -> None:
        """From what was kept before a restart, if there is that, else from a scan.

        What was kept fits accounts that were not followed any further since, so that it is taken up once or never.
        """
        resume, self._resume = self._resume, None
        kept = resume() if resume is not None else None
        if kept is None:
            await self._load()
            return
        self._coins, self._whole = kept, True
        spent = ((outpoint, packed) for undo in kept.history for outpoint, packed in undo.coins.items())
        self._gone = {outpoint: unpack(packed) for outpoint, packed in spent if packed is not None}
        self._revalue()
        await self._catch_up()

    async def _load(self) -> None:
        self._whole = False
        self._refused.clear()
        await self._derivation.extend()
        self._sought.clear()
        parts = await self._parts(self.accounts.scripts)
        self._coins = CoinSet({})
        self._coins.load(parts[0].header.tip if parts else (await self._source.head()).tip, ())
        await self._join(parts)
        await self._catch_up()
        self._whole = True
        self._told_anew()

    async def _catch_up(self) -> None:
        """Finds the coins of scripts that the gap limit newly asks for, until it asks for no more."""
        while True:
            self._sought |= await self._derivation.extend()
            if not self._sought:
                self._settled = True
                return
            await self._join(await self._parts(self._sought))
            if self._whole:
                self._told_anew()

    async def _parts(self, scripts: Mapping[bytes, int]) -> Sequence[Snapshot]:
        parts = sorted(await self._source.coins(scripts.keys()), key=lambda part: part.header.height)
        told = Counter(script for part in parts for script in part.scripts)
        if told.keys() != scripts.keys() or len(told) != told.total():
            raise self._bad("told the coins of other scripts than it was asked for")
        return parts

    async def _join(self, parts: Sequence[Snapshot]) -> None:
        """Brings the book to each part's block and adds the part's coins."""
        for part in parts:
            try:
                await self._walk(part.header.hash, header=part.header)
            except _Astray:
                raise self._unknown(part.header.hash, why="its chain changed while coins were looked for") from None
            wanted = self.accounts.scripts
            readable = {script: wanted[script] for script in part.scripts if script not in part.refused}
            if readable:
                self._coins.watch(readable)
                try:
                    self._coins.adopt(coins_of(part))
                except BadAnswer as error:
                    self._whole = False  # the scripts are watched, and their coins are missing
                    raise self._bad(str(error)) from None
            self._refused |= part.refused
            for script in part.scripts:
                self._sought.pop(script, None)
            self.accounts.use(part.used)
            self.accounts.use(coin.script for coin in part.coins)

    # ── values ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _told_anew(self) -> None:
        self.found += 1
        self._revalue()
        for listener in self._listeners:
            listener.forgotten() if self._refused or self._sought else listener.loaded(self._coins)

    def _revalue(self) -> None:
        self._units = [self._coins.balance(number) for number in range(len(self.accounts.names))]

    def _enter(self, balances: Mapping[int, int]) -> None:
        for number, units in balances.items() if self._whole else ():
            self._units[number] = units

    def _unknown(self, block: str, *, why: str) -> UnknownBlock:
        return UnknownBlock(f"{self._source.transport.provider}: does not have block {block}: {why}", code=0)

    def _bad(self, text: str) -> BadAnswer:
        return self._source.transport.blame(BadAnswer(f"{self._source.transport.provider}: {text}"))
