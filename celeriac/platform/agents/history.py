"""The history: where the conversation of a thread is kept between runs.

Each of its calls is made as a step, so that a replay neither reads nor writes again: the thread is opened and read
before the new message is kept, and every turn's result is kept as soon as the turn is committed.
"""

from __future__ import annotations

from collections.abc import Sequence
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


class History(Generic[S]):
    """Override what you keep; what is left as it is keeps nothing."""

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


async def open_thread(ctx: Context[Any], run: NetworkRun[Any], history: History[Any] | None) -> None:
    """Bring the run into its thread: what was said before becomes its history, and its input is kept.

    A run that brings a conversation along is not given another one. Raises `ConfigError` for a thread without history.
    """
    if history is None:
        if run.state.thread_id is not None:
            raise ConfigError(f"{run.name!r} was given a thread_id and has no history=; give it SqlHistory(), or no id")
        return
    wanted = run.state.thread_id or derived_id("thr", ctx.run.id, ctx.step.path)
    brings_its_own = bool(run.state.messages or run.state.results)

    async def opened() -> dict[str, Any]:
        thread_id = await history.create_thread(ctx, wanted)
        found = () if brings_its_own else await history.get(ctx, thread_id)
        await history.append_user_message(ctx, thread_id, run.input)
        return {"thread_id": thread_id, "said": [_kept(one) for one in found]}

    memo = await ctx.step.scoped("history", opened, kind="run", retries=None)
    run.state.thread_id = memo["thread_id"]
    for one in memo["said"]:
        if "result" in one:
            run.state.results.append(AgentResult.parse(one["result"]))
        else:
            run.state.results.append(_as_result(Message.parse(one["message"])))


async def keep_results(
    ctx: Context[Any], run: NetworkRun[Any], history: History[Any] | None, results: Sequence[AgentResult[Any]]
) -> None:
    """Keep what turns came to, in the thread of the run."""
    thread_id = run.state.thread_id
    if history is None or thread_id is None or not results:
        return

    async def keep() -> None:
        await history.append_results(ctx, thread_id, results)

    await ctx.step.scoped(f"history:{run.call_count}", keep, kind="run", retries=None)


def _kept(one: Message | AgentResult[Any]) -> dict[str, Any]:
    return {"message": one.export()} if isinstance(one, Message) else {"result": one.export()}


def _as_result(message: Message) -> AgentResult[Any]:
    """Return a message as what the state keeps in the order of the conversation."""
    who = message.agent or message.role
    return AgentResult(agent=who, output=message.text, messages=(message,), id=message.id or derived_id("res", who))
