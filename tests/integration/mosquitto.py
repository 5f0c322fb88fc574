"""A real Mosquitto for tests: one user with a password, on a free port, killed and started again at will."""

from __future__ import annotations

import getpass
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from aiomqtt import Client, ProtocolVersion

from tests.integration.anvil import free_port
from tests.real import require_program

HINT = "apt-get install mosquitto, or set PYROMETER_MOSQUITTO to the binary"
DEADLINE = 20.0
USER, PASSWORD = "ledger", "throw/away"


RIGHTS = "topic readwrite pyrometer/#\ntopic readwrite pyrometer-drill/#\ntopic read $SYS/#\n"


class BrokerProcess:
    """One broker with the configuration that stands in a file by the time it is started; it listens on `port`."""

    def __init__(self, config: Path) -> None:
        self._program = require_program("mosquitto", HINT) if shutil.which("mosquitto") else _elsewhere()
        self._config = config
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def start(self) -> None:
        command = [str(self._program), "-c", str(self._config)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + DEADLINE
        while not self._listens():
            assert time.monotonic() < end, "Mosquitto does not start"
            time.sleep(0.02)

    def stop(self, *, kill: bool = True) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            process.wait(DEADLINE)

    def freeze(self) -> None:
        """It takes connections, as the system does for it, and says nothing any more."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False


class Mosquitto(BrokerProcess):
    """One broker. What it keeps is lost when it is killed; one that is `persistent` writes it down when it is ended.

    `rights` are those of its one user, `more` further lines of its configuration.
    """

    def __init__(
        self, folder: Path, *, rights: str = RIGHTS, persistent: bool = False, more: Sequence[str] = ()
    ) -> None:
        super().__init__(folder / "mosquitto.conf")
        passwords = folder / "passwords"
        passwords.write_text(f"{USER}:{PASSWORD}\n")
        hashing = shutil.which("mosquitto_passwd") or str(self._program.parent / "mosquitto_passwd")
        subprocess.run([hashing, "-U", passwords], check=True, capture_output=True)
        passwords.chmod(0o644)
        allowed = folder / "rights"
        allowed.write_text(f"user {USER}\n{rights}")
        allowed.chmod(0o644)
        keeping = f"persistence true\npersistence_location {folder}/" if persistent else "persistence false"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nacl_file {allowed}\n"
            f"{keeping}\nsys_interval 1\nuser {getpass.getuser()}\n" + "".join(f"{line}\n" for line in more)
        )

    @property
    def url(self) -> str:
        return self.url_of(PASSWORD)

    def url_of(self, password: str) -> str:
        return f"mqtt://{USER}:{password.replace('/', '%2F')}@127.0.0.1:{self.port}"

    async def publish(self, payload: object, *, topic: str = "pyrometer/feed/liabilities", retain: bool = True) -> None:
        """As the exchange's ledger does; bytes as they are, anything else as JSON."""
        parts = urlsplit(self.url)
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        async with Client(
            "127.0.0.1", parts.port or 0, username=USER, password=PASSWORD, protocol=ProtocolVersion.V5
        ) as client:
            await client.publish(topic, body, qos=1, retain=retain)


def _elsewhere() -> Path:
    """Debian keeps it where only administrators look."""
    usual = Path("/usr/sbin/mosquitto")
    return usual if usual.exists() else require_program("mosquitto", HINT)
