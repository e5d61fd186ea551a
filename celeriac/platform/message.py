"""What is said: messages, tool calls with their results, and what a reply used.

Plain frozen facts that travel between agents, models, memos and the dashboard as JSON. Nothing here runs anything.
"""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Literal, Self

from celeriac.errors import ConfigError

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


@dataclass(frozen=True, kw_only=True)
class Attachment:
    """An image or a file that a user's message brings along: its bytes in Base64, or where it lies.

    Which media types a model takes is its provider's to say; an adapter refuses one that it cannot send.
    """

    media_type: str
    #: the bytes in Base64; empty where `url` is given
    data: str = ""
    #: an address that the provider can reach
    url: str = ""
    name: str = ""

    @classmethod
    def of(cls, content: bytes | str, media_type: str = "", *, name: str = "") -> Self:
        """Take bytes with their media type, or an address whose ending tells it.

        Raises `ConfigError` where the type is neither given nor told by the ending of the address or name.
        """
        told = content.partition("?")[0] if isinstance(content, str) and not name else name
        known = media_type or mimetypes.guess_type(told)[0]
        if not known:
            raise ConfigError(
                f"The media type of attachment {told or 'without a name'!r} is not known; give media_type="
            )
        if isinstance(content, str):
            return cls(media_type=known, url=content, name=name)
        return cls(media_type=known, data=base64.b64encode(content).decode(), name=name)

    @property
    def kind(self) -> str:
        """What it is: `image`, `audio`, `text` or, for everything else, `file`."""
        major = self.media_type.partition("/")[0]
        return major if major in ("image", "audio", "text") else "file"

    @property
    def data_url(self) -> str:
        """The address, or the bytes as one."""
        return self.url or f"data:{self.media_type};base64,{self.data}"


@dataclass(frozen=True, kw_only=True)
class Verbatim:
    """What a provider wants back exactly as it came: thinking with its signature, encrypted reasoning.

    `blocks` keep the order of the reply. Its texts and tool calls stand in the message already, so only their places
    are marked. Nobody but the adapter of `by` reads them, and it sends them to no other provider.
    """

    by: str
    blocks: tuple[dict[str, Any], ...]

    def export(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"by": self.by, "blocks": list(self.blocks)}

    @classmethod
    def parse(cls, data: dict[str, Any]) -> Self:
        """Read back what `export` wrote."""
        return cls(by=data["by"], blocks=tuple(data["blocks"]))


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    An assistant's message may carry tool calls; a message of role `tool` carries exactly one result. A user's message
    may bring images and files; they stand before its text.
    """

    role: Role
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_result: ToolResult | None = None
    agent: str | None = None
    id: str | None = None
    created_at: datetime | None = None
    attachments: tuple[Attachment, ...] = ()
    verbatim: Verbatim | None = None

    @classmethod
    def user(cls, text: str, id: str | None = None, *, attachments: Sequence[Attachment] = ()) -> Self:
        """Make a user's message; one without an id is given one by the run that it begins, the same on each replay."""
        return cls("user", text, id=id, attachments=tuple(attachments))

    @classmethod
    def assistant(
        cls,
        text: str,
        *,
        tool_calls: tuple[ToolCall, ...] = (),
        agent: str | None = None,
        verbatim: Verbatim | None = None,
    ) -> Self:
        """Make an assistant's message."""
        return cls("assistant", text, tool_calls=tool_calls, agent=agent, verbatim=verbatim)

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
        if self.attachments:
            out["attachments"] = [_plain(attachment) for attachment in self.attachments]
        if self.verbatim is not None:
            out["verbatim"] = self.verbatim.export()
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
            attachments=tuple(Attachment(**attachment) for attachment in data.get("attachments", ())),
            verbatim=Verbatim.parse(data["verbatim"]) if data.get("verbatim") else None,
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
