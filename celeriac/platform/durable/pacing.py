"""Pacing: calls of models of one link, kept to what the run's tenant may ask of the provider.

Before each attempt of a call the kernel comes here. Where there is no room the branch stands still at a Wait, as for a
retry, but that it is no attempt: no thread is held, and the run is woken when its turn has come. Its place in the line
of the limit is a ticket that stands in the Wait, so that it is kept whenever the run comes back. What a call has used
is settled after it. In a plain script nobody comes here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from celeriac.errors import ModelError
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.record import Record
from celeriac.platform.durable.waiting import Waiting
from celeriac.platform.flow.meter import Meter, Toll
from celeriac.platform.kernel import Call

#: what stands behind a step's path in that of its wait; no id has it
_MARK = "/~limits"


class Pacing:
    """Lets the calls of one link through, one tenant's and provider's after another."""

    def __init__(self, record: Record, waiting: Waiting, meter: Meter | None) -> None:
        """Ask the meter; without one nothing is limited."""
        self._record, self._waiting, self._meter = record, waiting, meter
        self._tenant_id = record.claim.run.tenant_id
        #: paths of waits whose turn was used
        self._used: set[str] = set()

    async def admit(self, call: Call) -> None:
        """Return once the call may be made: what it takes by estimate is taken. Raises `BudgetExceeded`."""
        meter, toll = self._meter, call.toll
        if meter is None or toll is None:
            return
        path = f"{call.path}{_MARK}"
        wait = self._record.replay.waits.get(path)
        if wait is None and meter.is_surely_free(self._tenant_id):
            return
        self._record.replay.ask(path)
        if wait is not None and path not in self._used:
            await self._waiting.stand_still(wait)
        ticket = None if path in self._used else self._ticket(call, wait)
        while True:
            later = await self._record.in_thread(partial(meter.reserve, self._tenant_id, toll, ticket=ticket))
            if later is None:
                self._used.add(path)
                return
            self._used.discard(path)
            ticket = later.ticket
            number = 1 if wait is None else wait.number + 1
            until = self._record.clock.now() + later.after
            # `match_path` says what it waits for, and `match_value` is its ticket: no event could match them
            wait = Wait(
                path=path,
                kind="limit",
                number=number,
                wake_at=until,
                match_path=later.name,
                match_value=None if ticket is None else str(ticket),
            )
            await self._record.begin(wait)
            await self._waiting.stand_still(wait)

    def settle(self, call: Call, value: Any) -> None:
        """Put right what was taken by estimate, beside the run."""
        if call.toll is not None and call.usage is not None:
            usage = call.usage(value)
            self._settle(call.toll, usage.input_tokens + usage.output_tokens)

    def settle_failed(self, call: Call, error: Exception) -> None:
        """Give back the tokens of a call that the provider refused; of others nobody knows what they used."""
        if isinstance(error, ModelError) and error.status is not None:
            self._settle(call.toll, 0)

    def _settle(self, toll: Toll | None, used: int) -> None:
        meter = self._meter
        if meter is not None and toll is not None and not meter.is_surely_free(self._tenant_id):
            self._record.executor.submit(meter.settle, self._tenant_id, toll, used)

    def _ticket(self, call: Call, wait: Wait | None) -> int | None:
        """Return the place that the call has in the line; an attempt that follows one which was made has none yet."""
        if wait is None or wait.match_value is None:
            return None
        provider = (wait.match_path or "").rpartition(":")[0]
        retry = self._record.replay.waits.get(call.path)
        was_used = retry is not None and retry.wake_at >= wait.wake_at
        is_elsewhere = call.toll is None or provider != call.toll.provider
        return None if was_used or is_elsewhere else int(wait.match_value)


def step_of(path: str) -> str:
    """Return the path of the step that the wait at this path holds up."""
    return path.removesuffix(_MARK)
