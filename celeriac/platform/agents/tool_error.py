"""The error of a tool call as the model sees it: what happened, never where."""

from __future__ import annotations

from typing import Any

from celeriac.errors import CeleriacError, StepError, ToolError

_LONGEST = 2_000


def failure(name: str, message: str) -> dict[str, Any]:
    """Return an error as the model sees it."""
    return {"error": {"name": name, "message": message[:_LONGEST]}}


def failure_of(error: Exception) -> dict[str, Any]:
    """Return a tool's exception as the model sees it, without its stack trace."""
    if isinstance(error, ToolError):
        return failure("ToolError", error.message)
    if isinstance(error, StepError):
        return failure(error.error_name, error.detail)
    name = error.code if isinstance(error, CeleriacError) else type(error).__name__
    return failure(name, str(error))
