"""The listing: what a server offers, as a model may be shown it. Pure.

Schemas are given on as the server gives them. What cannot be offered is refused by name, with what to do about it: a
tool that is left out in silence is one that nobody misses until it is needed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from celeriac.errors import McpError
from celeriac.platform.codec import storable
from celeriac.platform.mcp.endpoint import McpLimits

if TYPE_CHECKING:
    from mcp_types import Tool

#: what providers take as the name of a tool
_LONGEST_NAME = 64
_ODD = re.compile(r"[^A-Za-z0-9_-]")


def listed(
    server: str, tools: Iterable[Tool], limits: McpLimits, *, include: Sequence[str] | None, exclude: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the tools that are wanted as plain JSON: `name`, `tool` (the server's own), `description`, `schema`.

    `is_repeatable` tells whether the server says that a second call does no harm. Raises `McpError`, not to be tried
    again, for what is too large or cannot be told apart.
    """
    offered: dict[str, dict[str, Any]] = {}
    for tool in tools:
        if not _is_wanted(tool.name, include, exclude):
            continue
        name = f"{server}-{_ODD.sub('_', tool.name)}"
        if name in offered:
            _refuse(server, f"names two tools {name!r}", tool.name)
        if len(name) > _LONGEST_NAME:
            _refuse(server, f"has a tool whose name {name!r} is longer than {_LONGEST_NAME} characters", tool.name)
        _check_schema(server, tool, limits)
        hints = tool.annotations
        offered[name] = {
            "name": name,
            "tool": tool.name,
            "description": storable(tool.description or tool.title or ""),
            "schema": _schema(storable(tool.input_schema)),
            "is_repeatable": bool(hints and (hints.read_only_hint or hints.idempotent_hint)),
        }
    size = len(json.dumps(list(offered.values())))
    if size > limits.max_listing_bytes or len(offered) > limits.max_tools:
        raise McpError(
            f"MCP server {server!r} offers {len(offered)} tools of {size} bytes; the limits are {limits.max_tools} and "
            f"{limits.max_listing_bytes}; choose some with include="
        )
    return list(offered.values())


def _schema(given: dict[str, Any]) -> dict[str, Any]:
    """Return it as it is; some providers refuse an object that says nothing of its properties."""
    return given if "properties" in given else {**given, "properties": {}}


def _is_wanted(name: str, include: Sequence[str] | None, exclude: Sequence[str]) -> bool:
    is_in = include is None or any(fnmatchcase(name, pattern) for pattern in include)
    return is_in and not any(fnmatchcase(name, pattern) for pattern in exclude)


def _check_schema(server: str, tool: Tool, limits: McpLimits) -> None:
    # The depth first: what is nested without end cannot be written as JSON.
    if _is_deeper(tool.input_schema, limits.max_schema_depth):
        _refuse(server, f"has a schema of {tool.name!r} deeper than {limits.max_schema_depth} levels", tool.name)
    size = len(json.dumps(tool.input_schema))
    if size > limits.max_schema_bytes:
        _refuse(
            server,
            f"has a schema of {tool.name!r} with {size} bytes; the limit is {limits.max_schema_bytes}",
            tool.name,
        )


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True


def _refuse(server: str, what: str, tool: str) -> None:
    raise McpError(f"MCP server {server!r} {what}; leave it out with exclude=[{tool!r}]")
