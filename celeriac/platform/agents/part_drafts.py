"""The drafts of the parts of a turn: its texts, its reasoning, its tool calls and what they came to.

A part is opened, told in pieces, and done with its whole content. One that was told as it came is not told again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from celeriac.platform.streams.draft import LONGEST, Draft

#: by the type of a part, what its pieces are called
_DELTAS = {
    "text": "text.delta",
    "reasoning": "reasoning.delta",
    "tool-call": "tool_call.arguments.delta",
    "tool-output": "tool_call.output.delta",
}


class PartDrafts:
    """Makes the drafts of one turn's parts; it tells nobody."""

    def __init__(self, draft: Callable[..., Draft], agent: str, turn_id: str, run_id: str) -> None:
        """Take `Telling.draft`, and what each part says of its turn."""
        self._draft, self._agent, self._turn_id, self._run_id = draft, agent, turn_id, run_id
        #: the parts whose begin and pieces were told live
        self._live: set[str] = set()

    def opening(self, kind: str, part: str, place: tuple[str, str], *, name: str = "", call: str = "") -> Draft:
        """Return the draft that opens a part; `place` is its slot and its message."""
        slot, message = place
        data = {**self._about(kind, part), "metadata": self._metadata(name, call)}
        parts = {"part": part, "slot": slot, "message": message, "run": self._run_id}
        return self._draft("open", f"{part}:created", "part.created", data, **parts)

    def piece(self, kind: str, part: str, text: str, index: int, *, name: str = "") -> Draft:
        """Return the draft of a piece of a part."""
        data = {"partId": part, "messageId": self._turn_id, "delta": text}
        if kind == "tool-call" and not index:
            data["toolName"] = name
        return self._draft("more", f"{part}:{index}", _DELTAS[kind], data, part=part, index=index)

    def heard_live(self, part: str) -> None:
        """Note that a part was told as it came, so that its pieces are not made again."""
        self._live.add(part)

    def whole(
        self, kind: str, part: str, place: tuple[str, str], text: str, final: Any, *, name: str = "", call: str = ""
    ) -> list[Draft]:
        """Return the drafts of a part that is whole; of one that was told live its end alone."""
        data: dict[str, Any] = {**self._about(kind, part), "finalContent": final}
        if len(text) > LONGEST:
            data = {**self._about(kind, part), "truncated": True}
            text = text[:LONGEST]
        if name:
            data["metadata"] = self._metadata(name, call)
        done = self._draft("done", f"{part}:completed", "part.completed", data, part=part)
        if part in self._live:
            return [done]
        return [self.opening(kind, part, place, name=name, call=call), self.piece(kind, part, text, 0, name=name), done]

    def _about(self, kind: str, part: str) -> dict[str, Any]:
        return {"partId": part, "runId": self._run_id, "messageId": self._turn_id, "type": kind}

    def _metadata(self, name: str, call: str) -> dict[str, Any]:
        more = {"toolName": name} if name else {}
        return {"agentName": self._agent, **more, **({"callPartId": call} if call else {})}
