"""The conversation: what agents said and did, read from the steps of a run.

Pure: `turns` tells the run as a story for the top of its page, `bubbles` shows everything that one model call was
given. Steps may come from another version of the app, so nothing is taken for granted about what they hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from celeriac.platform.agents.patch import apply
from celeriac.platform.approval import APPROVAL_STEP, REQUEST_STEP, Decision
from celeriac.platform.durable.reads import StepView
from celeriac.platform.message import Usage
from celeriac.web.dashboard.timeline import kind_of, name_of, span_of, status_of


@dataclass(kw_only=True)
class Call:
    """A tool call beside its result."""

    name: str
    input: Any = None
    data: Any = None
    error: dict[str, Any] | None = None
    #: completed | failed | waiting | retrying | open; `asked` where only the question is known
    status: str = "open"
    #: the id of the approval that it asked for
    approval: str | None = None
    decision: Decision | None = None


@dataclass(frozen=True, kw_only=True)
class Bubble:
    """Something said; what a tool answered stands beside its call."""

    role: str
    text: str = ""
    agent: str | None = None
    calls: list[Call] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What one model call came to."""

    model: str
    text: str
    calls: list[Call]
    usage: Usage
    latency: timedelta | None
    status: str
    error: dict[str, str] | None


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One turn of an agent: its replies, and how the state changed by it."""

    number: int
    agent: str
    status: str
    replies: list[Reply]
    patch: list[Any]
    state: Any


def turns(steps: list[StepView]) -> list[Turn]:
    """Return the turns of all networks of the run, in the order of the tree."""
    return [_turn(number, step) for number, step in enumerate(_turn_steps(steps), start=1)]


def state_after(step: StepView) -> Any:
    """Return the network's state after a committed turn; None where the turn does not tell."""
    out, before = _dict(step.output), _dict(step.input).get("state")
    changes = patch_of(step)
    if not out or before is None or not all(map(_is_change, changes)):
        return out.get("state")
    return apply(before, [{"op": "set", **change} for change in changes])


def patch_of(step: StepView) -> list[Any]:
    """Return what a turn has changed, as it was written down."""
    return _list(_dict(step.output).get("patch"))


def bubbles(step: StepView) -> list[Bubble]:
    """Return the messages that a model call was given, and its reply as the last one."""
    given, out = _dict(step.input), _dict(step.output)
    shown: list[Bubble] = []
    if system := given.get("system"):
        shown.append(Bubble(role="system", text=str(system)))
    for message in map(_dict, _list(given.get("messages"))):
        result = _dict(message.get("tool_result"))
        if message.get("role") == "tool" and result:
            _answer(shown, result)
        else:
            shown.append(_bubble(str(message.get("role", "?")), message))
    if out:
        shown.append(_bubble("assistant", out))
        for call in shown[-1].calls:
            call.status = "asked"
    return shown


def _turn_steps(steps: list[StepView]) -> Iterator[StepView]:
    for step in steps:
        if kind_of(step) == "turn":
            yield step
        yield from _turn_steps(step.children)


def _turn(number: int, step: StepView) -> Turn:
    tools = [child for child in step.children if kind_of(child) == "tool"]
    replies = [_reply(child, tools) for child in step.children if child.kind == "model"]
    return Turn(
        number=number,
        agent=name_of(step),
        status=status_of(step),
        replies=replies,
        patch=patch_of(step),
        state=state_after(step),
    )


def _reply(step: StepView, tools: list[StepView]) -> Reply:
    out, span = _dict(step.output), span_of(step)
    calls = [
        Call(name=str(call.get("name")), input=call.get("input")) for call in map(_dict, _list(out.get("tool_calls")))
    ]
    for call in calls:
        if tool := next((tool for tool in tools if name_of(tool) == call.name), None):
            tools.remove(tool)
            result = _dict(tool.output)
            call.data, call.error = result.get("data"), _error(result) or tool.error
            call.status = "failed" if call.error else status_of(tool)
            call.approval, call.decision = _approval(tool)
    return Reply(
        model=str(out.get("model") or _dict(step.input).get("model") or "model"),
        text=str(out.get("text") or ""),
        calls=calls,
        usage=_usage(out),
        latency=span[1] - span[0] if span else None,
        status=step.status,
        error=step.error,
    )


def _approval(tool: StepView) -> tuple[str | None, Decision | None]:
    """Return the id of the approval that a call asked for, and what came of it; a tool's own steps are neither."""
    inside = {step.path.rpartition("/")[2]: step for step in tool.children}
    request, answer = inside.get(REQUEST_STEP), inside.get(APPROVAL_STEP)
    id = None if request is None else _dict(request.output).get("id")
    if answer is None or answer.kind != "signal" or not isinstance(id, str):
        return None, None
    return id, Decision.parse(answer.output) if answer.status == "completed" else None


def _bubble(role: str, message: dict[str, Any]) -> Bubble:
    calls = [
        Call(name=str(call.get("name")), input=call.get("input"))
        for call in map(_dict, _list(message.get("tool_calls")))
    ]
    return Bubble(role=role, text=str(message.get("text") or ""), agent=message.get("agent"), calls=calls)


def _answer(shown: list[Bubble], result: dict[str, Any]) -> None:
    """Put a result beside the oldest call of its name that has none; call ids may be empty or repeated."""
    name = str(result.get("name"))
    call = next(
        (call for bubble in shown for call in bubble.calls if call.name == name and call.status == "open"), None
    )
    if call is None:
        call = Call(name=name)
        shown.append(Bubble(role="tool", calls=[call]))
    call.data, call.error = result.get("data"), _error(result)
    call.status = "failed" if call.error else "completed"


def _error(result: dict[str, Any]) -> dict[str, Any] | None:
    """Return why a call failed; other versions, and models of one's own, may say it in other words."""
    error = result.get("error")
    return error if isinstance(error, dict) or not error else {"message": str(error)}


def _is_change(change: Any) -> bool:
    """Say whether a change is one that can be made."""
    given = _dict(change)
    path, added = given.get("path"), given.get("op") in ("append", "discard")
    is_place = isinstance(path, list) and all(isinstance(key, str) for key in path)
    return is_place and (not added or isinstance(given.get("value"), list))


def _usage(out: dict[str, Any]) -> Usage:
    return Usage.parse(_dict(out.get("usage")))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
