"""The agent as a tool of another agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celeriac.ids import slug
from celeriac.platform.agents.tool import Tool

if TYPE_CHECKING:
    from celeriac.platform.agents.agent import Agent


def agent_tool(agent: Agent[Any, Any], *, name: str | None, description: str | None) -> Tool:
    """Return a tool that runs the agent alone, in the scope of the call, and answers with its output."""

    async def ask(input: str) -> Any:
        return (await agent.run(input)).output

    made: Tool = Tool(
        ask, name=name or slug(agent.name).replace("-", "_"), description=description or agent.description
    )
    return made
