"""The history that is built in: threads and messages of each tenant, in the database of the installation.

What keeps them is bound to the run's context (`threads.py`); a plain script has its own in this process's memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

from pydantic import BaseModel
from typing_extensions import TypeVar

from celeriac.errors import ConfigError, ContextError
from celeriac.platform.agents.history import History, as_result
from celeriac.platform.agents.local_threads import LocalThreads
from celeriac.platform.agents.threads import LONGEST_ID, MOST_ENTRIES, Entry, Threads, check_thread_id
from celeriac.platform.codec import utf8_size
from celeriac.platform.context import Context
from celeriac.platform.message import Message
from celeriac.platform.models.estimate import tokens_of
from celeriac.platform.result import AgentResult

S = TypeVar("S", default=Any)
T = TypeVar("T")

_PAGE = 100

#: most of one read, in bytes of JSON: it is remembered as a step of the run, whose size has a limit
MOST_BYTES = 2_000_000


class SqlHistory(History[S]):
    """Threads in the installation's database; override a call to keep or read something else.

    A run without a thread gets a new one. In a plain script the threads live as long as the process.
    """

    def __init__(self, *, last: int | None = None, max_tokens: int | None = None) -> None:
        """Read at most the `last` messages and results, and of those what `max_tokens` hold by estimate.

        Within tokens a user's message and what was answered to it are read together or not at all. Never more than
        the newest 1,000, or 2 MB.
        """
        if last is not None and last < 1:
            raise ConfigError(f"SqlHistory(last={last}) must be 1 or more")
        if max_tokens is not None and max_tokens < 1:
            raise ConfigError(f"SqlHistory(max_tokens={max_tokens}) must be 1 or more")
        self.last, self.max_tokens = last, max_tokens

    async def create_thread(self, ctx: Context[S], thread_id: str) -> str:
        """Make the thread if the tenant has none of that id; raise `LimitError` for one more than it may have."""
        check_thread_id(thread_id)
        await _call(ctx, partial(_threads(ctx).open, ctx.run.tenant_id, thread_id, user_id=_user_of(ctx)))
        return thread_id

    async def get(self, ctx: Context[S], thread_id: str) -> Sequence[Message | AgentResult[Any]]:
        """Return what was said in the thread, oldest first."""
        entries = await _call(ctx, partial(self._entries, _threads(ctx), ctx.run.tenant_id, thread_id))
        return [_said(entry) for entry in entries]

    async def append_user_message(self, ctx: Context[S], thread_id: str, message: Message) -> None:
        """Keep the message, once under its id."""
        await self._append(ctx, thread_id, [_entry(message)])

    async def append_results(self, ctx: Context[S], thread_id: str, results: Sequence[AgentResult[Any]]) -> None:
        """Keep the results, each once under its id."""
        await self._append(ctx, thread_id, [_entry(result) for result in results])

    async def delete_thread(self, ctx: Context[S], thread_id: str) -> None:
        """Forget a thread with all that was said in it; raise `NotFoundError` where the tenant has none of that id.

        For functions of yours, as a step. What runs remember of it goes with them.
        """
        await _call(ctx, partial(_threads(ctx).delete, ctx.run.tenant_id, thread_id))

    async def _append(self, ctx: Context[S], thread_id: str, entries: Sequence[Entry]) -> None:
        await _call(ctx, partial(_threads(ctx).append, ctx.run.tenant_id, thread_id, entries))

    def _entries(self, threads: Threads, tenant_id: str, thread_id: str) -> list[Entry]:
        """Read pages from the newest on, until there is enough."""
        found: list[Entry] = []
        most = min(self.last or MOST_ENTRIES, MOST_ENTRIES)
        while len(found) < most:
            page = min(_PAGE, most - len(found))
            before = found[0].seq if found else None
            older = threads.entries(tenant_id, thread_id, last=page, before=before)
            found = [*older, *found]
            is_enough = _size(found) > MOST_BYTES or (self.max_tokens is not None and _tokens(found) > self.max_tokens)
            if len(older) < page or is_enough:
                break
        found = _within(found, MOST_BYTES, _size)
        return found if self.max_tokens is None else _within(found, self.max_tokens, _tokens)


def _within(entries: Sequence[Entry], most: int, measured: Callable[[Sequence[Entry]], int]) -> list[Entry]:
    """Return the newest exchanges that come to no more: a user's message with what follows it up to the next one."""
    kept, measure = len(entries), 0
    for place in range(len(entries) - 1, -1, -1):
        measure += measured(entries[place : place + 1])
        if measure > most:
            break
        if entries[place].kind == "user" or place == 0:
            kept = place
    return list(entries[kept:])


def _tokens(entries: Sequence[Entry]) -> int:
    return sum(tokens_of("", _messages(entry)) for entry in entries)


def _size(entries: Sequence[Entry]) -> int:
    return sum(utf8_size(json.dumps(entry.data, ensure_ascii=False)) for entry in entries)


def _messages(entry: Entry) -> list[Message]:
    said = [entry.data] if entry.kind == "user" else entry.data["messages"]
    return [Message.parse(one) for one in said]


def _said(entry: Entry) -> Message | AgentResult[Any]:
    return Message.parse(entry.data) if entry.kind == "user" else AgentResult.parse(entry.data)


def _entry(one: Message | AgentResult[Any]) -> Entry:
    if isinstance(one, AgentResult):
        return Entry(id=one.id, kind="agent", agent=one.agent, data=one.export(), checksum=one.checksum)
    if one.id is None or len(one.id) > LONGEST_ID:
        raise ConfigError(f"A message of a thread needs an id of at most {LONGEST_ID} characters, not {one.id!r:.80}")
    return Entry(id=one.id, kind="user", data=one.export(), checksum=as_result(one).checksum)


async def _call(ctx: Context[Any], fn: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(ctx.step.kernel.executor, fn)


def _threads(ctx: Context[Any]) -> Threads:
    bound: Threads | None = ctx.part("threads")
    if bound is not None:
        return bound
    if ctx.step.durable:
        raise ContextError("This run has no threads to keep its conversation in; its engine was made without")
    return _of_this_process()


@cache
def _of_this_process() -> LocalThreads:
    """Return what plain scripts remember in."""
    return LocalThreads()


def _user_of(ctx: Context[Any]) -> str | None:
    """Return whom the event names as its user, for those who list threads."""
    data = ctx.event.data
    data = data.model_dump(mode="json") if isinstance(data, BaseModel) else data
    user = data.get("user_id") if isinstance(data, dict) else None
    return str(user)[:LONGEST_ID] if isinstance(user, str | int) and not isinstance(user, bool) else None
