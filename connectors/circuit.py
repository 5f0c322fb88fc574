"""Whether a node is well, and when one that failed is asked first again: a dead node costs its deadline only rarely."""

from collections.abc import Callable

import structlog

from connectors.errors import ConnectorError, RateLimited

log = structlog.get_logger()

FIRST_REST = 1.0
LONGEST_REST = 60.0
"""Seconds. The rest doubles with each failure in a row, between half and all of it by chance, so that many daemons do
not come back to a node in step."""


class Circuit:
    """One node's state. A line is logged when it goes down and when it has answered a reading again, never between."""

    def __init__(self, provider: str, *, chain: str, clock: Callable[[], float], rng: Callable[[], float]) -> None:
        self.error: ConnectorError | None = None
        self._clock = clock
        self._rng = rng
        self._failures = 0
        self._rests_until = clock()
        self._log = log.bind(chain=chain, provider=provider)

    @property
    def ready(self) -> bool:
        """Whether it may be asked first: it is well, or has rested long enough to be tried again."""
        return self._clock() >= self._rests_until

    @property
    def barred(self) -> bool:
        """Whether it must not be asked at all: it said when to come back, and that is not yet."""
        return isinstance(self.error, RateLimited) and not self.ready

    @property
    def rests_until(self) -> float:
        return self._rests_until

    def failed(self, error: ConnectorError) -> None:
        if self.error is None:
            self._log.warning("node down", reason=error.reason.value, detail=str(error))
        self.error = error
        rest = min(LONGEST_REST, FIRST_REST * 2.0 ** min(self._failures, 16)) * (0.5 + self._rng() / 2)
        if isinstance(error, RateLimited):
            rest = min(LONGEST_REST, max(rest, error.retry_after))
        self._failures += 1
        self._rests_until = self._clock() + rest

    def worked(self) -> None:
        """A reading succeeded. An answered head alone is no proof: a node may know its head and fail every balance."""
        if self.error is not None:
            self._log.info("node up")
        self.error = None
        self._failures = 0
        self._rests_until = self._clock()
