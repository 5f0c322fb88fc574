"""An Electrum server in this process that answers whatever a test wants, line by line and byte by byte."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from connectors.bitcoin.sources.wire import Server

GENESIS_HEADER = (
    "01000000" + "00" * 32 + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
)
GENESIS = "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f"
"""Bitcoin's first block, as in the Electrum protocol's own examples (blockchain.block.headers)."""

Request = dict[str, Any]
Respond = Callable[[Request, asyncio.StreamWriter], Awaitable[None]]


def line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def result(request: Request, value: object) -> bytes:
    return line({"jsonrpc": "2.0", "id": request["id"], "result": value})


def refusal(request: Request, error: object) -> bytes:
    return line({"jsonrpc": "2.0", "id": request["id"], "error": error})


@dataclass(slots=True)
class LineServer:
    """`respond` is given each request and the writer."""

    respond: Respond
    server: Server = field(default_factory=lambda: Server("127.0.0.1", 0, "electrum"))
    connections: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    requests: list[Request] = field(default_factory=list)
    sessions: set[asyncio.Task[None]] = field(default_factory=set)
    writers: set[asyncio.StreamWriter] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LineServer]:
        listener = await asyncio.start_server(self._session, "127.0.0.1", 0)
        self.server = Server("127.0.0.1", listener.sockets[0].getsockname()[1], "electrum")
        try:
            yield self
        finally:
            listener.close()
            for session in self.sessions:
                session.cancel()
            if self.sessions:
                await asyncio.wait(self.sessions)
            await asyncio.sleep(0)  # the transports close a turn later

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        session = asyncio.current_task()
        assert session is not None
        self.sessions.add(session)
        self.writers.add(writer)
        try:
            while text := await reader.readline():
                request = json.loads(text)
                self.calls[request["method"]] += 1
                self.requests.append(request)
                await self.respond(request, writer)
                await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self.sessions.discard(session)
            self.writers.discard(writer)


class ElectrumChain:
    """Answers as an honest server does whose chain is the genesis block; `answers` replaces results by method.

    A callable is given the parameters; an exception instance is told as a refusal.
    """

    def __init__(self, **answers: object) -> None:
        self.answers: dict[str, object] = {
            "server.version": ["Scripted 1", "1.4"],
            "server.features": {"genesis_hash": GENESIS, "hash_function": "sha256", "protocol_max": "1.4"},
            "server.ping": None,
            "blockchain.headers.subscribe": {"height": 0, "hex": GENESIS_HEADER},
            "blockchain.block.header": GENESIS_HEADER,
            "blockchain.block.headers": {"count": 1, "hex": GENESIS_HEADER, "max": 2016},
            "blockchain.scripthash.subscribe": None,
            "blockchain.scripthash.get_balance": {"confirmed": 0, "unconfirmed": 0},
            "blockchain.scripthash.listunspent": [],
            "blockchain.scripthash.get_mempool": [],
            "blockchain.scripthash.get_history": [],
        }
        self.answers |= {_method(name): value for name, value in answers.items()}

    async def __call__(self, request: Request, writer: asyncio.StreamWriter) -> None:
        answer = self.answers.get(request["method"], Refused(-32601, "unknown method"))
        if callable(answer):
            answer = answer(*request["params"])
        if isinstance(answer, Refused):
            writer.write(refusal(request, {"code": answer.code, "message": str(answer)}))
        else:
            writer.write(result(request, answer))


class Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def _method(name: str) -> str:
    """`blockchain_scripthash_get_balance` stands for blockchain.scripthash.get_balance."""
    first, second, rest = (*name.split("_", 2), "")[:3]
    return f"{first}.{second}.{rest}" if first == "blockchain" else f"{first}.{second}"
