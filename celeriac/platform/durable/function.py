"""The function: the only thing that can be started.

`@app.function` makes one from user code; a registered network or agent becomes one. It knows its declaration for the
store and how to call its body with a context; it runs nothing durable by itself.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Generic, ParamSpec, TypeVar

from pydantic import BaseModel, ValidationError

from celeriac.errors import ConfigError, InvalidEventError
from celeriac.platform.context import Context
from celeriac.platform.durable.cron import Schedule, check_cron
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.options import Options
from celeriac.platform.signature import Signature, problems
from celeriac.platform.trigger import Trigger

P = ParamSpec("P")
R = TypeVar("R")

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


class Function(Generic[P, R]):
    """A function that events start; calling it runs its body as a plain coroutine, for unit tests."""

    def __init__(self, fn: Callable[P, R], *, app: str, id: str, options: Options) -> None:
        """Check the declaration; raise `ConfigError` for what cannot work."""
        self.fn = fn
        self.app = app
        self.id = id
        self.options = options
        if not _NAME.fullmatch(self.id):
            raise ConfigError(f"Function id {self.id!r} must be lower case letters, digits, '-', '_' and '.'")
        what = f"Function {self.id!r}"
        self.signature = Signature(fn, what=what)
        if not self.signature.is_async:
            raise ConfigError(f"{what} must be `async def`; a plain def is for step bodies and tools without steps")
        if (required := self.signature.required) and (options.crons or options.rules.batch):
            reason = "a Cron's event has no data" if options.crons else "a batch has many events; read ctx.events"
            raise ConfigError(f"{what}: the parameters {', '.join(required)} need defaults, as {reason}")

    @property
    def name(self) -> str:
        """The id that is unique in a fleet: `app/id`."""
        return f"{self.app}/{self.id}"

    @property
    def description(self) -> str:
        """What it does, for people and for models that call it: the option, or the docstring."""
        return self.options.description or inspect.cleandoc(getattr(self.fn, "__doc__", None) or "")

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """The events that start it: those it names, else the one of its own name, but where it has crons."""
        return self.options.on or (() if self.options.crons else (Trigger(self.name),))

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the body as it is."""
        return self.fn(*args, **kwargs)

    def declaration(self, *, version: str, retries: int, home: str | None) -> Declaration:
        """Return what the store keeps of it; `retries` is the app's default, and `home` the deployment's tenant.

        Raises `ConfigError` where a cron needs that tenant and there is none.
        """
        return Declaration(
            app=self.app,
            function_id=self.id,
            triggers=self.triggers,
            crons=self._schedules(home),
            rules=self.options.rules,
            queue=self.options.queue or "runs",
            version=version,
            description=self.options.description or self.description.partition("\n\n")[0],
            is_internal=self.options.is_internal,
            retries=retries if self.options.retries is None else self.options.retries,
        )

    def _schedules(self, home: str | None) -> tuple[Schedule, ...]:
        what = f"Function {self.id!r}"
        if home is None and any(not cron.each_tenant for cron in self.options.crons):
            raise ConfigError(f"{what} has a Cron: set CELERIAC_DEFAULT_TENANT, whose run it is, or each_tenant=True")
        return tuple(
            replace(check_cron(cron, what), tenant_id=None if cron.each_tenant else home) for cron in self.options.crons
        )

    async def start(self, ctx: Context[Any], data: Any) -> Any:
        """Run the body for an event's data; raise `InvalidEventError` when the data does not fit its parameters."""
        try:
            arguments = self.signature.validate(data if isinstance(data, dict) else {})
        except ValidationError as error:
            raise InvalidEventError(
                f"The data of event {ctx.event.name!r} does not fit function {self.id!r}: {problems(error)}"
            ) from error
        call: Callable[..., Any] = self.fn
        result = await (call(ctx, **arguments) if self.signature.takes_context else call(**arguments))
        export = getattr(result, "export", None)
        return export() if callable(export) and not isinstance(result, BaseModel) else result
