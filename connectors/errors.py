"""What can go wrong between a chain and us, and why an account has no reading.

    ConnectorError(reason)
    ├── Unavailable          no answer worth the name: ask again, or ask another node
    │   └── RateLimited      the node said when: `retry_after` seconds
    ├── BadAnswer            the node answered nonsense: count it, keep what others say
    ├── NodeError            the node understood the call and refused it (a JSON-RPC error object)
    └── Misconfigured        asking again cannot help until somebody changes the configuration

Messages name the provider and never carry a URL with credentials.
"""

from enum import StrEnum


class Reason(StrEnum):
    """Why something could not be read. Closed: it is a metric label and stands in alerts."""

    STARTING = "starting"  # no reading was ever made
    UNAVAILABLE = "unavailable"  # refused, reset, HTTP 5xx, no endpoint left
    TIMEOUT = "timeout"  # no answer within the deadline
    RATE_LIMITED = "rate_limited"  # HTTP 429, or the provider's own word for it
    BAD_ANSWER = "bad_answer"  # not JSON, wrong shape, too large, out of range, from the future
    NODE_ERROR = "node_error"  # a well-formed refusal of this one call
    NO_CONTRACT = "no_contract"  # the token's address holds no code at that block
    NO_QUORUM = "no_quorum"  # fewer than `agree` nodes answered
    DISAGREEMENT = "disagreement"  # nodes gave different values at one block hash
    MISCONFIGURED = "misconfigured"  # another chain's id, other decimals than declared
    STALE = "stale"  # the reading is older than the chain's max_age
    STALLED = "stalled"  # the newest block is older than the chain's max_tip_age


class ConnectorError(Exception):
    """Root of everything that a connector raises on purpose."""

    reason = Reason.UNAVAILABLE

    def __init__(self, message: str, *, reason: Reason | None = None) -> None:
        super().__init__(message)
        if reason is not None:
            self.reason = reason


class Unavailable(ConnectorError):
    """No answer: connection refused or reset, HTTP 5xx, deadline passed."""


class RateLimited(Unavailable):
    """The node asked us to wait `retry_after` seconds."""

    reason = Reason.RATE_LIMITED

    def __init__(self, message: str, *, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class BadAnswer(ConnectorError):
    """The node's answer can't be what was asked for."""

    reason = Reason.BAD_ANSWER


class NodeError(ConnectorError):
    """The node refused this call; `code` is the JSON-RPC error code."""

    reason = Reason.NODE_ERROR

    def __init__(self, message: str, *, code: int) -> None:
        super().__init__(message)
        self.code = code


class Misconfigured(ConnectorError):
    """The configuration and the node contradict each other."""

    reason = Reason.MISCONFIGURED


class BadAddress(ValueError):
    """A text is no address of this chain; the message says why and never repeats a text that may be a secret."""
