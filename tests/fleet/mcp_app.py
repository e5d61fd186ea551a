"""The app of the test of MCP servers on a fleet: an agent whose server is at the URL of the event."""

from __future__ import annotations

from celeriac import Agent, App, Context, McpServer
from celeriac.platform.models.model import ModelRequest
from celeriac.testing import ScriptedModel, call
from celeriac.testing.scripted_model import Reply

app = App("callers")


def _answer(request: ModelRequest) -> Reply | str:
    """Call the tool once, then say what it said; a link that goes on has a model with the whole script again."""
    result = request.messages[-1].tool_result
    return call("t-greet", name="Ann") if result is None else str(result.data)


@app.function(on="callers/called")
async def calls(ctx: Context, url: str) -> str:
    """Let the agent greet."""
    agent = Agent("Caller", tools=[McpServer("t", url)], model=ScriptedModel([_answer, _answer]))
    return (await agent.run("Greet Ann")).text
