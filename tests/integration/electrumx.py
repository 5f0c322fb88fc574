"""A real Electrum server for tests: ElectrumX as a process, before a real bcoin."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from connectors.bitcoin.sources.wire import Server
from tests.integration.anvil import free_port
from tests.integration.bcoin import listens
from tests.real import require_program

HINT = (
    "python -m venv electrumx && electrumx/bin/pip install e-x==1.16.0 plyvel==1.5.1 attrs, "
    "and set PYROMETER_ELECTRUMX to electrumx/bin/electrumx_server"
)
START_DEADLINE = 60.0
REORG_LIMIT = 200
"""Blocks that it can take back: its default on the main network, where test networks have thousands."""

HASTY = """
import runpy, sys
from electrumx.server import block_processor, mempool
mempool.MemPool.__init__.__defaults__ = (0.1, 60.0)  # seconds between two looks, of 5
begin = block_processor.Prefetcher.__init__
def hasty(self, *args):
    begin(self, *args)
    self.polling_delay = 0.1  # seconds, of 5
block_processor.Prefetcher.__init__ = hasty
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Starts the server as it is, but for how often it looks at the node."""


class ElectrumX:
    """One ElectrumX process; its index is in `folder`, and outlives `stop`."""

    def __init__(self, node_url: str, *, folder: Path, tls: tuple[Path, Path] | None = None) -> None:
        """`tls`: certificate and key in PEM, to be served instead of plain TCP."""
        self.port = free_port()
        self._node_url = node_url
        self._folder = folder
        self._tls = tls
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def server(self) -> Server:
        """For plain TCP."""
        return Server("127.0.0.1", self.port, "electrumx")

    def start(self) -> None:
        program = require_program("electrumx", HINT)
        scheme = "ssl" if self._tls else "tcp"
        settings = {
            "COIN": "Bitcoin",
            "NET": "regtest",
            "DB_DIRECTORY": str(self._folder),
            "DAEMON_URL": self._node_url,
            "SERVICES": f"{scheme}://127.0.0.1:{self.port}",
            "ALLOW_ROOT": "1",
            "PEER_DISCOVERY": "off",
            "COST_SOFT_LIMIT": "0",
            "COST_HARD_LIMIT": "0",
            "REORG_LIMIT": str(REORG_LIMIT),
        }
        if self._tls:
            settings |= {"SSL_CERTFILE": str(self._tls[0]), "SSL_KEYFILE": str(self._tls[1])}
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(program.parent / "python"), "-c", HASTY, str(program)],
                env={"PATH": os.environ["PATH"], **settings},
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + START_DEADLINE
        while not listens(self.port):
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"ElectrumX does not listen; exit code {ended}; {self._folder}/log")
            time.sleep(0.05)

    def stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def kill(self) -> None:
        """As a crash would."""
        if self._process is not None:
            self._process.kill()
        self.stop()
