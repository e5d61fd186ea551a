"""The model as the agents see it: one request in, one reply out.

Agents and `step.ai` build a `ModelRequest`; an adapter turns it into the provider's wire form and the answer into a
`ModelReply`, and every failure into `ModelError`. An adapter never retries: the engine does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from celeriac.platform.message import FinishReason, Message, ToolCall, Usage
from celeriac.platform.models.key_choice import KeyChoice


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """A tool as it is offered to a model; `schema` is the JSON schema of its input object."""

    name: str
    description: str
    schema: Mapping[str, Any]

    def export(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"name": self.name, "description": self.description, "schema": dict(self.schema)}


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """One call: system prompt, then history and the new input in `messages`, then the tools on offer."""

    system: str = ""
    messages: tuple[Message, ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    #: `auto`, `any`, `none`, or the name of a tool
    tool_choice: str = "auto"
    #: the name of the agent that asks
    agent: str = ""
    #: `<run id> <step path>` of the step that calls, sent along so that a call can be traced to its step
    origin: str | None = None
    #: whose key it is made with; None: as in a plain script
    key_choice: KeyChoice | None = field(default=None, repr=False, compare=False)

    def export(self) -> dict[str, Any]:
        """Return plain JSON, as the dashboard shows it."""
        return {
            "agent": self.agent,
            "system": self.system,
            "messages": [message.export() for message in self.messages],
            "tools": [tool.name for tool in self.tools],
            "tool_choice": self.tool_choice,
        }


@dataclass(frozen=True, kw_only=True)
class ModelReply:
    """One answer; `raw` is the provider's own body."""

    model: str
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    raw: Mapping[str, Any] = field(default_factory=dict)


class Model(Protocol):
    """What answers. Implementations are safe to share between runs, loops apart."""

    @property
    def provider(self) -> str:
        """The provider's name, as in `provider:model`."""
        ...

    @property
    def name(self) -> str:
        """The model's name at the provider."""
        ...

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer once; raise `ModelError` when the provider refuses or fails."""
        ...


#: a model, or its name such as `"openai:gpt-4.1"`
ModelLike = Model | str

#: a key, or what returns it at the time of the call
ApiKey = str | Callable[[], str]
