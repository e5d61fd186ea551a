"""Memory as users see it: the declaration, what is remembered, `ctx.memory`, and the protocol of what keeps it.

`App(memory=Memory(…))` declares it; whoever makes a context binds it to that context's tenant and user. Importing
this file loads neither a database nor Mem0. A memory is only ever looked for within one tenant.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel

from celeriac.errors import ConfigError, ContextError
from celeriac.platform.context import Context
from celeriac.platform.expression import MISSING, check_path, look_up

T = TypeVar("T")

#: stands between the agent and the user where an agent has memories of its own; no user id may contain it
_BETWEEN = "\x1f"


@dataclass(frozen=True, kw_only=True)
class Remembered:
    """One thing that is remembered of a user."""

    id: str
    text: str
    #: how near it is to what was searched, from 0 to 1; None where nothing was searched
    score: float | None = None
    created_at: datetime


class Memories(Protocol):
    """What keeps the memories of all tenants. Its calls block, so they are made in threads.

    `user` is any text that names a user within the tenant. An id of another tenant is not found, and where a user is
    given beside an id, neither is another user's.
    """

    def warm(self) -> None:
        """Load what is slow to load now, and not in the middle of a run."""
        ...

    def add(
        self, tenant_id: str, user: str, statements: str | Sequence[str], *, idempotency_key: str | None = None
    ) -> list[Remembered]:
        """Remember each statement once: the same text under the same key (or without one) is one memory."""
        ...

    def search(self, tenant_id: str, user: str, query: str, limit: int) -> list[Remembered]:
        """Return the user's memories that are nearest to the query, nearest first, at most `limit`."""
        ...

    def update(self, tenant_id: str, id: str, text: str, *, user: str | None = None) -> Remembered:
        """Replace the text; raise `NotFoundError` where there is no such memory."""
        ...

    def delete(self, tenant_id: str, id: str, *, user: str | None = None) -> None:
        """Forget it without a trace; raise `NotFoundError` where there is no such memory."""
        ...

    def all(self, tenant_id: str, user: str) -> list[Remembered]:
        """Return everything that is remembered of the user, newest first."""
        ...


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The declaration that an app remembers things of its users: `App(memory=Memory(user="event.data.customer_id"))`.

    `user` says whom a run is about: a path into its event, or a function of the context. With `agent` the memories
    are that agent's own, apart from what others remember of the same user.
    """

    user: str | Callable[[Context[Any]], str] = "event.data.user_id"
    agent: str | None = None

    def __post_init__(self) -> None:
        """Refuse a path that can lead nowhere."""
        if isinstance(self.user, str) and not check_path(self.user).startswith("event."):
            raise ConfigError(f"Memory(user={self.user!r}) must begin with 'event.', as in 'event.data.user_id'")

    def bind(self, ctx: Context[Any], memories: Memories, executor: Executor | None = None) -> BoundMemory:
        """Return what `ctx.memory` is; calls run in `executor`, in asyncio's own where None."""
        return BoundMemory(self, ctx, memories, executor)


class BoundMemory:
    """The memories of one run: its tenant's, of the user that the run is about unless `user` names another."""

    def __init__(self, memory: Memory, ctx: Context[Any], memories: Memories, executor: Executor | None) -> None:
        """Bind; the user is looked up at the first call that needs it."""
        self._memory = memory
        self._ctx = ctx
        self._memories = memories
        self._executor = executor

    async def search(self, query: str, limit: int = 5, user: str | None = None) -> list[Remembered]:
        """Return the memories nearest to the query, nearest first."""
        return await self._call(self._memories.search, self._tenant_id, self._user(user), query, limit)

    async def add(self, statements: str | list[str], user: str | None = None) -> list[Remembered]:
        """Remember each statement; a step that is tried again adds nothing twice, as the run's id is the key."""
        add = partial(self._memories.add, idempotency_key=self._ctx.run.id)
        return await self._call(add, self._tenant_id, self._user(user), statements)

    async def update(self, id: str, text: str, user: str | None = None) -> Remembered:
        """Replace the text of a memory of this user; raise `NotFoundError` for any other id."""
        update = partial(self._memories.update, user=self._user(user))
        return await self._call(update, self._tenant_id, id, text)

    async def delete(self, id: str, user: str | None = None) -> None:
        """Forget a memory of this user; raise `NotFoundError` for any other id."""
        delete = partial(self._memories.delete, user=self._user(user))
        await self._call(delete, self._tenant_id, id)

    async def all(self, user: str | None = None) -> list[Remembered]:
        """Return everything that is remembered of the user, newest first."""
        return await self._call(self._memories.all, self._tenant_id, self._user(user))

    async def _call(self, fn: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, partial(fn, *args))

    @property
    def _tenant_id(self) -> str:
        return self._ctx.run.tenant_id

    def _user(self, given: str | None) -> str:
        user = self._named_by_the_run() if given is None else given
        if isinstance(user, int) and not isinstance(user, bool):
            user = str(user)
        if not isinstance(user, str) or not user.strip() or _BETWEEN in user:
            raise ContextError(f"No user to remember: {user!r} is no user id; it must be a text that is not blank")
        return user if self._memory.agent is None else f"{self._memory.agent}{_BETWEEN}{user}"

    def _named_by_the_run(self) -> Any:
        if callable(self._memory.user):
            return self._memory.user(self._ctx)
        path, event = self._memory.user, self._ctx.event
        data = event.data.model_dump(mode="json") if isinstance(event.data, BaseModel) else event.data
        user = look_up(path, {"event": {"name": event.name, "id": event.id, "data": data}})
        if user is MISSING or user is None:
            raise ContextError(
                f"No user to remember: the event {event.name!r} of run {self._ctx.run.id!r} has no {path!r}; "
                f"send it, give user=…, or set Memory(user=…)"
            )
        return user
