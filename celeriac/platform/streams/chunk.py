"""The chunk: one event of a stream, in AgentKit's envelope."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """One thing that a run told: `run.started`, `text.delta`, `part.completed` and their kin.

    `sequence_number` counts the chunks of one run from 0 without gaps. `id` is made of the run and the place, so that
    whoever meets a chunk in two channels knows it again. The fields of `data` have AgentKit's names.
    """

    event: str
    data: dict[str, Any] = field(default_factory=dict)
    #: milliseconds since 1970
    timestamp: int
    sequence_number: int
    id: str

    def export(self) -> dict[str, Any]:
        """Return the envelope as it goes over the wire."""
        return {
            "event": self.event,
            "data": self.data,
            "timestamp": self.timestamp,
            "sequenceNumber": self.sequence_number,
            "id": self.id,
        }
