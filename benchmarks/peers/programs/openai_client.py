"""The bare OpenAI client in a loop: what the model calls cost by themselves. Nothing is durable."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from openai import AsyncOpenAI, DefaultAioHttpClient

from benchmarks.peers.programs.agents import AGENTS, API_KEY, Run, measure_agents, model_url, tool_name


def client() -> AsyncOpenAI:
    """Make a client with its default transport, or with the one over aiohttp where BENCH_TRANSPORT says so."""
    transport = DefaultAioHttpClient() if os.environ.get("BENCH_TRANSPORT") == "aiohttp" else None
    return AsyncOpenAI(base_url=model_url(), api_key=API_KEY, http_client=transport)


@asynccontextmanager
async def open_loop() -> AsyncIterator[Run]:
    """Yield the loop around the three agents."""
    async with client() as model:

        async def run(question: str) -> str:
            for agent in AGENTS:
                question = await _answer(model, agent, question)
            return question

        yield run


async def _answer(model: AsyncOpenAI, agent: str, question: str) -> str:
    messages: list[Any] = [{"role": "system", "content": agent}, {"role": "user", "content": question}]
    while True:
        response = await model.chat.completions.create(model="bench", messages=messages, tools=[_tool(agent)])
        message = response.choices[0].message
        if not message.tool_calls:
            return message.content or ""
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            assert call.type == "function"
            doubled = str(json.loads(call.function.arguments)["x"] * 2)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": doubled})


def _tool(agent: str) -> Any:
    parameters = {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}
    function = {"name": tool_name(agent), "description": "Double a number.", "parameters": parameters}
    return {"type": "function", "function": function}


if __name__ == "__main__":
    measure_agents(open_loop)
