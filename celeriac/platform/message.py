"""What is said: messages, tool calls with their results, and what a reply used.

Plain frozen facts that travel between agents, models, memos and the dashboard as JSON. Nothing here runs anything.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Literal, Self

from celeriac.ids import new_id

Role = Literal["system", "user", "assistant", "tool"]
FinishReason = Literal["stop", "tool", "length", "refusal", "content_filter"]


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A tool call of a reply; `input` is what the model gave, not yet validated."""

    id: str
    name: str
    input: dict[str, Any] = field(default_factory=dict)
    #: what the model sent where it was no JSON object; the call then goes back to it as an error
    broken_input: str | None = None


@dataclass(frozen=True, kw_only=True)
class ToolResult:
    """What a tool call came to: data, or an error of `{"name", "message"}` that the model can mend."""

    call_id: str
    name: str
    data: Any = None
    error: dict[str, str] | None = None

    def content(self) -> dict[str, Any]:
        """Return what the model sees."""
        return {"error": self.error} if self.error is not None else {"data": self.data}


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    An assistant's message may carry tool calls; a message of role `tool` carries exactly one result.
    """

    role: Role
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_result: ToolResult | None = None
    agent: str | None = None
    id: str | None = None
    created_at: datetime | None = None

    @classmethod
    def user(cls, text: str, id: str | None = None) -> Self:
        """Make a user's message."""
        return cls("user", text, id=id or new_id("msg"), created_at=datetime.now(UTC))

    @classmethod
    def assistant(cls, text: str, *, tool_calls: tuple[ToolCall, ...] = (), agent: str | None = None) -> Self:
        """Make an assistant's message."""
        return cls("assistant", text, tool_calls=tool_calls, agent=agent)

    @classmethod
    def system(cls, text: str) -> Self:
        """Make a system message."""
        return cls("system", text)

    @classmethod
    def tool(cls, result: ToolResult, *, agent: str | None = None) -> Self:
        """Make the message that takes a tool's result back to the model."""
        return cls("tool", tool_result=result, agent=agent)

    def export(self) -> dict[str, Any]:
        """Return plain JSON without the parts that are empty."""
        out: dict[str, Any] = {"role": self.role}
        if self.text:
            out["text"] = self.text
        if self.tool_calls:
            out["tool_calls"] = [_plain(call) for call in self.tool_calls]
        if self.tool_result is not None:
            out["tool_result"] = _plain(self.tool_result)
        if self.agent is not None:
            out["agent"] = self.agent
        if self.id is not None:
            out["id"] = self.id
        if self.created_at is not None:
            out["created_at"] = self.created_at.isoformat()
        return out

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """Read back what `export` wrote."""
        result = data.get("tool_result")
        created_at = data.get("created_at")
        return cls(
            data["role"],
            data.get("text", ""),
            tool_calls=tuple(ToolCall(**call) for call in data.get("tool_calls", ())),
            tool_result=ToolResult(**result) if result else None,
            agent=data.get("agent"),
            id=data.get("id"),
            created_at=datetime.fromisoformat(created_at) if created_at else None,
        )


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What was used: calls, tokens, and US dollars where the price is known.

    `input_tokens` is everything the provider read, `cached_tokens` the part of it that came from its cache.
    """

    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        """Return the sum, part by part."""
        return Usage(**{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(Usage)})

    def parts(self) -> tuple[int, int, int, int, int, int, float]:
        """Return the parts in their order."""
        return (
            self.model_calls,
            self.tool_calls,
            self.input_tokens,
            self.output_tokens,
            self.cached_tokens,
            self.reasoning_tokens,
            self.cost_usd,
        )

    def export(self) -> dict[str, Any]:
        """Return plain JSON."""
        return _plain(self)

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """Read back what `export` wrote; keys of other versions are passed over."""
        known = {f.name for f in fields(cls)}
        return cls(**{key: value for key, value in data.items() if key in known})


#: what a step used that called nothing
NOTHING = Usage()


def _plain(fact: Any) -> dict[str, Any]:
    """Return a flat fact as a dict without its empty parts' defaults (dataclasses.asdict copies deeply)."""
    return {f.name: getattr(fact, f.name) for f in fields(fact) if getattr(fact, f.name) is not None}
