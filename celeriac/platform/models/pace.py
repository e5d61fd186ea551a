"""The pace: how the calls of one request are kept to what its tenant may ask of the models' providers.

The engine's kernel gives one to each attempt of a call, and `Fallback` goes by it: it asks before each model that it
calls, and tells what came of it. A plain script has none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from celeriac.errors import ModelError
from celeriac.platform.message import Usage


@dataclass(frozen=True, kw_only=True)
class Stand:
    """How far an attempt has come along its models: the place of the one to ask, and how those before it failed."""

    place: int = 0
    failures: tuple[ModelError, ...] = ()


class Pace(Protocol):
    """Lets the models of one attempt through, one after another."""

    @property
    def stand(self) -> Stand:
        """Where the attempt goes on: at the model whose turn it has waited for, else at the first."""
        ...

    async def admit(self, stand: Stand, provider: str, tokens: int) -> None:
        """Return once the model at `stand` may be called; what it takes by estimate is taken.

        The run may park for it, and then goes on at `stand`. Raises `BudgetExceeded`.
        """
        ...

    def failed(self, error: ModelError) -> None:
        """Give back what a provider did not do that refused; of other failures nobody knows what they used."""
        ...

    def answered(self, usage: Usage) -> None:
        """Put right what was taken by estimate."""
        ...
