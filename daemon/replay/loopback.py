"""An HTTP server of ours on the loopback that can go dark and come back at the same URL."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

from aiohttp import web

from daemon.replay.faults import Answering

REFUSALS: Mapping[Answering, tuple[int, Mapping[str, str]]] = {
    Answering.FAILING: (503, {}),
    Answering.TOO_MANY: (429, {"Retry-After": "1"}),  # what `Faults.per_second` counts is over in a second
}
"""HTTP status and headers of a request that the door lets in no further."""


class Loopback:
    """Serves at `url` while entered. While it is dark its port refuses connections and stays reserved.

    `runner` makes what answers, anew each time that it comes back.
    """

    def __init__(self, runner: Callable[[], web.AppRunner | web.ServerRunner]) -> None:
        self._make = runner
        self._port = 0
        self._reserved: socket.socket | None = None
        self._runner: web.AppRunner | web.ServerRunner | None = None

    async def __aenter__(self) -> Self:
        self._reserve()
        await self.come_back()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.go_dark()
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def dark(self) -> bool:
        return self._runner is None

    async def go_dark(self) -> None:
        """Closes open connections and refuses new ones, as when a process dies. Does nothing when dark already."""
        if self._runner is None:
            return
        runner, self._runner = self._runner, None
        await runner.cleanup()
        self._reserve()

    async def come_back(self) -> None:
        """Answers again, at the same URL. Does nothing when it is not dark."""
        if self._runner is not None or self._reserved is None:
            return
        runner = self._make()
        await runner.setup()
        await web.SockSite(runner, self._reserved).start()
        self._runner, self._reserved = runner, None

    def _reserve(self) -> None:
        # Bound and not listening: the kernel refuses connections and keeps the port ours.
        reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", self._port))
        self._port = reserved.getsockname()[1]
        self._reserved = reserved
