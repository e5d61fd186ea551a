"""A reply of a model while it is being said: what tells its pieces."""

from __future__ import annotations

from collections.abc import Callable

from celeriac.platform.agents.part_drafts import PartDrafts
from celeriac.platform.codec import storable
from celeriac.platform.models.delta import CallDelta, Delta, ReasoningDelta, TextDelta

#: hears the pieces of a reply, each with the id of its message
Listener = Callable[[str, Delta], None]


class LiveReply:
    """Tells the pieces of a reply while it is being said; another message id begins it anew."""

    def __init__(self, parts: PartDrafts, hand_out: Callable[..., None], slot: str, prefill: str) -> None:
        """Tell by `hand_out`; `prefill` is what the reply goes on from, which no piece has."""
        self._parts, self._hand_out, self._slot, self._prefill = parts, hand_out, slot, prefill
        self._id = ""
        self._indexes: dict[str, int] = {}

    def hear(self, id: str, delta: Delta) -> None:
        """Tell a piece of the message of that id."""
        if id != self._id:
            self._id, self._indexes = id, {}
        match delta:
            case TextDelta(text=text):
                first = self._prefill if f"{id}:text" not in self._indexes else ""
                self._tell("text", f"{id}:text", first + storable(text))
            case ReasoningDelta(text=text):
                self._tell("reasoning", f"{id}:reasoning", storable(text))
            case CallDelta():
                self._tell(
                    "tool-call", f"{id}:call-{delta.place}", storable(delta.arguments), name=storable(delta.name)
                )
            case _:
                pass

    def _tell(self, kind: str, part: str, text: str, *, name: str = "") -> None:
        drafts = []
        index = self._indexes.get(part)
        if index is None:
            drafts.append(self._parts.opening(kind, part, (self._slot, self._id), name=name))
            index = 0
        if text:
            drafts.append(self._parts.piece(kind, part, text, index, name=name))
            index += 1
            self._parts.heard_live(part)
        self._indexes[part] = index
        self._hand_out(*drafts)
