"""`python -m tests.bench.sizing [ACCOUNTS ...]`: what the whole daemon takes on a real anvil, for docs/operations.md.

One JSON object a line for each number of accounts. The node runs on the same machine; its own time is not counted.
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
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from tests.integration.anvil import AnvilNode
from tests.system.daemon import Daemon, running_daemon

T = TypeVar("T")

TOKEN = "0x" + "70" * 20
WALLETS = 20
BLOCKS = 5
PAYMENTS = 500
IDLE_SECONDS = 20.0
PATIENCE = 600.0
OUTSIDE = "0x" + "e1" * 20
TICKS = os.sysconf("SC_CLK_TCK")


async def measured(accounts: int) -> dict[str, object]:
    """So many accounts in 20 wallets, each of which may hold ether and one token, a tenth of them hot."""
    chance = random.Random(accounts)
    everybody = [f"0x{chance.randbytes(20).hex()}" for _ in range(accounts)]
    with tempfile.TemporaryDirectory(prefix="pyrometer-sizing-") as name:
        folder = Path(name)
        async with AnvilNode() as anvil:
            for some in parts(everybody, 5000):
                await anvil.set_balances(dict.fromkeys(some, 10**18))
            await anvil.deploy(TOKEN, decimals=6, units={})
            await anvil.mine()
            began = time.monotonic()
            async with running_daemon(folder, configured(folder, anvil.url, everybody)) as daemon:
                await ready(daemon, anvil)
                start = {"ready_seconds": round(time.monotonic() - began, 1), "resident_mb": resident(daemon)}
                idle = await idling(daemon)
                blocks = await reading(daemon, anvil)
                await paying(daemon, anvil, payer=everybody[0])
                held = {"resident_after_mb": resident(daemon), "most_mb": resident(daemon, "VmHWM")}
                await daemon.stop()
            return {"accounts": accounts, **start, "idle_cpu_share": idle, **blocks, **held, **stored(folder)}


def configured(folder: Path, url: str, everybody: list[str]) -> dict[str, Any]:
    """The preset `theft` and the hot share, polled as on a chain with a block every 12 s."""
    each = -(-len(everybody) // WALLETS)
    wallets: dict[str, Any] = {}
    for number, some in enumerate(parts(everybody, each)):
        (folder / f"wallet-{number}.txt").write_text("\n".join(some))
        tier = "hot" if number % 10 == 0 else "cold"
        wallets[f"w{number}"] = {"chain": "ethereum", "tier": tier, "addresses_file": f"wallet-{number}.txt"}
    chain = {"kind": "evm", "chain_id": 1, "endpoints": [url], "poll": "2s", "timeout": "60s", "max_tip_age": "30d"}
    token = {"chain": "ethereum", "contract": TOKEN, "decimals": 6}
    return {
        "chains": {"ethereum": chain},
        "assets": {"ETH": {"tokens": [{"chain": "ethereum"}]}, "USDT": {"tokens": [token]}},
        "wallets": wallets,
        "feeds": {"prices": [{"kind": "fixed", "values": {"ETH": 500_000, "USDT": 150}}]},
        "policies": ["theft", {"kind": "hot_share", "name": "hot-share", "limit": 0.2}],
        "history": {"grain": "1s"},
        "log": {"level": "warning"},
        "tick": "1s",
    }


async def ready(daemon: Daemon, anvil: AnvilNode) -> None:
    """Until the newest block is read of all accounts."""
    height = (await anvil.head())[0]

    def there(chains: Any) -> bool:  # noqa: ANN401 - a JSON value
        chain = chains["ethereum"]
        return bool(chain["height"] == height and not chain["unread"])

    await daemon.becomes("/api/v1/chains", there, seconds=PATIENCE)


async def idling(daemon: Daemon) -> float:
    """The share of a core while no block comes: polls, and a judgement every second."""
    before, began = cpu(daemon), time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    return round((cpu(daemon) - before) / (time.monotonic() - began), 4)


async def reading(daemon: Daemon, anvil: AnvilNode) -> dict[str, object]:
    """A block's cost, from the node having it to its findings."""
    before, began = cpu(daemon), time.monotonic()
    for _ in range(BLOCKS):
        await anvil.mine()
        await ready(daemon, anvil)
    spent, passed = cpu(daemon) - before, time.monotonic() - began
    return {"cpu_seconds_per_block": round(spent / BLOCKS, 3), "seconds_per_block": round(passed / BLOCKS, 2)}


async def paying(daemon: Daemon, anvil: AnvilNode, *, payer: str) -> None:
    """So many payments to strangers, a hundred in a block."""
    for some in parts([*range(PAYMENTS)], 100):
        for number in some:
            await anvil.send(payer, to=f"0x{number + 1:040x}", value=10**9)
        await anvil.mine()
        await ready(daemon, anvil)


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
    for accounts in map(int, arguments or ("1000", "10000", "100000")):
        sys.stdout.write(json.dumps(asyncio.run(measured(accounts))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
