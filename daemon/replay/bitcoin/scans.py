"""Bitcoin Core's `scantxoutset`: one scan at a time, whoever knows the unspent outputs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from daemon.replay.bitcoin.answers import INVALID_ADDRESS, INVALID_PARAMETER, Found, RpcError, scan_result

Find = Callable[[Collection[str]], Awaitable[Found]]
"""All unspent outputs of these scripts, in hex."""

ScriptOf = Callable[[str], Awaitable[str | None]]
"""An address's script in hex; None for what is no address."""


@dataclass(slots=True)
class _Scan:
    progress: int = 0
    aborted: bool = False

    async def run(self, seconds: float) -> None:
        for percent in range(0, 100, 5):
            self.progress = percent
            if self.aborted:
                return
            await asyncio.sleep(seconds / 20)


class Scans:
    """Of one node."""

    def __init__(self, *, find: Find, script_of: ScriptOf) -> None:
        self._find = find
        self._script_of = script_of
        self._running: _Scan | None = None

    async def answer(self, action: object = None, objects: object = (), *, seconds: float = 0.0) -> object:
        """What `scantxoutset` answers. A scan takes so many seconds. Raises RpcError."""
        scan = self._running
        if action == "status":
            return None if scan is None else {"progress": scan.progress}
        if action == "abort":
            if scan is not None:
                scan.aborted = True
            return scan is not None
        if action != "start":
            raise RpcError(INVALID_PARAMETER, f"Invalid action '{action}'")
        if scan is not None:
            raise RpcError(INVALID_PARAMETER, 'Scan already in progress, use action "abort" or "status"')
        if not isinstance(objects, list):
            raise RpcError(INVALID_PARAMETER, "scanobjects argument is required for the start action")
        return await self._start(objects, seconds=seconds)

    async def _start(self, objects: list[object], *, seconds: float) -> object:
        self._running = scan = _Scan()
        try:
            scripts = {await self._script(one) for one in objects}
            found = await self._find(scripts)
            if seconds:
                await scan.run(seconds)
        finally:
            self._running = None
        return scan_result(found, success=not scan.aborted)

    async def _script(self, scan_object: object) -> str:
        """Of the descriptors those that name one script: raw(HEX) and addr(ADDRESS), with or without a checksum."""
        text = scan_object.get("desc") if isinstance(scan_object, dict) else scan_object
        kind, _, rest = str(text).partition("#")[0].partition("(")
        if not rest.endswith(")") or kind not in ("raw", "addr"):
            raise RpcError(INVALID_ADDRESS, f"'{text}' is not a valid descriptor function")
        if kind == "raw":
            return rest[:-1]
        script = await self._script_of(rest[:-1])
        if script is None:
            raise RpcError(INVALID_ADDRESS, "Address is not valid")
        return script
