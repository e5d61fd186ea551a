"""The step: what user code and agents call to do something that is remembered.

`Step` holds the verbs; a `Kernel` does the work, in place or durably. Agents talk to a `Step` only, so there is one
path of code for both. A verb is a plain function that fixes its path at the call (`scope.py`) and checks what it was
given; what it returns is awaited.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, overload

from celeriac.clock import Duration, duration
from celeriac.errors import ConfigError
from celeriac.platform.approval import NO_PLAIN_SIGNAL, is_approval
from celeriac.platform.calling import call_function, edited_arguments, returned
from celeriac.platform.event import RESERVED, Event
from celeriac.platform.expression import check, check_path
from celeriac.platform.kernel import Body, Call, CallKind, EventWait, Invocation, Kernel, SignalWait
from celeriac.platform.message import Usage
from celeriac.platform.placement import place
from celeriac.platform.scope import Scope, current_scope, enter

if TYPE_CHECKING:
    from celeriac.platform.durable.function import Function
    from celeriac.platform.fetching.reply import FetchReply
    from celeriac.platform.inference import Ai

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LONGEST_WAIT = timedelta(days=366)
LONGEST_SIGNAL = 255


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
    def scope_here(self) -> Scope:
        """The scope in which steps are called now."""
        return self._scope

    @property
    def _scope(self) -> Scope:
        scope = current_scope()
        return scope if scope is not None and scope.kernel is self._root.kernel else self._root

    # -- work ---------------------------------------------------------------------------------------------------

    @overload
    def run(
        self,
        id: str,
        fn: Callable[[*Ts], Awaitable[T]],
        *args: *Ts,
        retries: int | None = None,
        timeout: Duration | None = None,
        queue: str | None = None,
    ) -> Awaitable[T]: ...
    @overload
    def run(
        self,
        id: str,
        fn: Callable[[*Ts], T],
        *args: *Ts,
        retries: int | None = None,
        timeout: Duration | None = None,
        queue: str | None = None,
    ) -> Awaitable[T]: ...
    def run(
        self,
        id: str,
        fn: Callable[[*Ts], Any],
        *args: *Ts,
        retries: int | None = None,
        timeout: Duration | None = None,
        queue: str | None = None,
    ) -> Awaitable[Any]:
        """Run `fn(*args)` once and remember what it returns; a plain function runs in a thread.

        The value comes back through the return annotation. A body that raises is tried again (`retries`, the
        function's by default); then `StepError`. With `queue="cpu"` a process of that queue does the work: `fn` has
        to be a function of a module, and its arguments plain JSON.
        """
        return self.called(id, fn, args, kind="run", retries=retries, timeout=timeout, queue=queue)

    def fetch(
        self,
        id: str,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        body: str | bytes | None = None,
        timeout: Duration | None = None,
    ) -> Awaitable[FetchReply]:
        """Make an HTTP request to the public internet and remember the reply, whatever its status.

        No answer is tried again like any failure; what is not allowed (an address, a redirect, the size of the
        answer) fails the step at once. The reply has `.status`, `.headers`, `.text` and `.json()`.
        """
        from celeriac.platform.fetching.reply import FetchReply  # only who fetches loads the room

        path, kernel = self._scope.take(id), self._scope.kernel

        async def ask() -> FetchReply:
            from celeriac.platform.fetching.fetch import fetch
            from celeriac.platform.fetching.request import Request

            request = Request.of(url, method=method, headers=headers, json=json, body=body, timeout=timeout)
            return await fetch(request, kernel.fetch_limits)

        # Neither the values of headers nor the body: that is where credentials are.
        shown = {"method": method, "url": url, "headers": sorted(headers or ())}
        call = Call(path=path, kind="fetch", body=ask, input=shown)
        return _performed(kernel, call, lambda plain: FetchReply(**plain))

    def race(self, **branches: Awaitable[T]) -> Awaitable[tuple[str, T]]:
        """Await the branches side by side; return the name and the value of the one that ends first.

        The others are cancelled, and what they wait for is over. A branch that fails first fails the race with its
        error. The winner is remembered: a replay awaits it alone.
        """
        if not branches:
            raise ConfigError("A race needs branches: step.race(reply=…, nap=…)")
        return self._scope.kernel.race(self._scope.take("race"), branches)

    # -- waiting ------------------------------------------------------------------------------------------------

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
        if_: str | None = None,
        since: Duration | None = None,
    ) -> Awaitable[Event | None]:
        """Stand still until an event of that name comes for this tenant; None when the timeout passes first.

        `match` is a dotted path such as `data.ticket_id`: the event has to have there what the run's own event has.
        `if_` is an expression over `event`, the run's own, and `async`, the one that comes. Only events received
        after the wait was reached count, unless `since` looks back that far.
        """
        if event.startswith(RESERVED) and not event.startswith(f"{RESERVED}run."):
            raise ConfigError(f"Step {id!r}: events below {RESERVED!r} are the platform's own, but for celeriac/run.*")
        wait = EventWait(
            path=self._scope.take(id),
            name=event,
            timeout=_within_longest(duration(timeout), id),
            match=None if match is None else check_path(match),
            condition=None if if_ is None else _checked(if_, id),
            since=None if since is None else _within_longest(duration(since), id, "look back"),
        )
        return self._scope.kernel.wait_for_event(wait)

    def wait_for_signal(self, id: str, signal: str, *, timeout: Duration) -> Awaitable[Any]:
        """Stand still until somebody gives the signal; return its data, or None when the timeout passes first.

        One wait of a tenant may have a signal at a time: a second one fails with `StepError`.
        """
        wait = SignalWait(
            path=self._scope.take(id),
            signal=_checked_signal(signal, id),
            timeout=_within_longest(duration(timeout), id),
        )
        return self._scope.kernel.wait_for_signal(wait)

    # -- other runs ---------------------------------------------------------------------------------------------

    def send_event(self, id: str, event: str | Event | Sequence[Event], data: Any = None) -> Awaitable[list[str]]:
        """Send one event by name and data, one `Event`, or several, exactly once; return their ids."""
        return self._scope.kernel.send(self._scope.take(id), as_events(event, data))

    def send_signal(self, id: str, signal: str, data: Any = None) -> Awaitable[bool]:
        """Give a signal to the run of this tenant that waits for it, exactly once; return whether there was one."""
        if is_approval(_checked_signal(signal, id)):
            raise ConfigError(f"Step {id!r}: {NO_PLAIN_SIGNAL}")
        return self._scope.kernel.send_signal(self._scope.take(id), signal, data)

    @overload
    def invoke(
        self,
        id: str,
        function: Function[..., Coroutine[Any, Any, T]],
        data: Any = None,
        *,
        timeout: Duration | None = None,
    ) -> Awaitable[T]: ...
    @overload
    def invoke(
        self, id: str, function: str, data: Any = None, *, timeout: Duration | None = None
    ) -> Awaitable[Any]: ...
    def invoke(
        self, id: str, function: Function[..., Any] | str, data: Any = None, *, timeout: Duration | None = None
    ) -> Awaitable[Any]:
        """Start a run of another function with `data`, stand still until it ends, and return its output.

        The function is one of this fleet, or `"app/id"`. Raises `StepError` when the run failed, was cancelled or
        skipped, when there is no such function, and after the timeout (`TimeoutError`; the run goes on).
        """
        invocation = Invocation(
            path=self._scope.take(id),
            target=_target(function, id),
            data=data,
            timeout=LONGEST_WAIT if timeout is None else _within_longest(duration(timeout), id),
        )
        kernel = self._scope.kernel
        return kernel.invoke(invocation) if isinstance(function, str) else _invoked(kernel, invocation, function.fn)

    def defer(self, id: str, function: Function[..., Any] | str, data: Any = None) -> Awaitable[None]:
        """Start a run of another function once this one has ended, however it ends; at most 20 times a run."""
        return self._scope.kernel.defer(self._scope.take(id), _target(function, id), data)

    # -- for agents and the verbs of ai -------------------------------------------------------------------------

    def called(
        self,
        id: str,
        fn: Callable[..., Any],
        args: Sequence[Any],
        *,
        kind: CallKind,
        retries: int | None = None,
        timeout: Duration | None = None,
        usage: Callable[[Any], Usage] | None = None,
        queue: str | None = None,
    ) -> Awaitable[Any]:
        """Make a call of the user's function a step of this kind."""
        kernel, path = self._scope.kernel, self._scope.take(id)
        limit = None if timeout is None else duration(timeout)

        def body_of(arguments: Sequence[Any]) -> Body:
            return lambda: call_function(kernel, fn, *arguments)

        call = Call(
            path=path,
            kind=kind,
            body=body_of(args),
            input=list(args) or None,
            edit=lambda given: body_of(edited_arguments(path, fn, given)),
            retries=retries,
            timeout=limit,
            placement=None if queue is None else place(path, fn, args, queue=queue, retries=retries, timeout=limit),
            usage=usage,
        )
        return _performed(kernel, call, lambda plain: returned(path, fn, plain))

    def scoped(
        self,
        id: str,
        body: Body,
        *,
        kind: CallKind,
        input: Any = None,
        edit: Callable[[Any], Body] | None = None,
        retries: int | None = 0,
        usage: Callable[[Any], Usage] | None = None,
        spent: Callable[[], Usage] | None = None,
        on_retry: Callable[[int, Exception], None] | None = None,
        model: Callable[[Any], str] | None = None,
        path: str | None = None,
    ) -> Awaitable[Any]:
        """Run a body with steps of its own as one step: once it is remembered, replay skips its inside.

        Returns plain JSON. Turns, model calls and tool calls are made of it. `retries=None`: as the run says. `path`
        is one that was taken for this step before.
        """
        path = path or self._scope.take(id)
        call = Call(
            path=path,
            kind=kind,
            body=body,
            input=input,
            edit=edit,
            retries=retries,
            usage=usage,
            spent=spent,
            on_retry=on_retry,
            model=model,
        )
        return self._scope.kernel.perform(call)

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Keep the ids of the steps called inside apart from the same ids elsewhere."""
        outer = self._scope
        with enter(Scope(outer.kernel, outer.take(name))):
            yield


def as_events(event: str | Event | Sequence[Event], data: Any) -> list[Event]:
    """Return the events that the three shapes of sending mean."""
    if isinstance(event, str):
        return [Event(event, data)]
    if data is not None:
        raise ConfigError("Give data either inside the Event or beside a name, not both")
    return [event] if isinstance(event, Event) else list(event)


def _within_longest(time: timedelta, id: str, verb: str = "wait") -> timedelta:
    if time > LONGEST_WAIT:
        raise ConfigError(f"Step {id!r} would {verb} {time.days} days; the limit is {LONGEST_WAIT.days}")
    return time


def _checked(condition: str, id: str) -> str:
    try:
        return check(condition, names=("event", "async"))
    except ConfigError as error:
        raise ConfigError(f"Step {id!r}: {error.message}") from error


def _checked_signal(signal: str, id: str) -> str:
    if not isinstance(signal, str) or not 0 < len(signal) <= LONGEST_SIGNAL or not signal.isprintable():
        raise ConfigError(f"Step {id!r}: a signal is a text of 1 to {LONGEST_SIGNAL} printable characters")
    return signal


def _target(function: Function[..., Any] | str, id: str) -> str:
    name = function if isinstance(function, str) else getattr(function, "name", "")
    app, _, function_id = name.partition("/")
    if not app or not function_id or "/" in function_id:
        raise ConfigError(f"Step {id!r} takes a function of an App, or its name as 'app/id', not {name or function!r}")
    return name


async def _performed(kernel: Kernel, call: Call, read: Callable[[Any], Any]) -> Any:
    return read(await kernel.perform(call))


async def _invoked(kernel: Kernel, invocation: Invocation, fn: Callable[..., Any]) -> Any:
    return returned(invocation.path, fn, await kernel.invoke(invocation))
