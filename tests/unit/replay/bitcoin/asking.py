"""Asks the small nodes as their clients do, line by line and request by request."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from daemon.replay.bitcoin.played import PlayedBitcoin
from tests.played_bitcoin import ground

PATIENCE = 30.0


@asynccontextmanager
async def played(balances: Mapping[str, int], *, nodes: int = 1, seed: int = 1) -> AsyncIterator[PlayedBitcoin]:
    """On simulated time that nobody moves."""
    async with ground(balances).opened(nodes=nodes, seed=seed) as chain:
        yield chain


class Core:
    """Bitcoin Core's RPC at a URL."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def post(self, body: object) -> tuple[int, Any]:
        """HTTP status and answer; None for one that is not JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        async with (
            asyncio.timeout(PATIENCE),
            aiohttp.ClientSession() as session,
            session.post(self._url, data=raw, headers=headers) as response,
        ):
            text = await response.read()
            return response.status, json.loads(text) if response.content_type == "application/json" else None

    async def ask(self, method: str, *params: object) -> Any:  # noqa: ANN401 - a JSON value
        """The result; of a refusal the error object."""
        _, answer = await self.post({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
        assert answer["id"] == 7
        return answer["error"] if answer["error"] is not None else answer["result"]


class Electrum:
    """One connection to an Electrum server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.notices: list[tuple[str, list[Any]]] = []
        self._reader = reader
        self._writer = writer
        self._number = 0

    async def ask(self, method: str, *params: object) -> Any:  # noqa: ANN401 - a JSON value
        """The result; of a refusal the error object. Notices on the way are kept."""
        self._number += 1
        await self.send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params})
        message = await self.hear()
        assert message["id"] == self._number
        return message["error"] if "error" in message else message["result"]

    async def send(self, message: object) -> None:
        self._writer.write((message if isinstance(message, bytes) else json.dumps(message).encode()) + b"\n")
        await self._writer.drain()

    async def hear(self) -> Any:  # noqa: ANN401 - a JSON object
        """The next message that is no notice."""
        while True:
            async with asyncio.timeout(PATIENCE):
                line = await self._reader.readline()
            assert line, "the server hung up"
            message = json.loads(line)
            if "method" not in message:
                return message
            self.notices.append((message["method"], message["params"]))

    async def is_hung_up(self) -> bool:
        """Whether nothing more comes."""
        try:
            async with asyncio.timeout(PATIENCE):
                return not await self._reader.readline()
        except ConnectionResetError:
            return True


@asynccontextmanager
async def electrum(url: str) -> AsyncIterator[Electrum]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield Electrum(reader, writer)
    finally:
        writer.transport.abort()
        await asyncio.sleep(0)  # it closes a turn later


def urls(chain: PlayedBitcoin) -> Sequence[str]:
    """Of the nodes, in the order of their faults."""
    settings: dict[str, Any] = chain.settings()
    return [settings["node"]["url"], *(server["url"] for server in settings.get("electrum", ()))]


def name_of(script: bytes) -> str:
    """How the Electrum protocol names a script (protocol basics, «Script Hashes»)."""
    return hashlib.sha256(script).digest()[::-1].hex()


async def eventually(question: Callable[[], bool]) -> None:
    """Waits until it is so; AssertionError when that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.01)
