"""The budget: what a network's run may use before it is stopped.

Looked at before each model call, so that it is overspent by the calls under way and no more. What goes on at once does
not see what the others use: a replay could not find again what each of them saw.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from celeriac.clock import Duration, duration
from celeriac.errors import ConfigError, StepError
from celeriac.platform.message import NOTHING, Usage


@dataclass(frozen=True, kw_only=True)
class Budget:
    """At most so many turns, tokens (input and output), US dollars, and so much time since the start."""

    turns: int | None = None
    tokens: int | None = None
    cost_usd: float | None = None
    time: Duration | None = None

    def __post_init__(self) -> None:
        """Raise `ConfigError` for a limit that nothing could keep."""
        limits = (self.turns, self.tokens, self.cost_usd, None if self.time is None else self.seconds)
        if all(limit is None for limit in limits) or any(limit is not None and not limit > 0 for limit in limits):
            raise ConfigError("Budget needs at least one of turns=, tokens=, cost_usd=, time=, each more than 0")

    @property
    def seconds(self) -> float:
        """The time in seconds; infinite where there is no limit."""
        return float("inf") if self.time is None else duration(self.time).total_seconds()

    def excess(self, *, turns: int, usage: Usage, since: timedelta) -> str | None:
        """Return which limit is reached, in words; None where another model call may be made."""
        tokens = usage.input_tokens + usage.output_tokens
        if self.turns is not None and turns >= self.turns:
            return f"{turns} of {self.turns} turns are taken"
        if self.tokens is not None and tokens >= self.tokens:
            return f"{tokens} of {self.tokens} tokens are used"
        if self.cost_usd is not None and usage.cost_usd >= self.cost_usd:
            return f"{usage.cost_usd:.4f} of {self.cost_usd:.4f} US dollars are spent"
        if since.total_seconds() >= self.seconds:
            return f"{since.total_seconds():.0f} of {self.seconds:.0f} seconds have passed"
        return None


@dataclass(frozen=True, kw_only=True)
class Spending:
    """A budget with the moment from which its time counts."""

    budget: Budget
    started_at: datetime


class Used:
    """What a turn, a tool call or a router's decision has used, with the runs and model calls inside it."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.usage = NOTHING

    def add(self, usage: Usage) -> None:
        """Add what something inside has come to."""
        self.usage += usage


def spent_by(used: Used, error: BaseException) -> Usage:
    """Return what a step used that has failed: as it is remembered with its error, else as far as it came here."""
    remembered = error.usage if isinstance(error, StepError) else None
    return used.usage if remembered is None else Usage.parse(remembered)
