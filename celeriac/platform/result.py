"""The result: what one turn of an agent came to."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Self

from typing_extensions import TypeVar

from celeriac.ids import new_id
from celeriac.platform.codec import plain
from celeriac.platform.message import FinishReason, Message, ToolCall, ToolResult, Usage

Out = TypeVar("Out", default=str)


@dataclass(frozen=True, kw_only=True)
class AgentResult(Generic[Out]):
    """The messages of one turn: the model's, each followed by the results of its tool calls.

    `output` is the text of the last reply. `prompt` is what the model was given and `raw` the provider's body; both
    belong to the moment and are not stored with the result.
    """

    agent: str
    output: Out
    model: str = ""
    messages: tuple[Message, ...] = ()
    usage: Usage = field(default_factory=Usage)
    finish_reason: FinishReason = "stop"
    #: why the turn ended before the agent was done: `max_iter`, `budget: …`, `error`, or what `prompt.stop` said
    stopped: str = ""
    id: str = field(default_factory=lambda: new_id("res"))
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    prompt: tuple[Message, ...] = ()
    raw: dict[str, Any] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """The text of the last reply that has one."""
        return next((m.text for m in reversed(self.messages) if m.role == "assistant" and m.text), "")

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """All tool calls of the turn, in order."""
        return tuple(call for message in self.messages for call in message.tool_calls)

    @property
    def tool_results(self) -> tuple[ToolResult, ...]:
        """What the tool calls came to, in the order of the calls."""
        return tuple(message.tool_result for message in self.messages if message.tool_result is not None)

    @property
    def checksum(self) -> str:
        """A digest of what was said, equal for equal messages, whatever their ids."""
        exported = [{**message.export(), "id": None, "created_at": None} for message in self.messages]
        said = json.dumps(exported, sort_keys=True, default=str)
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()

    def export(self) -> dict[str, Any]:
        """Return plain JSON; `parse` reads it back."""
        return {
            "id": self.id,
            "agent": self.agent,
            "model": self.model,
            "messages": [message.export() for message in self.messages],
            "output": self.output if isinstance(self.output, str) else plain(self.output),
            "usage": self.usage.export(),
            "finish_reason": self.finish_reason,
            "stopped": self.stopped,
            "created_at": self.created_at.isoformat(),
        }

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """Read back what `export` wrote."""
        return cls(
            id=data["id"],
            agent=data["agent"],
            model=data["model"],
            messages=tuple(Message.parse(message) for message in data["messages"]),
            output=data["output"],
            usage=Usage.parse(data["usage"]),
            finish_reason=data["finish_reason"],
            stopped=data.get("stopped", ""),
            created_at=datetime.fromisoformat(data["created_at"]),
        )
