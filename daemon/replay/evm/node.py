"""A small Ethereum node of ours on the loopback: a scripted chain behind real HTTP, that can go dark and come back."""

from collections.abc import Mapping

from aiohttp import web

from daemon.replay.evm.ledger import EvmLedger
from daemon.replay.evm.rpc import Rpc, TokenContract
from daemon.replay.evm.view import View
from daemon.replay.faults import Answering, Door, Faults
from daemon.replay.loopback import REFUSALS, Loopback


class Node(Loopback):
    """Serves JSON-RPC 2.0 at `url` while entered. It sees what happens to `ledger` at once.

    Requests come in through `door`, whose faults it has; without one it has none. While it is dark its port refuses
    connections and stays reserved.
    """

    def __init__(
        self, ledger: EvmLedger, *, chain_id: int, tokens: Mapping[str, TokenContract], door: Door | None = None
    ) -> None:
        super().__init__(self._run)
        view = View(ledger, faults=Faults() if door is None else door.faults)
        self._rpc = Rpc(view, chain_id=chain_id, tokens=tokens)
        self._door = door

    def _run(self) -> web.ServerRunner:
        # Without an Application around it, a request costs half as much: it needs no routes but our own.
        return web.ServerRunner(web.Server(self._handle, access_log=None), shutdown_timeout=0.1)

    async def _handle(self, request: web.BaseRequest) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405, headers={"Allow": "POST"})
        body = await request.content.read()  # of any size: a batch may ask for 100,000 balances
        if self._door is None:
            return _answered(self._rpc.answer(body))
        answering = await self._door.enter()
        try:
            if answering is Answering.WELL:
                return _answered(self._rpc.answer(body))
            status, headers = REFUSALS[answering]
            return web.Response(status=status, headers=headers)
        finally:
            self._door.leave()


def _answered(answer: bytes | None) -> web.Response:
    if answer is None:
        return web.Response(status=204)
    return web.Response(body=answer, content_type="application/json")
