"""A web3 provider over our node: web3 knows the methods and their types, retries and fail-over stay in one place."""

from collections.abc import Sequence

from web3.providers.async_base import AsyncJSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from connectors.errors import ConnectorError
from connectors.jsonrpc import Node


class NodeProvider(AsyncJSONBaseProvider):
    """Raises ConnectorError where other providers return a JSON-RPC error object. Never retries by itself."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self._node = node

    async def make_request(self, method: RPCEndpoint, params: Sequence[object]) -> RPCResponse:
        return _response(await self._node.call(method, params))

    async def make_batch_request(self, requests: Sequence[tuple[RPCEndpoint, Sequence[object]]]) -> list[RPCResponse]:
        results = await self._node.batch(requests)
        for result in results:
            if isinstance(result, ConnectorError):
                raise result
        return [_response(result) for result in results]


def _response(result: object) -> RPCResponse:
    return {"jsonrpc": "2.0", "id": 0, "result": result}
