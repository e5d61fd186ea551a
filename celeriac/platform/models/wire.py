"""What the wire forms of all providers share: tool inputs and results as JSON, call ids, bodies, headers.

Called by the adapters; knows no provider. Reading is lenient (a reply is never refused for a missing field), sending is
strict.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote

from celeriac.errors import ConfigError
from celeriac.platform.message import Message, ToolCall, ToolResult

if TYPE_CHECKING:
    from celeriac.platform.models.form import Asked

#: the header that names the step a request belongs to
STEP_HEADER = "x-celeriac-step"

#: what a request is made of; the rest of a body is the user's
_OURS = frozenset({"model", "messages", "system", "tools", "tool_choice", "stream", "input", "instructions"})

#: how deep the input of a call may be nested: nothing that anybody means is deeper, and what keeps it has an end
_DEEPEST = 100

#: printable ASCII but for the percent sign, which introduces an escaped byte
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) != "%")


def checked_params(provider: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the user's own parameters; raise `ConfigError` for one that the request fills itself."""
    if taken := sorted(_OURS & params.keys()):
        raise ConfigError(f"{provider}(…, {taken[0]}=…) cannot be set on a model: each request brings its own")
    return dict(params)


def with_params(body: dict[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Add the user's parameters to a body; where both hold an object under one name, ours wins in it."""
    out = {**body, **params}
    for name in body.keys() & params.keys():
        mine, theirs = body[name], params[name]
        if isinstance(mine, dict) and isinstance(theirs, Mapping):
            out[name] = {**theirs, **mine}
    return out


def only_a_users(asked: Asked, message: Message) -> None:
    """Raise `ModelError` for attachments that do not stand in a user's message: no provider takes them elsewhere."""
    if message.role != "user":
        raise asked.unsendable(f"attachments in a message of role {message.role!r}; only a user's message has them")


def step_header(origin: str | None) -> dict[str, str]:
    """Name the step in a header, percent-encoded where a step's id is not plain ASCII."""
    return {STEP_HEADER: quote(origin, safe=_PLAIN)} if origin else {}


def to_json(value: Any) -> str:
    """Write JSON as models read it best: compact, letters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def result_text(result: ToolResult) -> str:
    """Write what the model sees of a tool's result."""
    return to_json(result.content())


def sent_input(call: ToolCall) -> dict[str, Any]:
    """Return a call's input as it goes back to the model; broken JSON would be refused, so it stands in an object."""
    return call.input if call.broken_input is None else {"broken_input": call.broken_input}


def read_calls(calls: Iterable[tuple[str | None, str | None, object]]) -> tuple[ToolCall, ...]:
    """Make tool calls of (id, name, arguments); missing or repeated ids become `call_<place>`, the same each time."""
    out: list[ToolCall] = []
    taken: set[str] = set()
    for place, (call_id, name, arguments) in enumerate(calls):
        unique = call_id if isinstance(call_id, str) and call_id and call_id not in taken else f"call_{place}"
        while unique in taken:  # an earlier one was given this very name by its provider
            unique += "_"
        taken.add(unique)
        value, broken = _read_arguments(arguments)
        out.append(ToolCall(id=unique, name=name if isinstance(name, str) else "", input=value, broken_input=broken))
    return tuple(out)


def decoded(data: str) -> str:
    """Return the text that Base64 stands for."""
    return base64.b64decode(data).decode(errors="replace")


def read_body(content: bytes) -> dict[str, Any] | None:
    """Parse a reply's body; None where it is no JSON object."""
    try:
        body = parsed(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def parsed(text: str | bytes) -> Any:
    """Parse what a provider wrote, with null for numbers that are none; raise `ValueError` for what is no JSON."""
    try:
        return json.loads(text, parse_constant=lambda _: None, parse_float=_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parsed_input(text: str) -> Any:
    """Parse what a model wrote as the input of a call; raise `ValueError` for what is no JSON that can be kept."""
    try:
        value = json.loads(text, parse_constant=_refused, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    level = [value]
    for _ in range(_DEEPEST):
        level = [part for one in level for part in _parts(one)]
        if not level:
            return value
    raise ValueError("nested too deeply")


def count(usage: object, *path: str) -> int:
    """Return a figure of a usage object, 0 where it is missing or null."""
    value = usage
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    return int(value) if isinstance(value, int | float) else 0


def _read_arguments(arguments: object) -> tuple[dict[str, Any], str | None]:
    """Return the input object, or what was sent in its place; no arguments at all are an empty object."""
    if isinstance(arguments, dict):
        return arguments, None
    if not isinstance(arguments, str):
        return {}, None if arguments is None else to_json(arguments)
    if not arguments.strip():
        return {}, None
    try:
        value = parsed_input(arguments)
    except ValueError:
        return {}, arguments
    return (value, None) if isinstance(value, dict) else ({}, arguments)


def _number(digits: str) -> float | None:
    value = float(digits)
    return value if math.isfinite(value) else None


def _finite(digits: str) -> float:
    value = _number(digits)
    return _refused(digits) if value is None else value


def _refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _parts(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
