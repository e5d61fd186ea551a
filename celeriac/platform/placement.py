"""Placement: the work of a step written down, so that another process can do it.

A step of another queue names its function by module and name and carries its arguments as plain JSON. Called by the
step that places work and by the process that performs it.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from celeriac.errors import ConfigError
from celeriac.platform.codec import Uncodable, decoder, encode

#: the queues that take steps
PLACES = ("cpu",)

#: how many arguments of `*args` are read by their annotation
_MOST_ARGS = 100


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What is to be done elsewhere: `module:name(*args)`."""

    queue: str
    module: str
    name: str
    args: tuple[Any, ...] = ()
    #: None: as the run says
    retries: int | None = None
    timeout: timedelta | None = None

    def encode(self) -> str:
        """Return it as JSON text, without the queue."""
        seconds = None if self.timeout is None else self.timeout.total_seconds()
        return json.dumps([self.module, self.name, list(self.args), self.retries, seconds])

    @classmethod
    def decode(cls, queue: str, text: str) -> Placement:
        """Read back what `encode` wrote."""
        module, name, args, retries, seconds = json.loads(text)
        timeout = None if seconds is None else timedelta(seconds=seconds)
        return cls(queue=queue, module=module, name=name, args=tuple(args), retries=retries, timeout=timeout)


def place(
    path: str,
    fn: Callable[..., Any],
    args: Sequence[Any],
    *,
    queue: str,
    retries: int | None,
    timeout: timedelta | None,
) -> Placement:
    """Write the call down; raise `ConfigError` where another process could not find the function or read its values."""
    if queue not in PLACES:
        raise ConfigError(f"Step {path!r}: queue={queue!r} is none of {', '.join(PLACES)}; leave it out to work here")
    module, name = getattr(fn, "__module__", ""), getattr(fn, "__qualname__", "")
    found = getattr(importlib.import_module(module), name, None) if module and "." not in name else None
    # A decorated function stands under its name as what the decorator made of it: a Tool, or a wrapper.
    if found is None or fn not in (found, getattr(found, "fn", None), inspect.unwrap(found)) or module == "__main__":
        raise ConfigError(
            f"Step {path!r}: another process cannot find {name or fn!r}; a step with queue= takes a function of a "
            "module, no lambda, no inner function and no method"
        )
    try:
        plain = json.loads(encode(list(args)))
    except Uncodable as error:
        raise ConfigError(f"Step {path!r}: an argument of a step with queue= {error}") from error
    return Placement(queue=queue, module=module, name=name, args=tuple(plain), retries=retries, timeout=timeout)


def load(placement: Placement) -> tuple[Callable[..., Any], list[Any]]:
    """Return the function and its arguments as its annotations want them."""
    fn: Callable[..., Any] = getattr(importlib.import_module(placement.module), placement.name)
    parameters = inspect.signature(fn, eval_str=True).parameters.values()
    kinds = [one.annotation for one in parameters for _ in range(1 if one.kind != one.VAR_POSITIONAL else _MOST_ARGS)]
    return fn, [decoder(kind)(value) for kind, value in zip(kinds, placement.args, strict=False)]
