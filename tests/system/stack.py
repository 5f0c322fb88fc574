"""The stack of deploy/compose.yaml without containers: its own files, read by the real programs, on the loopback."""

from __future__ import annotations

import asyncio
import getpass
import json
import re
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from aiomqtt import Client, ProtocolVersion
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.integration.alertmanager import Alertmanager
from tests.integration.anvil import AnvilNode, free_port
from tests.integration.mosquitto import BrokerProcess
from tests.integration.paged import Paged, paged
from tests.integration.postgres import Postgres
from tests.integration.prometheus import Prometheus
from tests.integration.subscriber import Subscriber, subscribed
from tests.system.daemon import ROOT, Daemon

DEPLOY = ROOT / "deploy"
HOSTS = re.compile(r"(?<![\w.-])(pyrometer|postgres|prometheus|alertmanager|mosquitto|ethereum-node):\d+")
"""What compose resolves, and nobody here does."""

INCIDENTS = "incidents.example.internal/alerts"
"""The webhook of those who are on call: Alertmanager's own JSON."""

BREACH = {"alertname": "PyrometerHotShareHigh", "subject": "all"}
"""What `breach` makes."""

Hurry = Mapping[str, str]
"""Regular expressions of the lines of a shipped file that say how long to wait, and what they say here instead."""

HURRIED: Mapping[str, Hurry] = {
    "pyrometer.yaml": {
        r"^  - jp-psa\b": "  - {preset: jp-psa, rules: {hot-share: {clear_after: 1s, closes: wallets}}}",
    },
    "prometheus.yml": {r"\b(scrape_interval|scrape_timeout|evaluation_interval): \w+": r"\1: 1s"},
}
"""People wait a minute for a resolve and some seconds for a graph. And signers are stopped by the breach that is played."""

HOT, COLD, BACK = (
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
)
OUTSIDE = "0x" + "e1" * 20
USDT = "0xdAC17F958D2ee523a2206206994597C13D831ec7"
ETHER = 10**18


def on_loopback(shipped: str, places: Mapping[str, str]) -> str:
    """A file's text with the stack's hosts, ports and folders replaced by what stands for them, and nothing else."""
    for there, here in places.items():
        shipped = shipped.replace(there, here)
    left = HOSTS.search(re.sub(r"#.*", "", shipped))
    assert left is None, f"{left} is nowhere on this machine"
    return shipped


def hurried(shipped: str, hurry: Hurry) -> str:
    """The text with other waits."""
    for pattern, instead in hurry.items():
        shipped, found = re.subn(pattern, instead, shipped, flags=re.MULTILINE)
        assert found, f"no line is like {pattern} any more"
    return shipped


class AsShipped(Daemon):
    """Its file says what it is given, without the defaults of other tests."""

    def configure(self, config: dict[str, Any]) -> None:
        self.file.write_text(yaml.safe_dump(config, sort_keys=False))


@dataclass
class Stack:
    """All of it; what is stopped is started again on the same port with what it had written down."""

    folder: Path
    anvil: AnvilNode
    postgres: Postgres
    pager: Paged
    broker: BrokerProcess
    prometheus: Prometheus
    api: int = field(default_factory=free_port)
    _daemon: AsShipped | None = None

    @property
    def alertmanager(self) -> Alertmanager:
        return self.pager.alertmanager

    @property
    def daemon(self) -> AsShipped:
        assert self._daemon is not None
        return self._daemon

    def secret(self, name: str) -> str:
        return (self.folder / "secrets" / name).read_text().strip()

    def places(self) -> dict[str, str]:
        """What stands in the shipped files → what stands here instead: the only difference but for the waits."""
        here = "127.0.0.1"
        return {
            "0.0.0.0:9517": f"{here}:{self.api}",
            "pyrometer:9517": f"{here}:{self.api}",
            "http://ethereum-node:8545": self.anvil.url,
            "@postgres:5432": f"@{here}:{self.postgres.port}",
            "alertmanager:9093": f"{here}:{self.alertmanager.port}",
            "prometheus:9090": f"{here}:{self.prometheus.port}",
            "host: mosquitto\n": f"host: {here}\n  port: {self.broker.port}\n",
            "mosquitto:1883": f"{here}:{self.broker.port}",
            "listener 1883\n": f"listener {self.broker.port} {here}\nuser {getpass.getuser()}\n",
            "/mosquitto/config/": f"{DEPLOY}/mosquitto/",
            "/mosquitto/data/": f"{self.folder}/broker/",
            "/run/secrets/": f"{self.folder}/secrets/",
        }

    def write(self, hurry: Mapping[str, Hurry]) -> None:
        """Puts the files of the stack into its folder. Alertmanager's are there."""
        make = ["sh", str(DEPLOY / "secrets" / "make-secrets"), str(self.folder / "secrets")]
        subprocess.run(make, check=True, capture_output=True)
        shutil.copytree(DEPLOY / "prometheus", self.folder / "prometheus")
        (self.folder / "broker").mkdir()
        for name in ("pyrometer/pyrometer.yaml", "prometheus/prometheus.yml", "mosquitto/mosquitto.conf"):
            shipped = (DEPLOY / name).read_text()
            file = self.folder / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(on_loopback(hurried(shipped, hurry.get(file.name, {})), self.places()))

    def make_database(self) -> None:
        """As PostgreSQL's image does of POSTGRES_USER and POSTGRES_DB."""
        self.postgres.execute(
            "drop database if exists pyrometer",
            "drop role if exists pyrometer",
            f"create role pyrometer login password '{self.secret('postgres_password')}'",
            "create database pyrometer owner pyrometer",
        )

    async def run_daemon(self) -> None:
        """Starts it, anew when it was killed, and waits until it knows everything."""
        if self._daemon is None:
            config = yaml.safe_load((self.folder / "pyrometer" / "pyrometer.yaml").read_text())
            (self.folder / "run").mkdir()
            self._daemon = AsShipped(self.folder / "run", config)
            self._daemon.token = self.secret("operator_token")
        await self._daemon.start()
        await self._daemon.becomes("/readyz", lambda body: body["status"] == "ready")

    async def end(self) -> None:
        if self._daemon is not None:
            await self._daemon.stop(kill=True)

    async def say_what_is_owed(self, **coins: float) -> None:
        """As the exchange's books do, over the broker."""
        books = Client(
            "127.0.0.1",
            self.broker.port,
            username="books",
            password=self.secret("mqtt_books_password"),
            protocol=ProtocolVersion.V5,
        )
        async with books:
            body = json.dumps({"at": time.time(), "amounts": coins})
            await books.publish("pyrometer/feed/liabilities", body, qos=1, retain=True)

    async def series(self) -> dict[str, float]:
        """What the daemon itself exposes."""
        return await self.daemon.metrics()

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """What the daemon's database says."""
        where = f"127.0.0.1:{self.postgres.port}/pyrometer"
        url = f"postgresql+asyncpg://pyrometer:{self.secret('postgres_password')}@{where}"
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(statement))]

    async def pay(self, payer: str, payee: str, *, thousandths: int) -> str:
        """A transfer of ether in a block of its own, whose time is the clock's; its transaction."""
        transaction = await self.anvil.send(payer, to=payee, value=thousandths * ETHER // 1000)
        await self.anvil.rpc("evm_mine")
        return transaction

    async def breach(self) -> None:
        """60 ETH out of the vault, in one block: 7.7 % are hot."""
        await self.pay(COLD, HOT, thousandths=60_000)

    async def cure(self) -> None:
        """And back."""
        await self.pay(HOT, COLD, thousandths=60_000)

    async def open_gates(self, *wallets: str, reason: str) -> None:
        """As an operator does."""
        for wallet in wallets:
            said = {"open": True, "reason": reason}
            status, body = await self.daemon.ask(f"/api/v1/gate/{wallet}", method="POST", body=said)
            assert status == 200, body

    @asynccontextmanager
    async def listening(self, user: str) -> AsyncIterator[Subscriber]:
        """One of those who may read at the broker: `reader`, or `signer`."""
        password = self.secret(f"mqtt_{user}_password")
        async with subscribed(self.broker, username=user, password=password) as subscriber:
            yield subscriber

    def heard(self, status: str, *, alertname: str, subject: str) -> list[dict[str, Any]]:
        """What the incident tool was told of one alert, `firing` or `resolved`."""
        labels = {"alertname": alertname, "subject": subject}
        every = [told for message in self.pager.of(INCIDENTS) for told in message["alerts"]]
        return [told for told in every if told["status"] == status and labels.items() <= told["labels"].items()]

    def heard_at(self, finding: str) -> float:
        """When the incident tool was first told of a finding, in seconds since 1970."""
        return next(
            told.at
            for told in self.pager.told
            if told.where == INCIDENTS
            and any(one["annotations"].get("finding") == finding for one in told.body["alerts"])
        )


@asynccontextmanager
async def running_stack(
    folder: Path, *, postgres: Postgres, hurry: Mapping[str, Hurry] = HURRIED, hasty: bool = True
) -> AsyncIterator[Stack]:
    """Everything runs and the daemon is ready: 40 ETH hot, 960 cold, 200 of the exchange's own behind, 980 owed.

    `hasty`: Alertmanager tells of each change at once, as `hurry` has the others.
    """
    async with AsyncExitStack() as stack:
        (folder / "alertmanager").mkdir()
        pager = await stack.enter_async_context(paged(folder / "alertmanager", hasty=hasty))
        anvil = await stack.enter_async_context(AnvilNode(genesis_time=int(time.time()) - 1))
        broker = BrokerProcess(folder / "mosquitto" / "mosquitto.conf")
        prometheus = Prometheus(folder / "prometheus" / "prometheus.yml", data=folder / "series")
        whole = Stack(folder, anvil, postgres, pager, broker, prometheus)
        await anvil.set_balances({HOT: 40 * ETHER, COLD: 960 * ETHER, BACK: 200 * ETHER, OUTSIDE: 1000 * ETHER})
        await anvil.deploy(USDT, decimals=6, units={COLD: 10**12})
        await anvil.rpc("evm_mine")
        whole.write(hurry)
        await asyncio.to_thread(whole.make_database)
        stack.callback(broker.stop)
        await asyncio.to_thread(broker.start)
        stack.push_async_callback(prometheus.stop)
        await prometheus.start()
        await whole.say_what_is_owed(ETH=980, USDT=0)
        stack.push_async_callback(whole.end)
        await whole.run_daemon()
        yield whole
