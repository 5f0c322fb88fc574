"""What can go wrong in the daemon itself.

DaemonError
├── ConfigError(where, message)   the configuration: one line, what, where, what was expected
├── FeedError(reason, detail)     a source outside the chains did not answer, or not well (daemon.feeds.source)
├── BrokerError                   an MQTT broker is away or refuses us (daemon.broker)
├── StoreError                    the database did not take it: it is kept in memory and tried again
├── SinkError                     a receiver did not take it: the outbox tries again
└── Fatal                         nothing left to do but end, exit code 1
"""


class DaemonError(Exception):
    """Root of everything that the daemon raises on purpose."""


class ConfigError(DaemonError):
    """`where` is a file, a key path or both; the text of the error is one line fit for stderr and carries no secret."""

    def __init__(self, where: str, message: str) -> None:
        super().__init__(f"{where}: {message}")
        self.where = where
        self.message = message


class StoreError(DaemonError):
    """The database could not be read or written."""


class SinkError(DaemonError):
    """A receiver refused or did not answer."""


class Fatal(DaemonError):
    """The daemon can't go on."""
