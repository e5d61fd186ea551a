"""The agent as a tool of another agent: it runs alone, on a state of its own, inside the scope of the call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celeriac.errors import ConfigError, ToolError
from celeriac.ids import slug
from celeriac.platform.agents.tool import Tool
from celeriac.platform.context import Context, enter_context
from celeriac.platform.models.model import ModelLike

if TYPE_CHECKING:
    from celeriac.platform.agents.agent import Agent

#: how many agents may ask one another, each inside the call of the one before it
_DEEPEST = 5


class AgentTool(Tool):
    """A tool that asks an agent."""

    def __init__(self, agent: Agent[Any, Any], *, name: str | None, description: str | None) -> None:
        """Take the name and the description of the agent where none are given."""
        self.agent = agent
        # Each call would begin a thread that nobody knows of.
        self._alone = agent if agent.history is None else agent.replace(history=None)
        super().__init__(
            self._ask, name=name or slug(agent.name).replace("-", "_"), description=description or agent.description
        )

    async def _ask(self, ctx: Context[Any], input: str) -> Any:
        above: tuple[str, ...] = ctx.part("asking") or ()
        if len(above) >= _DEEPEST:
            raise ToolError(
                f"{self.agent.name!r} is not asked: {' asked '.join(map(repr, above))}, and agents may ask one another "
                f"{_DEEPEST} deep"
            )
        parts = {"asking": (*above, self.agent.name), "default_model": self._default_model(ctx)}
        with enter_context(ctx.bound(**parts)):
            return (await self._alone.run(input)).output

    def _default_model(self, ctx: Context[Any]) -> ModelLike:
        """Return what answers an agent without a model: as if it were one of the network that asks, or the asker's."""
        try:
            return ctx.network.model_of(self.agent)
        except ConfigError:
            return ctx.network.model_of(ctx.agent)
