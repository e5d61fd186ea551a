"""The OpenAI Agents SDK under Restate, by the extension that Restate brings: model and tool calls are in the log."""

from __future__ import annotations

from typing import Any

import restate
from openai import AsyncOpenAI
from restate.ext.openai import DurableRunner, durable_function_tool

from agents import Agent, set_default_openai_api, set_default_openai_client, set_tracing_disabled
from benchmarks.peers.programs.agents import AGENTS, API_KEY, model_url, tool_name

set_tracing_disabled(True)
set_default_openai_client(AsyncOpenAI(base_url=model_url(), api_key=API_KEY), use_for_tracing=False)
set_default_openai_api("chat_completions")


def _tool(name: str) -> Any:
    async def double(x: int) -> str:
        """Double a number."""
        return str(x * 2)

    double.__name__ = double.__qualname__ = name
    return durable_function_tool(double)


_agents = [Agent(name=name, instructions=name, tools=[_tool(tool_name(name))], model="bench") for name in AGENTS]
network = restate.Service("Network")


@network.handler()
async def run(ctx: restate.Context, question: str) -> str:
    """Let the agents answer one after the other."""
    for agent in _agents:
        question = (await DurableRunner.run(agent, question, max_turns=10)).final_output
    return question


app = restate.app(services=[network])
