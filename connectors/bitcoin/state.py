"""Keeps a book over restarts: its coins, its block, what takes blocks back, and how far descriptors were derived.

One SQLite file a chain, one transaction a step, so that a process killed at any moment finds a whole book. Nothing in
it can't be found anew: a file that is damaged, of another form or of other accounts is not used, never an error.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from connectors.base import Tip
from connectors.bitcoin.accounts import Accounts, Branch
from connectors.bitcoin.block import BlockEvents
from connectors.bitcoin.coins import Changes, Coin, CoinSet, Undo, unpack
from connectors.bitcoin.transaction import OUTPOINT
from connectors.errors import BadAnswer

log = structlog.get_logger()

FORM = 2
"""Of the tables; a file of another form is begun anew."""

SCHEMA = """
create table if not exists books (
  name text primary key, accounts blob not null, height integer not null, hash text not null, time integer not null
) strict;
create table if not exists coins (
  book text not null, outpoint blob not null, coin blob not null, primary key (book, outpoint)) strict, without rowid;
create table if not exists undo (
  book text not null, height integer not null, hash text not null, time integer not null, coins blob not null,
  primary key (book, height)) strict;
create table if not exists branches (
  book text not null, number integer not null, derived integer not null, used integer not null, beyond text not null,
  primary key (book, number)) strict;
"""

GONE = 0xFFFFFFFF
_length = struct.Struct("<I")


class StateFile:
    """The file, for the books of one chain. `close` it in the end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._database = self._opened()

    def close(self) -> None:
        self._database.close()

    def shelf(self, name: str, *, accounts: Accounts) -> Shelf:
        """Where the book of this name is kept."""
        return Shelf(self._database, name=name, accounts=accounts)

    def _opened(self) -> sqlite3.Connection:
        try:
            return _database(self._path)
        except sqlite3.Error as error:
            log.warning("state file can't be used; a new one is begun", path=str(self._path), why=str(error))
        for suffix in ("", "-wal", "-shm"):
            with suppress(OSError):
                Path(f"{self._path}{suffix}").unlink(missing_ok=True)
        try:
            return _database(self._path)
        except sqlite3.Error:
            return _database(":memory:")


def _database(path: Path | str) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        (form,) = database.execute("pragma user_version").fetchone()
        if form not in (0, FORM):
            raise sqlite3.DatabaseError(f"its form is {form}, not {FORM}")
        database.execute("pragma journal_mode = wal")
        database.execute("pragma synchronous = normal")  # a step that is lost with the power is taken again
        database.executescript(SCHEMA)
        database.execute(f"pragma user_version = {FORM}")
    except sqlite3.Error:
        database.close()
        raise
    return database


class Shelf:
    """One book in the file; a Listener of it. When the file fails, the book goes on without."""

    def __init__(self, database: sqlite3.Connection, *, name: str, accounts: Accounts) -> None:
        self._database = database
        self._name = name
        self._accounts = accounts
        self._keeping = False

    def resume(self) -> CoinSet | None:
        """The coins as they were kept, with the accounts derived as far; None where nothing fitting was kept."""
        try:
            return self._resumed(self._accounts)
        except (sqlite3.Error, BadAnswer, ValueError, struct.error) as error:
            log.warning("kept coins can't be used", provider=self._name, why=str(error))
            return None

    def loaded(self, coins: CoinSet) -> None:
        """See Listener."""
        self._keeping = True
        with self._step() as database:
            database.execute("delete from coins where book = ?", (self._name,))
            database.execute("delete from undo where book = ?", (self._name,))
            database.execute("delete from branches where book = ?", (self._name,))
            rows = ((self._name, outpoint, coin.pack()) for outpoint, coin in coins.coins())
            database.executemany("insert into coins values (?, ?, ?)", rows)
            for undo in coins.history:
                self._keep_undo(undo)
            branches = enumerate(self._accounts.branches)
            steps = ((self._name, number, one.derived, one.used, _indices(one)) for number, one in branches)
            database.executemany("insert into branches values (?, ?, ?, ?, ?)", steps)
            self._keep_tip(coins)

    def applied(self, coins: CoinSet, *, events: BlockEvents, changes: Changes) -> None:
        """See Listener. What is derived but not looked up yet is not kept: it will be derived again."""
        if not self._keeping:
            return
        after = {
            one.outpoint: Coin(one.script, one.value, changes.tip.height, one.coinbase).pack()
            for one in events.created
            if one.outpoint not in changes.spent
        }
        last = coins.history[-1]
        with self._step() as database:
            self._replace({outpoint: after.get(outpoint) for outpoint in last.coins})
            self._keep_undo(last)
            oldest = changes.tip.height - len(coins.history)
            database.execute("delete from undo where book = ? and height < ?", (self._name, oldest))
            branches = enumerate(self._accounts.branches)
            paid = [(one.used, _indices(one), self._name, number) for number, one in branches]
            database.executemany("update branches set used = ?, beyond = ? where book = ? and number = ?", paid)
            self._keep_tip(coins)

    def undone(self, coins: CoinSet, *, undo: Undo) -> None:
        """See Listener."""
        if not self._keeping:
            return
        with self._step() as database:
            self._replace(undo.coins)
            database.execute("delete from undo where book = ? and height >= ?", (self._name, undo.tip.height))
            self._keep_tip(coins)

    def forgotten(self) -> None:
        """See Listener."""
        with self._step() as database:
            database.execute("delete from books where name = ?", (self._name,))
        self._keeping = False

    @contextmanager
    def _step(self) -> Iterator[sqlite3.Connection]:
        """One transaction. After one that failed the file stays as it is: no later step would fit."""
        try:
            with self._database as database:
                yield database
        except sqlite3.Error as error:
            self._keeping = False
            log.warning("coins are not kept any more", provider=self._name, why=str(error))

    # ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _resumed(self, accounts: Accounts) -> CoinSet | None:
        query = "select accounts, height, hash, time from books where name = ?"
        row = self._database.execute(query, (self._name,)).fetchone()
        if row is None or row[0] != accounts.fingerprint:
            return None
        tip = _tip(*row[1:])
        query = "select derived, used, beyond from branches where book = ? order by number"
        branches = self._database.execute(query, (self._name,)).fetchall()
        query = "select height, hash, time, coins from undo where book = ? order by height"
        history = [Undo(_tip(*one[:3]), _unpacked(one[3])) for one in self._database.execute(query, (self._name,))]
        derived, used, beyond = zip(*branches, strict=True) if branches else ((), (), ())
        accounts.resume(derived, used=used, beyond=(map(int, indices.split()) for indices in beyond))
        query = "select outpoint, coin from coins where book = ?"
        kept = ((outpoint, unpack(coin)) for outpoint, coin in self._database.execute(query, (self._name,)))
        coins = CoinSet(accounts.scripts)
        coins.load(tip, kept, history=history)
        self._keeping = True
        return coins

    def _replace(self, coins: Mapping[bytes, bytes | None]) -> None:
        gone = [(self._name, outpoint) for outpoint, packed in coins.items() if packed is None]
        there = [(self._name, outpoint, packed) for outpoint, packed in coins.items() if packed is not None]
        self._database.executemany("delete from coins where book = ? and outpoint = ?", gone)
        self._database.executemany("insert or replace into coins values (?, ?, ?)", there)

    def _keep_undo(self, undo: Undo) -> None:
        row = (self._name, undo.tip.height, undo.tip.hash, int(undo.tip.time.timestamp()), _packed(undo.coins))
        self._database.execute("insert or replace into undo values (?, ?, ?, ?, ?)", row)

    def _keep_tip(self, coins: CoinSet) -> None:
        tip = coins.tip
        if tip is not None:
            row = (self._name, self._accounts.fingerprint, tip.height, tip.hash, int(tip.time.timestamp()))
            self._database.execute("insert or replace into books values (?, ?, ?, ?, ?)", row)


def _indices(branch: Branch) -> str:
    return " ".join(map(str, sorted(branch.beyond)))


def _tip(height: int, block: str, time: int) -> Tip:
    return Tip(height, block, datetime.fromtimestamp(time, tz=UTC))


def _packed(coins: Mapping[bytes, bytes | None]) -> bytes:
    parts: list[bytes] = []
    for outpoint, coin in coins.items():
        parts += (outpoint, _length.pack(GONE if coin is None else len(coin)), coin or b"")
    return b"".join(parts)


def _unpacked(data: bytes) -> dict[bytes, bytes | None]:
    coins: dict[bytes, bytes | None] = {}
    at = 0
    while at < len(data):
        outpoint = data[at : at + OUTPOINT]
        (size,) = _length.unpack_from(data, at + OUTPOINT)
        at += OUTPOINT + _length.size
        coins[outpoint] = None if size == GONE else data[at : at + size]
        at += 0 if size == GONE else size
    return coins
