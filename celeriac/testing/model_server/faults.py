"""What goes wrong on purpose: error statuses, hangs, cut connections and extra latency, drawn by a seed.

A test gives a `Faults` value to the server or posts one to `/_control`; the server asks its `FaultPlan` once for each
model request. This module decides only; it must never sleep or touch a connection.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from celeriac.errors import ConfigError
from celeriac.testing.model_server.wire import Refusal

#: An HTTP status from 400 up, `ok` (answer), `hang` (never answer), `cut` (close the connection without an answer) or
#: `half` (cut it in the middle of a stream; without an answer where none was asked for).
Outcome = Annotated[int, Field(ge=400, le=599)] | Literal["ok", "hang", "cut", "half"]

#: Statuses that tell the caller when to come back.
_PATIENT_STATUSES = (429, 503, 529)


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Faults of the coming model requests. Equal values give equal sequences of outcomes, in order of arrival."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    #: The outcomes of the next requests, one each, before any is drawn.
    script: tuple[Outcome, ...] = ()
    #: The probability of each outcome after the script; what is left of 1 is answered.
    rates: Mapping[Outcome, Annotated[float, Field(ge=0, le=1)]] = field(default_factory=dict)
    #: Sent with 429, 503 and 529; None leaves the header out.
    retry_after: timedelta | None = timedelta(seconds=1)
    #: Added to the server's latency.
    delay: timedelta = timedelta(0)
    #: Up to this much more, evenly drawn.
    jitter: timedelta = timedelta(0)
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What happens to one request."""

    outcome: Outcome
    delay: timedelta


class FaultPlan:
    """The sequence of fates that a `Faults` value stands for; not thread-safe, the server's loop owns it."""

    def __init__(self, faults: Faults) -> None:
        """Start the sequence at its beginning."""
        self.faults = faults
        self._random = random.Random(faults.seed)
        self._script = list(reversed(faults.script))

    def next(self) -> Fate:
        """The fate of the next request."""
        outcome = self._script.pop() if self._script else self._draw()
        return Fate(outcome=outcome, delay=self.faults.delay + self.faults.jitter * self._random.random())

    def refusal(self, status: int) -> Refusal:
        """The error answer of an outcome that is a status."""
        patience = self.faults.retry_after if status in _PATIENT_STATUSES else None
        seconds = None if patience is None else patience.total_seconds()
        return Refusal(status=status, message=f"Injected fault {status}.", retry_after=seconds)

    def _draw(self) -> Outcome:
        point = self._random.random()
        for outcome, rate in self.faults.rates.items():
            point -= rate
            if point < 0:
                return outcome
        return "ok"


_ADAPTER: TypeAdapter[Faults] = TypeAdapter(Faults)


def read_faults(raw: bytes) -> Faults:
    """Read the JSON of `/_control`; durations are seconds or ISO 8601. Raises `ConfigError` naming the bad field."""
    try:
        return _ADAPTER.validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"Faults cannot be read at {place or 'the body'!r}: {first['msg']}.") from error


def write_faults(faults: Faults) -> dict[str, Any]:
    """The JSON value that `read_faults` reads back."""
    written: dict[str, Any] = _ADAPTER.dump_python(faults, mode="json")
    return written
