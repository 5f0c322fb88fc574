"""Runs a command in an image's file system as a container engine would, without one.

Started as a program by `Container` below, as root and inside fresh namespaces of mounts and network: the root becomes
read-only, what the image may write becomes memory, the user becomes the image's; then this process becomes the command.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

SET_FLAGS, UP = 0x8914, 0x1
"""SIOCSIFFLAGS and IFF_UP, netdevice(7)."""

DEADLINE = 120.0


@dataclass(frozen=True, slots=True)
class Image:
    """What of an image's configuration counts when it is run, and where its file system stands."""

    root: Path
    user: int
    env: dict[str, str]
    folder: str
    volumes: tuple[str, ...]
    command: tuple[str, ...]
    health: tuple[str, ...]


class Container:
    """One command with the image's user, environment and folder, as `docker run --read-only --tmpfs /tmp` starts it.

    It can be asked on its own loopback alone, by further commands inside (`ask`).
    """

    def __init__(self, image: Image, *command: str) -> None:
        self._image = image
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--net", *_launcher("start", image), *command],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def ask(self, *command: str) -> subprocess.CompletedProcess[str]:
        """A further command inside, as `docker exec` runs it."""
        inside = ["nsenter", "--target", str(self.process.pid), "--mount", "--net"]
        return subprocess.run(
            [*inside, *_launcher("join", self._image), *command],
            capture_output=True,
            text=True,
            check=False,
            timeout=DEADLINE,
        )

    def healthy(self) -> bool:
        return self.ask(*self._image.health).returncode == 0

    def becomes(self, healthy: bool) -> None:
        """Waits until the health check says so."""
        end = time.monotonic() + DEADLINE
        while self.healthy() is not healthy:
            assert time.monotonic() < end, f"its health never became {healthy}"
            time.sleep(0.2)


def _launcher(how: str, image: Image) -> list[str]:
    told = {"root": str(image.root), "user": image.user, "env": image.env, "folder": image.folder}
    return [sys.executable, "-I", __file__, how, json.dumps({**told, "volumes": image.volumes})]


def _isolate(root: str, *, volumes: list[str], user: int) -> None:
    def mount(*arguments: str) -> None:
        subprocess.run(["mount", *arguments], check=True)

    mount("--make-rprivate", "/")
    mount("--bind", root, root)
    mount("-o", "remount,bind,ro", root)
    mount("--bind", "/proc", f"{root}/proc")
    mount("--rbind", "/dev", f"{root}/dev")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{root}/tmp")
    for volume in volumes:
        mount("-t", "tmpfs", "-o", f"mode=755,uid={user},gid={user}", "tmpfs", f"{root}{volume}")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SET_FLAGS, struct.pack("16sh14x", b"lo", UP))


def main(how: str, told: str, *command: str) -> None:
    """Becomes the command; never returns."""
    image = json.loads(told)
    if how == "start":
        _isolate(image["root"], volumes=image["volumes"], user=image["user"])
    os.chroot(image["root"])
    os.chdir(image["folder"])
    os.setgroups([])
    os.setresgid(image["user"], image["user"], image["user"])
    os.setresuid(image["user"], image["user"], image["user"])
    os.environ.clear()
    os.environ.update(image["env"])
    os.execvp(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
