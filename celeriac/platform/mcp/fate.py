"""The fate of a connection: what went wrong on the wire, and how that is told.

The SDK says of a broken transport only that the connection was closed; the transports write down here what they saw.
What is told names the server and at most its origin, never a path, a header or a key.
"""

from __future__ import annotations

from dataclasses import dataclass

import httpx2
from mcp import MCPError
from mcp_types import CONNECTION_CLOSED

from celeriac.errors import CeleriacError, FetchError, FetchRefused, McpError

_LONGEST = 500


@dataclass
class Fate:
    """What the wire has seen last."""

    error: FetchError | None = None
    #: whether the request that failed may have arrived
    was_sent: bool = False
    #: of the last request, where it was refused
    status: int | None = None


def told(server: str, error: BaseException, fate: Fate, seconds: float) -> CeleriacError:
    """Return the error of a question to the server in our own words."""
    error = _innermost(error)
    if isinstance(error, CeleriacError) and not isinstance(error, FetchError):
        return error
    what = f"MCP server {server!r}"
    if isinstance(error, FetchError):
        fate.error = fate.error or error
    if fate.error is not None:
        return McpError(
            f"{what} cannot be reached: {fate.error.message}",
            is_retriable=not isinstance(fate.error, FetchRefused),
            was_sent=fate.was_sent,
        )
    if fate.status is not None:
        return _refused(what, fate.status)
    match error:
        case TimeoutError():
            return McpError(f"{what} did not answer within {seconds:g} s", is_retriable=True, was_sent=True)
        case MCPError() if error.code == CONNECTION_CLOSED:
            return McpError(f"{what} was lost: the connection closed", is_retriable=True, was_sent=True)
        case MCPError():
            return McpError(f"{what} answers with an error: {error.message[:_LONGEST]}")
        case httpx2.TransportError():
            return McpError(f"{what} was lost: the connection broke", is_retriable=True, was_sent=True)
        case OSError():
            return McpError(f"{what} cannot be started: {error.strerror or type(error).__name__}")
        case _:
            return McpError(f"{what} answers what cannot be read ({type(error).__name__})", was_sent=True)


def _refused(what: str, status: int) -> McpError:
    if status in (401, 403):
        return McpError(f"{what} refuses the credentials (HTTP {status}); check its headers= or auth=")
    if status == 404:
        return McpError(f"{what} does not know the session or the address (HTTP 404)", is_retriable=True)
    return McpError(
        f"{what} answers with HTTP {status}", is_retriable=status in (408, 429) or status >= 500, was_sent=status >= 500
    )


def _innermost(error: BaseException) -> BaseException:
    """Return the first error that is no group; task groups wrap what went wrong in them."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
