"""The stream as a seam: where chunks are numbered and kept for a while.

The writer appends, readers read; `redis_stream.py` is for a fleet and `local_stream.py` its twin. What is kept is for
eyes: SQL is the truth, and a stream that is lost is told again from it as far as runs go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from celeriac.errors import CeleriacError
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.draft import Draft

#: the most chunks that a channel keeps; older ones go first
CAP = 10_000
#: the most bytes of them, as they are kept: what tells much shares its Redis with the gate of all tenants
CAP_BYTES = 8 * 1024 * 1024


class StreamUnavailable(CeleriacError):
    """The stream does not answer; nobody waits for it."""

    code = "stream_unavailable"


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Drafts of one run of a tenant, in order, with the channels that get copies of what comes of them.

    One of a link whose fence is old comes to nothing: another link has the run, and tells.
    """

    tenant_id: str
    run_id: str
    drafts: Sequence[Draft]
    fence: int = 0
    channels: tuple[str, ...] = ()
    #: whether the chunks are wanted as an answer
    is_heard: bool = False


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A chunk where it stands in a channel.

    In the channel of a run the position is its `sequence_number`; elsewhere it only grows.
    """

    position: int
    chunk: Chunk


class Stream(Protocol):
    """Numbered chunks by channel; safe to share between threads."""

    def append(self, passages: Sequence[Passage]) -> list[list[Chunk]]:
        """Turn drafts into chunks, once each and each passage whole; return what came of those that are heard.

        Passages of one run keep their order. Raises `StreamUnavailable`.
        """
        ...

    def told(self, tenant_id: str, run_id: str, ids: Sequence[str]) -> list[bool]:
        """Say of each id of a `once`, `begin` or `end` whether it was told; raise `StreamUnavailable`."""
        ...

    def read(self, tenant_id: str, channel: str, *, after: int = -1, limit: int = 1_000) -> list[Placed]:
        """Return the chunks behind a position, oldest first; raise `StreamUnavailable`.

        A channel that is unknown, of another tenant, or gone by time is empty.
        """
        ...
