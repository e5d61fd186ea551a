"""The tool calls of one reply: each a step, side by side, on views of the network's run of their own.

What the calls change in the state is merged in the order of the calls, live and on replay.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from celeriac.ids import derived_id
from celeriac.platform.agents.budget import Used, spent_by
from celeriac.platform.agents.patch import Change, apply, conflicts
from celeriac.platform.agents.side_by_side import side_by_side
from celeriac.platform.agents.state import StateType
from celeriac.platform.agents.telling import TurnTelling
from celeriac.platform.agents.tool_error import failure, failure_of
from celeriac.platform.agents.toolbox import AnyTool
from celeriac.platform.agents.turn_telling import plain_name
from celeriac.platform.context import Context, enter_context
from celeriac.platform.message import NOTHING, Message, ToolCall, ToolResult, Usage
from celeriac.platform.signature import did_you_mean

#: a call with its number in the turn
_Numbered = tuple[int, ToolCall]


class ToolCalls:
    """Makes the tool calls of one reply."""

    def __init__(
        self, ctx: Context[Any], tools: Mapping[str, AnyTool], state_type: StateType, telling: TurnTelling
    ) -> None:
        """Work in the scope of the turn that `ctx` is in."""
        self._ctx = ctx
        self._tools = tools
        self._state_type = state_type
        self._telling = telling
        #: the turn's, to which comes what the calls use, with the agents and networks inside them
        self._used: Used = ctx.part("used")

    async def make(self, calls: Sequence[ToolCall], *, first: int) -> list[Message]:
        """Run the calls, those that may side by side; return the messages with their results, in order.

        Results are told in the order of the calls too, each as soon as it and those before it are there.
        """
        messages: list[Message] = []
        for group in _groups(list(enumerate(calls, first)), self._tools):
            values: list[dict[str, Any]] = []
            async with side_by_side([self._step(number, call) for number, call in group]) as under_way:
                for (number, call), step in zip(group, under_way, strict=True):
                    values.append(await step)
                    messages.append(self._message(number, call, values[-1]))
            self._merge(values)
        return messages

    def _message(self, number: int, call: ToolCall, value: Mapping[str, Any]) -> Message:
        result = ToolResult(call_id=call.id, name=call.name, data=value.get("data"), error=value.get("error"))
        self._telling.answered(number, result)
        id = derived_id("msg", self._ctx.run.id, self._ctx.step.path, str(number))
        return Message("tool", tool_result=result, agent=self._ctx.agent.name, id=id)

    async def _step(self, number: int, call: ToolCall) -> dict[str, Any]:
        tool = self._tools.get(call.name)
        self._telling.calls(number, call.name)
        value: dict[str, Any]
        used, spent = Used(), NOTHING
        try:
            value = await self._ctx.step.scoped(
                f"tool:{number}:{plain_name(call.name)}",
                lambda: self._answer(tool, call, used),
                kind="tool",
                input=call.input,
                retries=tool.retries if tool else 0,
                usage=lambda _: Usage(tool_calls=1),
                spent=lambda: used.usage,
                on_retry=partial(self._telling.calls_again, number, call.name),
            )
            spent = Usage.parse(value.get("usage", {}))
        except Exception as error:  # noqa: BLE001  # a tool fails its call, never the run
            value, spent = failure_of(error), spent_by(used, error)
        except asyncio.CancelledError:
            self._used.add(used.usage)
            raise
        self._used.add(Usage(tool_calls=1) + spent)
        return value

    async def _answer(self, tool: AnyTool | None, call: ToolCall, used: Used) -> dict[str, Any]:
        if tool is None:
            near = did_you_mean(call.name, self._tools)
            return failure("UnknownTool", f"There is no tool {call.name!r}{near}. Tools: {', '.join(self._tools)}")
        used.usage = NOTHING  # another attempt meets what this one has used again, as it is remembered
        before = self._state_type.dump(self._ctx.state.data)
        view = self._state_type.view(before, self._ctx.state)
        network = self._ctx.network.view(view)

        def excess(now: datetime, more: Usage) -> str | None:
            """Say for the runs inside the call whether a limit around them is reached."""
            reached: str | None = self._ctx.part("excess")(now, used.usage + more)
            return reached

        ctx = self._ctx.bound(tool_call=call, state=view, network=network, used=used, excess=excess)
        known = len(network.stack)
        with enter_context(ctx):
            try:
                content = await tool.answer(ctx.step.kernel, ctx)
                patch = [] if "error" in content else self._state_type.patch(before, view.data)
            except Exception as error:
                if tool.retries:
                    raise
                content, patch = failure_of(error), []
        if used.usage != NOTHING:
            content["usage"] = used.usage.export()
        if "error" in content:
            return content
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


def _groups(calls: list[_Numbered], tools: Mapping[str, AnyTool]) -> list[list[_Numbered]]:
    """Split the calls, in order, into groups that may run side by side; a tool with parallel=False stands alone."""
    groups: list[list[_Numbered]] = []
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
