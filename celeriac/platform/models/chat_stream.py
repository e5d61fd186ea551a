"""A chat completion put together from its chunks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from celeriac.platform.models.delta import CallDelta, Delta, ReasoningDelta, TextDelta

#: the parts of a message that arrive in pieces
_TEXTS = ("content", "refusal", "reasoning_content", "reasoning")


class ChatAssembler:
    """Takes chunks in; only the first choice counts, as in a whole reply."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self._head: dict[str, Any] = {}
        self._message: dict[str, Any] = {"role": "assistant", "content": None}
        self._calls: list[dict[str, Any]] = []
        #: the place among the calls that each index of the stream stands for now
        self._places: dict[int, int] = {}
        self._choice: dict[str, Any] = {}
        self._is_done = False

    @property
    def is_complete(self) -> bool:
        """Whether the end was said; some who speak the protocol never send the closing mark."""
        return self._is_done or self._choice.get("finish_reason") is not None

    def feed(self, event: Mapping[str, Any]) -> Iterator[Delta]:
        """Take a chunk in."""
        if event.get("type") == "[DONE]":
            self._is_done = True
            return
        for key, value in event.items():
            if key not in ("choices", "obfuscation") and (value is not None or key not in self._head):
                self._head[key] = value
        choices = event.get("choices") or ()
        for choice in choices:
            if choice.get("index", 0) == 0:
                self._choice |= {"index": 0} | {
                    k: v for k, v in choice.items() if k != "delta" and (v is not None or k not in self._choice)
                }
                yield from self._take(choice.get("delta") or {})

    def body(self) -> dict[str, Any]:
        """Return the whole chat completion; without a choice where the stream had none, which is no reply."""
        message = self._message | ({"tool_calls": self._calls} if self._calls else {})
        choices = [self._choice | {"message": message}] if self._choice else []
        return self._head | {"object": "chat.completion", "choices": choices}

    def _take(self, delta: Mapping[str, Any]) -> Iterator[Delta]:
        for key, value in delta.items():
            if key == "tool_calls":
                for piece in value or ():
                    yield self._take_call(piece)
            elif key in _TEXTS and isinstance(value, str):
                self._message[key] = (self._message.get(key) or "") + value
                if value:
                    yield TextDelta(text=value) if key in ("content", "refusal") else ReasoningDelta(text=value)
            elif value is not None or key not in self._message:
                self._message[key] = value

    def _take_call(self, piece: Mapping[str, Any]) -> Delta:
        function = piece.get("function") or {}
        index = piece.get("index") or 0
        if index not in self._places or self._begins_another(self._calls[self._places[index]], piece):
            self._places[index] = len(self._calls)
            self._calls.append({"id": "", "type": "function", "function": {"name": "", "arguments": ""}})
        place = self._places[index]
        call = self._calls[place]
        call["id"] = piece.get("id") or call["id"]
        call["function"]["name"] = function.get("name") or call["function"]["name"]
        call["function"]["arguments"] += function.get("arguments") or ""
        call |= {key: value for key, value in piece.items() if key not in ("id", "index", "function") and value}
        return CallDelta(
            place=place,
            id=call["id"] or f"call_{place}",
            name=call["function"]["name"],
            arguments=function.get("arguments") or "",
        )

    @staticmethod
    def _begins_another(call: Mapping[str, Any], piece: Mapping[str, Any]) -> bool:
        """Whether a piece is a new call under an old index, as Gemini sends them, each whole in one piece."""
        name = (piece.get("function") or {}).get("name")
        return bool(name and call["function"]["name"]) and (not piece.get("id") or piece["id"] != call["id"])
