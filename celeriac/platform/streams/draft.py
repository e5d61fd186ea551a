"""The draft: a chunk to be, before the stream has numbered it, with what it does to the stream's book.

Made by the tellings of agents and by `ctx.publish`, of what is remembered and under ids made of the run and the place.
A stream turns a draft into a chunk once; so whoever tells may tell everything again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from celeriac.errors import ConfigError

#: `once`: nothing but its chunk. `begin` and `end`: a run of a network or an agent. `open`, `more` and `done`: a part.
#: `settle`: whatever is open in the slot has failed. `close`: so have all runs that are open.
DraftKind = Literal["once", "begin", "end", "open", "more", "done", "settle", "close"]

#: what is longer is told in full by nobody; SQL has it, or whoever said it
LONGEST = 256 * 1024

#: the fields of a run's end that say why
REASONS = ("error", "recoverable", "reason")

#: the beginnings of channels that are written by themselves
_OWN = ("run:", "thread:")
_LONGEST_CHANNEL = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A chunk to be."""

    kind: DraftKind
    id: str
    event: str
    data: Mapping[str, Any] = field(default_factory=dict)
    #: milliseconds since 1970
    timestamp: int
    part: str = ""
    #: the place of a part, which one message at a time may have: a part of another one there has failed
    slot: str = ""
    message: str = ""
    #: the run of a network or an agent that it is about, and the one that this is a part of
    run: str = ""
    parent: str = ""
    #: which piece of its part it is, and how many pieces were put together in it
    index: int = 0
    span: int = 1

    def joined(self, other: Draft) -> Draft | None:
        """Return both as one, where `other` is the piece that follows; None where it is something else."""
        if self.kind != "more" or other.kind != "more" or other.part != self.part:
            return None
        if other.index != self.index + self.span:
            return None
        delta = self.data["delta"] + other.data["delta"]
        return replace(self, data={**self.data, "delta": delta}, span=self.span + other.span)


def run_channel(run_id: str) -> str:
    """Return the channel that every run has."""
    return f"{_OWN[0]}{run_id}"


def thread_channel(thread_id: str) -> str:
    """Return the channel of a thread, which all its runs write to."""
    return f"{_OWN[1]}{thread_id}"


def check_channel(name: str) -> str:
    """Return a channel's name as users may give it; raise `ConfigError` for one that they may not."""
    if not isinstance(name, str) or not 0 < len(name) <= _LONGEST_CHANNEL or not name.isprintable():
        raise ConfigError(
            f"A channel is a text of 1 to {_LONGEST_CHANNEL} printable characters, not {str(name)[:80]!r}"
        )
    if name.startswith(_OWN):
        raise ConfigError(f"Channel {name!r}: those that begin with 'run:' and 'thread:' are written by themselves")
    return name
