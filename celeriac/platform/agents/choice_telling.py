"""What tells of a routing agent's turn: that it was asked, its steps, what it used, and how it ended.

Its replies and tool calls come as no parts: they are said to the network, and not to who talks with it.
"""

from __future__ import annotations

from typing import Any

from celeriac.platform.agents.live_reply import Listener
from celeriac.platform.agents.turn_telling import TurnTelling, error_message_id
from celeriac.platform.message import Message, ToolResult


class ChoiceTelling(TurnTelling):
    """Tells of one turn of a routing agent, as a run of its own with the mark `routing`."""

    #: `max_iter` has a number here always, and one that is reached means that nobody was chosen
    _has_limit = True

    def asked(self, prefill: str = "") -> Listener | None:
        """Tell that the model is asked; nobody hears the pieces of its reply."""
        super().asked(prefill)
        return None

    def _reply(self, message: Message, reasoning: str) -> None:
        if message.id == error_message_id(self._id):
            return
        step = self._model_step()
        self._replies += 1
        for state in ("started", "completed"):
            self._step(state, step, "model")

    def _answer(self, number: int, result: ToolResult) -> None:
        self._step("started", self._tool_step(number, result.name), "tool")
        self._tool_ended(number, result)

    def _of_run(self) -> dict[str, Any]:
        return {**super()._of_run(), "routing": True}
