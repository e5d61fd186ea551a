"""Sending: what code outside of runs asks of the platform, in plain calls.

They reach the wiring by `importlib` at their first call. Each is for one tenant: the one named, inside a run the run's
own, else the deployment's default.
"""

from __future__ import annotations

import asyncio
import importlib
import itertools
import time
from collections.abc import Sequence
from typing import Any

from celeriac.clock import Duration, duration
from celeriac.errors import InvalidEventError, RefusedError
from celeriac.platform.approval import NO_PLAIN_SIGNAL, Decision, is_approval
from celeriac.platform.context import current_context
from celeriac.platform.durable.cancelling import cancel
from celeriac.platform.durable.function import Function
from celeriac.platform.event import Event
from celeriac.platform.run import Run
from celeriac.platform.step import as_events
from celeriac.platform.streams.chunk import Chunk
from celeriac.platform.streams.reading import read_chunks

#: how often a run is looked at while somebody waits for it: soon at first
_LOOKS = (0.01, 0.02, 0.05, 0.1, 0.25)


class Sending:
    """The verbs of an app for those who are outside of its runs."""

    def send(self, event: str | Event | Sequence[Event], data: Any = None, *, tenant: str | None = None) -> list[str]:
        """Send events from outside of a run, all or none; return their ids.

        `tenant` is the run's inside one, else the deployment's default. Inside a function use
        `ctx.step.send_event`, which sends once however often the code is replayed.
        """
        rooms = _rooms()
        accepted = rooms.intake.accept(self._tenant(tenant), as_events(event, data))
        return [one.id for one in accepted]

    async def send_async(
        self, event: str | Event | Sequence[Event], data: Any = None, *, tenant: str | None = None
    ) -> list[str]:
        """Send events from another event loop; as `send`."""
        sender = self._tenant(tenant)
        return await asyncio.to_thread(self.send, event, data, tenant=sender)

    def start(self, function: Function[..., Any], data: Any = None, *, tenant: str | None = None) -> Run:
        """Start exactly this function, whatever its triggers say; return its run.

        The data are the function's parameters. Debounce and batch do not hold such a run back. Raises `RefusedError`
        with the reason as its code when it may not start: the function is paused, its idempotency key is known, its
        rate limit is reached (`rate_limited`, with `retry_at`), or another run stands for its key (`singleton`).
        """
        rooms, sender = _rooms(), self._tenant(tenant)
        accepted = rooms.intake.start(sender, function.name, data)
        [run] = rooms.reads.event_runs(sender, accepted.id)
        if run.status == "skipped":
            message = f"Function {function.name!r} does not start now: {run.reason}"
            raise RefusedError(message, code=run.reason, retry_at=run.retry_at)
        return run  # type: ignore[no-any-return]

    def wait(self, run_id: str, *, timeout: Duration, tenant: str | None = None) -> Run:
        """Return a run once it has ended, or as it stands when the time is up; a failed run raises nothing.

        Blocks its thread. Raises `NotFoundError` where there is no such run.
        """
        until = time.monotonic() + duration(timeout).total_seconds()
        looks = itertools.chain(_LOOKS, itertools.repeat(_LOOKS[-1]))
        run = self.get_run(run_id, tenant=tenant)
        while not run.is_final and (left := until - time.monotonic()) > 0:
            time.sleep(min(next(looks), left))
            run = self.get_run(run_id, tenant=tenant)
        return run

    def signal(self, name: str, data: Any = None, *, tenant: str | None = None) -> bool:
        """Give a signal to the run that waits for it; return whether there was one. A signal nobody awaits is gone."""
        if is_approval(name):
            raise InvalidEventError(NO_PLAIN_SIGNAL)
        rooms = _rooms()
        signalled = rooms.store.signal(self._tenant(tenant), name, data)
        rooms.dispatcher.dispatch(signalled.queued)
        return bool(signalled.is_awaited)

    def approve(
        self,
        run_id: str,
        call_id: str,
        *,
        approved: bool = True,
        reason: str | None = None,
        by: str | None = None,
        tenant: str | None = None,
    ) -> bool:
        """Approve or deny a tool call that waits for a person; return whether this decision counts.

        `call_id` is the id of the request, the path of the step, the id of the call in a stream (`partId`), or that of
        its provider. A call is decided once: afterwards, and for a call that does not wait, the answer is False. The
        model is told the `reason` of a denial. Raises `NotFoundError` where there is no such run.
        """
        decision = Decision(approved=approved, reason=reason, by=by)
        is_decided: bool = _rooms().operator.approve(self._tenant(tenant), run_id, call_id, decision)
        return is_decided

    def get_run(self, run_id: str, *, tenant: str | None = None) -> Run:
        """Return a run as it stands; raise `NotFoundError`."""
        run: Run = _rooms().reads.run(self._tenant(tenant), run_id)
        return run

    def chunks(self, run_id: str, *, after: int = -1, tenant: str | None = None) -> list[Chunk]:
        """Return what a run has told behind that number, in order; raise `NotFoundError`.

        What a run told is kept for a while after its last word (`CELERIAC_STREAM_SECONDS`): the newest 10 000 chunks,
        and of them the newest 8 MiB (`CELERIAC_STREAM_BYTES`).
        """
        rooms, reader = _rooms(), self._tenant(tenant)
        return read_chunks(rooms.stream, rooms.reads.run(reader, run_id), after=after)

    def runs(self, *, event_id: str, tenant: str | None = None) -> list[Run]:
        """Return the runs that an event started."""
        runs: list[Run] = _rooms().reads.event_runs(self._tenant(tenant), event_id)
        return runs

    def cancel(self, run_id: str, *, tenant: str | None = None) -> bool:
        """Ask a run to end; return whether it had not ended before."""
        rooms = _rooms()
        run = cancel(rooms.store, rooms.gate, self._tenant(tenant), run_id, stream=rooms.stream)
        return run.status == "cancelled" or not run.is_final

    def _tenant(self, given: str | None) -> str:
        ctx = current_context()
        if given is None and ctx is not None and ctx.step.durable:
            return ctx.run.tenant_id
        tenant: str = importlib.import_module("celeriac.wiring").tenant_of_sender(given)
        return tenant


def _rooms() -> Any:
    return importlib.import_module("celeriac.wiring").installation()
