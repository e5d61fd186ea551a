"""The routing agent: a model as the router.

With nothing given it is the stock one: it is shown the agents that take part, and calls `select_agent` or `done`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from typing_extensions import TypeVar

from celeriac.errors import ConfigError, ToolError
from celeriac.platform.agents.agent import Agent, System
from celeriac.platform.agents.hooks import OnError, OnResponse, OnStart
from celeriac.platform.agents.router import Route
from celeriac.platform.agents.tool import tool
from celeriac.platform.agents.toolbox import ToolLike
from celeriac.platform.calling import call_function
from celeriac.platform.context import Context
from celeriac.platform.message import Message
from celeriac.platform.models.model import ModelLike
from celeriac.platform.result import AgentResult
from celeriac.platform.signature import checks_options

S = TypeVar("S", default=Any)

OnRoute = Callable[[Context[S], AgentResult[Any]], Route[S] | Awaitable[Route[S]]]

DEFAULT_NAME = "Default routing agent"
#: model calls in one choice: a name that does not exist goes back to the model
_MAX_ITER = 3


@tool
def select_agent(ctx: Context[Any], name: str, reason: str = "") -> str:
    """Let the agent of this name go on with the task."""
    if name not in ctx.network.available:
        raise ToolError(f"There is no agent {name!r}. Agents: {', '.join(ctx.network.available)}")
    return name


@tool
def done(summary: str = "") -> str:
    """End the conversation: what was asked for is done."""
    return summary or "The conversation is finished."


class RoutingAgent(Agent[S, str]):
    """An agent whose tool calls decide which agent takes the next turn; also what a router may return to be asked.

    Its turn is a step of the run and stands in no history: `state.results` has the turns of the others alone.
    """

    is_routing = True

    @checks_options
    def __init__(
        self,
        name: str = DEFAULT_NAME,
        *,
        description: str = "",
        system: System[S] | None = None,
        model: ModelLike | None = None,
        tools: Sequence[ToolLike[S]] | None = None,
        tool_choice: str = "any",
        max_iter: int | None = None,
        on_route: OnRoute[S] | None = None,
        on_start: OnStart[S] | None = None,
        on_response: OnResponse[S] | None = None,
        on_error: OnError[S] | None = None,
    ) -> None:
        """Check the declaration; raise `ConfigError` for tools without `on_route`, which reads them.

        `on_route(ctx, result)` returns a route as a router does. The turn ends with the first call of a tool that
        succeeds; a failed one goes back to the model, within `max_iter` (3).
        """
        if tools is not None and on_route is None:
            raise ConfigError(f"Routing agent {name!r} has tools of its own and needs on_route= to read their results")
        options = {key: value for key, value in locals().items() if key not in ("self", "__class__")}
        super().__init__(
            name,
            description=description,
            system=_system if system is None else system,
            model=model,
            tools=(select_agent, done) if tools is None else tools,
            tool_choice=tool_choice,
            max_iter=_MAX_ITER if max_iter is None else max_iter,
            on_start=on_start,
            on_response=on_response,
            on_error=on_error,
        )
        self._options = options
        self.on_route: OnRoute[S] = on_route or _on_route

    def is_done_by(self, results: Sequence[Message]) -> bool:
        """A choice that was made ends the turn."""
        return any(one.tool_result is not None and one.tool_result.error is None for one in results)

    async def route(self, ctx: Context[Any], result: AgentResult[Any]) -> Any:
        """Return the route that the turn came to."""
        return await call_function(ctx.step.kernel, self.on_route, ctx, result)


def _on_route(ctx: Context[Any], result: AgentResult[Any]) -> str | None:
    chosen = (one for one in result.tool_results if one.error is None)
    made = next(chosen, None)
    return str(made.data) if made is not None and made.name == select_agent.name else None


def _system(ctx: Context[Any]) -> str:
    network = ctx.network
    agents = [network.agents[name] for name in network.available]
    return "\n".join(
        [
            "You lead a team of agents. Read the conversation and decide who goes on.",
            "",
            *(f"- {agent.name}: {agent.description}{_tools_of(agent)}" for agent in agents),
            "",
            "Call select_agent with the name of the agent that is best suited for the next step.",
            "Call done as soon as what was asked for is answered; do not let an agent repeat what was said.",
        ]
    )


def _tools_of(agent: Agent[Any, Any]) -> str:
    names = [one.name for one in agent.tools]
    return f" (tools: {', '.join(names)})" if names else ""
