"""Databases: which URLs are understood, what of them may be shown, which driver they need, how a file is opened."""

import asyncio
import importlib.util
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from importlib import import_module
from typing import Annotated, Any
from urllib.parse import quote

import aiosqlite
from pydantic import AfterValidator, PlainSerializer, SecretStr

POSTGRESQL = "postgresql+asyncpg"
SQLITE_URL = re.compile(r"sqlite\+aiosqlite://(?:/[^?]*)?(?:\?.*)?")
# No `@`, `/` or `?` in a password unless it is escaped: otherwise nobody can say where the part ends that may be shown.
POSTGRESQL_URL = re.compile(
    r"(?P<scheme>postgresql\+asyncpg)://(?:[^@/?#\s]+@)?(?P<host>[\w.:,\[\]-]*)(?:[/?][^@\s]*)?"
)
WITHOUT_PASSWORD = re.compile(r"(?P<user>postgresql\+asyncpg://[^@:/?#\s]+)(?P<server>@.*)")
DRIVER_MISSING = "needs asyncpg, which is not installed; it comes with pyrometer[postgres]"


def masked_store(url: SecretStr) -> str:
    """What may be shown of a store's URL: a file's name, a server's scheme and host."""
    text = url.get_secret_value()
    server = POSTGRESQL_URL.fullmatch(text)
    return f"{server['scheme']}://{server['host']}/***" if server else text.partition("?")[0]


def _understood(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if text.startswith(POSTGRESQL) and not POSTGRESQL_URL.fullmatch(text):
        raise ValueError(f"expected {POSTGRESQL}://user:password@host/database, with %40 for @ and %2F for /")
    if not SQLITE_URL.fullmatch(text) and not POSTGRESQL_URL.fullmatch(text):
        raise ValueError(f"expected a URL that begins with sqlite+aiosqlite:/// or {POSTGRESQL}://")
    return url


DatabaseUrl = Annotated[
    SecretStr, AfterValidator(_understood), PlainSerializer(masked_store, return_type=str, when_used="json")
]
"""An SQLAlchemy URL, sqlite+aiosqlite or postgresql+asyncpg; printed without what may be a password."""


def lacks_password(url: SecretStr) -> bool:
    """Whether it is a server's that names a user and no password."""
    return WITHOUT_PASSWORD.fullmatch(url.get_secret_value()) is not None


def with_password(url: SecretStr, password: SecretStr | None) -> str:
    """The URL with the password, if one is given, of the user that it names."""
    text = url.get_secret_value()
    parts = WITHOUT_PASSWORD.fullmatch(text)
    if parts is None or password is None:
        return text
    return f"{parts['user']}:{quote(password.get_secret_value(), safe='')}{parts['server']}"


def importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def lacks_driver(url: SecretStr, *, importable: Callable[[str], bool] = importable) -> bool:
    """Whether what such a database is spoken to with is not installed."""
    return url.get_secret_value().startswith(POSTGRESQL) and not importable("asyncpg")


@cache
def driver_errors() -> tuple[type[Exception], ...]:
    """What comes of asyncpg while it connects or rows are fetched, which SQLAlchemy passes on as it is."""
    if not importable("asyncpg"):
        return ()
    driver = import_module("asyncpg")
    return driver.PostgresError, driver.InterfaceError, driver.InternalClientError


async def open_sqlite(path: str, **options: Any) -> aiosqlite.Connection:  # noqa: ANN401 - as sqlite3.connect
    """As SQLAlchemy opens one, which calls this where it is the `async_creator_fn`. sqlite3.Error."""
    connection = aiosqlite.connect(path, **options)
    connection._thread.daemon = True  # one that hangs must not keep the process from ending
    async with closed_on_failure(connection):
        await connection
    return connection


@asynccontextmanager
async def closed_on_failure(connection: aiosqlite.Connection) -> AsyncIterator[None]:
    """The driver would leave a thread behind that speaks to the event loop, which may be gone by then."""
    try:
        yield
    except sqlite3.Error:
        await connection.close()
        await asyncio.to_thread(connection._thread.join)
        raise
