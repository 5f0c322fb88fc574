"""Who runs the real daemon: people with tokens, at a shell, with systemd's commands."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

from tests.integration.anvil import free_port
from tests.system.daemon import Daemon
from tests.system.written import Hook, Shell, shell

PEOPLE = {"aya": "aya-throw-away", "ben": "ben-throw-away"}
DEAD = "http://127.0.0.1:9"
"""A node where nobody listens."""


def entries(**people: str) -> list[dict[str, str]]:
    return [
        {"name": name, "scope": "operate", "sha256": hashlib.sha256(text.encode()).hexdigest()}
        for name, text in people.items()
    ]


def guarded(folder: Path, people: Mapping[str, str]) -> dict[str, Any]:
    """A section `api` on a port that stays over restarts, with a token for each of the people, a line each."""
    lines = [f"- {{name: {one['name']}, scope: operate, sha256: {one['sha256']}}}\n" for one in entries(**people)]
    (folder / "tokens.yaml").write_text("".join(lines))
    return {"listen": f"127.0.0.1:{free_port()}", "tokens_file": "tokens.yaml"}


async def is_ready(daemon: Daemon) -> None:
    await daemon.becomes("/readyz", lambda body: body["status"] == "ready")


def system(daemon: Daemon) -> dict[str, Hook]:
    """What stands for systemd's own commands."""
    return {"systemctl stop pyrometer": daemon.stop, "systemctl start pyrometer": daemon.start}


@asynccontextmanager
async def at_work(daemon: Daemon, *, token: str = "", **variables: str) -> AsyncIterator[Shell]:
    """Somebody at a shell in the folder of the configuration file."""
    around = {"PYROMETER": daemon.url, "TOKEN": token, **variables}
    async with shell(daemon.file.parent, variables=around) as it:
        yield it


def audited(folder: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(folder / "pyrometer.db")) as database:
        return [json.loads(body) for (body,) in database.execute("select body from pyrometer_audit order by number")]
