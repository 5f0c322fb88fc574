"""The composition root: builds everything from a configuration, keeps it going, and takes it down in reverse."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import structlog
from aiohttp import web

from connectors.base import Tip, Update
from connectors.transport import REAL, Timing
from daemon import notices, version
from daemon.api.auth import Gatekeeper
from daemon.api.routes import Sources, application
from daemon.chains import ChainWorker
from daemon.emit.metrics import Counts, Metrics, Reload
from daemon.errors import ConfigError, Fatal, StoreError
from daemon.feeds.book import FeedBook, Heard
from daemon.feeds.plan import SourceKey
from daemon.feeds.worker import FeedWorkers
from daemon.keepers import Keepers
from daemon.ledger import Ledger, Readings
from daemon.model import Moved, Report
from daemon.outbox import Outbox
from daemon.pipeline import Pipeline
from daemon.ports import Sink
from daemon.reload import Loaded, load_whole, refuse_what_takes_a_restart, unchanged_chains
from daemon.settings import redacted
from daemon.sinks import Sinks
from daemon.store import Stores
from daemon.store.repository import open_store
from daemon.supervisor import Backoff, keep

log = structlog.get_logger(__name__)

Now = Callable[[], datetime]
Around = Callable[[], AbstractContextManager[None]]

CYCLE_LIMIT = timedelta(seconds=10)
"""A pass of the pipe takes milliseconds; without one for so long the picture counts as dead."""
JUDGE_AGAIN_SECONDS = 1.0
"""The longest wait before a pass that failed is tried again: one that fails now and then must not look like death."""
STORE_SECONDS = 1.0
KEPT = timedelta(days=400)
"""How long resolved findings stay in the store: a year's reports can still be made."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class App:
    """One daemon. Made by `opened`; `run` lasts until `stop` is set, and leaves nothing running."""

    def __init__(
        self,
        loaded: Loaded,
        *,
        env: Mapping[str, str],
        now: Now,
        stores: Stores,
        session: aiohttp.ClientSession,
        timing: Timing = REAL,
        reloading: Around = nullcontext,
    ) -> None:
        self._loaded = loaded
        self._env = env
        self._now = now
        self._timing = timing
        self._store = stores.findings
        self._started = now()
        self._reloaded = Reload(loaded.sha256, now(), success=True)
        self._wake = asyncio.Event()
        self._caught_up = asyncio.Event()
        self._hup = asyncio.Event()
        self._reload_lock = asyncio.Lock()
        self._reloading = reloading
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = False
        self._workers: dict[str, ChainWorker] = {}
        self._asking = FeedWorkers(start=self._keep, stop=self._end, take=self._hear)
        self._reports: Report | None = None
        self._fresh: dict[str, tuple[datetime, Tip]] = {}
        self._last_cycle = asyncio.get_running_loop().time()
        self._outbox = Outbox(stores.findings, sinks=[endpoint.name for endpoint in loaded.endpoints], clock=now)
        monotonic = asyncio.get_running_loop().time
        self._sinks = Sinks(loaded, outbox=self._outbox, session=session, clock=now, monotonic=monotonic)
        self.metrics = Metrics(now=now, monotonic=monotonic, stale_after=CYCLE_LIMIT, counts=self._counts())
        self._pipeline = Pipeline(
            setup=loaded.setup,
            ledger=Ledger(loaded.setup.inventory),
            feeds=FeedBook(loaded.setup.feeds),
            findings=(),
            recorder=self._outbox,
            receivers=self._sinks.receivers,
            sinks=(self.metrics, self, *self._sinks.every),
            averages=loaded.averages(),
            timed=self.metrics.timed,
        )
        self._keepers = Keepers(stores, self._pipeline, in_force=lambda: self._loaded, clock=now)
        self._pipeline.sinks = (*self._pipeline.sinks, self._keepers.past)
        self.address = ("", 0)
        """Where the API listens, once `run` has begun."""

    # The pipe's own end: the latest report, for the API.

    @property
    def report(self) -> Report | None:
        return self._reports

    def offer(self, report: Report) -> None:
        self._reports = report
        self._last_cycle = asyncio.get_running_loop().time()

    # Life.

    async def run(self, stop: asyncio.Event, *, ready: asyncio.Event | None = None, more: Sequence[Sink] = ()) -> None:
        """Serves until `stop`; `ready` is set when the API listens. Fatal when it can't."""
        self._pipeline.sinks = (*self._pipeline.sinks, *more)
        with suppress(StoreError):  # the worker tries again, and says so if that fails too
            await self._restore()
            await self._keepers.restore()
        await self._pipeline.cycle(self._now())  # says that all is unknown, so that nobody is served nothing
        self._caught_up.set()
        async with self._served(), asyncio.TaskGroup() as group:
            self._group = group
            self._keep("store", self._mind_the_store)
            self._keep("judge", self._judge, backoff=Backoff(most=JUDGE_AGAIN_SECONDS))
            self._keep("reload", self._reload_on_signal)
            self._keep("prune", self._prune)
            for name, step in (*self._keepers.steps.items(), *self._sinks.steps.items()):
                self._keep(name, step)
            self._follow(self._loaded.setup.inventory.watches)
            self._asking.start(self._loaded.asked, around=self._loaded.around(now=self._now, timing=self._timing))
            if ready is not None:
                ready.set()
            await stop.wait()
            log.info("stopping")
            self._stopping = True
            for task in self._tasks.values():
                task.cancel()
        await self._drain()

    async def judged(self) -> None:
        """Returns when everything that the chains have told so far was judged: then a replay lets time go on."""
        await self._caught_up.wait()

    def request_reload(self) -> None:
        """What SIGHUP does."""
        self._hup.set()

    async def reload(self, who: str) -> str:
        """Loads the configuration again and swaps it in whole; the new digest.

        ConfigError leaves all as it was, as does StoreError when the audit log can't be told.
        """
        async with self._reload_lock:
            with self._reloading():
                return await self._load_again(who)

    async def _load_again(self, who: str) -> str:
        try:
            wanted = await asyncio.to_thread(load_whole, self._loaded.path, env=self._env, now=self._now())
            refuse_what_takes_a_restart(self._loaded.settings, wanted.settings)
            await self._keepers.reloading(wanted, who=who, at=self._now())
        except (ConfigError, StoreError) as error:
            self._reloaded = Reload(self._loaded.sha256, self._reloaded.at, success=False)
            log.error("reload refused, the running configuration stays", who=who, error=str(error))  # noqa: TRY400
            raise
        await self._swap(wanted)
        self._reloaded = Reload(wanted.sha256, self._now(), success=True)
        log.info("reloaded", who=who, sha256=wanted.sha256)
        return wanted.sha256

    # Workers: each a step for the supervisor.

    async def _judge(self) -> None:
        """Waits for news or the tick, then one pass of the pipe."""
        tick = self._loaded.settings.tick.total_seconds()
        # Not wait_for: before Python 3.12 it swallows a cancellation that comes together with news.
        with suppress(TimeoutError):
            async with asyncio.timeout(tick):
                await self._wake.wait()
        self._wake.clear()
        fresh, self._fresh = self._fresh, {}
        await self._pipeline.cycle(self._now())
        if not self._wake.is_set():
            self._caught_up.set()
        for chain, (seen, tip) in fresh.items():
            self.metrics.detected(self._now() - seen, chain=chain, block=tip.hash)

    async def _restore(self) -> None:
        """The findings of an earlier run. While the store can't tell, we judge without them; later they are adopted."""
        await self._pipeline.adopt(await self._outbox.restore(), now=self._now())
        for sink in (await self._store.tallies()).keys() - set(self._sinks.receivers):
            log.info("a receiver is not configured any more, what it was owed is dropped", sink=sink)
            await self._store.drop_sink(sink)

    async def _mind_the_store(self) -> None:
        """Offers the store again what it has not taken, and asks it again for what it has not told."""
        await asyncio.sleep(STORE_SECONDS)
        await self._outbox.flush()
        if not self._outbox.restored:
            await self._restore()

    async def _reload_on_signal(self) -> None:
        await self._hup.wait()
        self._hup.clear()
        with suppress(ConfigError, StoreError):  # it was logged, and the metric says it
            await self.reload("SIGHUP")

    async def _prune(self) -> None:
        await asyncio.sleep(3600)
        await self._store.prune(before=self._now() - KEPT)
        await self._keepers.prune(before=self._now() - KEPT)

    def _take(self, update: Update) -> None:
        """From a chain's worker: into the ledger, and the pipe is woken."""
        tip_before = self._pipeline.ledger.books[update.chain].tip
        ledger = self._pipeline.ledger
        moved = ledger.apply(update)
        notices.moved(moved, inventory=self._pipeline.setup.inventory)
        if update.drift:
            notices.drifted(update.chain, ledger.sweeps()[update.chain])
        if update.tip is not None and update.tip != tip_before:
            self._fresh[update.chain] = (update.seen, update.tip)
            self.metrics.read(self._now() - update.seen, chain=update.chain, block=update.tip.hash)
        self._caught_up.clear()
        self._wake.set()

    async def _hear(self, source: SourceKey, said: Heard) -> None:
        """From a source's worker: into the books, and the pipe is woken. Others get on meanwhile."""
        for _ in self._pipeline.hearing(source, said, now=self._now()):
            await asyncio.sleep(0)
        notices.unmatchable(self._pipeline.detecting.approvals.problems())
        self._caught_up.clear()
        self._wake.set()

    # Building and swapping.

    def _keep(self, name: str, step: Callable[[], Any], *, backoff: Backoff | None = None) -> None:
        if not self._stopping:  # a reload that is under way then must not begin what nobody would end
            self._tasks[name] = self._group.create_task(keep(name, step, backoff=backoff), name=name)

    def _follow(self, chains: Mapping[str, object]) -> None:
        for chain in chains:
            worker = ChainWorker(
                chain,
                config=self._loaded.settings.chains[chain],
                watch=self._loaded.setup.inventory.watches[chain],
                take=self._take,
                now=self._now,
                timing=self._timing,
                known=lambda chain=chain: self._pipeline.ledger.branches.known(chain),  # type: ignore[misc]
                told=lambda chain=chain: self._pipeline.ledger.branches.told(chain),  # type: ignore[misc]
            )
            self._workers[chain] = worker
            self._keep(f"chain {chain}", worker.follow)

    async def _swap(self, wanted: Loaded) -> None:
        """Stops what changes, swaps everything between two turns of the loop, starts it again."""
        same = unchanged_chains(self._loaded, wanted)
        going_on = {chain for chain in same if self._workers[chain].watch == wanted.setup.inventory.watches[chain]}
        for chain in self._workers.keys() - going_on:
            await self._end(f"chain {chain}")
            del self._workers[chain]
        await self._asking.stop_changed(wanted.asked)
        ledger = Ledger(wanted.setup.inventory)
        ledger.carry_over(self._pipeline.ledger, chains=same)
        self._loaded, self._pipeline.setup, self._pipeline.ledger = wanted, wanted.setup, ledger
        feeds = FeedBook(wanted.setup.feeds)
        feeds.carry_over(self._pipeline.feeds)
        self._pipeline.feeds = feeds
        self._pipeline.averages = wanted.averages(before=self._pipeline.averages)
        self._follow({chain: None for chain in wanted.setup.inventory.watches if chain not in going_on})
        self._asking.start(wanted.asked, around=wanted.around(now=self._now, timing=self._timing))
        self._wake.set()

    async def _end(self, name: str) -> None:
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.wait([task])

    @asynccontextmanager
    async def _served(self) -> AsyncIterator[None]:
        """The HTTP server."""
        settings = self._loaded.settings.api
        app = application(self._sources(), gatekeeper=lambda: Gatekeeper(self._loaded.settings.tokens))
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
        await runner.setup()
        try:
            await web.TCPSite(runner, settings.host, settings.port).start()
            self.address = runner.addresses[0][:2]
            log.info("listening", url=f"http://{self.address[0]}:{self.address[1]}/")
            yield
        except OSError as error:
            raise Fatal(f"api.listen: {settings.listen}: {error.strerror or error}") from error
        finally:
            await runner.cleanup()

    async def _drain(self) -> None:
        """What is queued goes out, as far as the receivers take it within the deadline; the rest waits in the store.

        A pass that was cut off has left its findings with the outbox, which offers them to the store a last time.
        """
        await self._sinks.drain()
        await self._outbox.flush()
        await self._keepers.flush()

    # What the API and the metrics ask.

    def _counts(self) -> Counts:
        return Counts(
            providers=lambda: {chain: worker.stats() for chain, worker in self._workers.items()},
            reorgs=lambda: {chain: book.reorgs for chain, book in self._pipeline.ledger.books.items()},
            drifted=lambda: {chain: book.drifted for chain, book in self._pipeline.ledger.books.items()},
            ages=lambda: self._pipeline.setup.ages,
            delivery=self._sinks.delivery,
            receivers=lambda: self._sinks.problems,
            reload=lambda: self._reloaded,
            store_problem=lambda: self._outbox.problem or self._keepers.problem,
        )

    def _sources(self) -> Sources:
        return Sources(
            version=version(),
            now=self._now,
            monotonic=asyncio.get_running_loop().time,
            started=self._started,
            report=lambda: self._reports,
            last_cycle=lambda: self._last_cycle,
            cycle_limit=CYCLE_LIMIT,
            inventory=lambda: self._pipeline.setup.inventory,
            accounts=self.accounts,
            movements=self._movements,
            resolved=self._store.resolved_since,
            history=self._keepers.answer,
            receivers=lambda: self._sinks.problems,
            policies=self._policies,
            config=lambda: {"sha256": self._loaded.sha256, **redacted(self._loaded.settings)},
            reload=self.reload,
            announcer=self._keepers.announcer,
            audit=self._keepers.audit.append,
            registry=self.metrics.registry,
            gates=self._keepers.gates,
        )

    def accounts(self, wallet: str) -> Readings | None:
        """The newest readings of a wallet's accounts; None when the running configuration has no such wallet."""
        known = wallet in self._pipeline.setup.inventory.wallets
        return self._pipeline.ledger.readings(wallet) if known else None

    def _movements(self) -> Iterator[Moved]:
        return self._pipeline.ledger.movements.recent()

    def _policies(self) -> list[dict[str, Any]]:
        return [{"policy": policy, **rule.model_dump(mode="json")} for policy, rule in self._loaded.setup.policies]


@asynccontextmanager
async def opened(
    loaded: Loaded,
    *,
    env: Mapping[str, str],
    now: Now = utc_now,
    timing: Timing = REAL,
    reloading: Around = nullcontext,
) -> AsyncIterator[App]:
    """An App with its store and its HTTP client open. ConfigError when the store's URL can't be used.

    `now` is the time that it judges by, `timing` what its connectors wait by: a replay has clocks of its own. Each
    reload happens within `reloading`.
    """
    for warning in loaded.settings.warnings():
        log.warning(warning)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(loaded.settings.store_url))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield App(loaded, env=env, now=now, stores=store.stores, session=session, timing=timing, reloading=reloading)
