"""The tool: what an agent may call, made from a function with `@tool`.

Its name, description and schema come from the function; what the model gives is validated before it runs. A call that
does not fit goes back to the model as an error that it can mend, and no error of a tool carries a stack trace.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable
from typing import Any, Concatenate, Generic, Protocol, overload

from pydantic import ValidationError
from typing_extensions import ParamSpec, TypeVar

from celeriac.clock import Duration, duration
from celeriac.errors import ConfigError, StepError
from celeriac.platform.agents.approval import Approval, ask_approval
from celeriac.platform.agents.hooks import call_hook
from celeriac.platform.agents.parameters import Named, Parameters, Whole, read
from celeriac.platform.agents.tool_error import failure, failure_of
from celeriac.platform.calling import call_function
from celeriac.platform.context import Context
from celeriac.platform.kernel import Kernel
from celeriac.platform.models.model import ToolSpec
from celeriac.platform.models.strict_schema import NotStrict, as_strict
from celeriac.platform.placement import PLACES
from celeriac.platform.signature import Signature, checks_options, problems

S = TypeVar("S", default=Any)
P = ParamSpec("P", default=...)
R = TypeVar("R", default=Any)

#: a hook before or after the tool, of the context and the input or the result
ToolHook = Callable[[Context[Any], Any], Any]

#: what providers take as the name of a tool
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
        parameters: Any = None,
        retries: int = 0,
        timeout: Duration | None = None,
        approval: Approval = False,
        parallel: bool = True,
        queue: str | None = None,
        strict: bool | None = None,
        on_start: ToolHook | None = None,
        on_finish: ToolHook | None = None,
    ) -> None:
        """Read the function; raise `ConfigError` for what no model could call.

        `parameters` is a type, such as a Pydantic model, that the function takes as its one parameter beside `ctx`; by
        default each parameter of the function is one of the tool's. `retries` are attempts of the call itself after
        its first failure; by default the model sees the error at once. `timeout` limits each attempt: steps that stand
        still are refused inside it, but for models that the tenant's limits hold back, whose waiting does not count; a
        plain function is left to its end in its thread. With `approval` the call
        waits for a person first: always, or where a function `(ctx, input)` says so. `parallel=False` runs the tool
        alone among the calls of one reply. With `queue="cpu"` a process of that queue runs it; then it takes no
        context. `strict` asks the provider to hold the model to the schema. `on_start(ctx, input)` may return another
        input or refuse by a `ToolError`; `on_finish(ctx, result)` may return another result.
        """
        self.fn = fn
        self.name: str = name or str(getattr(fn, "__name__", ""))
        what = f"Tool {self.name!r}"
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"Tool name {self.name!r} must be 1 to 64 letters, digits, '_' and '-', no digit first")
        self.description = description or inspect.cleandoc(getattr(fn, "__doc__", None) or "")
        self.retries, self.parallel, self.queue, self.approval = retries, parallel, queue, approval
        self.timeout = None if timeout is None else duration(timeout)
        self.on_start, self.on_finish = on_start, on_finish
        self.parameters: Parameters = (
            Named(Signature(fn, what=what, extra="forbid")) if parameters is None else Whole(fn, parameters, what=what)
        )
        self._check(what, strict)
        self.spec = ToolSpec(name=self.name, description=self.description, schema=self.parameters.schema, strict=strict)

    def _check(self, what: str, strict: bool | None) -> None:
        if self.retries < 0 or (self.timeout is not None and self.timeout.total_seconds() <= 0):
            raise ConfigError(f"{what}: retries= is at least 0, timeout= more than 0")
        is_placeable = not self.parameters.takes_context and not _has_keyword_only(self.fn)
        if self.queue is not None and (self.queue not in PLACES or not is_placeable):
            raise ConfigError(
                f"{what}: queue= is one of {', '.join(PLACES)}, for a tool without context and without "
                "keyword-only parameters"
            )
        if strict:
            try:
                as_strict(self.parameters.schema)
            except NotStrict as error:
                raise ConfigError(f"{what} cannot be strict: {error.message}; leave strict= out") from error

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the function as it is."""
        return self.fn(*args, **kwargs)

    async def answer(self, kernel: Kernel, ctx: Context[Any]) -> dict[str, Any]:
        """Run the call in `ctx.tool_call`; return `{"data": …}` or `{"error": {"name", "message"}}`.

        Raises what the function raised where the call has retries left to use; a bad or denied call never does.
        """
        call = ctx.tool_call
        if call.broken_input is not None:
            return failure("InvalidArguments", f"The arguments are no JSON object: {call.broken_input[:200]}")
        try:
            given = read(self.parameters, call.input)
        except ValidationError as error:
            return failure("InvalidArguments", problems(error))
        denied = await ask_approval(ctx, self.approval, given)
        if denied is not None:
            return denied
        try:
            value = await self._attempt(kernel, ctx, given)
        except StepError as error:
            if self.queue is None:
                raise
            return failure_of(error)  # the other process has tried as often as it may
        return {"data": f"{self.name} successfully executed" if value is None else value}

    async def _attempt(self, kernel: Kernel, ctx: Context[Any], given: Any) -> Any:
        """Run the function with its hooks; raise `TimeoutError` when that takes too long."""
        if self.timeout is None or self.queue is not None:
            return await self._value(kernel, ctx, given)
        seconds = self.timeout.total_seconds()
        limit = asyncio.timeout(seconds)
        try:
            async with limit:
                return await self._value(kernel, ctx, given)
        except TimeoutError:
            if not limit.expired():
                raise
            raise TimeoutError(f"{self.name} took longer than {seconds:g} s") from None

    async def _value(self, kernel: Kernel, ctx: Context[Any], given: Any) -> Any:
        started = await call_hook(ctx, self.on_start, given)
        if started is not given:
            try:
                started = self.parameters.check(started)
            except ValidationError as error:
                raise ConfigError(f"on_start of tool {self.name!r} returned no input: {problems(error)}") from error
        args, kwargs = self.parameters.arguments(started)
        if self.queue is not None:
            value = await self._placed(ctx, args, kwargs)
        else:
            first = (ctx,) if self.parameters.takes_context else ()
            value = await call_function(kernel, self.fn, *first, *args, **kwargs)
        return await call_hook(ctx, self.on_finish, value)

    async def _placed(self, ctx: Context[Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Let a process of the queue do the work, which tries again by itself."""
        bound = inspect.signature(self.fn).bind(*args, **kwargs)
        bound.apply_defaults()
        limits: dict[str, Any] = {"retries": self.retries, "timeout": self.timeout, "queue": self.queue}
        return await ctx.step.called("work", self.fn, bound.args, kind="run", **limits)


def _has_keyword_only(fn: Callable[..., Any]) -> bool:
    return any(one.kind is one.KEYWORD_ONLY for one in inspect.signature(fn).parameters.values())


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
    parameters: Any = None,
    retries: int = 0,
    timeout: Duration | None = None,
    approval: Approval = False,
    parallel: bool = True,
    queue: str | None = None,
    strict: bool | None = None,
    on_start: ToolHook | None = None,
    on_finish: ToolHook | None = None,
) -> _Decorator: ...
def tool(fn: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a tool of a function: `@tool`, or `@tool(name=…, retries=…)`; options as those of `Tool`.

    Parameters after `ctx` are what the model must give, with their texts from `Annotated[…, Field(description=…)]`.
    """
    if fn is not None:
        return Tool(fn)
    return lambda decorated: Tool(decorated, **options)
