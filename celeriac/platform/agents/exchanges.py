"""A prompt's history in units that windows drop or keep whole: never a tool's result without its call.

Pure. Before the input stand turns: what one agent said in a row, with the user's message before it. What the agent
itself has said since the input falls apart into replies, each with the results of its tool calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from celeriac.platform.agents.prompt import Prompt
from celeriac.platform.message import Message
from celeriac.platform.models.estimate import tokens_of


@dataclass(frozen=True, kw_only=True)
class Unit:
    """Messages that stay together."""

    messages: tuple[Message, ...]
    #: by estimate
    tokens: int
    #: what the agent needs to go on
    is_kept: bool = False

    @classmethod
    def of(cls, messages: Sequence[Message], *, is_kept: bool = False) -> Unit:
        """Count the tokens of messages."""
        return cls(messages=tuple(messages), tokens=tokens_of("", messages), is_kept=is_kept)


def units_of(before: Sequence[Message], since: Sequence[Message]) -> list[Unit]:
    """Return what stands before the input and what was said since in units, oldest first.

    The newest reply of the agent itself is kept in any case.
    """
    replies = _replies(since)
    return [
        *(Unit.of(turn) for turn in _turns(before)),
        *(Unit.of(reply, is_kept=number == len(replies)) for number, reply in enumerate(replies, 1)),
    ]


def tokens_beside(prompt: Prompt) -> int:
    """Return the tokens of what is always sent: the system prompt and the input."""
    return tokens_of(prompt.system, [prompt.input]) + tokens_of(prompt.prefill)


def _turns(messages: Sequence[Message]) -> list[list[Message]]:
    """Part messages before each of the user's, and where another agent begins."""
    turns: list[list[Message]] = []
    speaker: str | None = None
    for message in messages:
        says = message.agent if message.role == "assistant" else speaker
        is_another = message.role == "assistant" and speaker is not None and says != speaker
        if not turns or message.role in ("user", "system") or is_another:
            turns.append([])
            speaker = None
        turns[-1].append(message)
        speaker = message.agent if message.role == "assistant" else speaker
    return turns


def _replies(messages: Sequence[Message]) -> list[list[Message]]:
    """Part messages before each reply of the model and each message that is no tool's result."""
    replies: list[list[Message]] = []
    for message in messages:
        if not replies or message.role != "tool":
            replies.append([])
        replies[-1].append(message)
    return replies
