"""The scripted model: answers what the test wrote down, and fails on what it did not expect."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from celeriac.errors import NonRetriableError
from celeriac.platform.message import ToolCall, Usage
from celeriac.platform.models.delta import CallDelta, Delta, ReasoningDelta, TextDelta, UsageDelta, deltas_of
from celeriac.platform.models.model import ModelReply, ModelRequest


@dataclass(frozen=True)
class Reply:
    """One scripted answer; made by `say`, `call` and `calls`."""

    text: str = ""
    tool_calls: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    reasoning: str = ""
    #: what ends the reply before it is whole
    error: Exception | None = None


#: an answer: a text, a reply, an error to raise, or a function of the request
Line = str | Reply | Exception | Callable[[ModelRequest], "str | Reply"]


def say(text: str, *, reasoning: str = "", error: Exception | None = None) -> Reply:
    """Answer with a text, and with what was thought before it; with `error` a stream breaks after these pieces."""
    return Reply(text=text, reasoning=reasoning, error=error)


def call(tool: str, /, **arguments: Any) -> Reply:
    """Answer with a call of one tool."""
    return Reply(tool_calls=((tool, arguments),))


def calls(*replies: Reply) -> Reply:
    """Answer with several tool calls at once."""
    return Reply(tool_calls=tuple(itertools.chain.from_iterable(reply.tool_calls for reply in replies)))


class ScriptEnded(NonRetriableError, AssertionError):
    """A model was asked more than its script has; no retry can help."""


class ScriptedModel:
    """A model that follows a script: one list for all, or one for each agent by name.

    A request that the script has no line for raises `AssertionError` with the agent's name; `assert_done` raises it
    for lines that nobody asked for, as the end of `with model:` does. `requests` holds what was asked, in order. As a
    stream, each text and all arguments come in `pieces`.
    """

    provider = "scripted"
    name = "script"

    def __init__(
        self, script: Sequence[Line] | Mapping[str, Sequence[Line]], *, delay: float = 0.0, pieces: int = 1
    ) -> None:
        """Take the lines; each answer comes after `delay` seconds."""
        by_agent = script if isinstance(script, Mapping) else {"": script}
        self._lines = {agent: list(lines) for agent, lines in by_agent.items()}
        self._is_for_all = not isinstance(script, Mapping)
        self._delay = delay
        self._pieces = pieces
        self._ids = itertools.count(1)
        self.requests: list[ModelRequest] = []

    def __enter__(self) -> Self:
        """Expect all lines to be asked for by the end of the block."""
        return self

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        """Do as `assert_done` where nothing else went wrong."""
        if failed is None:
            self.assert_done()

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer with the next line."""
        reply, error = await self._next(request)
        if error is not None:
            raise error
        return reply

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        """Answer with the next line, in pieces."""
        reply, error = await self._next(request)
        for delta in deltas_of(reply):
            if error is None or not isinstance(delta, UsageDelta):
                for piece in _cut(delta, self._pieces):
                    yield piece
        if error is not None:
            raise error
        yield reply

    async def _next(self, request: ModelRequest) -> tuple[ModelReply, Exception | None]:
        self.requests.append(request)
        lines = self._lines.get("" if self._is_for_all else request.agent)
        if not lines:
            raise ScriptEnded(f"The script has no line left for agent {request.agent!r}")
        line = lines.pop(0)
        if self._delay:
            await asyncio.sleep(self._delay)
        if isinstance(line, Exception):
            raise line
        said = line if isinstance(line, str | Reply) else line(request)
        reply = Reply(text=said) if isinstance(said, str) else said
        return self._answer(reply), reply.error

    def _answer(self, reply: Reply) -> ModelReply:
        made = tuple(
            ToolCall(id=f"call_{next(self._ids)}", name=name, input=dict(arguments))
            for name, arguments in reply.tool_calls
        )
        return ModelReply(
            model=self.name,
            text=reply.text,
            reasoning=reply.reasoning,
            tool_calls=made,
            finish_reason="tool" if made else "stop",
            usage=Usage(model_calls=1, input_tokens=10, output_tokens=5),
        )

    def assert_done(self) -> None:
        """Raise `AssertionError` where the script has lines that nobody asked for."""
        left = {agent or "all agents": len(lines) for agent, lines in self._lines.items() if lines}
        if left:
            raise AssertionError(f"The script has lines left: {left}")


def _cut(delta: Delta, pieces: int) -> Iterator[Delta]:
    """Tell one piece in several, as providers do."""
    match delta:
        case TextDelta(text=text) | ReasoningDelta(text=text):
            yield from (replace(delta, text=part) for part in _parts(text, pieces))
        case CallDelta(arguments=arguments):
            yield from (replace(delta, arguments=part) for part in _parts(arguments, pieces))
        case _:
            yield delta


def _parts(text: str, pieces: int) -> Iterator[str]:
    size = max(1, -(-len(text) // max(1, pieces)))
    for start in range(0, len(text), size):
        yield text[start : start + size]
