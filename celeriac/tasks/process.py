"""The worker process: one loop, one engine, and the rounds that keep its place in the fleet."""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

from celeriac.clock import SyncedClock
from celeriac.collector import set_aside_what_is_loaded
from celeriac.errors import ConfigError
from celeriac.platform.agents.mcp_server import close_servers
from celeriac.platform.agents.seals import Seals
from celeriac.platform.app import App
from celeriac.platform.body_threads import BodyThreads
from celeriac.platform.durable.engine import Engine
from celeriac.platform.durable.store import Link
from celeriac.platform.inline import forbid_inline
from celeriac.platform.models.clients import close_clients
from celeriac.settings import Settings
from celeriac.tasks.admissions import Admissions
from celeriac.tasks.bulk import BulkActions
from celeriac.tasks.changed_tenants import ChangedTenants
from celeriac.tasks.heartbeat import Heartbeat
from celeriac.tasks.host import this_worker
from celeriac.tasks.loop_watch import LoopWatch
from celeriac.tasks.outage import Outage
from celeriac.tasks.reconcile import Reconcile
from celeriac.tasks.retention import Retention
from celeriac.tasks.slots import SlotRenewal
from celeriac.tasks.ticker import Round, Ticker
from celeriac.tasks.timers import Timers
from celeriac.tasks.usage import UsageRoll
from celeriac.tasks.watchdog import Consumer, Watchdog
from celeriac.wiring import Installation, conduct, key_chooser

log = logging.getLogger(__name__)

TIMERS_SECONDS = 0.1
RECONCILE_SECONDS = 1.0
BULK_SECONDS = 0.5
RETENTION_SECONDS = 0.1
USAGE_SECONDS = 2.0
WATCHDOG_SECONDS = 10.0


class WorkerProcess:
    """Advances runs of one app; `advance` is called by as many threads as the worker has capacity."""

    def __init__(
        self,
        rooms: Installation,
        settings: Settings,
        *,
        queues: tuple[str, ...],
        capacity: int,
        consumer: Consumer,
        on_joined: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Take the rooms and what is known of Celery's consumer; nothing starts yet."""
        self._consumer, self._on_joined = consumer, on_joined
        self._rooms, self._settings = rooms, settings
        self._queues, self._capacity = queues, capacity
        self._app = load_app(settings.app)
        # asyncio's own, whatever loop the app's modules may have made the default: replay looks into it.
        self._loop = asyncio.SelectorEventLoop()
        self._is_closed = False
        self._tickers: list[Ticker] = []
        #: whether it joined the fleet
        self.has_started = False

    def start(self) -> None:
        """Declare the app's functions, start the loop and join the fleet."""
        rooms, dead_after = self._rooms, timedelta(seconds=self._settings.worker_dead_seconds)
        forbid_inline()
        if self._app.has_memory:
            # Mem0 and the provider SDKs share libraries that break when one is imported while another is at work.
            rooms.memories.warm()
        threading.Thread(target=self._run_loop, name="celeriac-loop", daemon=True).start()
        self._threads = ThreadPoolExecutor(self._capacity + 4, thread_name_prefix="celeriac-engine")
        self._bodies = BodyThreads(self._capacity + 4, thread_name_prefix="celeriac-body")
        declarations = self._app.declarations(home=self._settings.default_tenant)
        rooms.store.declare(self._app.name, declarations, self._app.schemas())
        clock = SyncedClock()
        self._engine = Engine(
            self._app.registry(
                conduct(self._settings, choose_key=key_chooser(rooms)),
                memories=rooms.memories,
                threads=rooms.threads,
                seals=Seals.of(self._settings.secret_key),
            ),
            store=rooms.store,
            cache=rooms.cache,
            dispatcher=rooms.dispatcher,
            clock=clock,
            loop=self._loop,
            executor=self._threads,
            bodies=self._bodies,
            worker_id="",
            meter=rooms.meter,
            stream=rooms.stream,
        )
        self._heartbeat = Heartbeat(
            rooms.store,
            rooms.dispatcher,
            self._engine,
            clock,
            describe=lambda: this_worker(queues=self._queues, capacity=self._capacity, version=self._app.version),
            dead_after=dead_after,
            on_joined=self._on_joined,
        )
        self._heartbeat.run_once()
        self._tickers = self._make_tickers(dead_after)
        for ticker in self._tickers:
            ticker.start()
        rooms.meter.begin()
        self.has_started = True
        set_aside_what_is_loaded()
        log.info("Worker %s (pid %d) takes %s", self._heartbeat.worker.id, os.getpid(), ", ".join(self._queues))

    def _make_tickers(self, dead_after: timedelta) -> list[Ticker]:
        """Return the rounds by which this worker keeps its place, and does its part for all."""
        rooms, queues, capacity = self._rooms, self._queues, self._capacity
        reconcile = Reconcile(rooms.store, rooms.dispatcher, self._engine, self._heartbeat, dead_after=dead_after)
        watchdog = Watchdog(
            rooms.links,
            self._consumer,
            queues=queues,
            capacity=capacity,
            is_draining=lambda: self._engine.is_draining,
        )
        every_beat, outage = self._settings.heartbeat_seconds, Outage()
        rounds: list[tuple[str, Round, float]] = [
            ("heartbeat", self._heartbeat, every_beat),
            ("slots", SlotRenewal(rooms.store, rooms.dispatcher, self._engine), every_beat),
            ("timers", Timers(rooms.store, rooms.dispatcher, queues, rooms.stream), TIMERS_SECONDS),
            ("reconcile", reconcile, RECONCILE_SECONDS),
            ("limits", Admissions(rooms.store, rooms.dispatcher), RECONCILE_SECONDS),
            ("tenants", ChangedTenants(rooms.tenants, rooms.dispatcher), RECONCILE_SECONDS),
            ("bulk actions", BulkActions(rooms.upkeep, rooms.dispatcher), BULK_SECONDS),
            ("retention", Retention(rooms, self._heartbeat, dead_after=dead_after), RETENTION_SECONDS),
            ("usage", UsageRoll(rooms.usages), USAGE_SECONDS),
            ("loop watch", LoopWatch(self._loop, self._engine), WATCHDOG_SECONDS),
            ("watchdog", watchdog, WATCHDOG_SECONDS),
        ]
        return [Ticker(name, round, every, outage=outage) for name, round, every in rounds]

    def advance(self, run_id: str, link: Link) -> bool:
        """Execute one link; see `Engine.advance`."""
        return self._engine.advance(run_id, link)

    def _run_loop(self) -> None:
        while not self._is_closed:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # asyncio lets these out of a task of user code; one run must not end the others' loop.
                log.warning("%s left the code of a run; the loop goes on", type(error).__name__)

    def drain(self) -> None:
        """End links at their next step and take no more."""
        self._engine.is_draining = True
        try:
            self._rooms.gate.leave(self._heartbeat.worker.id)
        except Exception as error:  # noqa: BLE001  # forgotten by time alone
            log.warning("The gate does not answer: %s", error)

    def close(self) -> None:
        """Leave the fleet; called when no link executes any more."""
        if self._is_closed or not self.has_started:
            return
        self._is_closed = True
        for ticker in self._tickers:
            ticker.stop()
        self._engine.close()
        asyncio.run_coroutine_threadsafe(close_clients(), self._loop).result(timeout=5)
        asyncio.run_coroutine_threadsafe(close_servers(), self._loop).result(timeout=20)
        self._bodies.shutdown(wait=False)
        self._threads.shutdown(wait=False)
        self._heartbeat.leave()
        cache = self._rooms.cache
        log.info("Worker %s left; step cache: %d hits, %d misses", self._engine.worker_id, cache.hits, cache.misses)


def load_app(path: str | None) -> App:
    """Import an app by `module:attribute`; raise `ConfigError` that says what is wrong with the path."""
    if not path:
        raise ConfigError("No app: set CELERIAC_APP=module:app, or give it to `celeriac worker module:app`")
    module_name, _, attribute = path.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not module_name.startswith(error.name):
            raise
        raise ConfigError(f"There is no module {module_name!r} (of {path!r}) here; is the folder right?") from error
    app = getattr(module, attribute or "app", None)
    if not isinstance(app, App):
        raise ConfigError(f"{path!r} is no App; write module:attribute, such as 'shop.agents:app'")
    return app


_current: WorkerProcess | None = None


def set_current_process(process: WorkerProcess | None) -> None:
    """Make `process` the one that this worker's tasks use."""
    global _current  # one worker a process
    _current = process


def running_process() -> WorkerProcess | None:
    """Return this worker's process, where it has started."""
    return _current


def current_process() -> WorkerProcess:
    """Return this worker's process; raise `ConfigError` outside of a worker."""
    if _current is None:
        raise ConfigError("No worker runs in this process; start one with `celeriac worker`")
    return _current
