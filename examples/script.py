"""A model that says what is written down: what the examples run on where there is no key.

It stands behind Celeriac's model server, so that the real SDK asks it over HTTP. What it says follows from the request
alone: asked again after a crash, by any worker, it says the same again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

from celeriac import anthropic, openai
from celeriac.testing.model_server import ModelServer, Refusal, Respond, WireCall, WireReply, WireRequest, WireTurn
from celeriac.types import Model

Provider = Literal["openai", "anthropic"]
Answer = str | WireReply
#: an answer, or what makes one of the request
Line = Answer | Callable[[WireRequest], Answer]


def call(tool: str, /, **arguments: Any) -> WireReply:
    """Answer with a call of one tool."""
    return WireReply(tool_calls=[WireCall(name=tool, arguments=arguments)])


def calls(*replies: WireReply) -> WireReply:
    """Answer with several tool calls at once."""
    return WireReply(tool_calls=[made for reply in replies for made in reply.tool_calls])


def question_of(request: WireRequest) -> str:
    """Return what the user said last."""
    return request.messages[_place_of_question(request.messages)].text


class Part:
    """What one agent says to one kind of question, line by line, or by a function of the request."""

    def __init__(self, *cues: str, says: Line | Sequence[Line]) -> None:
        """Take texts that the system prompt and the question have between them; each must be there."""
        self.cues = cues
        self._lines = says

    def is_meant_by(self, request: WireRequest) -> bool:
        """Whether the request has all the cues."""
        heard = f"{request.system}\n{question_of(request)}"
        return all(cue in heard for cue in self.cues)

    def answer(self, request: WireRequest) -> WireReply | Refusal:
        """Say the line that is next after what has been said since the question."""
        line = self._line(request)
        if line is None:
            return Refusal(status=400, message=f"The script has no line left for {' and '.join(map(repr, self.cues))}")
        answer = line(request) if callable(line) else line
        return WireReply(text=answer) if isinstance(answer, str) else answer

    def _line(self, request: WireRequest) -> Line | None:
        if isinstance(self._lines, str | WireReply) or callable(self._lines):
            return self._lines
        since = request.messages[_place_of_question(request.messages) + 1 :]
        said = sum(turn.role == "assistant" for turn in since)
        return self._lines[said] if said < len(self._lines) else None


class Script:
    """The parts of all agents; what a model server calls for each request. The first part that is meant answers."""

    def __init__(self, *parts: Part) -> None:
        """Take the parts, special ones before general ones."""
        self.parts = parts

    def __call__(self, request: WireRequest) -> WireReply | Refusal:
        """Answer a request."""
        for part in self.parts:
            if part.is_meant_by(request):
                return part.answer(request)
        return Refusal(status=400, message=f"The script has no part for {request.system[:200]!r}")


@contextmanager
def model_that_says(script: Respond, like: Provider = "openai") -> Iterator[Model]:
    """Yield a model that asks the script, by the protocol of one provider, until the end of the block."""
    with ModelServer(script) as server:
        if like == "anthropic":
            yield anthropic("claude-haiku-4-5", base_url=server.anthropic_base_url, api_key="offline", max_tokens=1000)
        else:
            yield openai("gpt-4.1-mini", base_url=server.openai_base_url, api_key="offline")


def _place_of_question(turns: Sequence[WireTurn]) -> int:
    return max((place for place, turn in enumerate(turns) if turn.role == "user" and turn.text), default=0)
