"""The tools of an MCP server: a shop assistant that looks into the stock, and the stock's server itself.

From the root of the repository, offline and without a key; a script answers in the place of a model:

    CELERIAC_MCP_STDIO=true python -m examples.mcp_tools

With a model: `… python -m examples.mcp_tools --model openai:gpt-4.1-mini`. The setting allows servers that are
commands; one that has a URL needs none. As durable runs: `… celeriac dev examples.mcp_tools:app`, then
`. .celeriac/env && celeriac send lamps/asked '{"input": "…"}'`.
"""

from __future__ import annotations

import asyncio
import sys

from celeriac import Agent, App, McpServer, openai
from examples.script import Part, Script, call
from examples.stage import command_line, model_of

#: started at the first call of one of its tools, ended with the worker or the script
stock = McpServer("stock", command=[sys.executable, "-m", "examples.mcp_tools", "--serve"], include=["count", "order"])

assistant = Agent(
    "Shop assistant",
    system="You help customers of a lamp shop. Look into the stock before you promise anything.",
    model=openai("gpt-4.1-mini"),
    tools=[stock],
)

app = App("lamps")
app.agent(assistant, on="lamps/asked")


SCRIPT = Script(
    Part(
        "You help customers of a lamp shop",
        says=[call("stock-count", item="lamp"), "We have 4 lamps; yours can leave today."],
    )
)


def serve() -> None:
    """Be the stock's server, made with the protocol's own SDK."""
    from mcp.server.mcpserver import MCPServer

    server = MCPServer("stock", log_level="ERROR")

    @server.tool()
    def count(item: str) -> str:
        """Count what is in stock."""
        return f"{4 if item == 'lamp' else 0} of {item}"

    @server.tool()
    def order(item: str, number: int) -> str:
        """Order from the factory."""
        return f"{number} of {item} ordered"

    @server.tool()
    def burn_down() -> str:
        """Do what no assistant should; it is not among those that are included."""
        return "gone"

    server.run("stdio")


async def main() -> None:
    """Ask the assistant."""
    parser = command_line("mcp_tools", __doc__)
    parser.add_argument("question", nargs="?", default="Do you have a lamp that can be sent today?")
    parser.add_argument("--serve", action="store_true", help="be the server")
    given = parser.parse_args()
    if given.serve:
        await asyncio.to_thread(serve)
        return
    with model_of(given.model, SCRIPT) as model:
        result = await assistant.run(given.question, model=model)
    for made in result.tool_results:
        print(f"{made.name}: {made.content()}")
    print(result.text)


if __name__ == "__main__":
    asyncio.run(main())
