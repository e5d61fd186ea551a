"""The inline kernel: steps of a plain script, done in place and remembered nowhere.

Used by `network.run` and `agent.run` where no durable scope is entered. What needs a durable run raises
`NotDurableError`, which names the step and the fix.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NoReturn

from celeriac.errors import FetchError, FetchRefused, McpError, ModelError, NotDurableError
from celeriac.ids import new_id, slug
from celeriac.platform.body_threads import BodyThreads
from celeriac.platform.codec import encode
from celeriac.platform.context import Context
from celeriac.platform.event import Event
from celeriac.platform.kernel import Call, EventWait, Invocation, SignalWait
from celeriac.platform.racing import start_racer, winner_of
from celeriac.platform.run import Run
from celeriac.platform.scope import Scope, context_in, enter
from celeriac.platform.step import Step
from celeriac.platform.streams.outlet import InPlace, Outlet

if TYPE_CHECKING:
    from celeriac.platform.fetching.limits import FetchLimits
    from celeriac.platform.mcp.endpoint import McpLimits

_TRIES = 3
_PATIENCE = 10.0


_in_worker = False
_meant: ContextVar[bool] = ContextVar("celeriac_not_durable", default=False)


def forbid_inline() -> None:
    """Make this process a worker: what runs agents outside of a run there must say that it means to."""
    global _in_worker  # one process is a worker or is not
    _in_worker = True


@contextmanager
def not_durable() -> Iterator[None]:
    """Say that agents run inside this block are meant to be forgotten, also in a worker."""
    token = _meant.set(True)
    try:
        yield
    finally:
        _meant.reset(token)


def local_context(name: str, data: Any) -> Context[Any]:
    """Return the context of a plain script: an inline step, a made-up run of tenant `local`.

    Raises `NotDurableError` in a worker, where a thread of the user's own has lost its run's scope.
    """
    if _in_worker and not _meant.get():
        raise NotDurableError(
            f"{name!r} was run in a worker outside of its run, which a thread of your own and a process of another "
            "queue have left; await it inside the function, or say `with celeriac.types.not_durable():` if nothing of "
            "it is to be remembered"
        )
    run = Run(id=new_id("run"), tenant_id="local", app="local", function_id=slug(name), status="running")
    return Context(step=Step(InlineKernel()), event=Event("celeriac/local", data), run=run)


class InlineKernel:
    """Does the work here and now."""

    durable = False
    suspending = False
    is_over = False
    origin = "local"

    def __init__(self) -> None:
        """Tell those who listen in this process."""
        self.outlet: Outlet = InPlace()

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    @property
    def executor(self) -> BodyThreads:
        """Threads of our own: asyncio's are those by which models are reached, and few."""
        return _threads()

    @property
    def fetch_limits(self) -> FetchLimits:
        """The limits of a plain script: public networks alone."""
        from celeriac.platform.fetching.limits import FetchLimits  # only who fetches loads the room

        return FetchLimits()

    @property
    def mcp_limits(self) -> McpLimits:
        """The operator's limits, from the environment: the servers are the script's own."""
        from celeriac.platform.fetching.limits import FetchLimits
        from celeriac.platform.mcp.endpoint import McpLimits
        from celeriac.settings import load_settings

        settings = load_settings()
        fetch = FetchLimits(allowed_networks=settings.fetch_networks)
        return McpLimits(allow_stdio=settings.mcp_stdio, fetch=fetch)

    async def key_choice(self, provider: str) -> None:
        """Leave the choice to the model: a plain script is no tenant's."""

    def pace(self, path: str) -> None:
        """Limit nothing: a plain script is no tenant's."""

    async def perform(self, call: Call) -> Any:
        """Run the body; a model, a fetch or a tool server is tried three times within ten seconds, all else once."""
        deadline = time.monotonic() + _PATIENCE
        for attempt in range(1, _TRIES + 1):
            try:
                with enter(Scope(self, call.path)):
                    seconds = None if call.timeout is None else call.timeout.total_seconds()
                    value = await asyncio.wait_for(call.body(), seconds) if seconds else await call.body()
                return json.loads(encode(value))
            except (ModelError, FetchError, McpError) as error:
                asked = getattr(error, "retry_after", None)
                delay = asked if asked is not None else 0.5 * attempt
                is_last = attempt == _TRIES or time.monotonic() + delay > deadline
                if is_last or not _may_be_mended(call, error):
                    raise
                if call.on_retry is not None:
                    call.on_retry(attempt, error)
            await asyncio.sleep(delay)
        raise AssertionError("the loop returns or raises")

    async def sleep(self, path: str, until: timedelta | datetime) -> None:
        """Sleep in this process."""
        delay = until - datetime.now(UTC) if isinstance(until, datetime) else until
        await asyncio.sleep(max(0.0, delay.total_seconds()))

    async def race(self, path: str, branches: Mapping[str, Awaitable[Any]]) -> tuple[str, Any]:
        """Await the branches, each in a task and a scope of its own, and cancel those that lose."""
        racers = [
            start_racer(name, branch, context_in(Scope(self, f"{path}/{name}"))) for name, branch in branches.items()
        ]
        winner = await winner_of(racers)
        return winner.name, winner.task.result()

    async def wait_for_event(self, wait: EventWait) -> Event | None:
        """Raise `NotDurableError`: no event can come."""
        _refuse("wait_for_event", wait.path)

    async def wait_for_signal(self, wait: SignalWait) -> Any:
        """Raise `NotDurableError`: no signal can come."""
        _refuse("wait_for_signal", wait.path)

    async def send(self, path: str, events: Sequence[Event]) -> list[str]:
        """Raise `NotDurableError`: nobody would receive."""
        _refuse("send_event", path)

    async def send_signal(self, path: str, signal: str, data: Any) -> bool:
        """Raise `NotDurableError`: nobody would receive."""
        _refuse("send_signal", path)

    async def invoke(self, invocation: Invocation) -> Any:
        """Raise `NotDurableError`: there is no fleet."""
        _refuse("invoke", invocation.path)

    async def defer(self, path: str, target: str, data: Any) -> None:
        """Raise `NotDurableError`: there is no run whose end could be awaited."""
        _refuse("defer", path)


@cache
def _threads() -> BodyThreads:
    return BodyThreads(min(32, (os.cpu_count() or 1) + 4), thread_name_prefix="celeriac-body")


os.register_at_fork(after_in_child=_threads.cache_clear)  # a fork has no threads but the one that it came from


def _may_be_mended(call: Call, error: ModelError | FetchError | McpError) -> bool:
    if isinstance(error, McpError):
        return error.is_retriable and bool(call.retries)
    if isinstance(error, ModelError):
        return call.kind == "model" and error.is_retriable
    return call.kind == "fetch" and not isinstance(error, FetchRefused)


def _refuse(verb: str, path: str) -> NoReturn:
    raise NotDurableError(
        f"step.{verb} at {path!r} needs a durable run; start it through an App, or ask ctx.step.durable first"
    )
