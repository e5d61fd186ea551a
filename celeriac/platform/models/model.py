"""The model as the agents see it: one request in, one reply out.

Agents and `step.ai` build a `ModelRequest`; an adapter turns it into the provider's wire form and the answer into a
`ModelReply`, and every failure into `ModelError`. An adapter never retries: the engine does.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from celeriac.platform.message import FinishReason, Message, ToolCall, Usage, Verbatim
from celeriac.platform.models.delta import Delta
from celeriac.platform.models.key_choice import KeyChoice
from celeriac.platform.models.pace import Pace


@dataclass(frozen=True, kw_only=True)
class ToolSpec:
    """A tool as it is offered to a model; `schema` is the JSON schema of its input object."""

    name: str
    description: str
    schema: Mapping[str, Any]
    #: whether the provider holds the model to the schema, where it can; None: as the provider does by default
    strict: bool | None = None

    def export(self) -> dict[str, Any]:
        """Return plain JSON."""
        return {"name": self.name, "description": self.description, "schema": dict(self.schema)}


@dataclass(frozen=True, kw_only=True)
class OutputSpec:
    """The shape that the text of a reply must have: JSON that fits `schema`, which must be an object's.

    Asked for by the provider's schema mode where it has one, else by a tool that the model must call; either way the
    JSON comes back as the reply's text.
    """

    schema: Mapping[str, Any]
    name: str = "final_result"
    description: str = "The final result, which ends the conversation"
    strict: bool = False


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
    #: tells by the provider whose key it is made with; None: as in a plain script
    choose_key: Callable[[str], Awaitable[KeyChoice | None]] | None = field(default=None, repr=False, compare=False)
    #: lets each call of a model through that the request leads to; None: nothing is limited
    pace: Pace | None = field(default=None, repr=False, compare=False)
    #: the shape of the text; None: as the model likes
    output: OutputSpec | None = None
    #: how the reply must begin, where the provider can be told; the reply's text goes on from there
    prefill: str = ""
    #: what an `api_key` function is given; never exported
    context: Any = field(default=None, repr=False, compare=False)

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
    """One answer; `raw` is the provider's own body.

    `model` is the name that the provider gives itself, `by` the declared model that answered, as `provider:name`.
    """

    model: str
    #: of the message that it becomes; given by whoever asks
    id: str = ""
    by: str = ""
    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    raw: Mapping[str, Any] = field(default_factory=dict)
    #: what the model thought, where the provider shows it
    reasoning: str = ""
    #: what must go back with the message when the conversation goes on
    verbatim: Verbatim | None = None

    def message(self, agent: str | None = None) -> Message:
        """Return the reply as the conversation keeps it."""
        said = Message.assistant(self.text, tool_calls=self.tool_calls, agent=agent, verbatim=self.verbatim)
        return replace(said, id=self.id) if self.id else said


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

    def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        """Answer piece by piece; the last item is the reply that `infer` would have returned.

        Raises `ModelError` as `infer` does, also in the middle: a stream without a reply at its end did not happen.
        """
        ...


#: a model, its name such as `"openai:gpt-4.1"`, or several: each next one answers when those before it are out
ModelLike = Model | str | Sequence[Model | str]

#: a key, or what returns it at the time of the call: a function of nothing or of the context, plain or async
ApiKey = str | Callable[..., str | Awaitable[str]]
