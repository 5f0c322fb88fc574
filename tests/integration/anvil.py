"""Real EVM nodes for tests: anvil as a process, and a proxy before it that forges, delays, drops and talks nonsense."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp import web

from tests.integration.erc20 import erc20_code, transfer_data
from tests.real import require_program

HINT = "npm install @foundry-rs/anvil-linux-amd64, or set PYROMETER_ANVIL to the binary"
START_DEADLINE = 60.0


FIRST_PORT = 20_000
"""From here on up to where the systems that we run on begin to hand out ports by themselves, at 32,768."""

PORTS = 500
"""For each process that tests run in beside others."""

_dice = random.SystemRandom()  # the usual one is seeded alike in all of them


def free_port() -> int:
    """A port of the loopback that nobody else gets before its server has started, or while that is down for a while."""
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    first = FIRST_PORT + process % 25 * PORTS
    while True:
        port = _dice.randrange(first, first + PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class RpcError(Exception):
    """The node's error object."""


class AnvilNode:
    """One anvil process that mines only when told; gas costs nothing.

    Nodes with equal `genesis_time` that are told the same make blocks with equal hashes.
    With `state` the chain is written there on `stop` and read back on `start`; `kill` loses it.
    """

    def __init__(self, *, genesis_time: int | None = None, chain_id: int = 1, state: Path | str | None = None) -> None:
        self.port = free_port()
        self.genesis_time = genesis_time if genesis_time is not None else int(time.time()) - 100_000
        self.chain_id = chain_id
        self._state = state
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()

    async def start(self) -> None:
        program = require_program("anvil", HINT)
        arguments = ["--port", self.port, "--chain-id", self.chain_id, "--timestamp", self.genesis_time]
        arguments += ["--no-mining", "--accounts", 2, "--quiet", "--auto-impersonate", "--order", "fifo"]
        arguments += ["--base-fee", 0, "--gas-price", 0, "--disable-min-priority-fee"]
        if self._state is not None:
            arguments += ["--state", self._state, "--preserve-historical-states"]
        program = require_program("anvil", HINT)
        self._process = await asyncio.create_subprocess_exec(
            program, *map(str, arguments), stdout=asyncio.subprocess.DEVNULL
        )
        self._session = aiohttp.ClientSession()
        end = time.monotonic() + START_DEADLINE
        while True:
            try:
                await self.rpc("eth_chainId")
            except aiohttp.ClientError:
                if time.monotonic() > end or self._process.returncode is not None:
                    raise
                await asyncio.sleep(0.02)
            else:
                return

    async def stop(self) -> None:
        """Ends it in good order: the state is written."""
        await self._end(signal.SIGINT)

    async def kill(self) -> None:
        await self._end(signal.SIGKILL)

    async def restart(self, *, genesis_time: int | None = None) -> None:
        """Kills it and starts it on the same port; without `state` it starts anew, with another genesis if told."""
        await self.kill()
        self.genesis_time = genesis_time if genesis_time is not None else self.genesis_time
        await self.start()

    async def _end(self, with_signal: signal.Signals) -> None:
        process, self._process = self._process, None
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if process is not None:
            if process.returncode is None:
                os.kill(process.pid, with_signal)
            await process.wait()

    async def rpc(self, method: str, *params: object) -> Any:  # noqa: ANN401 - a JSON value
        """The result of one call, straight to the node. Raises RpcError for an error object."""
        return (await self.rpc_batch([(method, params)]))[0]

    async def rpc_batch(self, calls: Sequence[tuple[str, Sequence[object]]]) -> list[Any]:
        assert self._session is not None, "the node is not running"
        requests = [
            {"jsonrpc": "2.0", "id": index, "method": method, "params": list(params)}
            for index, (method, params) in enumerate(calls)
        ]
        results: dict[int, Any] = {}
        for start in range(0, len(requests), 500):
            async with self._session.post(self.url, json=requests[start : start + 500]) as response:
                for answer in json.loads(await response.read()):
                    if "error" in answer:
                        raise RpcError(answer["error"])
                    results[answer["id"]] = answer["result"]
        return [results[index] for index in range(len(requests))]

    async def mine(self, blocks: int = 1) -> None:
        """Blocks one second apart, so that nodes told the same make the same blocks."""
        for _ in range(blocks):
            newest = await self.rpc("eth_getBlockByNumber", "latest", False)
            await self.rpc("evm_setNextBlockTimestamp", int(newest["timestamp"], 16) + 1)
            await self.rpc("evm_mine")

    async def head(self) -> tuple[int, str]:
        """Height and hash of its newest block."""
        block = await self.rpc("eth_getBlockByNumber", "latest", False)
        return int(block["number"], 16), block["hash"]

    async def set_balances(self, units: dict[str, int]) -> None:
        """Cheats that show at the newest block at once; mine before reading by hash."""
        await self.rpc_batch([("anvil_setBalance", (account, hex(value))) for account, value in units.items()])

    async def deploy(self, contract: str, *, decimals: int, units: dict[str, int]) -> None:
        """An ERC-20 at this address with these balances."""
        slots = [(contract, f"0x{account[2:]:0>64}", f"0x{value:064x}") for account, value in units.items()]
        await self.rpc("anvil_setCode", contract, erc20_code(decimals=decimals))
        await self.rpc_batch([("anvil_setStorageAt", slot) for slot in slots])

    async def send(self, sender: str, *, to: str, value: int = 0, data: str = "0x") -> str:
        """Puts a transaction of any account into the mempool; its hash."""
        transaction = {"from": sender, "to": to, "value": hex(value), "data": data}
        transaction |= {"gas": "0x30d40", "gasPrice": "0x0"}
        return str(await self.rpc("eth_sendTransaction", transaction))

    async def send_token(self, sender: str, *, contract: str, to: str, units: int) -> str:
        return await self.send(sender, to=contract, data=transfer_data(to, units))


@dataclass(slots=True)
class Forger:
    """A proxy before a node; what it does wrong may be changed at any time.

    - `forged`: account (lower case) → the balance it tells, of coins and tokens alike
    - `refused`: accounts for whose balances it answers an error
    - `delay`: seconds before each answer
    - `drop`: it closes connections without an answer
    - `garbage`: bytes that it sends instead of any answer
    - `unknown`: methods that it does not know; `eth_getBlockByNumber pending` is that block alone
    - `edit`: makes another result out of a method's parameters and the node's result
    - `only`: it misbehaves only for calls of these methods; empty means all (for delay, drop and garbage)
    """

    upstream: str
    forged: dict[str, int] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    delay: float = 0.0
    drop: bool = False
    garbage: bytes | None = None
    only: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()
    edit: Callable[[str, list[Any], Any], Any] | None = None
    url: str = ""
    requests: int = 0
    _session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
        """Serves on a free port until the block ends."""
        application = web.Application(client_max_size=64 * 1024 * 1024)
        application.router.add_post("/", self._handle)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            async with aiohttp.ClientSession() as self._session:
                yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        asked = json.loads(await request.read())
        calls = asked if isinstance(asked, list) else [asked]
        if not self.only or any(call["method"] in self.only for call in calls):
            await asyncio.sleep(self.delay)
            if self.drop and request.transport is not None:
                request.transport.close()
            if self.garbage is not None:
                return web.Response(body=self.garbage, content_type="application/json")
        assert self._session is not None
        try:
            async with self._session.post(self.upstream, json=asked) as response:
                answers = json.loads(await response.read())
        except aiohttp.ClientError:
            return web.Response(status=502)
        told = self._forge(calls, answers if isinstance(answers, list) else [answers])
        return web.json_response(told if isinstance(asked, list) else told[0])

    def _forge(self, calls: list[dict[str, Any]], answers: list[dict[str, Any]]) -> list[dict[str, Any]]:
        by_id = {answer["id"]: answer for answer in answers}
        for call in calls:
            account = _account(call)
            if self.unknown & {call["method"], f"{call['method']} {call['params'][0]}" if call["params"] else ""}:
                error = {"code": -32601, "message": "the method does not exist"}
                by_id[call["id"]] = {"jsonrpc": "2.0", "id": call["id"], "error": error}
            elif self.edit is not None and "result" in by_id[call["id"]]:
                answer = by_id[call["id"]]
                answer["result"] = self.edit(call["method"], call["params"], answer["result"])
            elif account in self.refused:
                error = {"code": -32000, "message": "no such account today"}
                by_id[call["id"]] = {"jsonrpc": "2.0", "id": call["id"], "error": error}
            elif account in self.forged:
                units = self.forged[account]
                told = f"0x{units:x}" if call["method"] == "eth_getBalance" else f"0x{units:064x}"
                by_id[call["id"]] = {"jsonrpc": "2.0", "id": call["id"], "result": told}
        return list(by_id.values())


def _account(call: dict[str, Any]) -> str:
    """Whose balance a call asks for; empty for other calls."""
    if call["method"] == "eth_getBalance":
        return str(call["params"][0]).lower()
    if call["method"] == "eth_call" and call["params"][0]["data"].startswith("0x70a08231"):
        return "0x" + str(call["params"][0]["data"])[-40:].lower()
    return ""
