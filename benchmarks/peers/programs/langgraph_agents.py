"""LangGraph's ready-made agents as the nodes of a graph, with the Postgres checkpointer and `durability="sync"`."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import BaseTool, StructuredTool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import create_react_agent

from benchmarks.peers.programs.agents import AGENTS, API_KEY, Run, measure_agents, model_url, tool_name
from benchmarks.peers.programs.langgraph_functions import DURABILITY, open_saver, thread

Node = Callable[[MessagesState], Awaitable[dict[str, Any]]]


@asynccontextmanager
async def open_network() -> AsyncIterator[Run]:
    """Make the graph on a checkpointer, and yield it."""
    graph = StateGraph(MessagesState)
    for name, before in zip(AGENTS, (START, *AGENTS), strict=False):
        graph.add_node(name, _node(name))
        graph.add_edge(before, name)
    graph.add_edge(AGENTS[-1], END)
    async with open_saver() as saver:
        network = graph.compile(checkpointer=saver)

        async def run(question: str) -> str:
            start = {"messages": [HumanMessage(question)]}
            state = await network.ainvoke(start, thread(str(uuid.uuid4())), durability=DURABILITY)
            answer: str = state["messages"][-1].content
            return answer

        yield run


def _node(name: str) -> Node:
    """Make a node around an agent, whose own steps are checkpointed with the graph."""
    model = ChatOpenAI(model="bench", base_url=model_url(), api_key=API_KEY, max_retries=0)
    agent = create_react_agent(model, [_tool(tool_name(name))], prompt=name, name=name)

    async def node(state: MessagesState) -> dict[str, Any]:
        answered = await agent.ainvoke({"messages": [HumanMessage(state["messages"][-1].content)]})
        return {"messages": [answered["messages"][-1]]}

    return node


def _tool(name: str) -> BaseTool:
    async def double(x: int) -> str:
        """Double a number."""
        return str(x * 2)

    tool: BaseTool = StructuredTool.from_function(coroutine=double, name=name)
    return tool


if __name__ == "__main__":
    measure_agents(open_network)
