"""The endpoint: where a tool server is and with which credentials it is asked; and the limits of asking.

Endpoints that are equal share one session in a process, so whatever tells two callers apart has to be in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from celeriac.platform.fetching.limits import FetchLimits

if TYPE_CHECKING:
    import httpx2

Transport = Literal["streamable-http", "sse", "ws", "stdio"]


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server as one caller sees it."""

    name: str
    transport: Transport
    #: http or https, also for a WebSocket; may hold a key in its query
    url: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    #: signs requests by HTTP, as the OAuth of the SDK does
    auth: httpx2.Auth | None = field(default=None, repr=False)
    command: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    #: seconds for the opening of a session, and for each answer
    timeout: float = 30.0


@dataclass(frozen=True, kw_only=True)
class McpLimits:
    """What tool servers may be, and how much they may say. Made by wiring from the settings."""

    #: whether servers may be started as commands, with the rights of the worker
    allow_stdio: bool = False
    #: the networks that they may be in, and the largest message
    fetch: FetchLimits = field(default_factory=FetchLimits)
    max_tools: int = 256
    #: of one tool's input schema, in bytes of JSON
    max_schema_bytes: int = 64 * 1024
    #: levels of objects and lists inside each other
    max_schema_depth: int = 32
    #: of all that a server offers, names and descriptions included
    max_listing_bytes: int = 256 * 1024
