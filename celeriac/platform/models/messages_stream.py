"""An Anthropic message put together from the events of its stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from celeriac.platform.models import wire
from celeriac.platform.models.delta import CallDelta, Delta, ReasoningDelta, TextDelta


class MessageAssembler:
    """Takes events in; the pieces of a tool's input are parsed at its end."""

    def __init__(self, forced_tool: str = "") -> None:
        """Start with nothing said; the input of `forced_tool` is the reply's text."""
        self._forced_tool = forced_tool
        self._message: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._inputs: dict[int, str] = {}
        #: the blocks that are tool calls for the reader, in order
        self._calls: list[int] = []
        self._is_complete = False

    @property
    def is_complete(self) -> bool:
        """Whether `message_stop` came."""
        return self._is_complete

    def feed(self, event: Mapping[str, Any]) -> Iterator[Delta]:
        """Take an event in."""
        index = event.get("index") or 0
        match event.get("type"):
            case "message_start":
                self._message = dict(event.get("message") or {})
            case "content_block_start":
                yield from self._begin(index, dict(event.get("content_block") or {}))
            case "content_block_delta":
                yield from self._go_on(index, event.get("delta") or {})
            case "message_delta":
                usage = (self._message.get("usage") or {}) | _given(event.get("usage"))
                self._message |= dict(event.get("delta") or {}) | {"usage": usage}
            case "message_stop":
                self._is_complete = True
            case _:
                pass  # pings, and events that are newer than we are

    def body(self) -> dict[str, Any]:
        """Return the whole message."""
        content = [self._blocks[index] | self._input(index) for index in sorted(self._blocks)]
        return self._message | {"content": content}

    def _begin(self, index: int, block: dict[str, Any]) -> Iterator[Delta]:
        self._blocks[index] = block
        if block.get("type") != "tool_use" or block.get("name") == self._forced_tool:
            if text := block.get("text"):
                yield TextDelta(text=text)
            return
        self._calls.append(index)
        yield self._call(index)

    def _go_on(self, index: int, delta: Mapping[str, Any]) -> Iterator[Delta]:
        block = self._blocks.setdefault(index, {"type": "text", "text": ""})
        match delta.get("type"):
            case "input_json_delta":
                piece = delta.get("partial_json") or ""
                self._inputs[index] = self._inputs.get(index, "") + piece
                if index in self._calls:
                    yield self._call(index, piece)
                elif block.get("name") == self._forced_tool and piece:
                    yield TextDelta(text=piece)
            case "citations_delta":
                block["citations"] = [*(block.get("citations") or ()), delta.get("citation")]
            case _:
                yield from self._grow(block, delta)

    @staticmethod
    def _grow(block: dict[str, Any], delta: Mapping[str, Any]) -> Iterator[Delta]:
        """Add to a block what its delta brings, whatever its kind: texts grow, everything else is set."""
        for key, value in delta.items():
            if key == "type":
                continue
            grows = isinstance(value, str) and isinstance(block.get(key), str) and key in ("text", "thinking")
            block[key] = block[key] + value if grows else value
            if key == "text" and value:
                yield TextDelta(text=value)
            elif key == "thinking" and value:
                yield ReasoningDelta(text=value)

    def _call(self, index: int, arguments: str = "") -> Delta:
        block, place = self._blocks[index], self._calls.index(index)
        return CallDelta(
            place=place, id=block.get("id") or f"call_{place}", name=block.get("name") or "", arguments=arguments
        )

    def _input(self, index: int) -> dict[str, Any]:
        """Return the input that came in pieces; what is no JSON, since the reply was cut short, stays text."""
        text = self._inputs.get(index, "")
        if not text.strip():
            return {}
        try:
            return {"input": wire.parsed_input(text)}
        except ValueError:
            return {"input": text}


def _given(usage: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in (usage or {}).items() if value is not None}
