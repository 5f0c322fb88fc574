"""`pyrometer-healthy`: asks a daemon's /healthz; runs often, in containers, and so imports next to nothing."""

import argparse
import re
import sys
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException

HEALTHY, UNHEALTHY = 0, 1
ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9.-]+):(?P<port>\d{1,5})")
DEFAULT = "127.0.0.1:9517"
SECONDS = 5.0
"""The deadline of connecting, and of each part of the answer."""


def main(argv: Sequence[str] | None = None, *, seconds: float = SECONDS) -> int:
    """0 when the daemon says that it judges, else 1 and one line on stderr; the daemon's configuration is not read."""
    parser = argparse.ArgumentParser(prog="pyrometer-healthy", description="Asks a running daemon whether it judges.")
    parser.add_argument(
        "address", nargs="?", type=_address, default=DEFAULT, help=f"where it listens, host:port ({DEFAULT})"
    )
    host, port = parser.parse_args(argv).address
    trouble = ask(host, port=port, seconds=seconds)
    if trouble:
        sys.stderr.write(f"pyrometer-healthy: {host}:{port}: {trouble}\n")
    return UNHEALTHY if trouble else HEALTHY


def ask(host: str, *, port: int, seconds: float) -> str:
    """What is wrong with the daemon that should listen there; "" when it judges."""
    connection = HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        body = answer.read(1000).decode(errors="replace")
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except (OSError, HTTPException) as error:
        return f"can't be asked: {error}"
    finally:
        connection.close()
    return "" if answer.status == 200 else f"it says {answer.status}: {body}"


def _address(text: str) -> tuple[str, int]:
    match = ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65_535:
        raise argparse.ArgumentTypeError(f"expected host:port, such as {DEFAULT}, found {text}")
    return match["host"].strip("[]"), int(match["port"])


if __name__ == "__main__":
    sys.exit(main())
