"""The MCP server among an agent's tools: what it offers, asked for at each model call, and its tools as ours.

Declared here, asked through `celeriac.platform.mcp`. What the server offers is remembered like everything else that a
turn sees, so that a replay needs no server and a call is checked by the schema that the model was shown.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, get_args

from celeriac.clock import Duration, duration
from celeriac.errors import ConfigError, FetchRefused, McpError
from celeriac.platform import outside
from celeriac.platform.agents.approval import Approval, ask_approval
from celeriac.platform.agents.tool_error import failure
from celeriac.platform.calling import call_function
from celeriac.platform.codec import encode
from celeriac.platform.context import Context
from celeriac.platform.fetching.request import Request
from celeriac.platform.kernel import Kernel
from celeriac.platform.mcp.endpoint import Endpoint, McpLimits, Transport
from celeriac.platform.models.model import ToolSpec
from celeriac.platform.models.strict_schema import without_nulls
from celeriac.platform.signature import checks_options, did_you_mean, takes_context

if TYPE_CHECKING:
    import httpx2

    from celeriac.platform.mcp.connection import Connection

Headers = Mapping[str, str] | Callable[..., Any]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,31}")
_LONGEST_SECONDS = 600.0


class McpServer:
    """A server of tools, by URL or as a command; stands among `tools=` of an agent, its tools are `<name>-<tool>`."""

    @checks_options
    def __init__(
        self,
        name: str,
        url: str | None = None,
        *,
        transport: Transport | None = None,
        headers: Headers | None = None,
        auth: str | Callable[..., Any] | httpx2.Auth | None = None,
        command: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        timeout: Duration = "30s",
        retries: int = 2,
        required: bool = True,
        approval: bool | Sequence[str] = False,
    ) -> None:
        """Check the declaration; raise `ConfigError` for what cannot work.

        The transport follows from the address: `streamable-http`, or `ws` for ws:// and wss://; name `sse` for servers
        of the older kind. `headers` and `auth` (a bearer token) are values or functions `(ctx)`, which may read what a
        tenant brought along. `include`, `exclude` and `approval` are names or patterns of the server's tools; a person
        has to approve the calls of those that `approval` names, or of all for True. With `required=False` an agent
        goes on without a server that is down, and its model is told.
        """
        if any(isinstance(one, str) for one in (command, include, exclude, approval)):
            raise ConfigError(f"MCP server {name!r}: command=, include=, exclude= and approval= are lists")
        self.name, self.headers, self.auth = name, headers, auth
        self.url, self.command, self.env = url, tuple(command), dict(env or {})
        self.include, self.exclude = None if include is None else tuple(include), tuple(exclude)
        self.timeout = duration(timeout).total_seconds()
        self.retries, self.required = retries, required
        self.approval = approval if isinstance(approval, bool) else tuple(approval)
        self.transport: Transport = transport or self._transport()
        self._check()

    def _transport(self) -> Transport:
        if self.command:
            return "stdio"
        return "ws" if (self.url or "").startswith(("ws://", "wss://")) else "streamable-http"

    def _check(self) -> None:
        what = f"MCP server {self.name!r}"
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"{what}: a name has 1 to 32 letters, digits, '_' and '-'; its tools are <name>-<tool>")
        if self.transport not in get_args(Transport):
            near = did_you_mean(self.transport, get_args(Transport))
            raise ConfigError(f"{what}: there is no transport {self.transport!r}{near}")
        if (self.url is None) == (not self.command) or (self.transport == "stdio") != bool(self.command):
            raise ConfigError(f"{what} needs either a URL or command=[…], which is what transport='stdio' is for")
        if self.command and (self.headers is not None or self.auth is not None):
            raise ConfigError(f"{what} is a command; give it what it needs in env=, not headers= or auth=")
        if self.transport == "ws" and self.auth is not None and not isinstance(self.auth, str | Callable):
            raise ConfigError(f"{what}: a WebSocket takes a token or a function as auth=")
        if not 0 < self.timeout <= _LONGEST_SECONDS or self.retries < 0:
            raise ConfigError(f"{what}: timeout= is at most {_LONGEST_SECONDS:g} s, retries= at least 0")
        if self.url is not None and not self.url.startswith(("http://", "https://", "ws://", "wss://")):
            raise ConfigError(f"{what}: a URL begins with https:// or wss://")

    def needs_approval(self, tool: str) -> bool:
        """Whether a person has to approve calls of this tool, by the server's own name of it."""
        if isinstance(self.approval, bool):
            return self.approval
        return any(fnmatchcase(tool, pattern) for pattern in self.approval)

    async def listing(self, ctx: Context[Any]) -> list[dict[str, Any]]:
        """Ask for what the server offers now, as plain JSON; raise `McpError` or `ConfigError` where there is none."""
        await _load()
        from celeriac.platform.mcp.listing import listed

        limits = ctx.step.kernel.mcp_limits
        tools = await self.ask(ctx, limits, lambda connection: connection.tools(), is_repeatable=True)
        return listed(self.name, tools, limits, include=self.include, exclude=self.exclude)

    async def ask(
        self,
        ctx: Context[Any],
        limits: McpLimits,
        question: Callable[[Connection], Any],
        *,
        is_repeatable: bool,
    ) -> Any:
        """Ask the server with the credentials that the context makes."""
        await _load()
        from celeriac.platform.mcp.sessions import ask

        endpoint = await self._endpoint(ctx)
        return await outside.apart(ask(endpoint, limits, question, is_repeatable=is_repeatable))

    async def _endpoint(self, ctx: Context[Any]) -> Endpoint:
        headers = self.headers
        if callable(headers):
            headers = await _called(ctx, headers)
        given = dict(headers or {})
        token: Any = self.auth
        if callable(token) and not _is_signer(token):
            token = await _called(ctx, token)
        if isinstance(token, str):
            given["Authorization"] = f"Bearer {token}"
        url = re.sub(r"^ws", "http", self.url or "")
        try:
            Request(url=url, headers=given)
        except FetchRefused as error:
            raise ConfigError(f"MCP server {self.name!r}: {error.message}") from error
        return Endpoint(
            name=self.name,
            transport=self.transport,
            url=url,
            headers=tuple(sorted(given.items())),
            auth=token if _is_signer(token) else None,
            command=self.command,
            env=tuple(sorted(self.env.items())),
            timeout=self.timeout,
        )

    def __repr__(self) -> str:
        """Name the server alone: its address may hold a key."""
        return f"McpServer({self.name!r})"


@dataclass(frozen=True, kw_only=True)
class McpTool:
    """A tool as its server has offered it."""

    server: McpServer
    #: the server's own name of it
    tool: str
    spec: ToolSpec
    is_repeatable: bool
    parallel: bool = True

    @classmethod
    def of(cls, server: McpServer, offered: Mapping[str, Any]) -> McpTool:
        """Read one tool of a listing."""
        # Never strict: the schema goes to the model as its server has written it.
        spec = ToolSpec(
            name=offered["name"], description=offered["description"], schema=offered["schema"], strict=False
        )
        return cls(server=server, tool=offered["tool"], spec=spec, is_repeatable=offered["is_repeatable"])

    @property
    def name(self) -> str:
        """What models call it."""
        return self.spec.name

    @property
    def retries(self) -> int:
        """How often a call is tried again that could not be made."""
        return self.server.retries

    async def answer(self, kernel: Kernel, ctx: Context[Any]) -> dict[str, Any]:
        """Make the call in `ctx.tool_call`; return `{"data": …}` or `{"error": {"name", "message"}}`.

        Raises `McpError` where the next attempt may go better and does no harm.
        """
        call = ctx.tool_call
        if call.broken_input is not None:
            return failure("InvalidArguments", f"The arguments are no JSON object: {call.broken_input[:200]}")
        await _load()
        from celeriac.platform.mcp.arguments import misfit
        from celeriac.platform.mcp.content import data_of, error_of

        given = without_nulls(self.spec.schema, call.input)
        if (reason := misfit(dict(self.spec.schema), given)) is not None:
            return failure("InvalidArguments", reason)
        approval: Approval = self.server.needs_approval(self.tool)
        if (denied := await ask_approval(ctx, approval, given)) is not None:
            return denied
        try:
            result = await self.server.ask(
                ctx,
                kernel.mcp_limits,
                lambda connection: connection.call(self.tool, given),
                is_repeatable=self.is_repeatable,
            )
        except McpError as error:
            if error.was_sent and not self.is_repeatable:
                return failure(error.code, f"{error.message}; the call may have been carried out all the same")
            if error.is_retriable:
                raise
            return failure(error.code, error.message)
        return failure("ToolError", error_of(result)) if result.is_error else {"data": data_of(result)}


def digest(listing: Sequence[Mapping[str, Any]]) -> str:
    """Return what tells two listings apart."""
    return hashlib.sha256(encode(list(listing)).encode()).hexdigest()[:16]


async def close_servers() -> None:
    """Close the sessions of the running loop, where there are any; a later call opens new ones."""
    sessions = sys.modules.get("celeriac.platform.mcp.sessions")
    if sessions is not None:
        await sessions.close_sessions()


async def _called(ctx: Context[Any], fn: Callable[..., Any]) -> Any:
    given = (ctx,) if takes_context(fn) else ()
    return await call_function(ctx.step.kernel, fn, *given)


def _is_signer(auth: Any) -> bool:
    return hasattr(auth, "async_auth_flow")


async def _load() -> None:
    """Import the SDK at its first use, beside the loop: it takes one to two seconds."""
    try:
        await outside.load("httpx2", "mcp", "celeriac.platform.mcp.sessions", "celeriac.platform.mcp.arguments")
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("mcp", "mcp_types"):
            raise
        raise ConfigError("MCP servers need the SDK of the protocol: pip install 'celeriac[mcp]'") from error
