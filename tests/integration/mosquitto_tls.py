"""Throw-away authorities and certificates for a broker, made by openssl at test time."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.real import require_program

HINT = "apt-get install openssl"


class Authority:
    """One authority, which signs for 127.0.0.1 alone. Nobody else knows it."""

    def __init__(self, folder: Path) -> None:
        self._openssl = str(require_program("openssl", HINT))
        self._folder = folder
        self.certificate = folder / "authority.pem"
        request = ("req", "-x509", *_key(folder / "authority.key"), "-out", self.certificate, "-days", "2")
        self._run(*request, "-subj", "/CN=throw-away authority")

    def signed(self, name: str) -> tuple[Path, Path]:
        """(certificate, key) for somebody of this name."""
        certificate, key = self._folder / f"{name}.pem", self._folder / f"{name}.key"
        request, more = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        more.write_text("subjectAltName=IP:127.0.0.1\n")
        self._run("req", *_key(key), "-out", request, "-subj", f"/CN={name}")
        by = ("-CA", self.certificate, "-CAkey", self._folder / "authority.key", "-CAcreateserial")
        self._run("x509", "-req", "-in", request, *by, "-out", certificate, "-days", "2", "-extfile", more)
        return certificate, key

    def _run(self, *arguments: str | Path) -> None:
        subprocess.run([self._openssl, *map(str, arguments)], check=True, capture_output=True)


def _key(path: Path) -> tuple[str | Path, ...]:
    return "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path
