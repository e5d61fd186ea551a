"""`ctx.memory`: the tenant of the run, the user that the declaration names, and the background functions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from pydantic import BaseModel

from celeriac.errors import ConfigError, ContextError, NotFoundError
from celeriac.platform.context import Context
from celeriac.platform.memory.functions import memory_create, memory_delete, memory_update
from celeriac.platform.memory.local_memories import LocalMemories
from celeriac.platform.memory.memory import BoundMemory, Memory, Remembered
from celeriac.platform.signature import Signature

ContextMaker = Callable[..., Context[Any]]

BY_CUSTOMER = Memory(user="event.data.customer_id")


class TicketOpened(BaseModel):
    customer_id: str


@pytest.fixture
def memories() -> LocalMemories:
    """Memories for everybody."""
    return LocalMemories()


def bound(context: ContextMaker, memories: LocalMemories, data: Any, **where: str) -> BoundMemory:
    return BY_CUSTOMER.bind(context(data, **where), memories)


@pytest.mark.parametrize("data", [{"customer_id": "ann"}, TicketOpened(customer_id="ann")])
async def test_the_user_is_read_from_the_event(context: ContextMaker, memories: LocalMemories, data: Any) -> None:
    await bound(context, memories, data).add("Ann lost her card")
    assert [memory.text for memory in memories.all("ten_a", "ann")] == ["Ann lost her card"]


async def test_a_number_is_a_user_too(context: ContextMaker, memories: LocalMemories) -> None:
    await bound(context, memories, {"customer_id": 7}).add("Seven lost her card")
    assert len(memories.all("ten_a", "7")) == 1


async def test_the_user_may_be_computed_from_the_context(context: ContextMaker, memories: LocalMemories) -> None:
    memory = Memory(user=lambda ctx: ctx.run.function_id)
    await memory.bind(context(), memories).add("Answers are short")
    assert len(memories.all("ten_a", "answer")) == 1


@pytest.mark.parametrize("data", [None, {}, {"customer_id": None}, {"customer_id": " "}, {"customer_id": ["ann"]}])
async def test_a_missing_user_is_said_at_the_first_use(
    context: ContextMaker, memories: LocalMemories, data: Any
) -> None:
    memory = bound(context, memories, data)
    with pytest.raises(ContextError, match="No user to remember"):
        await memory.search("card")
    assert await memory.all(user="ann") == []


async def test_a_run_reaches_its_own_tenant_only(context: ContextMaker, memories: LocalMemories) -> None:
    [memory] = await bound(context, memories, {"customer_id": "ann"}).add("Ann lost her card")
    other = bound(context, memories, {"customer_id": "ann"}, tenant_id="ten_b")
    assert await other.search("card") == []
    with pytest.raises(NotFoundError):
        await other.delete(memory.id)


async def test_a_run_changes_memories_of_its_own_user_only(context: ContextMaker, memories: LocalMemories) -> None:
    [memory] = memories.add("ten_a", "bob", "Bob lost his card")
    of_ann = bound(context, memories, {"customer_id": "ann"})
    with pytest.raises(NotFoundError):
        await of_ann.update(memory.id, "Bob never had one")
    await of_ann.delete(memory.id, user="bob")
    assert memories.all("ten_a", "bob") == []


async def test_an_agent_has_memories_of_its_own(context: ContextMaker, memories: LocalMemories) -> None:
    ctx = context({"user_id": "ann"})
    await Memory(agent="planner").bind(ctx, memories).add("Ann plans in weeks")
    assert await Memory().bind(ctx, memories).all() == []
    assert len(await Memory(agent="planner").bind(ctx, memories).search("plans")) == 1


async def test_what_one_run_adds_twice_is_one_memory(context: ContextMaker, memories: LocalMemories) -> None:
    for run_id in ("run_1", "run_1", "run_2"):
        await bound(context, memories, {"customer_id": "ann"}, run_id=run_id).add("Ann lost her card")
    assert len(memories.all("ten_a", "ann")) == 2


async def test_a_search_may_be_a_step(context: ContextMaker, memories: LocalMemories) -> None:
    ctx = context({"customer_id": "ann"})
    memory = BY_CUSTOMER.bind(ctx, memories)
    [added] = await ctx.step.run("remember", memory.add, "Ann lost her card")
    [found] = await ctx.step.run("recall", memory.search, "card")
    assert isinstance(found, Remembered)
    assert (found.id, found.created_at) == (added.id, added.created_at)


async def test_the_calls_run_in_the_given_threads(context: ContextMaker) -> None:
    class Noting(LocalMemories):
        def all(self, tenant_id: str, user: str) -> list[Remembered]:
            threads.append(threading.current_thread().name)
            return super().all(tenant_id, user)

    threads: list[str] = []
    with ThreadPoolExecutor(1, thread_name_prefix="ours") as executor:
        await BY_CUSTOMER.bind(context({"customer_id": "ann"}), Noting(), executor).all()
    assert threads == ["ours_0"]


@pytest.mark.parametrize("path", ["data.user_id", "event", "event..id", "run.id", "event.data.user id"])
def test_a_path_that_leads_nowhere_is_refused_at_declaration(path: str) -> None:
    with pytest.raises(ConfigError):
        Memory(user=path)


async def test_memories_are_created_in_the_background(context: ContextMaker, memories: LocalMemories) -> None:
    ctx = context({})
    ctx = ctx.bound(memory=BY_CUSTOMER.bind(ctx, memories))
    done = await memory_create(ctx, ["Ann lost her card", "Ann moved"], "ann")
    assert sorted(done["created"]) == sorted(memory.id for memory in memories.all("ten_a", "ann"))


async def test_a_background_write_that_is_tried_again_doubles_nothing(
    context: ContextMaker, memories: LocalMemories
) -> None:
    for _ in range(2):
        ctx = context({}, run_id="run_1")
        await memory_create(ctx.bound(memory=BY_CUSTOMER.bind(ctx, memories)), ["Ann lost her card"], "ann")
    assert len(memories.all("ten_a", "ann")) == 1


async def test_memories_are_changed_and_forgotten_in_the_background(
    context: ContextMaker, memories: LocalMemories
) -> None:
    first, second = memories.add("ten_a", "ann", ["Ann lost her card", "Ann moved"])
    [other] = memories.add("ten_a", "bob", "Bob moved")
    ctx = context({})
    ctx = ctx.bound(memory=BY_CUSTOMER.bind(ctx, memories))
    updates: Any = [{"id": first.id, "statement": "Ann found her card"}, {"id": other.id, "statement": "no"}]
    assert await memory_update(ctx, updates, "ann") == {"updated": [first.id], "missing": [other.id]}
    deletions: Any = [{"id": second.id}, {"id": other.id}, {"id": "nonsense"}]
    assert await memory_delete(ctx, deletions, "ann") == {"deleted": [second.id], "missing": [other.id, "nonsense"]}
    assert [memory.text for memory in memories.all("ten_a", "ann")] == ["Ann found her card"]


@pytest.mark.parametrize("fn", [memory_create, memory_update, memory_delete])
def test_the_background_functions_take_their_data_by_name(fn: Any) -> None:
    schema = Signature(fn, what=fn.__name__).schema()
    assert "user_id" in schema["required"]
    assert len(schema["required"]) == 2
