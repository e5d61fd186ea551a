"""The history: where the conversation of a thread is kept between runs.

Each of its calls is made as a step, so that a replay neither reads nor writes again: the thread is opened and read
before the new message is kept, and every turn's result is kept as soon as the turn is committed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from celeriac.errors import ConfigError
from celeriac.ids import derived_id
from celeriac.platform.context import Context
from celeriac.platform.message import Message
from celeriac.platform.result import AgentResult

if TYPE_CHECKING:
    from celeriac.platform.agents.network_run import NetworkRun

S = TypeVar("S", default=Any)

#: the time of a message that says none
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class History(Generic[S]):
    """Override what you keep; what is left as it is keeps nothing.

    A call may be made again after a crash, so keep what it brings once under its id.
    """

    async def create_thread(self, ctx: Context[S], thread_id: str) -> str:
        """Make the thread if there is none, and return its id."""
        return thread_id

    async def get(self, ctx: Context[S], thread_id: str) -> Sequence[Message | AgentResult[Any]]:
        """Return what was said in the thread, oldest first."""
        return ()

    async def append_user_message(self, ctx: Context[S], thread_id: str, message: Message) -> None:
        """Keep the message that a run begins with, once under its id."""

    async def append_results(self, ctx: Context[S], thread_id: str, results: Sequence[AgentResult[Any]]) -> None:
        """Keep the results of turns, each once under its id."""


async def open_thread(
    ctx: Context[Any], run: NetworkRun[Any], history: History[Any] | None, *, is_told: bool = False
) -> None:
    """Bring the run into its thread: what was said before becomes its history, and its input is kept.

    A run that brings a conversation along, or `is_told` by its sender what was said, is not given another one. Raises
    `ConfigError` for a thread without history.
    """
    if history is None:
        if run.state.thread_id is not None and not is_told:
            raise ConfigError(f"{run.name!r} was given a thread_id and has no history=; give it SqlHistory(), or no id")
        return
    given = run.state.thread_id
    wanted = derived_id("thr", ctx.run.id, ctx.step.path) if given is None else given
    if _overrides(history, "create_thread"):
        thread_id: str = await _as_step(ctx, "history:thread", lambda: history.create_thread(ctx, wanted))
    else:
        thread_id = wanted
    is_given = is_told or bool(run.state.messages or run.state.results)
    if not is_given and _overrides(history, "get"):
        run.state.results += await _read(ctx, run, history, thread_id)
    run.state.thread_id = thread_id
    if _overrides(history, "append_user_message"):
        await _as_step(ctx, "history:message", lambda: history.append_user_message(ctx, thread_id, run.input))


async def keep_results(
    ctx: Context[Any], run: NetworkRun[Any], history: History[Any] | None, results: Sequence[AgentResult[Any]]
) -> None:
    """Keep what turns came to, in the thread of the run."""
    thread_id = run.state.thread_id
    if history is None or thread_id is None or not results or not _overrides(history, "append_results"):
        return
    step = f"history:results:{run.call_count}"
    await _as_step(ctx, step, lambda: history.append_results(ctx, thread_id, results))


def as_result(message: Message) -> AgentResult[Any]:
    """Return a message as what the state keeps in the order of the conversation, the same on each replay."""
    who = message.agent or message.role
    id = message.id or derived_id("res", who, message.text)
    return AgentResult(
        agent=who, output=message.text, messages=(message,), id=id, created_at=message.created_at or _LONG_AGO
    )


async def _read(
    ctx: Context[Any], run: NetworkRun[Any], history: History[Any], thread_id: str
) -> list[AgentResult[Any]]:
    """Return what was said in the thread, but for the run's own message: an earlier attempt may have kept it."""

    async def get() -> list[dict[str, Any]]:
        return [_exported(one) for one in await history.get(ctx, thread_id)]

    said = [_parsed(one) for one in await _as_step(ctx, "history:get", get)]
    return [one for one in said if run.input.id is None or one.id != run.input.id]


async def _as_step(ctx: Context[Any], id: str, hook: Callable[[], Awaitable[Any]]) -> Any:
    async def call() -> Any:
        return await hook()

    return await ctx.step.scoped(id, call, kind="run", retries=None)


def _overrides(history: History[Any], name: str) -> bool:
    """Whether a call does anything; one that does not costs no step."""
    return getattr(type(history), name) is not getattr(History, name)


def _exported(one: Message | AgentResult[Any]) -> dict[str, Any]:
    return {"message": one.export()} if isinstance(one, Message) else {"result": one.export()}


def _parsed(one: dict[str, Any]) -> AgentResult[Any]:
    return AgentResult.parse(one["result"]) if "result" in one else as_result(Message.parse(one["message"]))
