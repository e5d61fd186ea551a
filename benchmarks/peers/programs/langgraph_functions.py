"""LangGraph's durable functions: its functional API, and its graph with one node a step; Postgres keeps both.

`durability="sync"` is asked for everywhere. It holds for the nodes of a graph; tasks of the functional API are
written behind the run all the same.
"""

from __future__ import annotations

import asyncio
import operator
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, StateGraph
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from benchmarks.peers.programs.effects import STEP_SECONDS, STEPS, effect

CONNECTIONS = 20
DURABILITY = "sync"
_MOST_NODES = 10_000


class Trivial(TypedDict):
    """The state of the graph of trivial steps."""

    done: int
    count: int
    results: Annotated[list[dict[str, Any]], operator.add]


class Effects(TypedDict):
    """The state of the graph of steps with effects."""

    done: int
    run: str


@asynccontextmanager
async def open_saver() -> AsyncIterator[AsyncPostgresSaver]:
    """Open the checkpointer on this measurement's database, with a pool as its users are advised to."""
    with_rows = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    url = os.environ["BENCH_POSTGRES_URL"]
    async with AsyncConnectionPool(url, min_size=4, max_size=CONNECTIONS, kwargs=with_rows, open=False) as pool:
        saver = AsyncPostgresSaver(pool)
        await saver.setup()
        yield saver


def thread(name: str) -> dict[str, Any]:
    """Name a run."""
    return {"configurable": {"thread_id": name}, "recursion_limit": _MOST_NODES}


@task
async def _trivial(number: int) -> dict[str, Any]:
    return {"i": number, "ok": True}


@task
async def _leave_effect(run: str, step: int) -> int:
    effect(run, step)
    await asyncio.sleep(STEP_SECONDS)
    return step


def functions(saver: AsyncPostgresSaver) -> tuple[Any, Any]:
    """Make the two functions: of trivial steps, and of steps with effects."""

    @entrypoint(checkpointer=saver)
    async def trivial_steps(state: Trivial) -> float:
        began = time.perf_counter()
        for number in range(state["count"]):
            await _trivial(number)
        return (time.perf_counter() - began) / state["count"]

    @entrypoint(checkpointer=saver)
    async def effects_of(state: Effects) -> int:
        for step in range(STEPS):
            await _leave_effect(state["run"], step)
        return STEPS

    return trivial_steps, effects_of


def graphs(saver: AsyncPostgresSaver) -> tuple[Any, Any]:
    """Make the same two as graphs that come back to their only node."""

    async def trivial(state: Trivial) -> dict[str, Any]:
        return {"done": state["done"] + 1, "results": [{"i": state["done"], "ok": True}]}

    async def leave_effect(state: Effects) -> dict[str, Any]:
        effect(state["run"], state["done"])
        await asyncio.sleep(STEP_SECONDS)
        return {"done": state["done"] + 1}

    trivial_steps = StateGraph(Trivial).add_node("step", trivial).add_edge(START, "step")
    trivial_steps.add_conditional_edges("step", lambda state: "step" if state["done"] < state["count"] else END)
    effects_of = StateGraph(Effects).add_node("step", leave_effect).add_edge(START, "step")
    effects_of.add_conditional_edges("step", lambda state: "step" if state["done"] < STEPS else END)
    return trivial_steps.compile(checkpointer=saver), effects_of.compile(checkpointer=saver)


#: both ways, as BENCH_API names them
WAYS = {"functions": functions, "graph": graphs}
