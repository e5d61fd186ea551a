"""The dispatcher: takes runs that are queued in the truth to the Gate, and what the Gate picks to the fleet.

Ingest calls it after its commit, every link at its end, and the worker's tick in between. Redis and the broker are
hints: when they fail here the runs stay queued in the store, and reconcile finds them.

A paused tenant is held back here, whatever the gate is like: its runs stay queued in the store and stand in no lane,
until reconcile, which looks for such runs anyway, finds the tenant resumed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.admission import bind
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.durable.declared import Declared
from celeriac.platform.durable.store import Ingested
from celeriac.platform.flow.gate import Gate, Queued, TenantLimits

log = logging.getLogger(__name__)

#: the name under which the fleet knows the task of a link
ADVANCE = "celeriac.advance"
#: and that of a placed step
PERFORM = "celeriac.perform"

_BATCH = 100


class Links(Protocol):
    """What sends links to workers."""

    def publish(self, runs: Sequence[Queued]) -> None:
        """Send one message a run, each to its queue, as the next task of its chain."""
        ...

    def backlog(self, queue: str) -> int:
        """Return how many messages wait on the queue for a worker."""
        ...


class Dispatcher:
    """Joins the Gate to the broker; safe to share between threads."""

    def __init__(
        self,
        gate: Gate,
        links: Links,
        limits: Callable[[str], TenantLimits],
        declared: Callable[[], Declared] = lambda: Declared(()),
        *,
        is_paused: Callable[[str], bool] = lambda _: False,
    ) -> None:
        """Take the ways to a tenant's limits of the moment, to functions' limits, and to whether a tenant is paused."""
        self.gate = gate
        self._links = links
        self._limits = limits
        self._declared = declared
        self._functions: Mapping[str, Declaration] = {}
        self.is_paused = is_paused
        self._is_broken = False

    def dispatch(self, runs: Sequence[Queued]) -> None:
        """Put the runs into their lanes and send what may start now; never raises for a broken hint."""
        by_queue: dict[str, list[Queued]] = {}
        try:
            for run in self.bound([run for run in runs if not self.is_paused(run.tenant_id)]):
                by_queue.setdefault(run.queue, []).append(run)
        except StoreUnavailable:
            log.warning("The limits of tenants cannot be read; reconcile brings %d runs to the gate", len(runs))
        for queue, arriving in by_queue.items():
            self.send_picked(queue, arriving=arriving)

    def follow(self, ingested: Ingested) -> None:
        """Do for the Gate what came of events: runs that are queued by them, and runs that they cancelled."""
        self.forget(ingested.ended)
        self.dispatch(ingested.queued)

    def forget(self, run_ids: Sequence[str]) -> None:
        """Take runs that have ended out of their lanes; never raises for a broken hint."""
        try:
            for run_id in run_ids:
                self.gate.forget(run_id)
        except Exception as error:  # noqa: BLE001  # the gate is a hint; its slots end by time
            log.warning("The gate does not answer; it forgets %d runs by time: %s", len(run_ids), error)

    def send_picked(self, queue: str, *, ended: Sequence[Queued] = (), arriving: Sequence[Queued] = ()) -> int:
        """Free the slots of links that have ended, put what arrives into its lanes, and send what may start now.

        Returns how many were sent. Never raises for a broken hint.
        """
        sent = 0
        try:
            ended = [self._bound(link) for link in ended]
            while picked := self.gate.pick(queue, _BATCH, ended=ended, arriving=arriving):
                ended = arriving = ()
                going = self._without_paused(picked)
                if going:
                    self._links.publish(going)
                sent += len(going)
                if len(picked) < _BATCH and len(going) == len(picked):
                    break
            self._is_broken = False
        except Exception as error:
            # Said once an outage, as workers come by ten times a second; and without the traceback, which tells people
            # at a terminal nothing.
            if not self._is_broken:
                told = log.isEnabledFor(logging.DEBUG)
                log.warning(
                    "Nothing was sent to queue %r; reconcile brings what is missing: %r", queue, error, exc_info=told
                )
            self._is_broken = True
        return sent

    def learn(self, tenant_ids: Sequence[str]) -> None:
        """Tell the Gate the limits of these tenants as they are now, so that they bind what is queued at once."""
        told = [Queued(run_id="", tenant_id=one, queue="", fence=0, limits=self._limits(one)) for one in tenant_ids]
        if told:
            self.gate.learn(told)

    def started(self, run: Queued) -> bool:
        """Tell the Gate of a link that was claimed; return whether it may execute, as `Gate.started` does.

        Raises what the Gate raises while it does not answer.
        """
        return self.gate.started(self._bound(replace(run, limits=self._limits(run.tenant_id))))

    def bound(self, runs: Sequence[Queued]) -> list[Queued]:
        """Return the runs with the limits of their tenants and functions of the moment."""
        return [self._bound(replace(run, limits=self._limits(run.tenant_id))) for run in runs]

    def _bound(self, run: Queued) -> Queued:
        """Fill in the numbers of the function's limits; while the database is silent, those that were read last."""
        if not run.pools and run.pace is None:
            return run
        try:
            self._functions = self._declared().functions
        except StoreUnavailable:
            if not self._functions:
                raise
        return bind(run, self._functions.get(run.function))

    def proceed(self, run: Queued) -> bool:
        """Say whether the next link of the run may follow on its own chain; False: it stands in its lane."""
        try:
            run = self._bound(replace(run, limits=self._limits(run.tenant_id)))
            if self.is_paused(run.tenant_id):
                self.gate.release(run.run_id, run.fence - 1)
                return False
            return self.gate.proceed(run)
        except Exception:
            log.warning("The gate does not answer; run %s goes on without it", run.run_id, exc_info=True)
            return True

    def _without_paused(self, picked: Sequence[Queued]) -> list[Queued]:
        """Give back the slots of runs of paused tenants, which stood in their lanes before; return the other runs.

        What such a run holds from its start to its end stays.
        """
        going = []
        for run in picked:
            if self.is_paused(run.tenant_id):
                self.gate.release(run.run_id, run.fence)
            else:
                going.append(run)
        return going
