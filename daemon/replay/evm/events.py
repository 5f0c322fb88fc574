"""eth_getLogs: which logs of which blocks a filter asks for.

Source: execution-apis (src/schemas/filter.yaml); EIP-234 for the filter by block hash.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from daemon.replay.evm import forms
from daemon.replay.evm import parameters as given
from daemon.replay.evm.ledger import Block
from daemon.replay.evm.parameters import ADDRESS, HASH, INVALID_PARAMS, UNKNOWN_BLOCK, RpcError
from daemon.replay.evm.view import View


@dataclass(frozen=True, slots=True)
class Wanted:
    """Contracts (none: all), and for each place of a log's topics what may stand there (none: anything)."""

    contracts: frozenset[str]
    topics: tuple[frozenset[str], ...]

    def has(self, event: Mapping[str, object]) -> bool:
        if self.contracts and event["address"] not in self.contracts:
            return False
        topics = event["topics"]
        if not isinstance(topics, list) or len(topics) < len(self.topics):
            return False
        return all(not may or topic in may for may, topic in zip(self.topics, topics, strict=False))


def find_logs(params: Sequence[object], *, view: View) -> list[forms.Json]:
    """The result of eth_getLogs."""
    asked = params[0] if len(params) == 1 else None
    if not isinstance(asked, dict):
        raise RpcError(INVALID_PARAMS, "expected one filter object")
    topics = asked.get("topics") or []
    if not isinstance(topics, list):
        raise RpcError(INVALID_PARAMS, "expected an array of topics")
    wanted = Wanted(
        _one_or_more(asked.get("address"), pattern=ADDRESS),
        tuple(_one_or_more(topic, pattern=HASH) for topic in topics),
    )
    return [event for block in _blocks(asked, view=view) for event in forms.logs(block) if wanted.has(event)]


def _blocks(asked: Mapping[str, object], *, view: View) -> Iterator[Block]:
    if "blockHash" in asked:
        if "fromBlock" in asked or "toBlock" in asked:
            raise RpcError(INVALID_PARAMS, "cannot specify both blockHash and fromBlock/toBlock")
        block = view.block_of(given.matching(asked["blockHash"], pattern=HASH).lower())
        if block is None:
            raise RpcError(UNKNOWN_BLOCK, "unknown block")
        return iter((block,))
    low = given.height(asked.get("fromBlock", "latest"), view=view)
    high = given.height(asked.get("toBlock", "latest"), view=view)
    if low > min(high, view.tip.height):
        raise RpcError(INVALID_PARAMS, f"no blocks from {low} to {high}: the newest is {view.tip.height}")
    return (block for number in range(low, min(high, view.tip.height) + 1) if (block := view.block(number)) is not None)


def _one_or_more(value: object, *, pattern: re.Pattern[str]) -> frozenset[str]:
    """A text, an array of texts (one of them), or null for any."""
    if value is None:
        return frozenset()
    values = value if isinstance(value, list) else [value]
    return frozenset(given.matching(one, pattern=pattern).lower() for one in values)
