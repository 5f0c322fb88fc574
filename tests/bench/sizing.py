"""`python -m tests.bench.sizing [evm|bitcoin ACCOUNTS ...]`: what the whole daemon takes, for docs/operations.md.

On a real anvil, or before a played Bitcoin node. One JSON object a line for each number of accounts. The node runs on
the same machine; its own time is not counted.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import random
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, TypeVar

from daemon.replay.bitcoin.played import PlayedBitcoin
from daemon.replay.played import Opening, Purse
from daemon.replay.simulation import Simulation
from tests.integration.anvil import AnvilNode
from tests.system.daemon import Daemon, running_daemon

T = TypeVar("T")

TOKEN = "0x" + "70" * 20
WALLETS = 20
BLOCKS = 5
PAYMENTS = 500
IDLE_SECONDS = 20.0
PATIENCE = 600.0
TICKS = os.sysconf("SC_CLK_TCK")


class Chain(Protocol):
    """A chain whose blocks come when told."""

    config: dict[str, Any]
    tokens: dict[str, dict[str, Any]]

    async def height(self) -> int: ...

    async def mine(self, *, payments: int = 0) -> None:
        """A block, with so many payments to strangers in it."""
        ...


class Evm:
    """A real anvil, every account with an ether. Polled as a chain with a block every 12 s."""

    def __init__(self, node: AnvilNode, payer: str) -> None:
        polled = {"poll": "2s", "timeout": "60s", "max_tip_age": "30d"}
        self.config = {"kind": "evm", "chain_id": 1, "endpoints": [node.url], **polled}
        self.tokens = {"ETH": {}, "USDT": {"contract": TOKEN, "decimals": 6}}
        self._node, self._payer, self._strangers = node, payer, 2**32

    async def height(self) -> int:
        return (await self._node.head())[0]

    async def mine(self, *, payments: int = 0) -> None:
        for _ in range(payments):
            self._strangers += 1
            await self._node.send(self._payer, to=f"0x{self._strangers:040x}", value=10**9)
        await self._node.mine()


class Bitcoin:
    """A played node that speaks Bitcoin Core's RPC, every account with a coin."""

    def __init__(self, played: PlayedBitcoin, payer: str) -> None:
        self.config = {**played.settings(), "poll": "2s", "max_tip_age": "30d"}
        self.tokens: dict[str, dict[str, Any]] = {"BTC": {}}
        self._played, self._payer, self._strangers = played, payer, 0

    async def height(self) -> int:
        return self._played.height

    async def mine(self, *, payments: int = 0) -> None:
        for _ in range(payments):
            self._strangers += 1
            self._played.pay(self._payer, PlayedBitcoin.account(f"stranger {self._strangers}"), units=1000, fee=200)
        self._played.mine(time=datetime.now(UTC))


@asynccontextmanager
async def evm(accounts: int) -> AsyncIterator[tuple[Chain, list[str]]]:
    chance = random.Random(accounts)
    everybody = [f"0x{chance.randbytes(20).hex()}" for _ in range(accounts)]
    async with AnvilNode() as node:
        for some in parts(everybody, 5000):
            await node.set_balances(dict.fromkeys(some, 10**18))
        await node.deploy(TOKEN, decimals=6, units={})
        await node.mine()
        yield Evm(node, everybody[0]), everybody


@asynccontextmanager
async def bitcoin(accounts: int) -> AsyncIterator[tuple[Chain, list[str]]]:
    everybody = [PlayedBitcoin.account(f"account {number}") for number in range(accounts)]
    purses: dict[Purse, int] = {(account, None): 10**8 for account in everybody}
    begin = datetime.now(UTC) - timedelta(hours=1)
    async with PlayedBitcoin(Opening(purses, (), begin, nodes=1, simulation=Simulation(begin), seed=1)) as played:
        yield Bitcoin(played, everybody[0]), everybody


KINDS = {"evm": evm, "bitcoin": bitcoin}


async def measured(kind: str, accounts: int) -> dict[str, object]:
    """So many accounts in 20 wallets, two of them hot."""
    with tempfile.TemporaryDirectory(prefix="pyrometer-sizing-") as name:
        folder = Path(name)
        async with KINDS[kind](accounts) as (chain, everybody):
            began = time.monotonic()
            async with running_daemon(folder, configured(folder, chain, everybody)) as daemon:
                await ready(daemon, chain)
                start = {"ready_seconds": round(time.monotonic() - began, 1), "start_cpu_seconds": cpu(daemon)}
                start |= {"resident_mb": resident(daemon)}
                idle = await idling(daemon)
                blocks = await reading(daemon, chain)
                for _ in range(PAYMENTS // 100):
                    await chain.mine(payments=100)
                    await ready(daemon, chain)
                held = {"resident_after_mb": resident(daemon), "most_mb": resident(daemon, "VmHWM")}
                await daemon.stop()
            return {
                "kind": kind,
                "accounts": accounts,
                **start,
                "idle_cpu_share": idle,
                **blocks,
                **held,
                **stored(folder),
            }


def configured(folder: Path, chain: Chain, everybody: list[str]) -> dict[str, Any]:
    """The preset `theft` and the hot share."""
    each = -(-len(everybody) // WALLETS)
    wallets: dict[str, Any] = {}
    for number, some in enumerate(parts(everybody, each)):
        (folder / f"wallet-{number}.txt").write_text("\n".join(some))
        tier = "hot" if number % 10 == 0 else "cold"
        wallets[f"w{number}"] = {"chain": "chain", "tier": tier, "addresses_file": f"wallet-{number}.txt"}
    return {
        "chains": {"chain": chain.config},
        "assets": {name: {"tokens": [{"chain": "chain", **token}]} for name, token in chain.tokens.items()},
        "wallets": wallets,
        "feeds": {"prices": [{"kind": "fixed", "values": dict.fromkeys(chain.tokens, 500)}]},
        "policies": ["theft", {"kind": "hot_share", "name": "hot-share", "limit": 0.2}],
        "history": {"grain": "1s"},
        "log": {"level": "info", "format": "json"},
        "tick": "1s",
    }


async def ready(daemon: Daemon, chain: Chain) -> None:
    """Until the newest block is read of all accounts. Asked rarely, because answering takes time too."""
    height = await chain.height()
    async with asyncio.timeout(PATIENCE):
        while True:
            told = (await daemon.get("/api/v1/chains"))["chain"]
            if told["height"] == height and not told["unread"]:
                return
            await asyncio.sleep(0.5)


async def idling(daemon: Daemon) -> float:
    """The share of a core while no block comes: polls, and a judgement every second."""
    before, began = cpu(daemon), time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    return round((cpu(daemon) - before) / (time.monotonic() - began), 4)


async def reading(daemon: Daemon, chain: Chain) -> dict[str, object]:
    """What a block costs, from the node having it to its findings."""
    before, began = cpu(daemon), time.monotonic()
    for _ in range(BLOCKS):
        await chain.mine()
        await ready(daemon, chain)
    spent, passed = cpu(daemon) - before, time.monotonic() - began
    return {"cpu_seconds_per_block": round(spent / BLOCKS, 3), "seconds_per_block": round(passed / BLOCKS, 2)}


def stored(folder: Path) -> dict[str, object]:
    """Of what the database has taken: bytes of a snapshot, of what a payment leaves, and of the whole file."""
    file = folder / "pyrometer.db"
    with closing(sqlite3.connect(file)) as database:
        (snapshot,) = database.execute("select avg(length(body)) from pyrometer_snapshots where grain = 1").fetchone()
        kinds = database.execute(
            "select kind, count(*), sum(length(key) + length(body)) from pyrometer_memory group by 1"
        )
        memory = {kind: [count, size] for kind, count, size in kinds}
        database.execute("vacuum")
    return {
        "snapshot_bytes": round(snapshot or 0),
        "memory": memory,
        "database_mb": round(file.stat().st_size / 1e6, 2),
    }


def parts(whole: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (whole[start : start + size] for start in range(0, len(whole), size))


def cpu(daemon: Daemon) -> float:
    """Seconds of processor, user and system."""
    fields = Path(f"/proc/{daemon.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(daemon: Daemon, which: str = "VmRSS") -> int:
    """Megabytes of memory: now, or with VmHWM the most there ever were."""
    lines = Path(f"/proc/{daemon.pid}/status").read_text().splitlines()
    return round(next(int(line.split()[1]) for line in lines if line.startswith(f"{which}:")) / 1000)


def main(arguments: list[str]) -> None:
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    sys.stdout.write(json.dumps(machine) + "\n")
    kinds = arguments[:1] or list(KINDS)
    for kind in kinds:
        for accounts in map(int, arguments[1:] or ("1000", "10000", "100000")):
            sys.stdout.write(json.dumps(asyncio.run(measured(kind, accounts))) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
