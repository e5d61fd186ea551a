"""A response put together from the events of its stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from celeriac.platform.models.delta import CallDelta, Delta, ReasoningDelta, TextDelta

#: the last events: each brings the whole response
_ENDS = ("response.completed", "response.incomplete")
_TEXTS = ("response.output_text.delta", "response.refusal.delta")
_THOUGHTS = ("response.reasoning_summary_text.delta", "response.reasoning_text.delta")


class ResponseAssembler:
    """Takes events in; the last one brings the whole response."""

    def __init__(self) -> None:
        """Start with nothing said."""
        self._response: dict[str, Any] | None = None
        self._items: dict[int, dict[str, Any]] = {}
        #: the calls that began: their place in the output, and the item
        self._calls: dict[int, Mapping[str, Any]] = {}

    @property
    def is_complete(self) -> bool:
        """Whether the whole response has come."""
        return self._response is not None

    def feed(self, event: Mapping[str, Any]) -> Iterator[Delta]:
        """Take an event in."""
        kind = event.get("type")
        index = event.get("output_index") or 0
        if kind in _ENDS:
            self._response = dict(event.get("response") or {})
        elif kind in _TEXTS:
            yield TextDelta(text=event.get("delta") or "")
        elif kind in _THOUGHTS:
            yield ReasoningDelta(text=event.get("delta") or "")
        elif kind == "response.output_item.added":
            item = event.get("item") or {}
            if item.get("type") == "function_call":
                self._calls[index] = item
                yield self._call(index)
        elif kind == "response.output_item.done":
            self._items[index] = dict(event.get("item") or {})
        elif kind == "response.function_call_arguments.delta" and index in self._calls:
            yield self._call(index, event.get("delta") or "")

    def body(self) -> dict[str, Any]:
        """Return the whole response."""
        response = self._response or {}
        # some who speak the protocol leave the items out of the last event
        return response | {"output": response.get("output") or [self._items[index] for index in sorted(self._items)]}

    def _call(self, index: int, arguments: str = "") -> Delta:
        item, place = self._calls[index], list(self._calls).index(index)
        return CallDelta(
            place=place, id=item.get("call_id") or f"call_{place}", name=item.get("name") or "", arguments=arguments
        )
