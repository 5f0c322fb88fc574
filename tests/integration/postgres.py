"""A real PostgreSQL for tests, in a folder of its own: started, killed and started again on the same port."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.anvil import free_port
from tests.real import find_program

HINT = "apt-get install postgresql, or set PYROMETER_INITDB to its initdb"
DEADLINE = 60.0
PASSWORD = "throw-away"


def require_postgres() -> Path:
    """The folder of initdb and postgres; Debian keeps them off the search path."""
    found = find_program("initdb") or next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None)
    if found is not None and found.exists():
        return found.resolve().parent
    reason = f"initdb is missing: {HINT}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


class Postgres:
    """One server with the user and the database `ledger`. It refuses to run as root, so that it may run as another."""

    def __init__(self) -> None:
        self._programs = require_postgres()
        self._user = _other_user()
        self._folder = Path(tempfile.mkdtemp(prefix="pyrometer-postgres-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        arguments: list[str | Path] = [
            "--username",
            "ledger",
            "--auth",
            "scram-sha-256",
            "--pwfile",
            password,
            "--no-sync",
        ]
        self._run("initdb", [*arguments, "--pgdata", self._folder / "data"])

    @property
    def url(self) -> str:
        return self.url_of(PASSWORD)

    def url_of(self, password: str, *, database: str = "postgres") -> str:
        return f"postgresql+asyncpg://ledger:{password}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        settings = ["listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self._folder}"]
        settings += ["fsync=off", "max_connections=20", "shared_buffers=16MB"]
        options = [word for setting in settings for word in ("-c", setting)]
        command: list[str | Path] = [self._programs / "postgres", "-D", self._folder / "data", *options]
        end = time.monotonic() + DEADLINE
        while not self._answers():
            assert time.monotonic() < end, "PostgreSQL does not start"
            # It also ends at once while a child of one that was killed still holds its memory.
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    command, user=self._uid, cwd=self._folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
                )
            time.sleep(0.05)

    def start_again(self) -> None:
        """Where a test has left it dead."""
        if self._process is None:
            self.start()

    def kill(self) -> None:
        """At once and without goodbye; its children end with it."""
        self._end(signal.SIGKILL)

    def freeze(self) -> None:
        """No process of it runs any more, and none is gone."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        self._end(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def execute(self, *statements: str) -> None:
        """As its owner, each by itself."""
        arguments: list[str | Path] = ["-h", self._folder, "-p", str(self.port), "-U", "ledger", "-d", "postgres", "-q"]
        arguments += [word for statement in statements for word in ("-c", statement)]
        self._run("psql", [*arguments, "-v", "ON_ERROR_STOP=1"])

    def copy(self, database: str, *, into: str) -> None:
        """By a dump, restored into another database, which is empty."""
        file = self._folder / f"{database}.dump"
        where: list[str | Path] = ["-h", self._folder, "-p", str(self.port), "-U", "ledger"]
        self._run("pg_dump", [*where, "--format=custom", "--file", file, database])
        self._run("pg_restore", [*where, "--exit-on-error", "--dbname", into, file])

    def _answers(self) -> bool:
        command: list[str | Path] = [self._programs / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def _signal(self, which: signal.Signals) -> None:
        """To the server and its children; one of those may be gone by then."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(pid, which)

    def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(with_signal)
            process.wait(DEADLINE)

    def _run(self, program: str, arguments: Sequence[str | Path]) -> None:
        environment = {**os.environ, "PGPASSWORD": PASSWORD}
        command: list[str | Path] = [self._programs / program, *arguments]
        subprocess.run(
            command,
            user=self._uid,
            cwd=self._folder,
            env=environment,
            check=True,
            capture_output=True,
            timeout=DEADLINE,
        )

    @property
    def _uid(self) -> int | None:
        return None if self._user is None else self._user.pw_uid


def _other_user() -> pwd.struct_passwd | None:
    """Whom the server runs as: us, unless we are root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    pytest.fail("PostgreSQL does not run as root, and there is no user postgres or nobody")


def started() -> Iterator[Postgres]:
    """A server for a fixture: it runs, and is gone at the end."""
    server = Postgres()
    server.start()
    try:
        yield server
    finally:
        server.remove()
