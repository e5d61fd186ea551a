"""The toolbox: the tools that one agent has in one turn, those of its MCP servers as they are at each model call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from typing_extensions import TypeIs, TypeVar

from celeriac.errors import ConfigError, McpError, StepError
from celeriac.platform.agents.agent_tool import AgentTool
from celeriac.platform.agents.function_tool import DurableFunction, function_tool
from celeriac.platform.agents.mcp_server import McpServer, McpTool, digest
from celeriac.platform.agents.tool import Tool
from celeriac.platform.context import Context

if TYPE_CHECKING:
    from celeriac.platform.agents.agent import Agent

S = TypeVar("S", default=Any)

#: what models may call
AnyTool = Tool | McpTool
#: what may stand among an agent's `tools=`
ToolLike = Tool[S, ..., Any] | McpServer | DurableFunction


def declared_tools(tools: Sequence[ToolLike[Any]]) -> tuple[Tool | McpServer, ...]:
    """Return them with each durable function as the tool that starts it."""
    return tuple(function_tool(one) if _is_function(one) else one for one in tools)


def _is_function(one: ToolLike[Any]) -> TypeIs[DurableFunction]:
    return not isinstance(one, Tool | McpServer) and isinstance(one, DurableFunction)


def check_tools(agent: str, tools: Sequence[Tool | McpServer]) -> tuple[list[str], list[str]]:
    """Return the names of tools and of MCP servers; raise `ConfigError` for what is neither, or stands twice."""
    names: list[str] = []
    servers: list[str] = []
    for tool in tools:
        if isinstance(tool, McpServer):
            if tool.name in servers:
                raise ConfigError(f"Agent {agent!r} has two MCP servers named {tool.name!r}")
            servers.append(tool.name)
            continue
        if not isinstance(tool, Tool):
            fn = getattr(tool, "__name__", repr(tool))
            raise ConfigError(f"Agent {agent!r}: {fn} among tools= is no tool; decorate it with @tool")
        if isinstance(tool, AgentTool) and tool.agent.name == agent:
            raise ConfigError(f"Agent {agent!r} has itself as a tool, and would ask itself for ever")
        if tool.name in names:
            raise ConfigError(f"Agent {agent!r} has two tools named {tool.name!r}; name one with @tool(name=…)")
        names.append(tool.name)
    return names, servers


class Toolbox:
    """What the model may call now; `refresh` before each model call."""

    def __init__(self, agent: Agent[Any, Any]) -> None:
        """Hold what the agent declares; its servers are not asked yet."""
        self._agent = agent
        self._listings: dict[str, dict[str, Any]] = {}
        self.tools: dict[str, AnyTool] = {}
        #: what the model is told beside its prompt: servers that it has to do without
        self.note = ""
        #: the agent's choice, or none of its own where that tool is missing with its server
        self.choice = agent.tool_choice

    async def refresh(self, ctx: Context[Any]) -> None:
        """Take in what the servers offer now, each as a remembered step.

        Raises what a required server fails with, which names it; of another one the model is told.
        """
        found: dict[str, AnyTool] = {}
        missing: list[str] = []
        for one in self._agent.tools:
            if isinstance(one, Tool):
                self._add(found, one)
                continue
            try:
                offered = await self._offered(ctx, one)
            except (McpError, StepError) as error:
                if one.required:
                    raise
                reason = error.detail if isinstance(error, StepError) else error.message
                ctx.log.warning("Agent %r goes on without its tools: %s", self._agent.name, reason)
                missing.append(f"The tools of {one.name!r} cannot be used at the moment: {reason}.")
                continue
            for tool in offered:
                self._add(found, McpTool.of(one, tool))
        self.choice = self._choice(found, is_whole=not missing)
        self.tools, self.note = found, "\n".join(missing)

    async def _offered(self, ctx: Context[Any], server: McpServer) -> list[dict[str, Any]]:
        """Return the server's listing; a memo repeats none that the one before it in this turn has."""
        before = self._listings.get(server.name)

        async def ask() -> dict[str, Any]:
            tools = await server.listing(ctx)
            is_same = before is not None and digest(tools) == before["digest"]
            return {"digest": digest(tools)} | ({} if is_same else {"tools": tools})

        retries = server.retries if server.required else 0
        memo = await ctx.step.scoped(
            f"mcp:{server.name}", ask, kind="run", input={"server": server.name}, retries=retries
        )
        listing: dict[str, Any] = memo if "tools" in memo or before is None else before
        if before is not None and listing is not before:
            ctx.log.info("MCP server %r offers other tools than at the last model call", server.name)
        self._listings[server.name] = listing
        tools: list[dict[str, Any]] = listing["tools"]
        return tools

    def _add(self, found: dict[str, AnyTool], tool: AnyTool) -> None:
        if tool.name in found:
            raise ConfigError(f"Agent {self._agent.name!r} has two tools named {tool.name!r}; rename one of them")
        found[tool.name] = tool

    def _choice(self, found: dict[str, AnyTool], *, is_whole: bool) -> str:
        choice = self._agent.tool_choice
        if choice in ("auto", "any", "none", *found):
            return choice
        if is_whole:
            raise ConfigError(f"Agent {self._agent.name!r}: tool_choice={choice!r} is none of the tools on offer")
        return "auto"
