"""Whether a provider is on our chain, and whether the blocks it tells can be: the same for every protocol."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from connectors.bitcoin.forms import BITCOIN, BlockForm
from connectors.bitcoin.sources.base import parse_header
from connectors.errors import BadAnswer, Misconfigured, Unavailable
from connectors.quorum import Header
from connectors.standing import Standing

FUTURE = timedelta(hours=2, minutes=10)
"""How far a block's time may be ahead of ours: nodes accept two hours (MAX_FUTURE_BLOCK_TIME), and clocks differ."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What all sources of a chain are asked alike.

    `anchors` are blocks that make the chain ours, by height: the genesis block at 0, and where chains share that, one
    after they parted. `depth`: how far below its newest block we read. `largest_block` is in bytes. `form`: how the
    chain's transactions are serialised.
    """

    anchors: Mapping[int, str]
    depth: int = 0
    largest_block: int = 8_000_000
    form: BlockForm = BITCOIN


class Identity:
    """Asks a provider for the anchors once a connection, and again after a failure."""

    def __init__(self, standing: Standing, *, asked: Asked, now: Callable[[], datetime]) -> None:
        self._standing = standing
        self._asked = asked
        self._now = now
        self._proven_on: int | None = None

    async def prove(
        self, header_at: Callable[[int], Awaitable[Header | None]], *, connections: Callable[[], int]
    ) -> None:
        """Raises Misconfigured for another chain, Unavailable while the provider has not come as far as an anchor.

        `connections` counts the provider's connections so far: a new one may end at another machine.
        """
        if self._proven_on == connections() and self._standing.circuit.error is None:
            return
        for height, expected in sorted(self._asked.anchors.items()):
            header = await header_at(height)
            if header is None and height == 0:
                text = f"{self._standing.provider}: knows no genesis block; is its URL right?"
                raise self._standing.blame(Misconfigured(text))
            if header is None:
                text = f"{self._standing.provider}: has not come as far as block {height}"
                raise self._standing.blame(Unavailable(text))
            if header.hash != expected:
                text = (
                    f"{self._standing.provider}: is on another chain: block {height} is {header.hash}, not {expected}"
                )
                raise self._standing.blame(Misconfigured(text))
        self._proven_on = connections()

    def header(self, raw: bytes, *, height: int, expected: str | None = None) -> Header:
        """The header that `raw` is. Raises BadAnswer when it is too short, from the future, or not `expected`."""
        try:
            header = parse_header(raw, height=height)
        except ValueError as error:
            raise self.bad(str(error)) from None
        if expected is not None and header.hash != expected:
            raise self.bad(f"gave block {header.hash} for block {expected}")
        if header.time > self._now() + FUTURE:
            raise self.bad(f"its block {height} is from the future: {header.time.isoformat()}")
        return header

    async def as_deep_as_asked(self, newest: Header, header_at: Callable[[int], Awaitable[Header | None]]) -> Header:
        """The block that we read at when `newest` is the newest. Raises BadAnswer when the provider lacks it."""
        if not self._asked.depth:
            return newest
        deep = await header_at(max(0, newest.height - self._asked.depth))
        if deep is None:
            raise self.bad(f"lacks blocks below its newest, {newest.height}")
        return deep

    def bad(self, text: str) -> BadAnswer:
        return self._standing.blame(BadAnswer(f"{self._standing.provider}: {text}"))
