"""The prompt: what one model call is about to be given, for hooks to change."""

from __future__ import annotations

from collections.abc import Sequence

from celeriac.platform.message import NOTHING, Message


class Prompt:
    """System prompt, history and new input of one model call; made anew for each call.

    Change it in place: nothing of it reaches the state or the next call. The input stands where it was said: before
    what the agent itself has said since, in this run, and after everything else.
    """

    def __init__(
        self, *, system: str, history: Sequence[Message], input: Message, own: Sequence[Message] = (), prefill: str = ""
    ) -> None:
        """Take what was said before the input, and what the agent has said since."""
        self.system = system
        #: everything that was said but for the input, the agent's own words since then last
        self.history = [*history, *own]
        self.input = input
        #: how the reply must begin
        self.prefill = prefill
        #: what model calls used that a window or a hook made for it; counted as the turn's
        self.usage = NOTHING
        #: why the call is to be skipped; None: it is made
        self.stopped: str | None = None
        self._own = {id(message) for message in own}

    def stop(self, why: str = "stopped") -> None:
        """Skip the call and end the turn with what there is."""
        self.stopped = why

    @property
    def before(self) -> list[Message]:
        """What stands before the input."""
        return [message for message in self.history if id(message) not in self._own]

    @property
    def since(self) -> list[Message]:
        """What the agent itself has said since the input, with the results of its tools."""
        return [message for message in self.history if id(message) in self._own]

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation as the model gets it; an input that says nothing is left out."""
        is_said = bool(self.input.text or self.input.attachments)
        return (*self.before, *([self.input] if is_said else ()), *self.since)
