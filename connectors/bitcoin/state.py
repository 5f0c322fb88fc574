"""Keeps a book over restarts: its coins, its block, what takes blocks back, and how far descriptors were derived.

One SQLite file a chain, one transaction a step, so that a process killed at any moment finds a whole book. Nothing in
it can't be found anew: a file that is damaged, of another form or of other accounts is not used, never an error.
SQLite has no checksums of its own: digests over all that is kept show the damage that it doesn't see.
"""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from itertools import chain
from pathlib import Path

import structlog

from connectors.base import Tip
from connectors.bitcoin.accounts import Accounts, Branch
from connectors.bitcoin.block import BlockEvents
from connectors.bitcoin.coins import Changes, CoinSet, Undo, unpack
from connectors.bitcoin.transaction import OUTPOINT
from connectors.errors import BadAnswer

log = structlog.get_logger()

FORM = 3
"""Of the tables; a file of another form is begun anew."""

SCHEMA = """
create table books (
  name text primary key, accounts blob not null, height integer not null, hash text not null, time integer not null,
  coins blob not null, digest blob not null) strict;
create table coins (
  book text not null, outpoint blob not null, coin blob not null, primary key (book, outpoint)) strict, without rowid;
create table undo (
  book text not null, height integer not null, hash text not null, time integer not null, coins blob not null,
  digest blob not null, primary key (book, height)) strict;
create table branches (
  book text not null, number integer not null, derived integer not null, used integer not null, beyond text not null,
  primary key (book, number)) strict;
"""

SUFFIXES = ("", "-wal", "-shm")
"""Of the files that are one SQLite database."""

GONE = 0xFFFFFFFF
SUMS = 2**256
_length = struct.Struct("<I")


class StateFile:
    """The file, for the books of one chain. `close` it in the end."""

    def __init__(self, path: Path, *, patience: float = 1.0) -> None:
        """`patience`: seconds to wait for another process that holds the file."""
        self._path = path
        self._patience = patience
        self.usable = True
        """Whether anything can be kept."""
        self.database = self._opened()
        """Another one once the file was found to be damaged."""

    def close(self) -> None:
        self.database.close()

    def shelf(self, name: str, *, accounts: Accounts) -> Shelf:
        """Where the book of this name is kept."""
        return Shelf(self, name=name, accounts=accounts)

    def begin_anew(self, why: str) -> None:
        """Puts the file aside, which is damaged, and takes a new one."""
        self.database.close()
        self.database = self._anew(why)

    def _opened(self) -> sqlite3.Connection:
        try:
            return _database(str(self._path), patience=self._patience)
        except _Unusable as error:
            return self._anew(str(error))
        except sqlite3.Error as error:
            return self._nowhere(str(error))

    def _anew(self, why: str) -> sqlite3.Connection:
        try:
            self._put_aside()
            database = _database(str(self._path), patience=self._patience)
        except (sqlite3.Error, _Unusable, OSError) as error:
            return self._nowhere(f"{why}; {error}")
        log.warning("state file can't be used; a new one is begun", path=str(self._path), why=why)
        return database

    def _nowhere(self, why: str) -> sqlite3.Connection:
        log.warning("state file can't be opened; nothing outlives a restart", path=str(self._path), why=why)
        self.usable = False
        return sqlite3.connect(":memory:")

    def _put_aside(self) -> None:
        """Somebody may have named a file that is precious to him."""
        for suffix in SUFFIXES:
            file = Path(f"{self._path}{suffix}")
            if file.exists():
                file.replace(f"{self._path}.unusable{suffix}")


class _Unusable(Exception):
    """The file is no state file of this form, or a damaged one."""


def _database(path: str, *, patience: float) -> sqlite3.Connection:
    """Raises _Unusable for a file that will never be good, sqlite3.Error where another time may be better."""
    database = sqlite3.connect(path, timeout=patience, check_same_thread=False)
    try:
        if _is_new(database):
            database.execute("pragma journal_mode = wal")
            database.executescript(f"begin; {SCHEMA} pragma user_version = {FORM}; commit")
        database.execute("pragma synchronous = normal")  # a step that is lost with the power is taken again
    except (sqlite3.Error, _Unusable):
        database.close()
        raise
    return database


def _is_new(database: sqlite3.Connection) -> bool:
    """Whether it is empty; if not it is one of ours, and whole as far as SQLite can tell. Raises as above."""
    try:
        (form,) = database.execute("pragma user_version").fetchone()
        (tables,) = database.execute("select count(*) from sqlite_schema").fetchone()
        (flaw,) = database.execute("pragma quick_check(1)").fetchone()
    except UnicodeDecodeError as error:  # names that are no text any more
        raise _Unusable(str(error)) from None
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if code & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
            raise _Unusable(str(error)) from None
        raise
    if flaw != "ok":
        raise _Unusable(flaw)
    if form not in (0, FORM):
        raise _Unusable(f"its form is {form}, not {FORM}")
    if tables and not form:
        raise sqlite3.DatabaseError("it is a database of something else")
    return not tables


class Shelf:
    """One book in the file; a Listener of it. When the file fails, the book goes on without."""

    def __init__(self, file: StateFile, *, name: str, accounts: Accounts) -> None:
        self._file = file
        self._name = name
        self._accounts = accounts
        self._kept_in: sqlite3.Connection | None = None
        self._sum = 0
        """Of the digests of all coins that are kept, whatever their order."""
        self._derived: Sequence[int] = ()
        """How far each branch was derived when all coins of what was derived were known."""

    def resume(self) -> CoinSet | None:
        """The coins as they were kept, with the accounts derived as far; None where nothing fitting was kept."""
        try:
            return self._resumed(self._accounts) if self._file.usable else None
        except (sqlite3.Error, BadAnswer, ValueError, struct.error) as error:
            self._file.begin_anew(str(error))
            return None

    def loaded(self, coins: CoinSet) -> None:
        """See Listener."""
        if not self._file.usable:
            return
        self._kept_in = self._database
        self._sum = 0
        self._derived = [branch.derived for branch in self._accounts.branches]
        with self._step() as database:
            for table in ("coins", "undo", "branches"):
                database.execute(f"delete from {table} where book = ?", (self._name,))  # noqa: S608 - our own names
            rows = ((self._name, outpoint, self._counted(outpoint, coin.pack())) for outpoint, coin in coins.coins())
            database.executemany("insert into coins values (?, ?, ?)", rows)
            blocks = [*(undo.tip.hash for undo in coins.history), *([coins.tip.hash] if coins.tip else ())]
            for undo, child in zip(coins.history, blocks[1:], strict=True):
                self._keep_undo(undo, child=child)
            self._keep_tip(coins)

    def applied(self, coins: CoinSet, *, events: BlockEvents, changes: Changes) -> None:  # noqa: ARG002
        """See Listener. What is derived but not looked up yet is not kept: it will be derived again."""
        if not self._keeping:
            return
        last = coins.history[-1]
        with self._step() as database:
            self._replace((outpoint, _packed_at(outpoint, coins)) for outpoint in last.coins)
            self._keep_undo(last, child=changes.tip.hash)
            oldest = changes.tip.height - len(coins.history)
            database.execute("delete from undo where book = ? and height < ?", (self._name, oldest))
            self._keep_tip(coins)

    def undone(self, coins: CoinSet, *, undo: Undo) -> None:
        """See Listener."""
        if not self._keeping:
            return
        with self._step() as database:
            self._replace(undo.coins.items())
            database.execute("delete from undo where book = ? and height >= ?", (self._name, undo.tip.height))
            self._keep_tip(coins)

    def forgotten(self) -> None:
        """See Listener."""
        if self._file.usable:
            with self._step() as database:
                database.execute("delete from books where name = ?", (self._name,))
        self._kept_in = None

    @property
    def _database(self) -> sqlite3.Connection:
        return self._file.database

    @property
    def _keeping(self) -> bool:
        return self._kept_in is self._database

    @contextmanager
    def _step(self) -> Iterator[sqlite3.Connection]:
        """One transaction. After one that failed the file stays as it is: no later step would fit."""
        try:
            with self._database as database:
                yield database
        except sqlite3.Error as error:
            self._kept_in = None
            log.warning("coins are not kept any more", provider=self._name, why=str(error))

    # ── rows ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _resumed(self, accounts: Accounts) -> CoinSet | None:
        query = "select accounts, height, hash, time, coins, digest from books where name = ?"
        row = self._database.execute(query, (self._name,)).fetchone()
        if row is None:
            return None
        fingerprint, *tip, total, digest = row
        query = "select derived, used, beyond from branches where book = ? order by number"
        branches = self._database.execute(query, (self._name,)).fetchall()
        if digest != _digest(self._name, fingerprint, *tip, total, *chain.from_iterable(branches)):
            raise ValueError("the file is damaged")
        if fingerprint != accounts.fingerprint:
            log.info("kept coins are of other accounts or gap limits", provider=self._name)
            return None
        history = self._history(tip[1])
        derived, used, beyond = zip(*branches, strict=True) if branches else ((), (), ())
        accounts.resume(derived, used=used, beyond=(map(int, indices.split()) for indices in beyond))
        coins = self._coins(accounts, tip=_tip(*tip), history=history)
        if self._sum.to_bytes(32, "big") != total:
            raise ValueError("the file is damaged")
        self._kept_in, self._derived = self._database, derived
        return coins

    def _history(self, newest: str) -> list[Undo]:
        """What takes the newest block back, and those before it."""
        history: list[Undo] = []
        query = "select height, hash, time, coins, digest from undo where book = ? order by height desc"
        for height, block, time, coins, digest in self._database.execute(query, (self._name,)):
            if digest != _digest(self._name, height, block, time, coins, newest):
                raise ValueError("the file is damaged")
            history.insert(0, Undo(_tip(height, block, time), _unpacked(coins)))
            newest = block
        return history

    def _coins(self, accounts: Accounts, *, tip: Tip, history: Sequence[Undo]) -> CoinSet:
        self._sum = 0
        rows = self._database.execute("select outpoint, coin from coins where book = ?", (self._name,))
        coins = CoinSet(accounts.scripts)
        coins.load(tip, ((outpoint, unpack(self._counted(outpoint, coin))) for outpoint, coin in rows), history=history)
        return coins

    def _counted(self, outpoint: bytes, coin: bytes, *, sign: int = 1) -> bytes:
        self._sum = (self._sum + sign * int.from_bytes(_digest(outpoint, coin), "big")) % SUMS
        return coin

    def _replace(self, coins: Iterable[tuple[bytes, bytes | None]]) -> None:
        find = "select coin from coins where book = ? and outpoint = ?"
        for outpoint, packed in coins:
            for (before,) in self._database.execute(find, (self._name, outpoint)).fetchall():
                self._counted(outpoint, before, sign=-1)
            if packed is None:
                self._database.execute("delete from coins where book = ? and outpoint = ?", (self._name, outpoint))
            else:
                row = (self._name, outpoint, self._counted(outpoint, packed))
                self._database.execute("insert or replace into coins values (?, ?, ?)", row)

    def _keep_undo(self, undo: Undo, *, child: str) -> None:
        """`child` is the block that it takes back."""
        parts = (undo.tip.height, undo.tip.hash, int(undo.tip.time.timestamp()), _packed(undo.coins))
        row = (self._name, *parts, _digest(self._name, *parts, child))
        self._database.execute("insert or replace into undo values (?, ?, ?, ?, ?, ?)", row)

    def _keep_tip(self, coins: CoinSet) -> None:
        tip = coins.tip
        if tip is None:
            return
        kept = zip(self._derived, self._accounts.branches, strict=True)
        branches: list[tuple[int | str, ...]] = [(derived, one.used, _indices(one)) for derived, one in kept]
        rows = ((self._name, number, *branch) for number, branch in enumerate(branches))
        self._database.executemany("insert or replace into branches values (?, ?, ?, ?, ?)", rows)
        place = (tip.height, tip.hash, int(tip.time.timestamp()))
        parts = (self._accounts.fingerprint, *place, self._sum.to_bytes(32, "big"))
        row = (self._name, *parts, _digest(self._name, *parts, *chain.from_iterable(branches)))
        self._database.execute("insert or replace into books values (?, ?, ?, ?, ?, ?, ?)", row)


def _digest(*parts: bytes | str | int) -> bytes:
    """Of what these parts are, one by one."""
    hasher = sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        hasher.update(len(data).to_bytes(8, "big"))
        hasher.update(data)
    return hasher.digest()


def _packed_at(outpoint: bytes, coins: CoinSet) -> bytes | None:
    coin = coins.coin(outpoint)
    return None if coin is None else coin.pack()


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
