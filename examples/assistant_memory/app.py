"""A long-term memory, by two networks: an agent that decides what to recall and keep, and three in a fixed order.

What is worth keeping is written in the background: the tool sends an event and returns, and nobody waits for the write.
As durable runs: `celeriac dev examples.assistant_memory.app:app`, then the event `assistant/asked`.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from pydantic import BaseModel, Field

from celeriac import Agent, App, Context, Memory, Network, NetworkRun, openai, tool
from celeriac.platform.memory.local_memories import LocalMemories
from celeriac.platform.memory.memory import BoundMemory

ASKED, ASKED_IN_ORDER = "assistant/asked", "assistant/asked.in-order"


class Talk(BaseModel):
    """Who is talked to. The function sets it; no model may."""

    user_id: str


memory = Memory(user="event.data.user_id")
app = App("assistant", memory=memory, default_model=openai("gpt-4.1-mini"))

#: what a plain script remembers, as long as its process lives
_in_this_process = LocalMemories()


def memory_of(ctx: Context[Talk]) -> BoundMemory:
    """Return the memories of the tenant that the run belongs to."""
    return ctx.memory if ctx.step.durable else memory.bind(ctx, _in_this_process)


@tool
async def recall_memories(
    ctx: Context[Talk],
    queries: Annotated[
        list[str], Field(min_length=1, max_length=5, description="What to look for, each in a few words")
    ],
) -> list[str]:
    """Search what is remembered of the user, by several queries at once."""
    user_id = ctx.state.data.user_id

    async def search(query: str) -> list[str]:
        return [one.text for one in await memory_of(ctx).search(query, limit=3, user=user_id)]

    found = await asyncio.gather(*(ctx.step.run("search", search, query) for query in queries))
    return list(dict.fromkeys(text for texts in found for text in texts))


@tool
async def create_memories(
    ctx: Context[Talk], statements: Annotated[list[str], Field(description="Facts about the user, each one sentence")]
) -> str:
    """Keep facts about the user for later conversations."""
    user_id = ctx.state.data.user_id
    if ctx.step.durable:
        data = {"statements": statements, "user_id": user_id}
        await ctx.step.send_event("remember", f"{app.name}/memory-create", data)
    else:
        await memory_of(ctx).add(statements, user=user_id)
    return f"{len(statements)} memories will be kept"


# -- one agent that decides for itself ------------------------------------------------------------------------------

reflective = Agent[Talk](
    "Reflective assistant",
    description="Talks with the user, and has a long-term memory",
    system="You are an assistant with a long-term memory. First recall, then answer, and keep what is new.",
    tools=[recall_memories, create_memories],
)
reflecting = Network[Talk]("Reflective assistant", agents=[reflective], state=Talk, max_iter=3)


UserId = Annotated[str, Field(examples=["u1"])]
Text = Annotated[str, Field(examples=["Hello! I have moved to Turin, and I ride my bike on Sundays."])]


@app.function(on=ASKED)
async def ask(ctx: Context, user_id: UserId, text: Text) -> NetworkRun[Talk]:
    """Answer by the agent that decides for itself."""
    return await reflecting.run(text, state=Talk(user_id=user_id))


# -- three agents in a fixed order ----------------------------------------------------------------------------------

retriever = Agent[Talk](
    "Memory retrieval",
    system="You look up what is remembered of the user that bears on the message.",
    tools=[recall_memories],
    tool_choice=recall_memories.name,
)
assistant = Agent[Talk]("Personal assistant", system="You answer the user with what has been recalled.")
updater = Agent[Talk](
    "Memory updater",
    system="You keep what the user said that is worth knowing in later conversations.",
    tools=[create_memories],
    tool_choice=create_memories.name,
)
_ORDER = [retriever, assistant, updater]


def in_order(ctx: Context[Talk]) -> Agent[Talk] | None:
    """Give each its turn."""
    return _ORDER[ctx.network.call_count] if ctx.network.call_count < len(_ORDER) else None


orderly = Network[Talk]("Orderly assistant", agents=_ORDER, state=Talk, router=in_order)


@app.function(on=ASKED_IN_ORDER)
async def ask_in_order(ctx: Context, user_id: UserId, text: Text) -> dict[str, Any]:
    """Answer by the three."""
    run = await orderly.run(text, state=Talk(user_id=user_id))
    return {**run.export(), "answer": answer_of(run)}


def answer_of(run: NetworkRun[Talk]) -> str:
    """Return what the user is told: what was said last, whoever kept it afterwards."""
    return next((result.text for result in reversed(run.results) if result.text), "")
