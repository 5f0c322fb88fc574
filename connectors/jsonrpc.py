"""JSON-RPC 2.0 over the transport: single calls, and batches whose answers are matched by id."""

from __future__ import annotations

import json
from collections.abc import Sequence

from connectors.errors import BadAnswer, ConnectorError, NodeError, RateLimited
from connectors.transport import CEILING, DEFAULT_RETRY_AFTER, Answer, Transport

Call = tuple[str, Sequence[object]]
"""Method and parameters."""

Result = object
"""A JSON value. In a batch a call that failed has a ConnectorError in its place."""

CEILING_PER_CALL = 4096
INVALID_REQUEST = -32600  # JSON-RPC 2.0, section 5.1
LIMIT_EXCEEDED = -32005  # EIP-1474
TOO_MANY_REQUESTS = 429  # what hosted nodes put into the error object, as in HTTP


class _TooMuchAtOnce(Exception):
    """The node takes batches, but smaller ones."""


class Node:
    """One JSON-RPC node. `call` raises ConnectorError; `batch` raises it only where the exchange as a whole failed.

    With `decimals`, numbers in answers that are not whole are Decimal: amounts of money in coins. `ceiling_per_call`:
    bytes that each call adds to what an answer may have.
    """

    def __init__(
        self, transport: Transport, *, decimals: bool = False, ceiling_per_call: int = CEILING_PER_CALL
    ) -> None:
        self.transport = transport
        self._decimals = decimals
        self._ceiling_per_call = ceiling_per_call
        self._most = 1_000_000
        """Calls that this node takes at once, as far as it has told us."""

    def __repr__(self) -> str:
        return f"Node({self.transport.provider})"

    async def call(self, method: str, params: Sequence[object] = ()) -> Result:
        """The result of one call. Raises NodeError for the node's refusal, else as Transport.request."""
        return await self.long_call(method, params, ceiling=CEILING + self._ceiling_per_call)

    async def long_call(
        self, method: str, params: Sequence[object], *, ceiling: int, deadline: float | None = None
    ) -> Result:
        """As `call`, where much is known to come, and late: `ceiling` in bytes of the answer, `deadline` in seconds."""
        answer = await self._post(_request(0, call=(method, params)), calls=1, ceiling=ceiling, deadline=deadline)
        item = self._parse(answer)
        if not isinstance(item, dict):
            raise self._bad("the answer to a call is no JSON object")
        if "error" not in item and (type(item.get("id")) is not int or item["id"] != 0):
            raise self._bad("the answer has another id than the call")
        result = self._result(item)
        if isinstance(result, ConnectorError):
            raise self.transport.blame(result)
        return result

    async def batch(self, calls: Sequence[Call]) -> list[Result]:
        """A result or ConnectorError for each call, in the order of the calls.

        A batch that the node calls too large is halved until it fits, and the size is remembered.
        """
        results: list[Result] = []
        while len(results) < len(calls):
            part = calls[len(results) : len(results) + self._most]
            try:
                results += await self._exchange(part) if len(part) > 1 else [await self._alone(part[0])]
            except _TooMuchAtOnce:
                self._most = len(part) // 2
        return results

    async def _alone(self, call: Call) -> Result:
        """A batch of one is sent as a plain call, so that a node that takes no batches at all can be read, too."""
        try:
            return await self.call(*call)
        except NodeError as error:
            return error

    async def _exchange(self, calls: Sequence[Call]) -> list[Result]:
        answer = await self._post(
            [_request(index, call=call) for index, call in enumerate(calls)],
            calls=len(calls),
            ceiling=CEILING + len(calls) * self._ceiling_per_call,
        )
        if answer.status == 413:
            raise _TooMuchAtOnce
        items = self._parse(answer)
        if isinstance(items, dict) and items.get("error") is not None:
            error = self._error(items["error"])
            if _says_too_large(error):
                raise _TooMuchAtOnce
            if isinstance(error, RateLimited):
                raise self.transport.blame(error)
            results: list[Result] = [error] * len(calls)
        elif isinstance(items, list):
            results = [self._result(item) for item in self._in_order(items, count=len(calls))]
        else:
            raise self._bad("the answer to a batch is no array")
        self._count(results)
        return results

    async def _post(self, request: object, *, calls: int, ceiling: int, deadline: float | None = None) -> Answer:
        body = json.dumps(request, separators=(",", ":")).encode()
        accepts = _speaks_jsonrpc if calls == 1 else _speaks_batches
        return await self.transport.request("POST", body=body, ceiling=ceiling, deadline=deadline, is_answer=accepts)

    def _parse(self, answer: Answer) -> object:
        return self.transport.parse(answer.body, decimals=self._decimals)

    def _in_order(self, items: list[object], *, count: int) -> list[dict[str, object]]:
        found: dict[int, dict[str, object]] = {}
        for item in items:
            index = item.get("id") if isinstance(item, dict) else None
            if type(index) is not int or not 0 <= index < count or not isinstance(item, dict):
                raise self._bad("an answer in the batch has an id that nobody asked for")
            if index in found:
                raise self._bad(f"two answers in the batch have the id {index}")
            found[index] = item
        if len(found) < count:
            raise self._bad(f"{count - len(found)} of {count} answers are missing in the batch")
        return [found[index] for index in range(count)]

    def _result(self, item: dict[str, object]) -> Result:
        """A null `error` beside a result is how JSON-RPC 1.0 servers, bitcoind among them, say that all is well."""
        if item.get("error") is not None:
            return self._error(item["error"])
        if "result" in item:
            return item["result"]
        return BadAnswer(f"{self.transport.provider}: an answer has neither result nor error")

    def _error(self, error: object) -> ConnectorError:
        provider = self.transport.provider
        code = error.get("code") if isinstance(error, dict) else None
        if not isinstance(error, dict) or type(code) is not int:
            return BadAnswer(f"{provider}: an error without a code")
        message = self.transport.quote(error.get("message", ""))
        if code == TOO_MANY_REQUESTS or (code == LIMIT_EXCEEDED and "rate" in message.lower()):
            return RateLimited(f"{provider}: rate limited: {message}", retry_after=DEFAULT_RETRY_AFTER)
        return NodeError(f"{provider}: {message} ({code})", code=code)

    def _count(self, results: list[Result]) -> None:
        """One error per reason and exchange, so that errors compare with requests however large the batch was."""
        errors = [result for result in results if isinstance(result, ConnectorError)]
        for error in {error.reason: error for error in errors}.values():
            self.transport.blame(error)
        limits = [error for error in errors if isinstance(error, RateLimited)]
        if len(limits) == len(results):
            raise limits[0]

    def _bad(self, text: str) -> BadAnswer:
        return self.transport.blame(BadAnswer(f"{self.transport.provider}: {text}"))


def _request(index: int, *, call: Call) -> dict[str, object]:
    return {"jsonrpc": "2.0", "id": index, "method": call[0], "params": call[1]}


def _speaks_jsonrpc(answer: Answer) -> bool:
    """bitcoind puts refusals of a call under HTTP 500, 404 and 400, with the JSON-RPC error object in the body."""
    return answer.status == 200 or (answer.status in (400, 404, 500) and b'"error"' in answer.body[:4096])


def _speaks_batches(answer: Answer) -> bool:
    return answer.status == 413 or _speaks_jsonrpc(answer)


def _says_too_large(error: ConnectorError) -> bool:
    """No standard code: anvil says Invalid request to a body over its limit; geth, Erigon and gateways use words."""
    if not isinstance(error, NodeError):
        return False
    words = str(error).lower()
    return error.code == INVALID_REQUEST or ("batch" in words and ("large" in words or "limit" in words))
