"""Telling: what a network's run says to those who watch it, as chunks of its stream.

Everything told here is made of what is remembered, under ids that are made of the run and the place, so that a replay
may tell it again and nobody sees it twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celeriac.platform.context import Context
from celeriac.platform.message import Message, ToolCall, ToolResult
from celeriac.platform.result import AgentResult

if TYPE_CHECKING:
    from celeriac.platform.agents.network_run import NetworkRun
    from celeriac.platform.agents.streaming import OnChunk
    from celeriac.platform.inference import Listener


class Telling:
    """Tells of one run of a network, or of an agent alone."""

    def __init__(
        self, ctx: Context[Any], run: NetworkRun[Any], *, channel: str | None, on_chunk: OnChunk | None
    ) -> None:
        """Tell nothing yet."""

    def started(self) -> None:
        """Tell that the run began."""

    async def ended(self) -> None:
        """Tell that the run ended, and why; return when all was handed on."""

    async def failed(self, error: Exception) -> None:
        """Tell that the run failed; return when all was handed on."""

    def turn(self, agent: str, number: int) -> TurnTelling:
        """Return what tells of a turn; `number` counts the run's turns from 1."""
        return TurnTelling()


class TurnTelling:
    """Tells of one turn of an agent."""

    def started(self, result_id: str) -> None:
        """Tell that the agent began."""

    def listener(self) -> Listener | None:
        """Return what hears the pieces of the next reply as they come; None where nobody listens."""
        return None

    def replied(self, message: Message) -> None:
        """Tell a reply that is remembered: its reasoning, text and tool calls."""

    def asks_approval(self, call: ToolCall, request_id: str, expires_at: str) -> None:
        """Tell that a person has to decide on a call."""

    def decided(self, request_id: str, decision: dict[str, Any]) -> None:
        """Tell what was decided."""

    def answered(self, number: int, result: ToolResult) -> None:
        """Tell what a tool call came to; `number` counts the turn's calls from 1."""

    def ended(self, result: AgentResult[Any]) -> None:
        """Tell that the agent ended, and what was used."""

    def failed(self, error: Exception) -> None:
        """Tell that the agent failed."""

    def replayed(self, result: AgentResult[Any]) -> None:
        """Tell a whole turn that is remembered."""
