"""The tool: what an agent may call, made from a function with `@tool`.

Its name, description and schema come from the function; what the model gives is validated before it runs. A call that
does not fit goes back to the model as an error that it can mend, and no error of a tool carries a stack trace.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Concatenate, Generic, Protocol, overload

from pydantic import ValidationError
from typing_extensions import ParamSpec, TypeVar

from celeriac.errors import CeleriacError, ConfigError, StepError, ToolError
from celeriac.platform.calling import call_function
from celeriac.platform.context import Context
from celeriac.platform.kernel import Kernel
from celeriac.platform.models.model import ToolSpec
from celeriac.platform.placement import PLACES
from celeriac.platform.signature import Signature, checks_options, problems

S = TypeVar("S", default=Any)
P = ParamSpec("P", default=...)
R = TypeVar("R", default=Any)

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


class Tool(Generic[S, P, R]):
    """A function that models may call; still callable with its own signature. `S` is the state that it needs."""

    @checks_options
    def __init__(
        self,
        fn: Callable[P, R],
        *,
        name: str | None = None,
        description: str | None = None,
        retries: int = 0,
        parallel: bool = True,
        queue: str | None = None,
    ) -> None:
        """Read the function; raise `ConfigError` for what no model could call.

        `retries` are attempts of the call itself after its first failure; by default the model sees the error at once.
        `parallel=False` runs the tool alone among the calls of one reply. With `queue="cpu"` a process of that queue
        runs it; then it takes no context.
        """
        self.fn = fn
        self.name: str = name or str(getattr(fn, "__name__", ""))
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"Tool name {self.name!r} must be 1 to 64 letters, digits, '_' and '-'")
        self.description = description or inspect.cleandoc(getattr(fn, "__doc__", None) or "")
        self.retries = retries
        self.parallel = parallel
        self.queue = queue
        self.signature = Signature(fn, what=f"Tool {self.name!r}", extra="forbid")
        if queue is not None and (queue not in PLACES or self.signature.takes_context or _has_keyword_only(fn)):
            raise ConfigError(
                f"Tool {self.name!r}: queue= is one of {', '.join(PLACES)}, for a tool without context and without "
                "keyword-only parameters"
            )
        self.spec = ToolSpec(name=self.name, description=self.description, schema=self.signature.schema())

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as it is."""
        return self.fn(*args, **kwargs)

    async def answer(self, kernel: Kernel, ctx: Context[Any]) -> dict[str, Any]:
        """Run the call in `ctx.tool_call`; return `{"data": …}` or `{"error": {"name", "message"}}`.

        Raises what the function raised where the call has retries left to use; a bad call never does.
        """
        call = ctx.tool_call
        if call.broken_input is not None:
            return failure("InvalidArguments", f"The arguments are no JSON object: {call.broken_input[:200]}")
        try:
            arguments = self.signature.validate(call.input)
        except ValidationError as error:
            return failure("InvalidArguments", problems(error))
        given = (ctx,) if self.signature.takes_context else ()
        if self.queue is not None:
            bound = inspect.signature(self.fn).bind(**arguments)
            bound.apply_defaults()
            value = await ctx.step.run("work", self.fn, *bound.args, retries=self.retries, queue=self.queue)
        else:
            value = await call_function(kernel, self.fn, *given, **arguments)
        return {"data": f"{self.name} successfully executed" if value is None else value}


def _has_keyword_only(fn: Callable[..., Any]) -> bool:
    return any(one.kind is one.KEYWORD_ONLY for one in inspect.signature(fn).parameters.values())


def failure(name: str, message: str) -> dict[str, Any]:
    """Return an error as the model sees it."""
    return {"error": {"name": name, "message": message[:2_000]}}


def failure_of(error: Exception) -> dict[str, Any]:
    """Return a tool's exception as the model sees it: what happened, never where."""
    if isinstance(error, ToolError):
        return failure("ToolError", error.message)
    if isinstance(error, StepError):
        return failure(error.error_name, error.detail)
    name = error.code if isinstance(error, CeleriacError) else type(error).__name__
    return failure(name, str(error))


class _Decorator(Protocol):
    """What `@tool(…)` is: it keeps the signature, and the state that the context names."""

    @overload
    def __call__(self, fn: Callable[Concatenate[Context[S], P], R], /) -> Tool[S, Concatenate[Context[S], P], R]: ...
    @overload
    def __call__(self, fn: Callable[P, R], /) -> Tool[Any, P, R]: ...


@overload
def tool(fn: Callable[Concatenate[Context[S], P], R], /) -> Tool[S, Concatenate[Context[S], P], R]: ...
@overload
def tool(fn: Callable[P, R], /) -> Tool[Any, P, R]: ...
@overload
def tool(
    *,
    name: str | None = None,
    description: str | None = None,
    retries: int = 0,
    parallel: bool = True,
    queue: str | None = None,
) -> _Decorator: ...
def tool(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a function: `@tool`, or `@tool(name=…, retries=…)`.

    Parameters after `ctx` are what the model must give, with their texts from `Annotated[…, Field(description=…)]`.
    """
    if fn is not None:
        return Tool(fn)
    return lambda decorated: Tool(decorated, **options)
