"""Parking: when a run's link has nothing left to do but wait, and how its coroutines end then.

A branch that waits awaits a future that nobody resolves. The link may end at once when no step's body executes and
every asyncio task of the run awaits such a future, another task of the run, a gather or a race of them. Where only
unknown awaits remain beside them (I/O outside of steps, a semaphore, a TaskGroup), it ends after a second: those are
cut and run again on replay. Tasks are known by a task factory that looks at the context in which a task is made.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar
from typing import Any, Literal, NoReturn

from celeriac.errors import ConfigError
from celeriac.platform.durable.stillness import stillness_of

log = logging.getLogger(__name__)

UNKNOWN_AWAIT_SECONDS = 1.0
UNWIND_SECONDS = 0.3

Task = asyncio.Task[Any]

#: why a link ended before the run did
Cause = Literal["parked", "onward", "lost", "cancelled"]


class Suspended(BaseException):
    """Raised by steps of a scope that is closed, below `except Exception`: the link has ended."""


_parking: ContextVar[Parking | None] = ContextVar("celeriac_parking", default=None)


class Parking:
    """Watches the tasks of one execution of a run, and ends it; belongs to one loop."""

    def __init__(self) -> None:
        """Watch nothing yet."""
        self._loop = asyncio.get_running_loop()
        self._stillness = stillness_of(self._loop, _parking)
        #: set once the link is over, though the run is not
        self.ended: asyncio.Future[Cause] = self._loop.create_future()
        #: why it is over when nothing is left to do but wait
        self.cause: Cause = "parked"
        self.is_over = False
        #: whether it is because of a new step where the code has passed over remembered ones
        self.is_out_of_order = False
        self._root: Task | None = None
        self._tasks: set[Task] = set()
        #: executing bodies by path, each with the number of its descendants that are parked
        self._bodies: dict[str, int] = {}
        #: how many of them have none
        self._at_work = 0
        self._busy = 0
        self._parked: set[asyncio.Future[Any]] = set()
        #: time limits that are stopped: for how many branches, and the seconds that each has left
        self._stopped: dict[asyncio.Timeout, tuple[int, float]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._is_checking = False

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

    def when_still(self, then: Callable[[], None]) -> None:
        """Call `then` once no code of the run is about to run."""
        self._stillness.when_still(self._loop, self, then)

    def is_alone(self, path: str) -> bool:
        """Whether nothing executes but the bodies around `path`."""
        return not self._busy and all(_contains(body, path) for body, parked in self._bodies.items() if not parked)

    @contextmanager
    def body(self, path: str) -> Iterator[None]:
        """Mark that the body of the step at `path` executes."""
        self._bodies[path] = 0
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= self._bodies.pop(path) == 0
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

    async def stand_still(
        self, path: str, seconds: float | None = None, *, until: asyncio.Future[Any] | None = None
    ) -> None:
        """Park the branch at `path`: for as long as the link lives, until `seconds` have passed, or the future is done.

        There is at most one of the two.
        """
        future: asyncio.Future[Any] = until if until is not None else self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(max(0.0, seconds), _release, future)
        around = [body for body in _around(path) if body in self._bodies]
        self._parked.add(future)
        for body in around:
            self._count(body, 1)
        self.check_soon()
        try:
            await future
        finally:
            if timer is not None:
                timer.cancel()
            self._parked.discard(future)
            for body in around:
                if body in self._bodies:
                    self._count(body, -1)

    def _count(self, body: str, change: int) -> None:
        before = self._bodies[body]
        self._bodies[body] = before + change
        self._at_work += (before + change == 0) - (before == 0)

    # -- the end ------------------------------------------------------------------------------------------------

    def interrupt(self, cause: Cause) -> None:
        """End the link now for a cause from outside; called on the loop."""
        if not self.ended.done():
            self.cause, self.is_over = cause, True
            self.ended.set_result(cause)

    def leave(self, cause: Cause) -> NoReturn:
        """End the link past all user code: the run is another link's by now, or the database does not answer."""
        self.interrupt(cause)
        raise Suspended

    def check_soon(self) -> None:
        """Look once nobody is about to run."""
        if self._parked and not self._is_checking and not self.is_over:
            self._is_checking = True
            self.when_still(self._check)

    def _check(self) -> None:
        self._is_checking = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.is_over or not self._can_end():
            return
        if all(self._is_known(task) for task in self._tasks):
            self.interrupt(self.cause)
        else:
            self._timer = self._loop.call_later(UNKNOWN_AWAIT_SECONDS, self._cut)

    def _can_end(self) -> bool:
        if not self._parked or self._busy or (self._root is not None and self._root.done()):
            return False
        return not self._at_work

    def _cut(self) -> None:
        self._timer = None
        if not self.is_over and self._can_end():
            self.interrupt(self.cause)

    def _is_known(self, task: Task) -> bool:
        return self._is_ours(getattr(task, "_fut_waiter", None))

    def _is_ours(self, awaited: Any) -> bool:
        if awaited in self._parked or awaited in self._tasks:
            return True
        children = getattr(awaited, "_children", None)  # a gather or a race
        return children is not None and all(child.done() or self._is_ours(child) for child in children)

    def refuse_timeout(self, path: str) -> None:
        """Raise `ConfigError` where the current task is inside an `asyncio.timeout`: its time is lost at parking."""
        if self._time_limits():
            raise ConfigError(
                f"The wait at {path!r} is inside a time limit (asyncio.timeout, or the timeout= of a tool), which "
                "is lost when the run parks; give the step itself timeout=, and retries=0 where it must not wait"
            )

    @contextmanager
    def time_limits_stopped(self) -> Iterator[None]:
        """Let no time pass for the `asyncio.timeout`s that the current task is inside; branches may do so at once."""
        limits = self._time_limits()
        for limit in limits:
            holders, left = self._stopped.get(limit, (0, (limit.when() or 0.0) - self._loop.time()))
            self._stopped[limit] = (holders + 1, left)
            if not holders:
                limit.reschedule(None)
        try:
            yield
        finally:
            for limit in limits:
                holders, left = self._stopped.pop(limit)
                if holders > 1:
                    self._stopped[limit] = (holders - 1, left)
                    continue
                with suppress(RuntimeError):  # the block was left meanwhile
                    limit.reschedule(self._loop.time() + left)

    def _time_limits(self) -> list[asyncio.Timeout]:
        """Return the `asyncio.timeout`s that the current task is inside."""
        task = asyncio.current_task()
        # The timer of a Timeout names it, and the Timeout names the task that entered it.
        timers = (handle for handle in getattr(self._loop, "_scheduled", ()) if not handle.cancelled())
        running = (getattr(getattr(timer, "_callback", None), "__self__", None) for timer in timers)
        limits = [limit for limit in (*running, *self._stopped) if isinstance(limit, asyncio.Timeout)]
        owners = ((limit, getattr(limit, "_task", None)) for limit in limits)
        return [limit for limit, owner in owners if owner in self._tasks and _awaits(owner, task)]

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


def _contains(outer: str, path: str) -> bool:
    return path.startswith(f"{outer}/")


def _around(path: str) -> Iterator[str]:
    """Yield the paths that contain this one."""
    at = path.rfind("/")
    while at > 0:
        yield path[:at]
        at = path.rfind("/", 0, at)


def _release(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _awaits(awaited: Any, task: Task | None) -> bool:
    """Whether `task` stands at the end of what is awaited, through tasks and gathers."""
    if awaited is task:
        return True
    following = getattr(awaited, "_children", None) or [getattr(awaited, "_fut_waiter", None)]
    return any(_awaits(one, task) for one in following if one is not None)
