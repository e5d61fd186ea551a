"""The kernel: what does the work of the step's verbs, and what the verbs hand to it.

There are two: the inline one (`inline.py`) works in place, the durable one (`durable/kernel.py`) remembers. `Step` and
the agents talk to a kernel by these facts only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from celeriac.platform.body_threads import BodyThreads
from celeriac.platform.event import Event
from celeriac.platform.message import Usage
from celeriac.platform.models.key_choice import KeyChoice
from celeriac.platform.models.pace import Pace
from celeriac.platform.placement import Placement

if TYPE_CHECKING:
    from celeriac.platform.fetching.limits import FetchLimits
    from celeriac.platform.mcp.endpoint import McpLimits
    from celeriac.platform.streams.outlet import Outlet

CallKind = Literal["run", "model", "tool", "turn", "fetch"]
Body = Callable[[], Awaitable[Any]]


@dataclass(frozen=True, kw_only=True)
class Call:
    """Work with a path: a body that runs until its value is remembered."""

    path: str
    kind: CallKind
    body: Body
    #: what the step was given, for people
    input: Any = None
    #: makes the body for another input, as a rerun may have it; raises `ConfigError` for one that does not fit
    edit: Callable[[Any], Body] | None = None
    #: None: as the run says
    retries: int | None = None
    timeout: timedelta | None = None
    #: the same work written down, where a process of another queue is to do it
    placement: Placement | None = None
    #: reads what the value used
    usage: Callable[[Any], Usage] | None = None
    #: says what the body has used up to now; remembered with its failure, for whoever counts around it
    spent: Callable[[], Usage] | None = None
    #: is told of an attempt that failed where another one is to come: its number, from 1, and its error
    on_retry: Callable[[int, Exception], None] | None = None
    #: reads which model it was, as `provider:model`
    model: Callable[[Any], str] | None = None


@dataclass(frozen=True, kw_only=True)
class EventWait:
    """What a branch waits for: an event of that name that fits."""

    path: str
    name: str
    timeout: timedelta
    #: a dotted path at which it has what the run's own event has
    match: str | None = None
    #: an expression over `event` (the run's own) and `async` (the one that comes)
    condition: str | None = None
    #: how far events that came before count as well
    since: timedelta | None = None


@dataclass(frozen=True, kw_only=True)
class SignalWait:
    """What a branch waits for: somebody who gives this signal."""

    path: str
    signal: str
    timeout: timedelta


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """A run of another function whose end a branch waits for."""

    path: str
    #: `app/function_id`
    target: str
    data: Any
    timeout: timedelta


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
    def is_over(self) -> bool:
        """Whether the coroutines are being ended, for whatever cause: nothing that they do counts any more."""
        ...

    @property
    def outlet(self) -> Outlet:
        """Where what the run tells goes."""
        ...

    @property
    def origin(self) -> str:
        """The run's id, for tracing."""
        ...

    def now(self) -> datetime:
        """Return the time as it is; a replay sees another one."""
        ...

    @property
    def executor(self) -> BodyThreads:
        """Where plain functions run."""
        ...

    @property
    def fetch_limits(self) -> FetchLimits:
        """What a fetch may cost, and where to it may lead."""
        ...

    @property
    def mcp_limits(self) -> McpLimits:
        """What tool servers may be, and how much they may say."""
        ...

    def key_choice(self, provider: str) -> Awaitable[KeyChoice | None]:
        """Return whose key a model of the provider is called with; None: as the model says."""
        ...

    def pace(self, path: str) -> Pace | None:
        """Return what lets the models through that an attempt of the step at `path` calls; None: nothing does."""
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

    def wait_for_signal(self, wait: SignalWait) -> Awaitable[Any]:
        """Stand still until the signal is given, and return its data; None after the timeout."""
        ...

    def send(self, path: str, events: Sequence[Event]) -> Awaitable[list[str]]:
        """Send events once; return their ids."""
        ...

    def send_signal(self, path: str, signal: str, data: Any) -> Awaitable[bool]:
        """Give a signal once; return whether a run waited for it."""
        ...

    def invoke(self, invocation: Invocation) -> Awaitable[Any]:
        """Start a run, stand still until it ends, and return its output; raise `StepError` where there is none."""
        ...

    def defer(self, path: str, target: str, data: Any) -> Awaitable[None]:
        """Start a run once this one has ended."""
        ...

    def race(self, path: str, branches: Mapping[str, Awaitable[Any]]) -> Awaitable[tuple[str, Any]]:
        """Return the name and the value of the branch that ends first, and cancel the others."""
        ...
