"""A real Bitcoin node for tests: bcoin on regtest as a process, its chain in memory."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import aiohttp

from connectors import strictjson
from tests.integration.anvil import free_port
from tests.real import require_program

HINT = (
    'npm install --ignore-scripts bcoin@1.0.2 with {"overrides": {"leveldown": "5.6.0"}} in package.json, '
    "or set PYROMETER_BCOIN to node_modules/.bin/bcoin"
)
PLUGIN = Path(__file__).with_name("bcoin_laboratory.js")
START_DEADLINE = 60.0
GENESIS = "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206"
"""Of every regtest chain, Bitcoin Core's and bcoin's alike."""

SEGWIT_HEIGHT = 432
"""Three periods of 144 blocks: from here on bcoin takes transactions with witnesses on regtest (BIP 9)."""

MATURITY = 100
NOWHERE = bytes.fromhex("0020" + "dead" * 16)
"""A script that nobody can spend from, for blocks whose reward nobody needs."""


class BcoinError(Exception):
    """The node's error object; `code` and the words."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class BcoinNode:
    """One bcoin process that mines only when told. A stopped one has lost its chain.

    Started and stopped without a loop, so that several tests can share it; what asks it something does so inside
    `connected`. `url` carries the credentials. Hashes and transaction ids are hex as in its answers, scripts are bytes.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.key = "throwaway"
        self._process: subprocess.Popen[bytes] | None = None
        self._session: aiohttp.ClientSession | None = None

    @property
    def url(self) -> str:
        return f"http://x:{self.key}@127.0.0.1:{self.port}/"

    def start(self) -> None:
        program = require_program("bcoin", HINT).resolve().parent / "node"
        options = [
            "--network=regtest",
            "--memory",
            "--no-wallet",
            "--index-tx",
            "--index-address",
            "--listen=false",
            "--workers=false",
            "--replace-by-fee",
            "--log-level=none",
            f"--plugins={PLUGIN}",
            f"--api-key={self.key}",
            f"--http-port={self.port}",
        ]
        self._process = subprocess.Popen(
            ["node", str(program), *options],
            env={**os.environ, "NODE_BACKEND": "js"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_DEADLINE
        while not listens(self.port):
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"bcoin does not answer; exit code {ended}")
            time.sleep(0.05)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Self]:
        # bcoin hangs up after five idle seconds, and may do so just as the next call is on its way.
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as self._session:
            yield self
        self._session = None

    async def rpc(self, method: str, *params: object) -> Any:  # noqa: ANN401 - a JSON value
        """The result of one call; amounts are Decimal. Raises BcoinError."""
        assert self._session is not None, "nobody is connected"
        request = {"method": method, "params": params, "id": 0}
        async with self._session.post(self.url, json=request) as response:
            answer: Any = strictjson.loads(await response.read(), decimals=True)
        if answer["error"] is not None:
            raise BcoinError(answer["error"]["code"], answer["error"]["message"])
        return answer["result"]

    async def mine(self, blocks: int = 1, *, script: bytes = NOWHERE) -> list[str]:
        """So many blocks, with what is in the mempool in the first, whose rewards go to `script`; their hashes."""
        hashes: list[str] = await self.rpc("minetoscript", blocks, script.hex())
        return hashes

    async def head(self) -> tuple[int, str]:
        """Height and hash of its newest block."""
        info = await self.rpc("getblockchaininfo")
        return info["blocks"], info["bestblockhash"]

    async def reorganise(self, *, depth: int, length: int | None = None, script: bytes = NOWHERE) -> list[str]:
        """Replaces the newest `depth` blocks by `length` others (one more, if not told); the hashes of the new ones.

        What the old ones confirmed is in the mempool again, and then in the first new block.
        """
        height, _ = await self.head()
        await self.rpc("invalidateblock", await self.rpc("getblockhash", height - depth + 1))
        return await self.mine(depth + 1 if length is None else length, script=script)

    async def branch(self, parent: str, blocks: Sequence[Sequence[bytes]], *, script: bytes = NOWHERE) -> list[str]:
        """Blocks of these transactions alone, one upon the other, the first upon `parent`; their hashes.

        The node moves over when theirs is the longest branch; what its old branch had confirmed is pending again then.
        """
        raws = [[raw.hex() for raw in block] for block in blocks]
        hashes: list[str] = await self.rpc("minebranch", parent, raws, script.hex())
        return hashes

    async def submit(self, transaction: bytes) -> str:
        """Into the mempool; the transaction's id. Raises BcoinError with the reason of a refusal."""
        return str(await self.rpc("submit", transaction.hex()))

    async def replace(self, transaction: bytes) -> str:
        """As `submit`, instead of whatever in the mempool spends the same coins."""
        return str(await self.rpc("replace", transaction.hex()))

    async def evict(self, txid: str) -> bool:
        """Throws a transaction out of the mempool, and all that spend of it; whether it was there."""
        return bool(await self.rpc("evict", txid))

    async def mempool(self) -> set[str]:
        return set(await self.rpc("getrawmempool"))


def satoshis(amount: object) -> int:
    """Of an amount in an answer."""
    assert isinstance(amount, int | Decimal)
    return int(Decimal(amount).scaleb(8))


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
