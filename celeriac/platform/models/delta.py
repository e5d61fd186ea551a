"""The pieces of a reply that is still being said, as `Model.stream` yields them.

Adapters make them and the streams show them; nobody stores them. The reply that ends a stream is the truth, the pieces
before it are for eyes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from celeriac.platform.message import Usage

if TYPE_CHECKING:
    from celeriac.platform.models.model import ModelReply


@dataclass(frozen=True, kw_only=True)
class TextDelta:
    """More of the text."""

    text: str


@dataclass(frozen=True, kw_only=True)
class ReasoningDelta:
    """More of what the model thinks, where the provider shows it."""

    text: str


@dataclass(frozen=True, kw_only=True)
class CallDelta:
    """A tool call that begins, or more of its arguments; `place` counts the reply's calls from 0."""

    place: int
    id: str
    name: str
    arguments: str = ""


@dataclass(frozen=True, kw_only=True)
class UsageDelta:
    """What the whole reply used; comes once, after the last piece."""

    usage: Usage


@dataclass(frozen=True, kw_only=True)
class Restarted:
    """All pieces before are void: their model failed, and `model` begins anew (see `Fallback`)."""

    model: str


Delta = TextDelta | ReasoningDelta | CallDelta | UsageDelta | Restarted


def deltas_of(reply: ModelReply) -> Iterator[Delta]:
    """Tell a whole reply in pieces: for models that cannot stream."""
    from celeriac.platform.models.wire import to_json

    if reply.reasoning:
        yield ReasoningDelta(text=reply.reasoning)
    if reply.text:
        yield TextDelta(text=reply.text)
    for place, call in enumerate(reply.tool_calls):
        arguments = to_json(call.input) if call.broken_input is None else call.broken_input
        yield CallDelta(place=place, id=call.id, name=call.name, arguments=arguments)
    yield UsageDelta(usage=reply.usage)
