"""DBOS under pydantic-ai, by the capability that pydantic-ai brings: model calls are steps; so are the tools here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from dbos import DBOS
from openai import AsyncOpenAI
from pydantic_ai import Agent
from pydantic_ai.durable_exec.dbos import DBOSDurability
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

from benchmarks.peers.programs.agents import AGENTS, API_KEY, Run, measure_agents, model_url, tool_name
from benchmarks.peers.programs.dbos_functions import launch

#: how often a waiting sender looks; the default of a second would hide the time of a run
LOOK_SECONDS = 0.01


@asynccontextmanager
async def open_network() -> AsyncIterator[Run]:
    """Make the agents, launch DBOS, and yield the network."""
    model = AsyncOpenAI(base_url=model_url(), api_key=API_KEY)
    agents = [_agent(name, model) for name in AGENTS]

    @DBOS.workflow()
    async def network(question: str) -> str:
        for agent in agents:
            question = (await agent.run(question)).output
        return question

    async def run(question: str) -> str:
        started = await DBOS.start_workflow_async(network, question)
        answer: str = await started.get_result(polling_interval_sec=LOOK_SECONDS)
        return answer

    launch()
    async with model:
        yield run
    DBOS.destroy()


def _agent(name: str, client: AsyncOpenAI) -> Agent[Any, str]:
    model = OpenAIChatModel("bench", provider=OpenAIProvider(openai_client=client))
    agent = Agent(model, name=name, instructions=name, capabilities=[DBOSDurability()])
    agent.tool_plain(_tool(tool_name(name)))
    return agent


def _tool(name: str) -> Callable[[int], Coroutine[Any, Any, str]]:
    async def double(x: int) -> str:
        """Double a number."""
        return str(x * 2)

    double.__name__ = double.__qualname__ = name
    step: Callable[[int], Coroutine[Any, Any, str]] = DBOS.step(name=name)(double)
    return step


if __name__ == "__main__":
    measure_agents(open_network)
