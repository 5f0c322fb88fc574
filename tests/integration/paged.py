"""A real Alertmanager with the files that we hand out, and what each of its receivers gets."""

from __future__ import annotations

import asyncio
import email.policy
import json
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import yaml
from aiohttp import web

from daemon.emit.alert import Alert
from tests.integration.alertmanager import Alertmanager, program, serving

SHIPPED = Path(__file__).parents[2] / "deploy" / "alertmanager"
CONFIG = SHIPPED / "alertmanager.yml"


@dataclass
class Told:
    """What came to one path: the receiver's name, or the host and path of a webhook."""

    where: str
    body: Any
    headers: dict[str, str]
    at: float = field(default_factory=time.time)


@dataclass
class Paged:
    """Alertmanager, and all that it has told, oldest first. E-mails stand apart."""

    alertmanager: Alertmanager
    told: list[Told] = field(default_factory=list)
    mails: list[EmailMessage] = field(default_factory=list)

    def of(self, where: str) -> list[Any]:
        return [one.body for one in self.told if one.where == where]

    async def post(self, *alerts: Alert) -> None:
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.alertmanager.url}/api/v2/alerts", json=alerts) as response,
        ):
            assert response.status == 200, await response.text()


@asynccontextmanager
async def paged(folder: Path, *, hasty: bool = True) -> AsyncIterator[Paged]:
    """Runs it on the shipped files, whose addresses and secrets alone are replaced; if `hasty`, without its waits."""
    program("prometheus-alertmanager")
    found = Paged(Alertmanager(folder))
    app = web.Application()
    app.router.add_post("/{where:.*}", _receiver(found.told))
    mail = await asyncio.start_server(_Mail(found.mails).converse, "127.0.0.1", 0)
    mail_port = mail.sockets[0].getsockname()[1]
    async with serving(app) as port, mail:
        _write(folder, port=port, mail_port=mail_port, hasty=hasty)
        try:
            await found.alertmanager.start()
            yield found
        finally:
            await found.alertmanager.kill()


def _write(folder: Path, *, port: int, mail_port: int, hasty: bool) -> None:
    here = f"http://127.0.0.1:{port}"
    config = json.loads(json.dumps(yaml.safe_load(CONFIG.read_text())))  # what an anchor stands for is no more shared
    config["global"] |= {"smtp_smarthost": f"127.0.0.1:{mail_port}", "smtp_require_tls": False}
    config["global"]["pagerduty_url"] = f"{here}/pagerduty"
    for receiver in config["receivers"]:
        for slack in receiver.get("slack_configs", ()):
            slack["api_url_file"] = _secret(folder, f"slack-{receiver['name']}", f"{here}/slack/{receiver['name']}")
        for pager in receiver.get("pagerduty_configs", ()):
            pager["routing_key_file"] = _secret(folder, pager["routing_key_file"].rpartition("/")[2], receiver["name"])
        for hook in receiver.get("webhook_configs", ()):
            parts = urlsplit(hook["url"])
            hook["url"] = f"{here}/{parts.hostname}{parts.path}"
            token = hook["http_config"]["authorization"]["credentials_file"].rpartition("/")[2]
            hook["http_config"]["authorization"]["credentials_file"] = _secret(folder, token, token)
    config["global"]["smtp_auth_password_file"] = _secret(folder, "smtp_password", "throw-away")
    if hasty:
        _hasten(config["route"])
    for template in config["templates"]:
        shutil.copy(SHIPPED / template, folder)
    (folder / "alertmanager.yml").write_text(yaml.safe_dump(config, sort_keys=False))


def _secret(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"{text}\n")
    return str(path)


def _hasten(route: dict[str, Any]) -> None:
    route |= {"group_wait": "0s", "group_interval": "200ms"}
    for child in route.get("routes", ()):
        _hasten(child)


def _receiver(told: list[Told]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def receive(request: web.Request) -> web.Response:
        where = request.match_info["where"]
        told.append(Told(where, json.loads(await request.text()), dict(request.headers)))
        return web.Response(status=202 if where == "pagerduty" else 200, text="ok")

    return receive


@dataclass
class _Mail:
    """As much of an SMTP server (RFC 5321) as it takes to be given mail; each connection is a task of the server's."""

    mails: list[EmailMessage]

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 here\r\n")
        while line := await reader.readline():
            verb = line.split(b" ")[0].strip().upper()
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                raw = await reader.readuntil(b"\r\n.\r\n")
                parser = BytesParser(policy=email.policy.default)
                self.mails.append(parser.parsebytes(raw[:-5].replace(b"\r\n..", b"\r\n.")))
            writer.write(b"221 bye\r\n" if verb == b"QUIT" else b"250 fine\r\n")
            if verb == b"QUIT":
                break
        writer.close()


def parts(mail: EmailMessage) -> tuple[str, str]:
    """The plain text and the HTML of a mail."""
    found = [mail.get_body((kind,)) for kind in ("plain", "html")]
    texts: Sequence[str] = [part.get_content() for part in found if part is not None]
    assert len(texts) == 2
    return texts[0], texts[1]
