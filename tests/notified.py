"""systemd's end of sd_notify(3): a real datagram socket, and what has come in there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Supervisor:
    """Hears what a service tells. `name` is what NOTIFY_SOCKET is to say."""

    def __init__(self, line: socket.socket, *, name: str) -> None:
        self.name = name
        self._line = line
        self._heard: list[dict[str, str]] = []

    @property
    def heard(self) -> list[dict[str, str]]:
        """Everything so far, each datagram as its assignments."""
        while True:
            try:
                datagram = self._line.recv(4096)
            except BlockingIOError:
                return self._heard
            self._heard.append(dict(line.split("=", 1) for line in datagram.decode().splitlines()))

    def told(self, assignment: str) -> int:
        """How often it was told."""
        key, value = assignment.split("=", 1)
        return sum(message.get(key) == value for message in self.heard)

    @property
    def states(self) -> list[str]:
        """The changes of state in order, as systemd counts them."""
        kinds = ("READY", "RELOADING", "STOPPING")
        return [key for message in self.heard for key in message if key in kinds]

    @property
    def status(self) -> str:
        """The last status, "" before the first."""
        return next((message["STATUS"] for message in reversed(self.heard) if "STATUS" in message), "")


@contextmanager
def supervising(folder: Path, *, abstract: bool = False) -> Iterator[Supervisor]:
    """A socket in `folder`, or an abstract one that is called after it."""
    name = f"@{folder}/notify" if abstract else f"{folder}/notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
        line.bind(f"\0{name[1:]}" if abstract else name)
        line.setblocking(False)
        yield Supervisor(line, name=name)
