"""`pyrometer-healthy` against servers that answer, complain, are silent, or are not there."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from daemon import healthy
from tests.system.daemon import ROOT


class Answering(BaseHTTPRequestHandler):
    """200 at /healthz, or the status that its server was given."""

    status = 200

    def do_GET(self) -> None:
        body = b'{"status": "alive"}' if self.status == 200 else b'{"detail": "no pass has ended"}'
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name it has there
        """Keeps quiet."""


class Complaining(Answering):
    status = 503


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_daemon_that_judges_is_healthy_and_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Answering) as address:
        assert healthy.main([address]) == 0
    assert capsys.readouterr() == ("", "")


def test_a_daemon_that_judges_no_more_is_not_and_its_reason_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with serving(Complaining) as address:
        assert healthy.main([address]) == 1
    assert capsys.readouterr().err == f'pyrometer-healthy: {address}: it says 503: {{"detail": "no pass has ended"}}\n'


def test_a_daemon_that_takes_the_connection_and_says_nothing_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        assert healthy.main([address], seconds=0.05) == 1
    assert capsys.readouterr().err == f"pyrometer-healthy: {address}: no answer within 0.05 s\n"


def test_a_daemon_that_is_absent_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    assert healthy.main([address]) == 1
    assert "can't be asked: [Errno 111] Connection refused\n" in capsys.readouterr().err


def test_what_speaks_no_http_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=babble)
        thread.start()
        assert healthy.main([f"127.0.0.1:{server.getsockname()[1]}"]) == 1
        thread.join()
    assert "can't be asked" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["9517", "localhost", "a:b", "127.0.0.1:99999", "http://127.0.0.1:9517"])
def test_an_address_that_is_none_is_refused(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        healthy.main([address])
    assert caught.value.code == 2
    assert f"expected host:port, such as 127.0.0.1:9517, found {address}" in capsys.readouterr().err


def test_it_imports_none_of_the_libraries_that_take_long() -> None:
    """It runs every few seconds for as long as the daemon does."""
    script = "import sys, daemon.healthy; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert {"web3", "aiohttp", "pydantic", "sqlalchemy", "yaml", "daemon.app"} & set(ran.stdout.split()) == set()
