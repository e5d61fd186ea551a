"""The agent: a model with a task and tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypedDict, Unpack, overload

from typing_extensions import TypeVar

from celeriac.errors import ConfigError
from celeriac.platform.agents.budget import Budget
from celeriac.platform.agents.history import History
from celeriac.platform.agents.hooks import Enabled, OnError, OnFinish, OnResponse, OnStart, OnTools
from celeriac.platform.agents.state import State
from celeriac.platform.agents.tool import Tool
from celeriac.platform.agents.toolbox import ToolLike, check_tools, declared_tools
from celeriac.platform.agents.window import Window
from celeriac.platform.context import Context
from celeriac.platform.message import Message
from celeriac.platform.models.model import ModelLike
from celeriac.platform.output import OutputShape
from celeriac.platform.result import AgentResult
from celeriac.platform.signature import Signature, checks_options, did_you_mean

if TYPE_CHECKING:
    from celeriac.platform.agents.streaming import OnChunk, Streaming

S = TypeVar("S", default=Any)
Out = TypeVar("Out", default=str)


class SystemOfNothing(Protocol):
    """A function without parameters that makes a prompt; no `Callable`, so that a lambda is typed by the other one."""

    def __call__(self) -> str | Awaitable[str]:
        """Return the prompt."""
        ...


#: a fixed prompt, or what makes it for a model call
System = str | Callable[[Context[S]], str | Awaitable[str]] | SystemOfNothing


class AgentOptions(TypedDict, Generic[S], total=False):
    """The options of `Agent` but for `output`, as type checkers know them; see `Agent`."""

    description: str
    system: System[S]
    assistant: str
    model: ModelLike | None
    tools: Sequence[ToolLike[S]]
    tool_choice: str
    max_iter: int | None
    history: History[S] | None
    window: Window | None
    enabled: Enabled[S] | None
    on_start: OnStart[S] | None
    on_response: OnResponse[S] | None
    on_tools: OnTools[S] | None
    on_finish: OnFinish[S] | None
    on_error: OnError[S] | None


_CHOICES = ("auto", "any", "none")
_ALONE_MAX_ITER = 10


class Agent(Generic[S, Out]):
    """A model with a task and tools; frozen, and free to be used by any number of runs at once."""

    #: whether its turns decide who goes on, and stand in no history
    is_routing = False

    @overload
    def __init__(
        self: Agent[S, str], name: str, *, output: None = None, **options: Unpack[AgentOptions[S]]
    ) -> None: ...
    @overload
    def __init__(self, name: str, *, output: type[Out], **options: Unpack[AgentOptions[S]]) -> None: ...
    @overload
    def __init__(self: Agent[S, Any], name: str, *, output: Any, **options: Unpack[AgentOptions[S]]) -> None: ...
    @checks_options
    def __init__(
        self,
        name: str,
        *,
        description: str = "",
        system: System[S] = "",
        assistant: str = "",
        model: ModelLike | None = None,
        tools: Sequence[ToolLike[S]] = (),
        tool_choice: str = "auto",
        output: Any = None,
        max_iter: int | None = None,
        history: History[S] | None = None,
        window: Window | None = None,
        enabled: Enabled[S] | None = None,
        on_start: OnStart[S] | None = None,
        on_response: OnResponse[S] | None = None,
        on_tools: OnTools[S] | None = None,
        on_finish: OnFinish[S] | None = None,
        on_error: OnError[S] | None = None,
    ) -> None:
        """Check the declaration; raise `ConfigError` for what cannot work.

        `assistant` is how each reply must begin. `max_iter` is the number of model calls in one turn, ended early by
        a reply without tool calls; in a network it is 1 by default, as the router is the loop, and alone 10.
        `history` and `window` count where the agent runs alone; in a network `window` is before the network's own.
        """
        if not name or "/" in name:
            raise ConfigError(f"Agent name {name!r} must be a text without '/'")
        self._options: dict[str, Any] = {key: value for key, value in locals().items() if key != "self"}
        self.name, self.description = name, description
        self.system, self.assistant = system, assistant
        self.system_takes_context = callable(system) and Signature(system, what=f"system of {name!r}").takes_context
        self.model, self.tools, self.tool_choice = model, declared_tools(tools), tool_choice
        self.output = output
        self.shape = None if output is None else OutputShape(output, what=f"Agent {name!r}")
        self.max_iter = max_iter
        self.history, self.window = history, window
        self.enabled, self.on_start, self.on_response = enabled, on_start, on_response
        self.on_tools, self.on_finish, self.on_error = on_tools, on_finish, on_error
        self._check()

    def _check(self) -> None:
        names, servers = check_tools(self.name, self.tools)
        # What a server offers is known at the model call; the toolbox looks then.
        is_servers = any(self.tool_choice.startswith(f"{server}-") for server in servers)
        if self.tool_choice not in (*_CHOICES, *names) and not is_servers:
            near = did_you_mean(self.tool_choice, [*_CHOICES, *names])
            raise ConfigError(f"Agent {self.name!r}: tool_choice={self.tool_choice!r} is no choice and no tool{near}")
        if self.max_iter is not None and self.max_iter < 1:
            raise ConfigError(f"Agent {self.name!r}: max_iter={self.max_iter} must be 1 or more")

    def turn_limit(self, ctx: Context[Any]) -> int:
        """Return how many model calls a turn may make here."""
        if self.max_iter is not None:
            return self.max_iter
        return 1 if ctx.network.is_network else _ALONE_MAX_ITER

    def is_done_by(self, results: Sequence[Message]) -> bool:
        """Whether these results of tools end the turn, whatever is left of `max_iter`."""
        return False

    def replace(self, **changes: Any) -> Agent[S, Out]:
        """Return an agent that differs in these options and keeps all others."""
        return type(self)(**{**self._options, **changes})

    def as_tool(self, *, name: str | None = None, description: str | None = None) -> Tool:
        """Return the agent as a tool of another one: it takes `input`, and its answer is the result."""
        from celeriac.platform.agents.agent_tool import AgentTool

        return AgentTool(self, name=name, description=description)

    async def run(
        self,
        input: str | Message,
        *,
        id: str | None = None,
        state: S | State[S] | None = None,
        thread_id: str | None = None,
        model: ModelLike | None = None,
        max_iter: int | None = None,
        budget: Budget | None = None,
        channel: str | None = None,
        on_chunk: OnChunk | None = None,
    ) -> AgentResult[Out]:
        """Run the agent alone until it answers without a tool call, at most `max_iter` model calls.

        Durable inside a run, in place in a plain script. Options as those of `Network.run`.
        """
        from celeriac.platform.agents.network import Network

        agent = self if max_iter is None else self.replace(max_iter=max_iter)
        alone: Network[Any] = Network.of_one(agent)
        run = await alone.run(
            input,
            id=id,
            state=state,
            thread_id=thread_id,
            model=model,
            budget=budget,
            channel=channel,
            on_chunk=on_chunk,
        )
        return run.results[-1]

    def run_sync(self, input: str | Message, **options: Any) -> AgentResult[Out]:
        """Run the agent from a plain script without a loop; takes what `run` takes."""
        from celeriac.platform.agents.sync import run_to_end

        result: AgentResult[Out] = run_to_end(self.run(input, **options))
        return result

    def stream(self, input: str | Message, **options: Any) -> Streaming[AgentResult[Out]]:
        """Run the agent and watch: `async with agent.stream("…") as stream:`; takes what `run` takes."""
        from celeriac.platform.agents.streaming import Streaming

        return Streaming(lambda on_chunk: self.run(input, **{**options, "on_chunk": on_chunk}))
