"""The step: what user code and agents call to do something that is remembered.

`Step` holds the verbs; a `Kernel` does the work. There are two kernels: the inline one (`inline.py`) works in place,
the durable one (`durable/replay.py`) remembers. Agents talk to a `Step` only, so there is one path of code for both.

One ContextVar holds the scope that is entered. A step's path is that of its scope and its id, fixed at the call, in
the caller's asyncio task: `network:support/turn:2/tool:1:refund/charge`.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeVar, TypeVarTuple, overload

from pydantic import ValidationError

from celeriac.clock import Duration, duration
from celeriac.errors import ConfigError, ContextError, NonRetriableError, StepIdConflict
from celeriac.platform.codec import decoder, return_type
from celeriac.platform.event import Event
from celeriac.platform.expression import check_path
from celeriac.platform.message import Usage
from celeriac.platform.signature import is_async, problems

if TYPE_CHECKING:
    from celeriac.platform.inference import Ai

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
CallKind = Literal["run", "model", "tool", "turn"]

LONGEST_WAIT = timedelta(days=366)
_LONGEST_ID = 200


@dataclass(frozen=True, kw_only=True)
class Call:
    """Work with a path: a body that runs until its value is remembered."""

    path: str
    kind: CallKind
    body: Callable[[], Awaitable[Any]]
    #: what the step was given, for people
    input: Any = None
    #: None: as the run says
    retries: int | None = None
    timeout: timedelta | None = None
    #: reads what the value used
    usage: Callable[[Any], Usage] | None = None


@dataclass(frozen=True, kw_only=True)
class EventWait:
    """What a branch waits for: an event of that name whose value at `match` is the one of the run's own event."""

    path: str
    name: str
    timeout: timedelta
    match: str | None = None
    since: timedelta | None = None


class Kernel(Protocol):
    """What does the work of the verbs. All values it returns are plain JSON."""

    @property
    def durable(self) -> bool:
        """Whether steps are remembered beyond this process."""
        ...

    @property
    def suspending(self) -> bool:
        """Whether the coroutines are being ended though the run goes on: it parks, or another link takes it up."""
        ...

    @property
    def origin(self) -> str:
        """The run's id, for tracing."""
        ...

    @property
    def executor(self) -> Executor | None:
        """Where plain functions run; asyncio's own where None."""
        ...

    def perform(self, call: Call) -> Awaitable[Any]:
        """Return the remembered value of the call, or run its body and remember."""
        ...

    def sleep(self, path: str, until: timedelta | datetime) -> Awaitable[None]:
        """Stand still for a time, or until one."""
        ...

    def wait_for_event(self, wait: EventWait) -> Awaitable[Event | None]:
        """Stand still until the event comes, or the timeout: None."""
        ...

    def send(self, path: str, events: Sequence[Event]) -> Awaitable[list[str]]:
        """Send events once; return their ids."""
        ...


class Scope:
    """A place in the tree of steps: ids taken in it become paths below it."""

    __slots__ = ("_taken", "kernel", "path")

    def __init__(self, kernel: Kernel, path: str = "") -> None:
        """Start with no ids taken."""
        self.kernel = kernel
        self.path = path
        self._taken: dict[str, tuple[asyncio.Task[Any], int]] = {}

    def take(self, id: str) -> str:
        """Return the path of a step called now; a repeated id of the same task is numbered from `id:1` on.

        Raises `StepIdConflict` when two tasks use one id: by arrival alone, replay could swap their results.
        """
        if not isinstance(id, str) or not 0 < len(id) <= _LONGEST_ID or "/" in id or not id.isprintable():
            raise ConfigError(
                f"Step id {str(id)[:80]!r} must be a text of 1 to {_LONGEST_ID} printable characters without '/'"
            )
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is None:
            raise ContextError(f"Step {id!r} was called outside of the run's loop; steps need `async def`")
        owner, count = self._taken.get(id, (task, 0))
        if owner is not task:
            raise StepIdConflict(
                f"Step id {id!r} is used by two tasks in {self.path or 'the function'}; "
                f"give each its own id, or its own `with ctx.step.scope(name):`"
            )
        while count and f"{id}:{count}" in self._taken:
            count += 1  # somebody's own id looks like that
        self._taken[id] = (task, count + 1)
        if not count:
            return self.below(id)
        numbered = f"{id}:{count}"
        self._taken[numbered] = (task, 1)
        return self.below(numbered)

    def below(self, id: str) -> str:
        """Return the path of `id` in this scope."""
        return f"{self.path}/{id}" if self.path else id


_entered: ContextVar[Scope | None] = ContextVar("celeriac_scope", default=None)


def current_scope() -> Scope | None:
    """Return the scope that is entered here, or None outside of any."""
    return _entered.get()


@contextmanager
def enter(scope: Scope) -> Iterator[Scope]:
    """Make `scope` the one in which steps are called."""
    token = _entered.set(scope)
    try:
        yield scope
    finally:
        _entered.reset(token)


class Step:
    """The verbs. `await ctx.step.run("id", fn, …)` and its kin; in the scope that is entered where they are called."""

    def __init__(self, kernel: Kernel) -> None:
        """Work through `kernel`, from the root scope where none of its own is entered."""
        self._root = Scope(kernel)

    @property
    def durable(self) -> bool:
        """Whether what is done here survives the process."""
        return self._root.kernel.durable

    @property
    def path(self) -> str:
        """Where we are in the tree of steps; empty in the function's own body."""
        return self._scope.path

    @property
    def ai(self) -> Ai:
        """Model calls as steps."""
        from celeriac.platform.inference import Ai  # stands on this file

        return Ai(self)

    @property
    def kernel(self) -> Kernel:
        """What does the work."""
        return self._root.kernel

    @property
    def root(self) -> Scope:
        """The scope of the function's own body."""
        return self._root

    @property
    def _scope(self) -> Scope:
        scope = current_scope()
        return scope if scope is not None and scope.kernel is self._root.kernel else self._root

    @overload
    def run(
        self,
        id: str,
        fn: Callable[[*Ts], Awaitable[T]],
        *args: *Ts,
        retries: int | None = None,
        timeout: Duration | None = None,
    ) -> Awaitable[T]: ...
    @overload
    def run(
        self, id: str, fn: Callable[[*Ts], T], *args: *Ts, retries: int | None = None, timeout: Duration | None = None
    ) -> Awaitable[T]: ...
    def run(
        self,
        id: str,
        fn: Callable[[*Ts], Any],
        *args: *Ts,
        retries: int | None = None,
        timeout: Duration | None = None,
    ) -> Awaitable[Any]:
        """Run `fn(*args)` once and remember what it returns; a plain function runs in a thread.

        The value comes back through the return annotation. A body that raises is tried again (`retries`, the
        function's by default); then `StepError`.
        """
        kernel = self._scope.kernel
        call = Call(
            path=self._scope.take(id),
            kind="run",
            body=lambda: invoke(kernel, fn, *args),
            input=list(args) or None,
            retries=retries,
            timeout=None if timeout is None else duration(timeout),
        )
        return _decoded(kernel, call, fn)

    def sleep(self, id: str, time: Duration) -> Awaitable[None]:
        """Stand still for a time of at most 366 days, holding no worker."""
        delay = _within_longest(duration(time), id)
        return self._scope.kernel.sleep(self._scope.take(id), delay)

    def sleep_until(self, id: str, moment: datetime) -> Awaitable[None]:
        """Stand still until an aware datetime, holding no worker; one that has passed does not wait."""
        if moment.tzinfo is None:
            raise ConfigError(f"Step {id!r}: {moment.isoformat()} has no time zone; give an aware datetime")
        return self._scope.kernel.sleep(self._scope.take(id), moment)

    def wait_for_event(
        self,
        id: str,
        event: str,
        *,
        timeout: Duration,
        match: str | None = None,
        since: Duration | None = None,
    ) -> Awaitable[Event | None]:
        """Stand still until an event of that name comes for this tenant; None when the timeout passes first.

        `match` is a dotted path such as `data.ticket_id`: the event has to have there what the run's own event has.
        Only events received after the wait was reached count, unless `since` looks back that far.
        """
        wait = EventWait(
            path=self._scope.take(id),
            name=event,
            timeout=_within_longest(duration(timeout), id),
            match=None if match is None else check_path(match),
            since=None if since is None else duration(since),
        )
        return self._scope.kernel.wait_for_event(wait)

    def send_event(self, id: str, event: str | Event | Sequence[Event], data: Any = None) -> Awaitable[list[str]]:
        """Send one event by name and data, one `Event`, or several, exactly once; return their ids."""
        return self._scope.kernel.send(self._scope.take(id), as_events(event, data))

    def scoped(
        self,
        id: str,
        body: Callable[[], Awaitable[Any]],
        *,
        kind: CallKind,
        input: Any = None,
        retries: int | None = 0,
        usage: Callable[[Any], Usage] | None = None,
    ) -> Awaitable[Any]:
        """Run a body with steps of its own as one step: once it is remembered, replay skips its inside.

        Returns plain JSON. Turns, model calls and tool calls are made of it. `retries=None`: as the run says.
        """
        call = Call(path=self._scope.take(id), kind=kind, body=body, input=input, retries=retries, usage=usage)
        return self._scope.kernel.perform(call)

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Keep the ids of the steps called inside apart from the same ids elsewhere."""
        outer = self._scope
        with enter(Scope(outer.kernel, outer.take(name))):
            yield


async def invoke(kernel: Kernel, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function of the user's: a coroutine function here, a plain one in the kernel's threads."""
    if is_async(fn):
        return await fn(*args, **kwargs)
    context = copy_context()
    loop = asyncio.get_running_loop()

    def call() -> Any:
        try:
            return context.run(fn, *args, **kwargs)
        except StopIteration as error:  # no future can carry it, so that the waiting task would wait for ever
            raise RuntimeError(f"StopIteration left {getattr(fn, '__name__', 'a function')!r}") from error

    result = await loop.run_in_executor(kernel.executor, call)
    return await result if inspect.isawaitable(result) else result


def as_events(event: str | Event | Sequence[Event], data: Any) -> list[Event]:
    """Return the events that the three shapes of sending mean."""
    if isinstance(event, str):
        return [Event(event, data)]
    if data is not None:
        raise ConfigError("Give data either inside the Event or beside a name, not both")
    return [event] if isinstance(event, Event) else list(event)


def _within_longest(time: timedelta, id: str) -> timedelta:
    if time > LONGEST_WAIT:
        raise ConfigError(f"Step {id!r} would wait {time.days} days; the limit is {LONGEST_WAIT.days}")
    return time


async def _decoded(kernel: Kernel, call: Call, fn: Callable[..., Any]) -> Any:
    plain = await kernel.perform(call)
    try:
        return decoder(return_type(fn))(plain)
    except ValidationError as error:
        raise NonRetriableError(
            f"Step {call.path!r} returned what its annotation forbids: {problems(error)}"
        ) from error
