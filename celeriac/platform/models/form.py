"""What the three wire forms have in common: chat completions, responses, messages.

A form writes a request, reads a reply, and puts a reply together from the events of a stream; it does no I/O. The
adapters hand it to `exchange`, which does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from celeriac.errors import ModelError
from celeriac.platform.models.delta import Delta
from celeriac.platform.models.model import ModelReply, ModelRequest


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Who is asked for what."""

    provider: str
    model: str
    request: ModelRequest
    params: Mapping[str, Any] = field(default_factory=dict)

    @property
    def by(self) -> str:
        """The declared model as users write it."""
        return f"{self.provider}:{self.model}"

    def unsendable(self, what: str) -> ModelError:
        """Return the error for a part of the request that this provider does not take."""
        return ModelError(f"Model '{self.by}' does not take {what}", kind="invalid")


class Assembler(Protocol):
    """Puts the body of a reply together from the events of its stream."""

    def feed(self, event: Mapping[str, Any]) -> Iterator[Delta]:
        """Take an event in and yield what it says that is new."""
        ...

    @property
    def is_complete(self) -> bool:
        """Whether the provider said that the reply is at its end."""
        ...

    def body(self) -> dict[str, Any]:
        """Return the body as it would have come without a stream."""
        ...


class Form(Protocol):
    """One wire form."""

    def write(self, asked: Asked) -> dict[str, Any]:
        """Return the body of the request, the user's parameters in it; raise `ModelError` for what cannot be said."""
        ...

    def streamed(self, body: dict[str, Any]) -> dict[str, Any]:
        """Return the body with the wish for a stream."""
        ...

    def is_reply(self, body: Mapping[str, Any]) -> bool:
        """Whether a body is a reply, and not a proxy's greeting."""
        ...

    def read(self, asked: Asked, body: Mapping[str, Any]) -> ModelReply:
        """Read a reply; lenient, since a reply was paid for."""
        ...

    def assembler(self, asked: Asked) -> Assembler:
        """Return what puts one stream together."""
        ...
