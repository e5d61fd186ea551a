"""What tells of one turn of an agent: its replies in parts, its tool calls, and how it ended."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from celeriac.errors import StepError
from celeriac.ids import derived_id
from celeriac.platform.agents.live_reply import Listener, LiveReply
from celeriac.platform.agents.part_drafts import PartDrafts
from celeriac.platform.codec import storable
from celeriac.platform.message import Message, ToolCall, ToolResult, Usage
from celeriac.platform.models.wire import to_json
from celeriac.platform.result import AgentResult
from celeriac.platform.streams.draft import Draft

if TYPE_CHECKING:
    from celeriac.platform.agents.telling import Telling


class TurnTelling:
    """Tells of one turn; one without a `Telling` tells nobody."""

    def __init__(self, telling: Telling | None = None, agent: str = "", path: str = "", turn_id: str = "") -> None:
        """Tell of the turn at `path`, whose result has the id `turn_id`."""
        self._telling, self._agent, self._path, self._id = telling, agent, path, turn_id
        self._is_within = telling is not None and telling.run.is_network
        #: of the agent's run: the run itself where the agent runs alone, empty where nobody is told
        self.run_id = ""
        if telling is not None:
            self.run_id = derived_id("run", turn_id) if self._is_within else telling.run.id
            self._parts = PartDrafts(telling.draft, agent, turn_id, self.run_id)
        self._replies = 0
        #: the tool calls of the turn, each with its part
        self._calls: list[tuple[str, ToolCall]] = []
        #: what is told is put here, where it is collected
        self._into: list[Draft] | None = None

    def started(self) -> None:
        """Tell that the agent began."""
        if self._telling is None or not self._is_within:
            return
        parent = self._telling.run.id
        data = {"runId": self.run_id, "parentRunId": parent, **self._of_run()}
        self._tell("begin", f"{self.run_id}:started", "run.started", data, run=self.run_id, parent=parent)

    # -- replies ------------------------------------------------------------------------------------------------

    def asked(self, prefill: str = "") -> Listener | None:
        """Tell that the model is asked; return what hears the pieces of its reply, or None where nobody listens."""
        if self._telling is None or not self._telling.audience.is_there:
            return None
        self._step("started", self._model_step(), "model")
        return LiveReply(self._parts, self._hand_out, self._slot(self._replies + 1), prefill).hear

    def replied(self, message: Message, reasoning: str = "") -> None:
        """Tell a reply that is remembered: its reasoning, text and tool calls."""
        if self._telling is None or not self._telling.audience.is_there:
            return
        with self._together():
            self._reply(message, reasoning)

    def _reply(self, message: Message, reasoning: str) -> None:
        step = self._model_step()
        is_of_model = message.id != error_message_id(self._id)
        if is_of_model:
            self._step("started", step, "model")
        self._replies += 1
        slot, id = self._slot(self._replies), message.id or f"{self._id}:{self._replies}"
        parts: list[list[Draft]] = []
        if reasoning:
            parts.append(self._parts.whole("reasoning", f"{id}:reasoning", (slot, id), reasoning, reasoning))
        if message.text:
            parts.append(self._parts.whole("text", f"{id}:text", (slot, id), message.text, message.text))
        for place, call in enumerate(message.tool_calls):
            part = f"{id}:call-{place}"
            self._calls.append((part, call))
            text = to_json(call.input) if call.broken_input is None else call.broken_input
            final = call.input if call.broken_input is None else call.broken_input
            parts.append(self._parts.whole("tool-call", part, (slot, id), text, final, name=call.name))
        # As live: the pieces of all parts come first, for none is complete before the reply is.
        self._hand_out(*(draft for one in parts for draft in one[:-1]), *(one[-1] for one in parts))
        self._tell("settle", f"{slot}:settled:{id}", "", {}, slot=slot)
        if is_of_model:
            self._step("completed", step, "model")

    def asks_again(self, attempt: int, error: Exception) -> None:
        """Tell that an attempt to ask the model failed, and another one is to come."""
        self._step("failed", self._model_step(), "model", error=words(error), recoverable=True, retryAttempt=attempt)

    def unanswered(self, error: Exception) -> None:
        """Tell that the model did not answer, after all its attempts."""
        if self._telling is not None:
            self._step("failed", self._model_step(), "model", error=words(error), recoverable=False)

    # -- tools --------------------------------------------------------------------------------------------------

    def asks_approval(self, call: ToolCall, request_id: str, expires_at: str) -> None:
        """Tell that a person has to decide on a call."""
        asked = {"partId": self.part_of(call), "toolName": call.name, "toolInput": call.input}
        data = {"requestId": request_id, "runId": self.run_id, "toolCalls": [asked], "expiresAt": expires_at}
        self._tell("once", f"{request_id}:requested", "hitl.requested", data)

    def part_of(self, call: ToolCall) -> str:
        """Return the id of a call's part in the stream; empty where nothing was told of it."""
        return next((part for part, known in reversed(self._calls) if known == call), "")

    def decided(self, request_id: str, decision: dict[str, Any]) -> None:
        """Tell what was decided."""
        data: dict[str, Any] = {
            "requestId": request_id,
            "runId": self.run_id,
            "resolution": "approved" if decision.get("approved") else "denied",
        }
        names = {"reason": "reason", "by": "resolvedBy", "at": "resolvedAt"}
        data |= {shown: decision[name] for name, shown in names.items() if decision.get(name)}
        self._tell("once", f"{request_id}:resolved", "hitl.resolved", data)

    def calls(self, number: int, name: str) -> None:
        """Tell that a tool is called; `number` counts the turn's calls from 1."""
        self._step("started", self._tool_step(number, name), "tool")

    def calls_again(self, number: int, name: str, attempt: int, error: Exception) -> None:
        """Tell that an attempt of a tool call failed, and another one is to come."""
        step = self._tool_step(number, name)
        self._step("failed", step, "tool", error=words(error), recoverable=True, retryAttempt=attempt)

    def answered(self, number: int, result: ToolResult) -> None:
        """Tell what a tool call came to."""
        if self._telling is None or not self._telling.audience.is_there:
            return
        with self._together():
            self._answer(number, result)

    def _answer(self, number: int, result: ToolResult) -> None:
        self._step("started", self._tool_step(number, result.name), "tool")
        called = self._calls[number - 1][0] if number <= len(self._calls) else f"{self._id}:call:{number}"
        content = storable(result.content())
        place = (f"{self._id}:call:{number}", called)
        part, text = f"{called}:output", to_json(content)
        self._hand_out(*self._parts.whole("tool-output", part, place, text, content, name=result.name, call=called))
        self._tool_ended(number, result)

    def _tool_ended(self, number: int, result: ToolResult) -> None:
        step = self._tool_step(number, result.name)
        if result.error is None:
            self._step("completed", step, "tool")
        else:
            self._step("failed", step, "tool", error=result.error.get("message", ""), recoverable=True)

    # -- the end ------------------------------------------------------------------------------------------------

    def remembered(self, result: AgentResult[Any], *, was_live: bool) -> None:
        """Tell a whole turn that is remembered, with its end; of one that was taken here, and told, the end alone.

        Nothing is made of one that was told to its end before.
        """
        if self._telling is None or not self._telling.audience.is_there:
            return
        run = self._telling.run
        results, routing = run.results, run.routing_usage

        def make() -> list[Draft]:
            until = next((place for place, one in enumerate(results, 1) if one.id == result.id), len(results))
            return self._retold(result, sum((one.usage for one in results[:until]), routing), was_live)

        self._telling.audience.tell_unless(f"{self._id}:used", make)

    def _retold(self, result: AgentResult[Any], used: Usage, was_live: bool) -> list[Draft]:
        copy = type(self)(self._telling, self._agent, self._path, self._id)
        drafts: list[Draft] = []
        copy._into = drafts
        if not was_live:
            copy._retell(result)
        copy._ended(result, used)
        return drafts

    def _retell(self, result: AgentResult[Any]) -> None:
        self.started()
        number = 0
        for message in result.messages:
            if message.role == "assistant":
                self.replied(message)
            elif message.tool_result is not None:
                number += 1
                self.answered(number, message.tool_result)

    def _ended(self, result: AgentResult[Any], used: Usage) -> None:
        """Tell what was used, by the turn and by the run with it, and that the agent ended."""
        assert self._telling is not None
        tokens = {"usage": tokens_of(result.usage), "cumulative": tokens_of(used)}
        data: dict[str, Any] = {"runId": self.run_id, "messageId": self._id, **tokens}
        self._tell("once", f"{self._id}:used", "usage.updated", data)
        if self._is_within:
            reason = _interruption(result.stopped, has_limit=self._has_limit)
            ended = {"runId": self.run_id, **self._of_run(), **({"reason": reason} if reason else {})}
            event = "run.interrupted" if reason else "run.completed"
            self._tell("end", f"{self.run_id}:ended", event, ended, run=self.run_id)

    @property
    def _has_limit(self) -> bool:
        return self._telling is not None and self._telling.run.agents[self._agent].max_iter is not None

    def _of_run(self) -> dict[str, Any]:
        """Return what the run of an agent inside a network says of itself."""
        return {"scope": "agent", "name": self._agent, "messageId": self._id}

    # -- how it is told -----------------------------------------------------------------------------------------

    @contextmanager
    def _together(self) -> Iterator[None]:
        """Tell what is told in the block in one go."""
        if self._into is not None:
            yield
            return
        drafts: list[Draft] = []
        self._into = drafts
        try:
            yield
        finally:
            self._into = None
        self._hand_out(*drafts)

    def _hand_out(self, *drafts: Draft) -> None:
        assert self._telling is not None
        if self._into is not None:
            self._into += drafts
        else:
            self._telling.tell(*drafts)

    def _slot(self, reply: int) -> str:
        return f"{self._id}:reply:{reply}"

    def _model_step(self) -> str:
        return f"{self._path}/infer" + (f":{self._replies}" if self._replies else "")

    def _tool_step(self, number: int, name: str) -> str:
        return f"{self._path}/tool:{number}:{plain_name(name)}"

    def _step(self, state: str, step: str, kind: str, **more: Any) -> None:
        data = {"stepId": step, "runId": self.run_id, "description": kind, **more}
        attempt = f":{more['retryAttempt']}" if "retryAttempt" in more else ""
        self._tell("once", f"{self._id}:{step}:{state}{attempt}", f"step.{state}", data)

    def _tell(self, kind: Any, id: str, event: str, data: dict[str, Any], **parts: Any) -> None:
        if self._telling is not None and self._telling.audience.is_there:
            self._hand_out(self._telling.draft(kind, id, event, data, **parts))


def _interruption(stopped: str, *, has_limit: bool) -> str:
    """Return for which limit a turn ended before its agent was done; empty where it did not.

    `has_limit`: whether the number of its model calls is one that the agent should not have reached.
    """
    if stopped.startswith("budget"):
        return "budget"
    return "max_iter" if stopped == "max_iter" and has_limit else ""


def words(error: BaseException) -> str:
    """Return an error as those see it who watch: what happened, never where."""
    message = error.detail if isinstance(error, StepError) else str(error)
    return str(storable(message or type(error).__name__))[:2_000]


def error_message_id(turn_id: str) -> str:
    """Return the id of the message that an agent's `on_error` answers with."""
    return derived_id("msg", turn_id, "error")


def plain_name(name: str) -> str:
    """Return a tool's name as a model gave it so that it can stand in a path."""
    return re.sub(r"[^\w.-]", "_", name)[:100] or "unnamed"


def tokens_of(usage: Usage) -> Mapping[str, Any]:
    """Return what was used in AgentKit's words."""
    told: dict[str, Any] = {
        "promptTokens": usage.input_tokens,
        "completionTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.reasoning_tokens:
        told["thinkingTokens"] = usage.reasoning_tokens
    if usage.cached_tokens:
        told["cachedTokens"] = usage.cached_tokens
    if usage.cost_usd:
        told["costUsd"] = usage.cost_usd
    return told
