"""A small chain in memory, and sources that tell of it: whole or in parts, spoilt, late, or not at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from connectors.bitcoin.sources.base import Change, Coin, Pending, Pruned, Snapshot, parse_header
from connectors.circuit import Circuit
from connectors.errors import NodeError
from connectors.follow import UnknownBlock
from connectors.quorum import Header
from connectors.standing import Standing
from tests.unit.bitcoin.building import BuiltBlock, PlainTx, Tx, coinbase, plainly, script

STRANGER = script(1_000_000)


@dataclass(frozen=True)
class Mined:
    """A block of the chain, and what the plain reader finds in it."""

    header: Header
    raw: bytes
    txs: Sequence[PlainTx]


@dataclass(frozen=True)
class Ledger:
    """What a plain walk over all blocks finds: every coin by its outpoint, and every script that was ever paid."""

    coins: Mapping[bytes, Coin]
    paid: Collection[bytes]

    def of(self, scripts: Container[bytes]) -> int:
        """What these scripts hold together."""
        return sum(coin.value for coin in self.coins.values() if coin.script in scripts)


class MemoryChain:
    """Blocks from the first on; those that a reorganisation dropped can still be had by their hash."""

    def __init__(self) -> None:
        self.branch: list[Mined] = []
        self.known: dict[str, Mined] = {}
        self.txs: dict[bytes, Tx] = {}
        """Every transaction that was ever mined or sent, by its id."""
        self.pool: list[bytes] = []
        """What was sent; mempools hold what of it is in no block of the branch."""
        self._mined = 0
        self.mine()

    @property
    def tip(self) -> Header:
        return self.branch[-1].header

    def mine(self, *txs: Tx, first: Tx | None = None) -> Header:
        """A block of these transactions on the newest one."""
        self._mined += 1
        first = first or coinbase(self._mined, (STRANGER, 50))
        parent = bytes.fromhex(self.tip.hash)[::-1] if self.branch else bytes(32)
        raw = BuiltBlock([first, *txs], parent=parent, nonce=self._mined).raw()
        mined = Mined(parse_header(raw, height=len(self.branch)), raw, plainly(raw))
        self.branch.append(mined)
        self.known[mined.header.hash] = mined
        self.txs |= {tx.txid(): tx for tx in (first, *txs)}
        return mined.header

    def pay(self, *outputs: tuple[bytes, int]) -> Header:
        """A block whose coinbase pays these, the one way to pay without a coin."""
        return self.mine(first=coinbase(self._mined + 1, *outputs))

    def send(self, tx: Tx) -> Tx:
        """Into the mempools."""
        self.txs[tx.txid()] = tx
        self.pool.append(tx.txid())
        return tx

    @property
    def pending(self) -> Sequence[bytes]:
        mined = {tx.txid for mined in self.branch for tx in mined.txs}
        return [txid for txid in self.pool if txid not in mined]

    def drop(self, depth: int) -> Sequence[Mined]:
        """Takes the newest blocks off the branch; the first stays."""
        start = max(1, len(self.branch) - depth)
        dropped = self.branch[start:]
        del self.branch[start:]
        return dropped

    def mine_again(self, dropped: Mined) -> Header:
        """Another block of the same transactions on the newest one."""
        first, *txs = (self.txs[tx.txid] for tx in dropped.txs)
        return self.mine(*txs, first=first)

    def ledger(self, height: int | None = None) -> Ledger:
        """As of the block at this height, or the newest."""
        coins: dict[bytes, Coin] = {}
        paid: set[bytes] = set()
        for mined in self.branch[: None if height is None else height + 1]:
            for tx in mined.txs:
                for outpoint in tx.inputs:
                    coins.pop(outpoint, None)
                for index, (code, value) in enumerate(tx.outputs):
                    coin = Coin(tx.txid, index, value, code, mined.header.height)
                    coins[tx.txid + index.to_bytes(4, "little")] = coin
                    paid.add(code)
        return Ledger(coins, paid)

    def history(self, code: bytes) -> dict[bytes, int]:
        """The transactions of the branch that pay this script or spend its coins, and the heights of their blocks."""
        heights: dict[bytes, int] = {}
        made: set[bytes] = set()
        for mined in self.branch:
            for tx in mined.txs:
                paid = {tx.txid + at.to_bytes(4, "little") for at, (to, _) in enumerate(tx.outputs) if to == code}
                if paid or not made.isdisjoint(tx.inputs):
                    heights[tx.txid] = mined.header.height
                made |= paid
        return heights


async def _nothing(what: str) -> None:
    """Happens before a question is answered."""


def _rightly(coin: Coin) -> Coin | None:
    return coin


@dataclass
class CoinSource:
    """A Source. `before` is awaited before each answer, and told the question.

    The coins come in `parts`, each as of what is the newest block when its turn comes. With `tells_used` it says which
    scripts were ever paid; `refused` are those whose coins it does not tell. What it tells of a coin has gone through
    `told`, which gives None for one that it lacks.
    """

    chain: MemoryChain
    name: str = "memory"
    parts: int = 1
    tells_used: bool = True
    refused: dict[bytes, NodeError] = field(default_factory=dict)
    before: Callable[[str], Awaitable[None]] = _nothing
    told: Callable[[Coin], Coin | None] = _rightly
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        circuit = Circuit(self.name, chain="btc", clock=lambda: 0.0, rng=lambda: 0.5)
        self.transport = Standing(self.name, circuit=circuit)

    async def head(self) -> Header:
        await self._asked("head")
        return self.chain.tip

    async def header_at(self, height: int) -> Header | None:
        await self._asked("header_at")
        return self.chain.branch[height].header if 0 <= height < len(self.chain.branch) else None

    async def headers_between(self, low: int, high: int) -> Sequence[Header]:
        await self._asked("headers_between")
        return [mined.header for mined in self.chain.branch[low + 1 : high]]

    async def coins(self, scripts: Collection[bytes]) -> Sequence[Snapshot]:
        wanted = list(scripts)
        share = max(1, -(-len(wanted) // self.parts))
        found: list[Snapshot] = []
        for start in range(0, len(wanted), share):
            await self._asked("coins")
            found.append(self._snapshot(wanted[start : start + share]))
        return found

    async def pending(self, scripts: Collection[bytes]) -> Pending:
        await self._asked("pending")
        return Pending(dict.fromkeys(self.chain.pending))

    async def transactions(self, txids: Collection[bytes]) -> Mapping[bytes, bytes]:
        await self._asked("transactions")
        return {txid: self.chain.txs[txid].raw() for txid in txids if txid in self.chain.pending}

    async def fees(self, txids: Collection[bytes]) -> Mapping[bytes, int]:
        return {}

    def changes(self, scripts: Collection[bytes]) -> AsyncGenerator[Change, None] | None:
        return None

    def _snapshot(self, scripts: Sequence[bytes]) -> Snapshot:
        ledger = self.chain.ledger()
        told = {one for one in scripts if one not in self.refused}
        all_coins = (self.told(coin) for coin in ledger.coins.values() if coin.script in told)
        coins = tuple(coin for coin in all_coins if coin is not None)
        refused = {one: self.refused[one] for one in scripts if one in self.refused}
        used = [one for one in told if one in ledger.paid] if self.tells_used else ()
        return Snapshot(self.chain.tip, tuple(scripts), coins, refused, used)

    async def _asked(self, what: str) -> None:
        self.calls[what] += 1
        await self.before(what)


@dataclass
class ChainSource(CoinSource):
    """A BlockSource, which has thrown away the blocks below `pruned_below` and lost those in `gone`.

    What it gives for a block has gone through `spoil`.
    """

    pruned_below: int = 0
    gone: set[str] = field(default_factory=set)
    spoil: Callable[[bytes], bytes] = bytes

    async def block(self, block: str) -> bytes:
        await self._asked("block")
        mined = self.chain.known.get(block)
        if mined is None or block in self.gone:
            raise UnknownBlock(f"{self.name}: has no block {block}", code=-5)
        if mined.header.height < self.pruned_below:
            raise Pruned(f"{self.name}: block {block} is pruned", code=-1)
        return self.spoil(mined.raw)


@dataclass
class HistoryChain(CoinSource):
    """A HistorySource. The status of a script is that of Electrum: of its transactions and their heights, no hashes."""

    async def confirmed(self, script: bytes) -> Mapping[bytes, int]:
        await self._asked("confirmed")
        return self.chain.history(script)

    async def transactions(self, txids: Collection[bytes]) -> Mapping[bytes, bytes]:
        if not txids:
            return {}
        await self._asked("transactions")
        here = {tx.txid for mined in self.chain.branch for tx in mined.txs}.union(self.chain.pending)
        return {txid: self.chain.txs[txid].raw() for txid in txids if txid in here}

    def _snapshot(self, scripts: Sequence[bytes]) -> Snapshot:
        histories = {one: self.chain.history(one) for one in scripts}
        statuses = {one: repr(sorted(history.items())) for one, history in histories.items() if history}
        return replace(super()._snapshot(scripts), statuses=statuses)
