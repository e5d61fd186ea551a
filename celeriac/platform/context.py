"""The context: the one object that everything handed to Celeriac takes as first parameter.

The engine (or the inline start of a network) makes the first one; networks and tools derive theirs from it. Asking
for what is not there raises `ContextError`, so that nothing in it is Optional.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Generic, Self

from typing_extensions import TypeVar

from celeriac.errors import ContextError
from celeriac.platform.codec import encode, plain, storable
from celeriac.platform.event import Event
from celeriac.platform.message import ToolCall
from celeriac.platform.run import Run
from celeriac.platform.scope import current_scope
from celeriac.platform.step import Step
from celeriac.platform.streams.draft import LONGEST, Draft, check_channel
from celeriac.platform.streams.outlet import Audience

if TYPE_CHECKING:
    from celeriac.platform.agents.agent import Agent
    from celeriac.platform.agents.network_run import NetworkRun
    from celeriac.platform.agents.state import State
    from celeriac.platform.memory.memory import BoundMemory

S = TypeVar("S", default=Any)

_PLACES = {
    "network": "inside a network: in its tools, routers and prompts",
    "agent": "inside an agent's turn",
    "tool_call": "inside a tool",
    "memory": "with App(memory=…)",
}


class Context(Generic[S]):
    """What a function, tool, router or prompt may know and use."""

    def __init__(
        self, *, step: Step, event: Event, run: Run, log: RunLog | None = None, events: Sequence[Event] = ()
    ) -> None:
        """Hold what is there everywhere; `bound` adds the rest."""
        self.step = step
        self.event = event
        self.events = list(events) or [event]
        self.run = run
        self.log = log or RunLog(run)
        self._bound: dict[str, Any] = {}

    def bound(self, **parts: Any) -> Self:
        """Return this context with more in it: `network`, `agent`, `tool_call`, `memory`, `state`."""
        copy = object.__new__(type(self))
        copy.__dict__ = {**self.__dict__, "_bound": {**self._bound, **parts}}
        return copy

    def of_events(self, events: Sequence[Event]) -> Self:
        """Return this context with other events, the first of them as its event."""
        copy = self.bound()
        copy.event, copy.events = events[0], list(events)
        return copy

    def part(self, name: str) -> Any:
        """Return a part that was bound, or None."""
        return self._bound.get(name)

    @property
    def suspending(self) -> bool:
        """Whether cleanup code runs because the run parks, and will run again: it is not the real end."""
        return self.step.kernel.suspending

    async def publish(self, topic: str, data: Any, *, channel: str | None = None) -> None:
        """Tell those who watch the run something of your own, as a chunk `data.delta`.

        It goes to the channels of the run and to `channel`; in a plain script to who listens there. It is no step: its
        id is made of the run, the place and a count, so that a replay or another attempt of a step shows nothing twice.
        More than 256 KiB are left out, as `truncated`: tell where they lie.
        """
        scope = self.step.scope_here
        telling, network = self.part("telling"), self.part("network")
        run_id = getattr(telling, "run_id", "") or (network.id if network is not None else self.run.id)
        delta = storable(plain(data))
        shown = {"delta": delta} if len(encode(delta)) <= LONGEST else {"truncated": True}
        told = {"runId": run_id, "topic": topic, **shown}
        if network is not None and network.state.thread_id is not None:
            told["threadId"] = network.state.thread_id
        draft = Draft(
            kind="once",
            id=f"{self.run.id}:{scope.path}:data:{scope.count_published()}",
            event="data.delta",
            data=told,
            timestamp=int(self.step.kernel.now().timestamp() * 1000),
        )
        audience = self.part("audience") or Audience(self.step.kernel.outlet)
        if channel is not None:
            audience = audience.with_more([check_channel(channel)], [])
        audience.tell([draft])

    def _part(self, name: str) -> Any:
        part = self._bound.get(name)
        if part is None:
            raise ContextError(f"ctx.{name} is there only {_PLACES[name]}")
        return part

    @property
    def network(self) -> NetworkRun[S]:
        """The network's run that we are in."""
        network: NetworkRun[S] = self._part("network")
        return network

    @property
    def state(self) -> State[S]:
        """The network's state; in a tool the call's own view of it."""
        return self._bound.get("state") or self.network.state

    @property
    def agent(self) -> Agent[S, Any]:
        """The agent whose turn it is."""
        agent: Agent[S, Any] = self._part("agent")
        return agent

    @property
    def tool_call(self) -> ToolCall:
        """The call that the tool answers."""
        call: ToolCall = self._part("tool_call")
        return call

    @property
    def memory(self) -> BoundMemory:
        """The app's memories, bound to this run's tenant and user."""
        memory: BoundMemory = self._part("memory")
        return memory


class RunLog(logging.LoggerAdapter[logging.Logger]):
    """A logger that carries tenant, run and step path, and says nothing during replay."""

    def __init__(self, run: Run, is_silent: Callable[[], bool] = lambda: False) -> None:
        """Log as `celeriac.run`; say nothing while `is_silent()`."""
        super().__init__(logging.getLogger("celeriac.run"), {})
        self._run = run
        self._is_silent = is_silent

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802  # the name of the standard library
        """Whether a line of this level is written now."""
        return not self._is_silent() and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Put tenant and run before the line, and with the step's path into its fields."""
        scope = current_scope()
        fields = {
            "tenant_id": self._run.tenant_id,
            "run_id": self._run.id,
            "function_id": self._run.function_id,
            "step": scope.path if scope is not None else "",
        }
        kwargs["extra"] = {**fields, **kwargs.get("extra", {})}
        return f"[{self._run.tenant_id} {self._run.id}] {msg}", kwargs


_current: ContextVar[Context[Any] | None] = ContextVar("celeriac_context", default=None)


def current_context() -> Context[Any] | None:
    """Return the context that networks and agents called here belong to, or None in a plain script."""
    return _current.get()


@contextmanager
def enter_context(ctx: Context[Any]) -> Iterator[None]:
    """Make `ctx` the one that networks and agents called here belong to."""
    token = _current.set(ctx)
    try:
        yield
    finally:
        _current.reset(token)
