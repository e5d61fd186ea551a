"""The background functions that write memories: `memory-create`, `memory-update` and `memory-delete`.

`App(memory=…)` registers them on the queue `memory` as the platform's own; they are started by their events, so the
run that wants something remembered never waits for it. Each is one step that may be tried again after any crash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typing_extensions import TypedDict

from celeriac.errors import NotFoundError
from celeriac.platform.context import Context

#: the Celery queue of these functions
QUEUE = "memory"


class MemoryUpdate(TypedDict):
    """A memory with its new text."""

    id: str
    statement: str


class MemoryDeletion(TypedDict):
    """A memory to forget."""

    id: str


async def memory_create(ctx: Context[Any], statements: list[str], user_id: str | int) -> dict[str, Any]:
    """Remember each statement about the user, once however often the step is tried."""

    async def add() -> list[str]:
        return [memory.id for memory in await ctx.memory.add(statements, user=str(user_id))]

    return {"created": await ctx.step.run("add", add)}


async def memory_update(ctx: Context[Any], updates: list[MemoryUpdate], user_id: str | int) -> dict[str, Any]:
    """Replace the texts of memories of the user; ids that are not there are reported, not failed."""

    async def change() -> dict[str, list[str]]:
        updated, missing = [], []
        for wanted in updates:
            try:
                await ctx.memory.update(wanted["id"], wanted["statement"], user=str(user_id))
                updated.append(wanted["id"])
            except NotFoundError:
                missing.append(wanted["id"])
        return {"updated": updated, "missing": missing}

    return await ctx.step.run("update", change)


async def memory_delete(ctx: Context[Any], deletions: list[MemoryDeletion], user_id: str | int) -> dict[str, Any]:
    """Forget memories of the user; ids that are not there any more are as good as forgotten."""

    async def forget() -> dict[str, list[str]]:
        deleted, missing = [], []
        for wanted in deletions:
            try:
                await ctx.memory.delete(wanted["id"], user=str(user_id))
                deleted.append(wanted["id"])
            except NotFoundError:
                missing.append(wanted["id"])
        return {"deleted": deleted, "missing": missing}

    return await ctx.step.run("delete", forget)


#: by function id, as `App(memory=…)` registers them
MEMORY_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "memory-create": memory_create,
    "memory-update": memory_update,
    "memory-delete": memory_delete,
}
