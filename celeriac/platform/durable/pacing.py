"""Pacing: calls of models of one link, kept to what the run's tenant may ask of the providers.

Each model that an attempt calls comes here first (`models/pace.py`). Where there is no room the branch stands still at
a Wait, as for a retry, but that it is no attempt: no thread is held, and the run is woken when its turn has come. The
wait remembers which model of a chain it is for, so that those before it are not asked again, and its ticket: the place
in the line of the limit, which is kept whenever the run comes back. What a call has used is settled after it. In a
plain script nobody comes here.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from celeriac.errors import ModelError
from celeriac.platform.codec import encode, storable
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.record import Record
from celeriac.platform.durable.waiting import Waiting
from celeriac.platform.flow.meter import Meter, Toll
from celeriac.platform.message import Usage
from celeriac.platform.models.pace import Pace, Stand

#: what stands behind a step's path in that of its wait; no id has it
_MARK = "/~limits"

#: how much of a failure's text is remembered over a wait, in characters
_LONGEST_WORDS = 500


class Pacing:
    """Lets the calls of one link through, one tenant's and provider's after another."""

    def __init__(self, record: Record, waiting: Waiting, meter: Meter | None) -> None:
        """Ask the meter; without one nothing is limited."""
        self._record, self._waiting, self._meter = record, waiting, meter
        self._tenant_id = record.claim.run.tenant_id
        #: paths of waits whose turn was used
        self._used: set[str] = set()
        #: by step, when the first model of its attempt was let through
        self._begun: dict[str, datetime] = {}

    def of(self, path: str) -> Pace | None:
        """Return what lets the calls of one attempt of a step through; None where nothing is limited."""
        meter = self._meter
        if meter is None:
            return None
        if f"{path}{_MARK}" not in self._record.replay.waits and meter.is_surely_free(self._tenant_id):
            return None
        return _AttemptPace(self, path)

    def begun(self, path: str, default: datetime) -> datetime:
        """Return when the step's attempt began to do something other than to wait for its turn."""
        return self._begun.pop(path, default)

    def failed_attempts(self, path: str) -> int:
        """Return how many attempts of the step have failed."""
        wait = self._record.replay.waits.get(path)
        return wait.number if wait is not None and wait.kind == "retry" else 0

    def wait_of(self, path: str) -> Wait | None:
        """Return the last wait of a call of the step."""
        return self._record.replay.waits.get(f"{path}{_MARK}")

    async def admit(self, path: str, toll: Toll, note: _Note) -> None:
        """Return once the call may be made: what it takes by estimate is taken. Raises `BudgetExceeded`."""
        meter, mark = self._meter, f"{path}{_MARK}"
        assert meter is not None
        wait = self._record.replay.waits.get(mark)
        self._record.replay.ask(mark)
        if wait is not None and not note.is_of(wait):
            self._used.add(mark)  # it was for another model, or another attempt
        if wait is not None and mark not in self._used:
            await self._waiting.be_held(wait)
        known = None if wait is None or mark in self._used else _Note.parse(wait)
        ticket = None if known is None else known.ticket
        while True:
            later = await self._record.in_thread(partial(meter.reserve, self._tenant_id, toll, ticket=ticket))
            if later is None:
                self._used.add(mark)
                self._begun.setdefault(path, self._record.clock.now())
                return
            self._used.discard(mark)
            ticket = later.ticket
            number = 1 if wait is None else wait.number + 1
            until = self._record.clock.now() + later.after
            # `match_path` says what it waits for, `match_value` for which model: no event could match them
            wait = Wait(
                path=mark,
                kind="limit",
                number=number,
                wake_at=until,
                match_path=later.name,
                match_value=replace(note, ticket=ticket).text(),
            )
            await self._record.begin(wait)
            await self._waiting.be_held(wait)

    def settle(self, toll: Toll, used: int) -> None:
        """Put right what was taken by estimate, beside the run."""
        meter = self._meter
        if meter is not None and not meter.is_surely_free(self._tenant_id):
            self._record.executor.submit(meter.settle, self._tenant_id, toll, used)


class _AttemptPace:
    """The pace of one attempt of one step."""

    def __init__(self, pacing: Pacing, path: str) -> None:
        self._pacing, self._path = pacing, path
        self._attempt = pacing.failed_attempts(path)
        self._toll: Toll | None = None
        wait = pacing.wait_of(path)
        note = None if wait is None else _Note.parse(wait)
        self.stand = note.stand if note is not None and note.attempt == self._attempt else Stand()

    async def admit(self, stand: Stand, provider: str, tokens: int) -> None:
        self._toll = None
        toll = Toll(provider=provider, tokens=tokens)
        await self._pacing.admit(self._path, toll, _Note(self._attempt, stand))
        self._toll = toll

    def failed(self, error: ModelError) -> None:
        if self._toll is not None and error.status is not None:
            self._pacing.settle(self._toll, 0)

    def answered(self, usage: Usage) -> None:
        if self._toll is not None:
            self._pacing.settle(self._toll, usage.input_tokens + usage.output_tokens)


@dataclass(frozen=True)
class _Note:
    """What a wait remembers of the call that it holds up."""

    #: how many attempts had failed before this one
    attempt: int
    stand: Stand
    #: its place in the line of the limit
    ticket: int | None = None

    def is_of(self, wait: Wait) -> bool:
        """Whether the wait is for this model, in this attempt."""
        other = _Note.parse(wait)
        return other is None or (other.attempt, other.stand.place) == (self.attempt, self.stand.place)

    def text(self) -> str:
        """Return it as JSON text."""
        failures = [_exported(error) for error in self.stand.failures]
        facts = {"attempt": self.attempt, "place": self.stand.place, "failures": failures, "ticket": self.ticket}
        return encode(storable(facts))

    @classmethod
    def parse(cls, wait: Wait) -> _Note | None:
        """Read it back; None where the wait was made by an older version, which knew no more than its call."""
        if wait.match_value is None:
            return None
        given = json.loads(wait.match_value)
        failures = tuple(ModelError(**failure) for failure in given["failures"])
        return cls(given["attempt"], Stand(place=given["place"], failures=failures), given["ticket"])


def _exported(error: ModelError) -> dict[str, Any]:
    wish = error.retry_after
    return {
        "message": error.message[:_LONGEST_WORDS],
        "kind": error.kind,
        "status": error.status,
        "retry_after": wish if wish is not None and math.isfinite(wish) else None,
        "request_id": error.request_id,
    }


def step_of(path: str) -> str:
    """Return the path of the step that the wait at this path holds up."""
    return path.removesuffix(_MARK)
