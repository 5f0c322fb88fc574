"""`check --live`: asks everything that a configuration names whether it answers well, with the call that matters."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import aiohttp

from connectors import CONNECTORS
from daemon.detection.approval import Approved
from daemon.emit.alertmanager import Endpoint
from daemon.emit.mqtt import trouble_with
from daemon.errors import StoreError
from daemon.feeds import values as feeds
from daemon.feeds.book import Heard
from daemon.feeds.plan import SourceKey
from daemon.feeds.worker import ask_all
from daemon.reload import Loaded
from daemon.store.repository import open_store

PATIENCE = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True)
class Answer:
    """One line: what was asked, and what is wrong with it, None when it is well."""

    what: str
    trouble: str | None


async def ask_everything(loaded: Loaded, *, now: Callable[[], datetime]) -> AsyncIterator[Answer]:
    """Nodes by the very call that readings use, sources by what they are asked for, the store by its schema, each
    Alertmanager by its status, the broker by the rights that publishing takes."""
    for chain in loaded.setup.inventory.watches:
        for answer in await _nodes(loaded, chain=chain, now=now):
            yield answer
    for source, said in await ask_all(loaded.asked, around=loaded.around(now=now)):
        yield _source(source, said)
    yield await _store(loaded)
    async with aiohttp.ClientSession(timeout=PATIENCE) as session:
        asked = (_alertmanager(endpoint, session=session) for endpoint in loaded.endpoints)
        for answer in await asyncio.gather(*asked):
            yield answer
    if loaded.broker is not None and loaded.settings.mqtt is not None:
        yield Answer("mqtt", await trouble_with(loaded.broker, prefix=loaded.settings.mqtt.prefix))


async def _nodes(loaded: Loaded, *, chain: str, now: Callable[[], datetime]) -> Iterable[Answer]:
    config = loaded.settings.chains[chain]
    async with CONNECTORS[config.kind].connect(config, chain=chain, now=now) as connector:
        answers = await connector.probe(loaded.setup.inventory.watches[chain])
    return [Answer(f"chain {chain}, node {provider}", trouble) for provider, trouble in answers]


def _source(source: SourceKey, said: Heard) -> Answer:
    what = f"feed {source[0]}/{source[1]}"
    if isinstance(said, feeds.Fault):
        return Answer(what, f"{said.reason}: {said.detail}")
    if isinstance(said, Approved):
        return Answer(what, None)
    return Answer(what, "; ".join(f"{name}: {why}" for name, why in said.withheld.items()) or None)


async def _store(loaded: Loaded) -> Answer:
    try:
        async with open_store(loaded.settings.store_url) as store:
            await store.findings()
    except StoreError as error:
        return Answer("store", str(error))
    return Answer("store", None)


async def _alertmanager(endpoint: Endpoint, *, session: aiohttp.ClientSession) -> Answer:
    url = f"{endpoint.url}/api/v2/status"
    try:
        async with session.get(url, headers=endpoint.headers, allow_redirects=False) as response:
            trouble = None if response.status == 200 else f"expected HTTP 200, found {response.status}"
    except TimeoutError:
        trouble = "no answer within 10 s"
    except aiohttp.ClientError as error:
        trouble = f"{type(error).__name__}: {error}"
    return Answer(endpoint.name, trouble)
