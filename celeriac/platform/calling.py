"""Calling: functions of the user's, with arguments that a rerun may have edited, and the types of what they return."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError

from celeriac.errors import ConfigError, NonRetriableError
from celeriac.platform.codec import decoder, return_type
from celeriac.platform.kernel import Kernel
from celeriac.platform.signature import is_async, problems
from celeriac.platform.way_back import call_in_thread


async def call_function(kernel: Kernel, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function of the user's: a coroutine function here, a plain one in the kernel's threads."""
    if is_async(fn):
        return await fn(*args, **kwargs)
    result = await call_in_thread(kernel.executor, fn, args, kwargs)
    return await result if inspect.isawaitable(result) else result


def returned(path: str, fn: Callable[..., Any], plain: Any) -> Any:
    """Return plain JSON as the type that `fn` says it returns; raise `NonRetriableError` where it does not fit."""
    try:
        return decoder(return_type(fn))(plain)
    except ValidationError as error:
        raise NonRetriableError(f"Step {path!r} returned what its annotation forbids: {problems(error)}") from error


def edited_arguments(path: str, fn: Callable[..., Any], given: Any) -> Sequence[Any]:
    """Return the arguments that an edited input makes; raise `ConfigError` where `fn` does not take them."""
    if not isinstance(given, list):
        raise ConfigError(f"The edited input of step {path!r} must be a list of its arguments")
    try:
        signature = inspect.signature(fn, eval_str=True)
    except (TypeError, ValueError, NameError):
        return given
    try:
        bound = signature.bind(*given).arguments
        return [one for name, value in bound.items() for one in _arguments(signature.parameters[name], value)]
    except (TypeError, ValidationError) as error:
        told = problems(error) if isinstance(error, ValidationError) else error
        raise ConfigError(f"The edited input of step {path!r} does not fit its function: {told}") from error


def _arguments(parameter: inspect.Parameter, value: Any) -> list[Any]:
    decode = decoder(parameter.annotation)
    return [decode(one) for one in value] if parameter.kind is parameter.VAR_POSITIONAL else [decode(value)]
