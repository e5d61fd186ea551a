"""The function: the only thing that can be started.

`@app.function` makes one from user code; a registered network or agent becomes one. It knows its declaration for the
store and how to call its body with a context; it runs nothing durable by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, ParamSpec, TypeVar

from pydantic import BaseModel, ValidationError

from celeriac.errors import ConfigError, InvalidEventError
from celeriac.platform.context import Context
from celeriac.platform.durable.declaration import QUEUES, Declaration
from celeriac.platform.event import RESERVED
from celeriac.platform.signature import Signature, did_you_mean, problems

P = ParamSpec("P")
R = TypeVar("R")
Links = Literal["turn", "budget"]

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")
_MOST_RETRIES = 20


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a function may say about itself; None means the app's default."""

    on: tuple[str, ...] = ()
    description: str | None = None
    retries: int | None = None
    links: Links | None = None
    queue: str | None = None
    is_internal: bool = False


class Function(Generic[P, R]):
    """A function that events start; calling it runs its body as a plain coroutine, for unit tests."""

    def __init__(self, fn: Callable[P, R], *, app: str, id: str | None, options: Options) -> None:
        """Check the declaration; raise `ConfigError` for what cannot work."""
        self.fn = fn
        self.app = app
        self.id = id or _dashed(getattr(fn, "__name__", ""))
        self.options = options
        if not _NAME.fullmatch(self.id):
            raise ConfigError(f"Function id {self.id!r} must be lower case letters, digits, '-', '_' and '.'")
        what = f"Function {self.id!r}"
        self.signature = Signature(fn, what=what)
        if not self.signature.is_async:
            raise ConfigError(f"{what} must be `async def`; a plain def is for step bodies and tools without steps")
        if options.retries is not None and not 0 <= options.retries <= _MOST_RETRIES:
            raise ConfigError(f"{what}: retries={options.retries} must be 0 to {_MOST_RETRIES}")
        if options.links not in (None, "turn", "budget"):
            raise ConfigError(f"{what}: links={options.links!r} must be 'turn' or 'budget'")
        if options.queue is not None and options.queue not in QUEUES:
            near = did_you_mean(options.queue, QUEUES)
            raise ConfigError(f"{what}: queue={options.queue!r} is none of {', '.join(QUEUES)}{near}")
        for name in options.on:
            if name.startswith(RESERVED) and not name.startswith(f"{RESERVED}run."):
                raise ConfigError(f"{what}: events below {RESERVED!r} are the platform's own, but for celeriac/run.*")

    @property
    def name(self) -> str:
        """The id that is unique in a fleet: `app/id`."""
        return f"{self.app}/{self.id}"

    @property
    def triggers(self) -> tuple[str, ...]:
        """The events that start it: those it names, else the one of its own name."""
        return self.options.on or (self.name,)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call the body as it is."""
        return self.fn(*args, **kwargs)

    def declaration(self, *, version: str, retries: int) -> Declaration:
        """Return what the store keeps of it; `retries` is the app's default."""
        doc = (getattr(self.fn, "__doc__", None) or "").strip()
        return Declaration(
            app=self.app,
            function_id=self.id,
            triggers=self.triggers,
            queue=self.options.queue or "runs",
            version=version,
            description=self.options.description or doc.partition("\n\n")[0],
            is_internal=self.options.is_internal,
            retries=retries if self.options.retries is None else self.options.retries,
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


def trigger_names(on: str | Sequence[str]) -> tuple[str, ...]:
    """Return the triggers of an `on=`; raise `ConfigError` for what is no event name."""
    names = (on,) if isinstance(on, str) else tuple(on)
    for name in names:
        if not isinstance(name, str) or not name or "*" in name[:-1]:
            raise ConfigError(f"on={name!r} must be an event's name, or one that ends in '*'")
    return names


def _dashed(name: str) -> str:
    return name.strip("_").replace("_", "-").lower()
