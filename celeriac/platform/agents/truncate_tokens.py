"""The window that leaves out the oldest of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from celeriac.errors import ConfigError
from celeriac.platform.agents.exchanges import Unit, tokens_beside, units_of
from celeriac.platform.agents.prompt import Prompt
from celeriac.platform.context import Context


class TruncateTokens:
    """A window of so many tokens, by estimate: whole turns are left out, the oldest first.

    The system prompt and the input are counted and always sent, and so is the agent's newest reply with the results of
    its tools; what is left for the rest may be nothing.
    """

    def __init__(self, max_tokens: int) -> None:
        """Raise `ConfigError` for a window that holds nothing."""
        if max_tokens < 1:
            raise ConfigError(f"TruncateTokens({max_tokens}) must be 1 or more")
        self.max_tokens = max_tokens

    async def __call__(self, ctx: Context[Any], prompt: Prompt) -> None:
        """Leave out of the history what does not fit."""
        kept = newest_within(units_of(prompt.before, prompt.since), self.max_tokens - tokens_beside(prompt))
        prompt.history = [message for unit in kept for message in unit.messages]


def newest_within(units: Sequence[Unit], tokens: int) -> list[Unit]:
    """Return the newest units that the tokens hold, without a gap, and those that are kept in any case."""
    left = tokens - sum(unit.tokens for unit in units if unit.is_kept)
    first = len(units)
    for place in range(len(units) - 1, -1, -1):
        left -= 0 if units[place].is_kept else units[place].tokens
        if left < 0 and not units[place].is_kept:
            break
        first = place
    return list(units[first:])
