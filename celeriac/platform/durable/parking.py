"""Parking: when a run's link has nothing left to do but wait, and how its coroutines end then.

A branch that waits awaits a future that nobody resolves. The link may end at once when no step's body executes and
every asyncio task of the run awaits such a future, another task of the run, or a gather of them. Where only unknown
awaits remain beside them (I/O outside of steps, a semaphore, a TaskGroup), it ends after a second: those are cut and
run again on replay. Tasks are known by a task factory that looks at the context in which a task is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar
from typing import Any

from celeriac.errors import ConfigError

log = logging.getLogger(__name__)

UNKNOWN_AWAIT_SECONDS = 1.0
UNWIND_SECONDS = 0.3
#: passes of the loop without a ready task after which nobody is about to run: what a task awaits (a gather of gathers,
#: a TaskGroup) learns of a child's end only by callbacks, one pass each
_CALM_PASSES = 5

Task = asyncio.Task[Any]


class Suspended(BaseException):
    """Raised by steps of a scope that is closed, below `except Exception`: the link has ended."""


_parking: ContextVar[Parking | None] = ContextVar("celeriac_parking", default=None)


class Parking:
    """Watches the tasks of one execution of a run; belongs to one loop."""

    def __init__(self, on_quiet: Callable[[], None]) -> None:
        """Call `on_quiet` once the run has nothing left to do but wait."""
        self._loop = asyncio.get_running_loop()
        self._on_quiet = on_quiet
        self._tasks: set[Task] = set()
        #: executing bodies by path, each with the number of its descendants that are parked
        self._bodies: dict[str, int] = {}
        self._busy = 0
        self._parked: set[asyncio.Future[None]] = set()
        self._root: Task | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_checking = False
        self.is_over = False

    def start(self, root: Coroutine[Any, Any, Any], context: Context) -> Task:
        """Make the root task in `context`; tasks made below it become known by themselves."""
        install_task_factory(self._loop)
        context.run(_parking.set, self)
        self._root = self._loop.create_task(root, context=context)
        return self._root

    def add(self, task: Task) -> None:
        """Know a task of the run."""
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: Task) -> None:
        self._tasks.discard(task)
        if self.is_over and not task.cancelled():
            task.exception()  # fetched, so that asyncio does not report what the next replay will meet again
        self.check_soon()

    @property
    def is_single(self) -> bool:
        """Whether the run is one line of code at the moment."""
        return len(self._tasks) <= 1

    def when_calm(self, then: Callable[[], None], passes: int = 0) -> None:
        """Call `then` once no task of the run is about to run."""
        passes = 0 if any(_is_ready(task) for task in self._tasks) else passes + 1
        if passes > _CALM_PASSES:
            then()
        else:
            self._loop.call_soon(self.when_calm, then, passes)

    def is_alone(self, path: str) -> bool:
        """Whether nothing executes but the bodies around `path`."""
        return not self._busy and all(_contains(body, path) for body, parked in self._bodies.items() if not parked)

    @contextmanager
    def body(self, path: str) -> Iterator[None]:
        """Mark that the body of the step at `path` executes."""
        self._bodies[path] = 0
        try:
            yield
        finally:
            del self._bodies[path]
            self.check_soon()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Mark that the engine itself works for the run: a commit, the registering of a wait."""
        self._busy += 1
        try:
            yield
        finally:
            self._busy -= 1
            self.check_soon()

    async def stand_still(self, path: str, seconds: float | None = None) -> None:
        """Park the branch at `path`: for so long as the link lives, or until `seconds` have passed."""
        future: asyncio.Future[None] = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(max(0.0, seconds), _release, future)
        around = [body for body in self._bodies if _contains(body, path)]
        self._parked.add(future)
        for body in around:
            self._bodies[body] += 1
        self.check_soon()
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            self._parked.discard(future)
            for body in around:
                if body in self._bodies:
                    self._bodies[body] -= 1

    def check_soon(self) -> None:
        """Look once nobody is about to run."""
        if self._parked and not self._is_checking and not self.is_over:
            self._is_checking = True
            self._loop.call_soon(self.when_calm, self._check)

    def _check(self) -> None:
        self._is_checking = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.is_over or not self._can_end():
            return
        if all(self._is_known(task) for task in self._tasks):
            self._end()
        else:
            self._timer = self._loop.call_later(UNKNOWN_AWAIT_SECONDS, self._cut)

    def _can_end(self) -> bool:
        if not self._parked or self._busy or (self._root is not None and self._root.done()):
            return False
        return all(self._bodies.values())

    def _cut(self) -> None:
        self._timer = None
        if not self.is_over and self._can_end():
            self._end()

    def _end(self) -> None:
        self.is_over = True
        self._on_quiet()

    def _is_known(self, task: Task) -> bool:
        return self._is_ours(getattr(task, "_fut_waiter", None))

    def _is_ours(self, awaited: Any) -> bool:
        if awaited in self._parked or awaited in self._tasks:
            return True
        children = getattr(awaited, "_children", None)  # a gather
        return children is not None and all(child.done() or self._is_ours(child) for child in children)

    def refuse_timeout(self, path: str) -> None:
        """Raise `ConfigError` where the current task is inside an `asyncio.timeout`: its time is lost at parking."""
        task = asyncio.current_task()
        for handle in getattr(self._loop, "_scheduled", ()):  # the timer of a Timeout names the task that entered it
            timeout = getattr(getattr(handle, "_callback", None), "__self__", None)
            owner = getattr(timeout, "_task", None)
            if not isinstance(timeout, asyncio.Timeout) or handle.cancelled() or owner not in self._tasks:
                continue
            if _awaits(owner, task):
                raise ConfigError(
                    f"asyncio.timeout around the wait at {path!r} is lost when the run parks; use timeout="
                )

    async def unwind(self) -> None:
        """End every task of the run; one that has not ended after 0.3 s is dropped."""
        self.is_over = True
        if self._timer is not None:
            self._timer.cancel()
        tasks = {task for task in self._tasks if not task.done()}
        for task in tasks:
            task.cancel()
        if not tasks:
            return
        _, pending = await asyncio.wait(tasks, timeout=UNWIND_SECONDS)
        for task in pending:
            log.warning("A task did not end when its run was parked and was dropped: %r", task)


def install_task_factory(loop: asyncio.AbstractEventLoop) -> None:
    """Let tasks made in the context of a run become known to its parking; harmless for all others, and twice."""
    inner = loop.get_task_factory()
    if getattr(inner, "knows_runs", False):
        return

    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> Any:
        task: Any = inner(loop, coro, **options) if inner is not None else asyncio.Task(coro, loop=loop, **options)
        context = options.get("context")
        parking = _parking.get() if context is None else context.get(_parking)
        if parking is not None:
            parking.add(task)
        return task

    factory.knows_runs = True  # type: ignore[attr-defined]
    loop.set_task_factory(factory)


def _is_ready(task: Task) -> bool:
    if task.done():
        return False
    awaited = getattr(task, "_fut_waiter", None)
    return awaited is None or awaited.done()


def _contains(outer: str, path: str) -> bool:
    return path.startswith(f"{outer}/")


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _awaits(awaited: Any, task: Task | None) -> bool:
    """Whether `task` stands at the end of what is awaited, through tasks and gathers."""
    if awaited is task:
        return True
    following = getattr(awaited, "_children", None) or [getattr(awaited, "_fut_waiter", None)]
    return any(_awaits(one, task) for one in following if one is not None)
