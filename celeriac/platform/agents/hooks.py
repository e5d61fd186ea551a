"""The hooks of an agent: functions of the user's at fixed moments of its turn.

All take `ctx` first, may be `def` or `async def`, and run inside the turn: never again once it is committed, and anew
with a turn that parked or died in its middle. None as an answer leaves things as they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from typing_extensions import TypeVar

from celeriac.platform.calling import call_function
from celeriac.platform.context import Context
from celeriac.platform.result import AgentResult

if TYPE_CHECKING:
    from celeriac.platform.agents.prompt import Prompt

T = TypeVar("T")
S = TypeVar("S", default=Any)

# One callable each, not one for `def` and one for `async def`: mypy types a lambda by a single candidate alone.
Enabled = Callable[[Context[S]], bool | Awaitable[bool]]
OnStart = Callable[[Context[S], "Prompt"], "Prompt | Awaitable[Prompt | None] | None"]
OnResponse = Callable[[Context[S], AgentResult[Any]], AgentResult[Any] | Awaitable[AgentResult[Any] | None] | None]
OnTools = Callable[[Context[S], AgentResult[Any]], object]
OnFinish = OnResponse[S]
OnError = Callable[[Context[S], Exception], AgentResult[Any] | str | Awaitable[AgentResult[Any] | str | None] | None]

#: the options of an agent that are hooks
HOOKS = ("enabled", "on_start", "on_response", "on_tools", "on_finish", "on_error")


async def call_hook(ctx: Context[Any], hook: Callable[..., Any] | None, given: T) -> T:
    """Return what the hook answers to what it is given; what was given where there is no hook or no answer."""
    if hook is None:
        return given
    answer: T | None = await call_function(ctx.step.kernel, hook, ctx, given)
    return given if answer is None else answer


async def is_enabled(ctx: Context[Any], enabled: Enabled[Any] | None) -> bool:
    """Ask whether an agent takes part now."""
    return enabled is None or bool(await call_function(ctx.step.kernel, enabled, ctx))
