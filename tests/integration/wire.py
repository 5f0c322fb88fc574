"""A network between a client and a server, that a test can cut or hold at a chosen word."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import TracebackType
from typing import Self


class Wire:
    """Forwards a free port of the loopback to another, byte by byte.

    `hold` and `lose`, once set, act on what the client sends next with that word in it. Held: it and all that follows
    in both directions stays on the way, and both ends take the connection for alive. Lost: the server gets it and
    answers, and the connection breaks before the client has the answer.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._server: asyncio.Server | None = None
        self._ways: set[asyncio.Task[None]] = set()
        self.hold: bytes | None = None
        self.lose: bytes | None = None
        self.port = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for way in self._ways:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way = asyncio.current_task()
        assert way is not None
        self._ways.add(way)
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        answers = asyncio.create_task(self._answers(there, writer))
        try:
            with suppress(OSError):
                await self._questions(reader, back, answers=answers)
        finally:
            answers.cancel()
            for end in (writer, back):
                end.close()

    async def _questions(
        self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, *, answers: asyncio.Task[None]
    ) -> None:
        while data := await reader.read(65536):
            if self.hold is not None and self.hold in data:
                answers.cancel()
                await asyncio.Event().wait()
            lost = self.lose is not None and self.lose in data
            if lost:
                self.lose = None
                answers.cancel()
                await asyncio.wait([answers])
            back.write(data)
            await back.drain()
            if lost:
                return

    async def _answers(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await there.read(65536):
                writer.write(data)
                await writer.drain()
            writer.close()
