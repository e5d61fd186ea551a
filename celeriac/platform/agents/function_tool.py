"""The durable function as a tool: each call is a run of its own, with its steps and limits.

The function stands on the other side of the house, so that it is known here by what it has.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from celeriac.platform.agents.tool import Tool
from celeriac.platform.context import Context


@runtime_checkable
class DurableFunction(Protocol):
    """A function that was declared with an app: `@app.function`."""

    @property
    def fn(self) -> Callable[..., Any]:
        """The user's own function."""
        ...

    @property
    def id(self) -> str:
        """Its id in the app."""
        ...

    @property
    def name(self) -> str:
        """Its id in the fleet: `app/id`."""
        ...

    @property
    def description(self) -> str:
        """What it does."""
        ...

    def declaration(self, *, version: str, retries: int, home: str | None) -> Any:
        """Return what the store keeps of it."""
        ...


def function_tool(function: DurableFunction) -> Tool:
    """Return a tool that starts the function as a run of its own, and answers with its output.

    What the run fails with goes to the model, and in a plain script that there is no fleet.
    """
    target = function.name

    async def start(ctx: Context[Any], /, **data: Any) -> Any:
        return await ctx.step.invoke("run", target, data)

    start.__signature__ = _signature(function.fn)  # type: ignore[attr-defined]
    return Tool(start, name=_name(function.id), description=function.description)


def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    """Return the function's parameters, with the context before them in any case."""
    own = inspect.signature(fn, eval_str=True)
    first = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Context)
    data = [one for one in own.parameters.values() if not _is_context(one)]
    return own.replace(parameters=[first, *data])


def _is_context(parameter: inspect.Parameter) -> bool:
    kind = getattr(parameter.annotation, "__origin__", parameter.annotation)
    return parameter.name == "ctx" or kind is Context


def _name(id: str) -> str:
    """Return the id as providers take names: letters, digits, dashes and underscores, no digit first."""
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", id)
    return f"_{plain}" if plain[0].isdigit() else plain
