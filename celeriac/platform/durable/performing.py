"""Performing: what a process of another queue does with a placed step: claims it, runs its body, commits it.

`tasks/perform.py` calls it in each process of a `cpu` worker, the harness in its own. A body is a plain function or a
coroutine function; either has the thread to itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from celeriac.platform.codec import Uncodable, encode, encode_within, storable
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.memo import AttemptFailed, StepDone, Wait
from celeriac.platform.durable.patience import patiently
from celeriac.platform.durable.placed import PlacedClaim, Process
from celeriac.platform.durable.retry import next_retry
from celeriac.platform.durable.store import Store
from celeriac.platform.durable.time_limit import within
from celeriac.platform.flow.gate import Queued
from celeriac.platform.placement import Placement, load
from celeriac.platform.signature import is_async

log = logging.getLogger(__name__)

Delays = Callable[..., timedelta | None]


def perform(
    store: Store,
    run_id: str,
    path: str,
    process: Process,
    conduct: Conduct,
    *,
    token: int | None = None,
    admit: Callable[[Queued], bool] = lambda _: True,
) -> Performed | None:
    """Perform one attempt of a placed step; None where there was nothing to do: the message was old or doubled.

    `admit` is told of the slot that it has to hold at the gate from its claim on, and says whether it does: a step
    whose message took so long that others have it by now stands in its lane again.
    """
    claim = patiently(store.claim_placed, run_id, path, process, token=token)
    if claim is None:
        return None
    if not admit(claim.queued):
        queued = patiently(store.turn_back_placed, claim)
        return Performed(claim.queued, [] if queued is None else [queued])
    try:
        woken = _attempt(store, claim, conduct)
    except Exception:
        log.exception("Step %r of run %s could not be performed; another process tries", path, run_id)
        return Performed(claim.queued, patiently(store.give_back_placed, [claim]))
    if woken is None:
        log.warning("Step %r of run %s was performed in vain: nobody waits for it any more", path, run_id)
    return Performed(claim.queued, woken or [])


def _attempt(store: Store, claim: PlacedClaim, conduct: Conduct) -> list[Queued] | None:
    """Run the body once and commit what becomes of it."""
    placement = Placement.decode(claim.queue, claim.call)
    begun = patiently(store.now)
    try:
        fn, args = load(placement)
        value = within(placement.timeout, lambda: _call(fn, args))
        text = encode_within(value, conduct.max_output_bytes, f"The output of step {claim.path!r}")
    except Exception as error:  # noqa: BLE001  # user code may raise anything
        return _fail(store, claim, error, begun, _delays(placement, conduct))
    return patiently(store.commit_placed, claim, _done(claim, begun, patiently(store.now), value=text))


class Performed:
    """An attempt that was performed: the slot that it held, and the runs that are queued because of it."""

    def __init__(self, slot: Queued, woken: list[Queued]) -> None:
        """Hold both."""
        self.slot, self.woken = slot, woken


def _call(fn: Callable[..., Any], args: list[Any]) -> Any:
    return asyncio.run(fn(*args)) if is_async(fn) else fn(*args)


def _delays(placement: Placement, conduct: Conduct) -> Delays:
    """Return what says how long to wait after the failure of an attempt, or None where there is no other one."""
    retries = conduct.retries if placement.retries is None else placement.retries
    return partial(next_retry, retries=retries, fixed=conduct.retry_delay)


def _fail(store: Store, claim: PlacedClaim, error: Exception, begun: datetime, delays: Delays) -> list[Queued] | None:
    now = patiently(store.now)
    number = claim.failed + 1
    told = encode({"name": type(error).__name__, "message": storable(str(error))[:10_000]})
    delay = delays(error, failed=number, now=now)
    if delay is None or isinstance(error, Uncodable):
        return patiently(store.commit_placed, claim, _done(claim, begun, now, error=told))
    again = AttemptFailed(
        run_id=claim.run_id,
        tenant_id=claim.tenant_id,
        fence=0,
        path=claim.path,
        number=number,
        error=told,
        started_at=begun,
        ended_at=now,
        wait=Wait(path=claim.path, kind="retry", number=number, wake_at=now + delay),
    )
    return [] if patiently(store.retry_placed, claim, again) else None


def _done(
    claim: PlacedClaim, begun: datetime, now: datetime, *, value: str | None = None, error: str | None = None
) -> StepDone:
    return StepDone(
        run_id=claim.run_id,
        tenant_id=claim.tenant_id,
        fence=0,  # a placed step is committed by its token
        path=claim.path,
        kind="run",
        value=value,
        error=error,
        started_at=begun,
        ended_at=now,
        attempt=claim.failed + 1,
    )
