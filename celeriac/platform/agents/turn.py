"""The turn: one agent's model calls with the tool calls that they ask for.

Runs inside the scope of its turn. Each model call and each tool call is a step; the tool calls of one reply run side
by side on views of the network's run of their own, whose changes are merged in the order of the calls.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from celeriac.platform.agents.patch import Change, apply, conflicts, diff
from celeriac.platform.agents.state import State, StateType
from celeriac.platform.agents.tool import failure, failure_of
from celeriac.platform.agents.toolbox import AnyTool, Toolbox
from celeriac.platform.calling import call_function
from celeriac.platform.context import Context, enter_context
from celeriac.platform.inference import infer
from celeriac.platform.message import Message, ToolCall, ToolResult, Usage
from celeriac.platform.models.model import Model, ModelRequest
from celeriac.platform.result import AgentResult
from celeriac.platform.signature import did_you_mean

if TYPE_CHECKING:
    from celeriac.platform.agents.agent import Agent


async def take_turn(
    ctx: Context[Any], agent: Agent[Any, Any], model: Model, prompt: Sequence[Message], state_type: StateType
) -> AgentResult[Any]:
    """Let the agent answer, with at most `agent.max_iter` model calls; it stops at a reply without tool calls.

    `prompt` is the conversation up to now, the new input in it. Changes that tools make to the state are merged into
    `ctx.state`.
    """
    system = agent.system
    if callable(system):
        system = await call_function(ctx.step.kernel, system, *((ctx,) if agent.system_takes_context else ()))
    messages: list[Message] = []
    usage, calls_made = Usage(), 0
    reply = None
    toolbox = Toolbox(agent)
    for _ in range(agent.turn_limit(ctx)):
        await toolbox.refresh(ctx)
        request = ModelRequest(
            agent=agent.name,
            system=f"{system}\n\n{toolbox.note}".strip() if toolbox.note else system,
            messages=(*prompt, *messages),
            tools=tuple(tool.spec for tool in toolbox.tools.values()),
            tool_choice=toolbox.choice,
        )
        reply = await infer(ctx.step, "infer", model, request)
        usage += reply.usage
        messages.append(reply.message(agent.name))
        if not reply.tool_calls:
            break
        calls = _Calls(ctx, toolbox.tools, state_type)
        messages += await calls.make(reply.tool_calls, first=calls_made + 1)
        calls_made += len(reply.tool_calls)
    usage += Usage(tool_calls=calls_made)
    result: AgentResult[Any] = AgentResult(
        agent=agent.name,
        model=(reply and reply.by) or f"{model.provider}:{model.name}",
        messages=tuple(messages),
        output="",
        usage=usage,
        finish_reason=reply.finish_reason if reply else "stop",
        prompt=tuple(prompt),
        raw=dict(reply.raw) if reply else {},
    )
    return AgentResult(**{**result.__dict__, "output": result.text})


class _Calls:
    """The tool calls of one reply."""

    def __init__(self, ctx: Context[Any], tools: Mapping[str, AnyTool], state_type: StateType) -> None:
        self._ctx = ctx
        self._tools = tools
        self._state_type = state_type

    async def make(self, calls: Sequence[ToolCall], *, first: int) -> list[Message]:
        """Run the calls, those that may side by side; return the messages with their results, in order."""
        messages = []
        for group in _groups(list(enumerate(calls, first)), self._tools):
            made = [self._step(number, call) for number, call in group]
            values = [await made[0]] if len(made) == 1 else await asyncio.gather(*made)
            self._merge(values)
            for (_, call), value in zip(group, values, strict=True):
                result = ToolResult(call_id=call.id, name=call.name, data=value.get("data"), error=value.get("error"))
                messages.append(Message.tool(result, agent=self._ctx.agent.name))
        return messages

    async def _step(self, number: int, call: ToolCall) -> dict[str, Any]:
        tool = self._tools.get(call.name)
        value: dict[str, Any]
        try:
            value = await self._ctx.step.scoped(
                f"tool:{number}:{_plain(call.name)}",
                lambda: self._answer(tool, call),
                kind="tool",
                input=call.input,
                retries=tool.retries if tool else 0,
                usage=lambda _: Usage(tool_calls=1),
            )
        except Exception as error:  # noqa: BLE001  # a tool fails its call, never the run
            return failure_of(error)
        return value

    async def _answer(self, tool: AnyTool | None, call: ToolCall) -> dict[str, Any]:
        if tool is None:
            near = did_you_mean(call.name, self._tools)
            return failure("UnknownTool", f"There is no tool {call.name!r}{near}. Tools: {', '.join(self._tools)}")
        before = self._state_type.dump(self._ctx.state.data)
        view = State(
            self._state_type.load(before, self._ctx.state.data),
            messages=self._ctx.state.messages,
            results=self._ctx.state.results,
            thread_id=self._ctx.state.thread_id,
        )
        network = self._ctx.network.view(view)
        ctx = self._ctx.bound(tool_call=call, state=view, network=network)
        known = len(network.stack)
        with enter_context(ctx):
            try:
                content = await tool.answer(ctx.step.kernel, ctx)
            except Exception as error:
                if tool.retries:
                    raise
                return failure_of(error)
        if "error" in content:
            return content
        patch = diff(before, self._state_type.dump(view.data))
        change = {"patch": patch, "scheduled": network.stack[known:], "stop": network.asked_to_stop}
        return content | {part: value for part, value in change.items() if value}

    def _merge(self, values: Sequence[dict[str, Any]]) -> None:
        network = self._ctx.network
        for value in values:
            network.schedule(*value.get("scheduled", ()))
            network.asked_to_stop = value.get("stop", network.asked_to_stop)
        patches: list[list[Change]] = [value.get("patch", []) for value in values]
        if not any(patches):
            return
        merged = self._state_type.dump(self._ctx.state.data)
        for patch in patches:
            merged = apply(merged, patch)
        self._ctx.state.data = self._state_type.load(merged, self._ctx.state.data)
        if twice := conflicts(patches):
            self._ctx.log.warning("Parallel tool calls set the same state twice, the later call won: %s", twice)


def _groups(calls: list[tuple[int, ToolCall]], tools: Mapping[str, AnyTool]) -> list[list[tuple[int, ToolCall]]]:
    """Split the calls, in order, into groups that may run side by side; a tool with parallel=False stands alone."""
    groups: list[list[tuple[int, ToolCall]]] = []
    is_open = False
    for number, call in calls:
        tool = tools.get(call.name)
        is_parallel = tool is None or tool.parallel
        if is_open and is_parallel:
            groups[-1].append((number, call))
        else:
            groups.append([(number, call)])
        is_open = is_parallel
    return groups


def _plain(name: str) -> str:
    """Return a tool's name as a model gave it so that it can stand in a path."""
    return re.sub(r"[^\w.-]", "_", name)[:100] or "unnamed"
