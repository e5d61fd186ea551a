"""Requests that the tests of the adapters share."""

from __future__ import annotations

from celeriac.platform.message import Message, ToolCall, ToolResult
from celeriac.platform.models.anthropic import AnthropicModel, anthropic
from celeriac.platform.models.model import ModelRequest, ToolSpec
from celeriac.platform.models.openai import OpenAIModel, openai
from celeriac.testing.model_server import ModelServer

KEY = "sk-test-0123456789"

PROVIDERS = ("openai", "anthropic")

HELLO = ModelRequest(messages=(Message.user("Hello"),))

LOOK_UP = ToolSpec(
    name="look_up",
    description="Look something up.",
    schema={"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
)

#: one reply with two tool calls, the second of which failed, and what the user said then
TWO_CALLS = ModelRequest(
    system="Be brief.",
    messages=(
        Message.user("Compare tea and mud."),
        Message.assistant(
            "",
            tool_calls=(
                ToolCall(id="a", name="look_up", input={"what": "tea"}),
                ToolCall(id="b", name="look_up", broken_input='{"what": '),
            ),
        ),
        Message.tool(ToolResult(call_id="a", name="look_up", data="grün")),
        Message.tool(ToolResult(call_id="b", name="look_up", error={"name": "Invalid", "message": "no JSON"})),
        Message.user("Go on."),
    ),
    tools=(LOOK_UP,),
    origin="run_1 network:Tea/turn:2",
)


def model_at(provider: str, url: str) -> OpenAIModel | AnthropicModel:
    """A model of this provider behind an address."""
    if provider == "openai":
        return openai("gpt-4.1", api_key=KEY, base_url=url, timeout="10s")
    return anthropic("claude-haiku-4-5", api_key=KEY, base_url=url, timeout="10s")


def model_of(provider: str, server: ModelServer) -> OpenAIModel | AnthropicModel:
    """A model of this provider behind the offline model server."""
    return model_at(provider, server.openai_base_url if provider == "openai" else server.anthropic_base_url)
