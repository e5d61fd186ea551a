"""The agent: a model with a task and tools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic

from typing_extensions import TypeVar

from celeriac.errors import ConfigError
from celeriac.platform.agents.mcp_server import McpServer
from celeriac.platform.agents.tool import Tool
from celeriac.platform.context import Context
from celeriac.platform.message import Message
from celeriac.platform.models.model import ModelLike
from celeriac.platform.result import AgentResult
from celeriac.platform.signature import Signature, checks_options, did_you_mean

S = TypeVar("S", default=Any)
Out = TypeVar("Out", default=str)

#: a fixed prompt, or what makes it for a turn
System = str | Callable[[Context[Any]], Any] | Callable[[], Any]

_CHOICES = ("auto", "any", "none")
_ALONE_MAX_ITER = 10


class Agent(Generic[S, Out]):
    """A model with a task and tools; frozen, and free to be used by any number of runs at once."""

    @checks_options
    def __init__(
        self,
        name: str,
        *,
        description: str = "",
        system: System = "",
        model: ModelLike | None = None,
        tools: Sequence[Tool[..., Any] | McpServer] = (),
        tool_choice: str = "auto",
        max_iter: int | None = None,
    ) -> None:
        """Check the declaration; raise `ConfigError` for what cannot work.

        `max_iter` is the number of model calls in one turn, ended early by a reply without tool calls. In a network
        it is 1 by default, as the router is the loop; alone it is 10.
        """
        if not name or "/" in name:
            raise ConfigError(f"Agent name {name!r} must be a text without '/'")
        self.name = name
        self.description = description
        self.system = system
        self.system_takes_context = callable(system) and Signature(system, what=f"system of {name!r}").takes_context
        self.model = model
        self.tools = tuple(tools)
        self.tool_choice = tool_choice
        self.max_iter = max_iter
        self._check()

    def _check(self) -> None:
        names: list[str] = []
        servers: list[str] = []
        for tool in self.tools:
            if isinstance(tool, McpServer):
                if tool.name in servers:
                    raise ConfigError(f"Agent {self.name!r} has two MCP servers named {tool.name!r}")
                servers.append(tool.name)
                continue
            if not isinstance(tool, Tool):
                fn = getattr(tool, "__name__", repr(tool))
                raise ConfigError(f"Agent {self.name!r}: {fn} among tools= is no tool; decorate it with @tool")
            if tool.name in names:
                raise ConfigError(f"Agent {self.name!r} has two tools named {tool.name!r}; name one with @tool(name=…)")
            names.append(tool.name)
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

    def replace(self, **changes: Any) -> Agent[S, Out]:
        """Return an agent that differs in these options and keeps all others."""
        kept: dict[str, Any] = {
            "name": self.name,
            "description": self.description,
            "system": self.system,
            "model": self.model,
            "tools": self.tools,
            "tool_choice": self.tool_choice,
            "max_iter": self.max_iter,
        }
        return Agent(**{**kept, **changes})

    async def run(
        self,
        input: str | Message,
        *,
        id: str | None = None,
        state: Any = None,
        model: ModelLike | None = None,
        max_iter: int | None = None,
    ) -> AgentResult[Out]:
        """Run the agent alone until it answers without a tool call, at most `max_iter` model calls.

        Durable inside a run, in place in a plain script.
        """
        from celeriac.platform.agents.network import Network

        agent = self if max_iter is None else self.replace(max_iter=max_iter)
        alone: Network[Any] = Network.of_one(agent)
        run = await alone.run(input, id=id, state=state, model=model)
        return run.results[-1]

    def run_sync(self, input: str | Message, **options: Any) -> AgentResult[Out]:
        """Run the agent from a plain script without a loop; takes what `run` takes."""
        from celeriac.platform.agents.network import run_to_end

        result: AgentResult[Out] = run_to_end(self.run(input, **options))
        return result
