"""The hooks of an agent: functions of the user's at fixed moments of its turn.

All take `ctx` first, may be `def` or `async def`, and run inside the turn: once for each turn that is committed, and
never on its replay. None as an answer leaves things as they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from celeriac.platform.calling import call_function
from celeriac.platform.context import Context
from celeriac.platform.result import AgentResult

if TYPE_CHECKING:
    from celeriac.platform.agents.prompt import Prompt

T = TypeVar("T")

Enabled = Callable[[Context[Any]], bool] | Callable[[Context[Any]], Awaitable[bool]]
OnStart = Callable[[Context[Any], "Prompt"], Any]
OnResponse = Callable[[Context[Any], AgentResult[Any]], Any]
OnTools = Callable[[Context[Any], AgentResult[Any]], Any]
OnFinish = Callable[[Context[Any], AgentResult[Any]], Any]
OnError = Callable[[Context[Any], Exception], Any]

#: the options of an agent that are hooks
HOOKS = ("enabled", "on_start", "on_response", "on_tools", "on_finish", "on_error")


async def call_hook(ctx: Context[Any], hook: Callable[..., Any] | None, given: T) -> T:
    """Return what the hook answers to what it is given; what was given where there is no hook or no answer."""
    if hook is None:
        return given
    answer: T | None = await call_function(ctx.step.kernel, hook, ctx, given)
    return given if answer is None else answer


async def is_enabled(ctx: Context[Any], enabled: Enabled | None) -> bool:
    """Ask whether an agent takes part now."""
    return enabled is None or bool(await call_function(ctx.step.kernel, enabled, ctx))
