"""Telling: what a network's run says to those who watch it, as chunks of its stream.

Everything told here is made of what is remembered, under ids that are made of the run and the place, so that a replay
may tell it again and nobody sees it twice. What is told before it is remembered are the pieces of a reply alone, and
the stream takes them back when their reply does not come to be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celeriac.ids import derived_id
from celeriac.platform.agents.choice_telling import ChoiceTelling
from celeriac.platform.agents.delivery import Delivery, OnChunk
from celeriac.platform.agents.turn_telling import TurnTelling, tokens_of, words
from celeriac.platform.context import Context
from celeriac.platform.message import Usage
from celeriac.platform.streams.draft import Draft, DraftKind, check_channel, thread_channel
from celeriac.platform.streams.outlet import Audience

if TYPE_CHECKING:
    from celeriac.platform.agents.network_run import NetworkRun

__all__ = ["Telling", "TurnTelling"]


class Telling:
    """Tells of one run of a network, or of an agent alone."""

    def __init__(
        self, ctx: Context[Any], run: NetworkRun[Any], *, channel: str | None, on_chunk: OnChunk | None
    ) -> None:
        """Tell nothing yet; `ctx` is the one that the run was started in."""
        self.run = run
        around: TurnTelling | None = ctx.part("telling")
        known: Audience | None = ctx.part("audience")
        self._is_outermost, self._has_begun = known is None, False
        self._parent = (around.run_id if around is not None else "") or (ctx.network.id if known is not None else "")
        self._delivery = None if on_chunk is None else Delivery(on_chunk, is_apart=ctx.step.durable)
        #: told of all that happens in the run, also by `ctx.publish`
        self.audience = (known or Audience(ctx.step.kernel.outlet)).with_more(
            [check_channel(channel)] if channel else [], [self._delivery.hear] if self._delivery else []
        )
        self._is_durable = ctx.step.durable
        self._now = ctx.step.kernel.now
        self._origin, self._path = ctx.run.id, ctx.step.path
        self.scope = "network" if run.is_network else "agent"

    @property
    def message_id(self) -> str:
        """The id of the message that the run is: that of its one turn where an agent runs alone."""
        return self.run.id if self.run.is_network else self.turn_id(1)

    def turn_id(self, number: int) -> str:
        """Return the id of a turn's result."""
        return derived_id("res", self._origin, f"{self._path}/turn:{number}")

    def started(self) -> None:
        """Tell that the run began; its thread is known now, and hears of it from here on."""
        run = self.run
        if run.state.thread_id is not None:
            self.audience.add(thread_channel(run.state.thread_id))
        self._has_begun = True
        data = {**self._about(), "name": run.name, "messageId": self.message_id}
        if self._parent:
            data["parentRunId"] = self._parent
        self.tell(self.draft("begin", f"{run.id}:started", "run.started", data, run=run.id, parent=self._parent))

    async def ended(self) -> None:
        """Tell that the run ended, and why; return when those who listen here have heard all."""
        reason = None if self.run.stop_reason == "router" else self.run.stop_reason
        data: dict[str, Any] = {**self._about(), "name": self.run.name, "messageId": self.message_id}
        if reason:
            data["reason"] = reason
            if self.run.stop_detail:
                data["detail"] = self.run.stop_detail
        self._end("run.interrupted" if reason else "run.completed", data)
        await self._handed_on()

    async def failed(self, error: Exception) -> None:
        """Tell that the run failed; return when those who listen here have heard all."""
        data = {**self._about(), "name": self.run.name, "messageId": self.message_id}
        self._end("run.failed", {**data, "error": words(error), "recoverable": False})
        await self._handed_on()

    async def cancelled(self) -> None:
        """Tell that the code around the run has ended it; waits for nobody in a durable run."""
        data = {**self._about(), "name": self.run.name, "messageId": self.message_id, "reason": "cancelled"}
        self._end("run.interrupted", data)
        if not self._is_durable:
            await self._handed_on()

    def let_go(self) -> None:
        """Tell nothing more."""
        if self._delivery is not None:
            self.audience.outlet.afterwards(self._delivery.let_go)

    def turn(self, agent: str, number: int) -> TurnTelling:
        """Return what tells of a turn; `number` counts the run's turns from 1."""
        return TurnTelling(self, agent, f"{self._path}/turn:{number}", self.turn_id(number))

    def choice(self, agent: str, number: int) -> ChoiceTelling:
        """Return what tells of a routing agent's turn before the turn of that number."""
        return ChoiceTelling(self, agent, self._choice_path(number), self._choice_id(number))

    def chosen(self, number: int, usage: Usage) -> None:
        """Tell what a router in code used of models, by itself and by the run with it."""
        tokens = {"usage": tokens_of(usage), "cumulative": tokens_of(self.run.usage)}
        data = {"runId": self.run.id, "messageId": self.message_id, **tokens}
        self.tell(self.draft("once", f"{self._choice_id(number)}:used", "usage.updated", data))

    def _choice_path(self, number: int) -> str:
        return f"{self._path}/route:{number}"

    def _choice_id(self, number: int) -> str:
        return derived_id("res", self._origin, self._choice_path(number))

    # -- for the turns ------------------------------------------------------------------------------------------

    def draft(self, kind: DraftKind, id: str, event: str, data: dict[str, Any], **parts: Any) -> Draft:
        """Make a draft of the run, of now."""
        if self.run.state.thread_id is not None:
            data = {**data, "threadId": self.run.state.thread_id}
        at = int(self._now().timestamp() * 1000)
        return Draft(kind=kind, id=id, event=event, data=data, timestamp=at, **parts)

    def tell(self, *drafts: Draft) -> None:
        """Tell these, if anybody may be listening."""
        if self.audience.is_there:
            self.audience.tell(drafts)

    # -----------------------------------------------------------------------------------------------------------

    def _about(self) -> dict[str, Any]:
        return {"runId": self.run.id, "scope": self.scope}

    def _end(self, event: str, data: dict[str, Any]) -> None:
        if not self._has_begun:
            return
        run_id = self.run.id
        self.tell(self.draft("end", f"{run_id}:ended", event, data, run=run_id))
        if self._is_outermost:
            end = {"scope": self.scope, "messageId": self.message_id}
            self.tell(self.draft("once", f"{run_id}:stream", "stream.ended", end))

    async def _handed_on(self) -> None:
        if self._delivery is not None:
            await self.audience.outlet.handed_on()
            await self._delivery.end()
