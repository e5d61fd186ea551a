"""The operator: the one door by which the web, the CLI and an app do something to runs from outside.

It does it in the truth first, and tells the Gate what follows.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from celeriac.errors import ConflictError, InvalidEventError, LimitError, NotFoundError
from celeriac.platform.approval import LONGEST_REASON, NO_PLAIN_SIGNAL, Decision, approval_signal, is_approval
from celeriac.platform.codec import Uncodable, encode_within
from celeriac.platform.durable.approvals import asked_calls, meant, open_approvals, refusal
from celeriac.platform.durable.asked import RunApproval
from celeriac.platform.durable.bulk import BulkAction, BulkKind, Count, check_bulk
from celeriac.platform.durable.dispatch import Dispatcher
from celeriac.platform.durable.operations import Operations
from celeriac.platform.durable.order import STEP_ORDER_CHANGED, order_signal
from celeriac.platform.durable.reads import FunctionView, Reads
from celeriac.platform.durable.rerun import Wish
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.durable.store import Signalled, Store
from celeriac.platform.run import Run
from celeriac.platform.step import LONGEST_SIGNAL


class Operator:
    """Acts on runs; safe to share between threads."""

    def __init__(
        self,
        store: Store,
        operations: Operations,
        reads: Reads,
        dispatcher: Dispatcher,
        *,
        max_event_bytes: int = 512 * 1024,
    ) -> None:
        """Take the truth in its parts and the way to the fleet; a signal's data may be as large as an event's."""
        self._store, self._operations, self._reads, self._dispatcher = store, operations, reads, dispatcher
        self._max_event_bytes = max_event_bytes

    def rerun(self, tenant_id: str, run_id: str, wish: Wish | None = None) -> Run:
        """Do an ended run again, and return the new run; as `Operations.rerun`.

        A wish that names the new run's id is done once: the run is returned where it is there.
        """
        wish = wish or Wish()
        if wish.run_id is not None:
            with suppress(NotFoundError):  # then it is made now
                return self._reads.run(tenant_id, wish.run_id)
        queued = self._operations.rerun(tenant_id, run_id, wish)
        self._dispatcher.dispatch([queued])
        return self._reads.run(tenant_id, queued.run_id)

    def resume(self, tenant_id: str, run_id: str, *, signal_id: str | None = None) -> Run:
        """Let a run go on that stands still because its code meets other steps than it remembers.

        With the id of the signal that does it, it is done once: the run is returned where that was given. Raises
        `ConflictError` for a run that does not stand still.
        """
        if signal_id is not None:
            with suppress(NotFoundError):  # then it is given now
                self._reads.event_runs(tenant_id, signal_id)
                return self._reads.run(tenant_id, run_id)
        run = self._reads.run(tenant_id, run_id)
        is_awaited = run.status == "parked" and run.reason == STEP_ORDER_CHANGED
        if not is_awaited or not self.signal(tenant_id, order_signal(run_id), id=signal_id).is_awaited:
            raise ConflictError(
                f"Run {run_id!r} does not stand still for a changed order of steps: it is {run.status}",
                code="run_not_stopped",
            )
        return self._reads.run(tenant_id, run_id)

    def signal(self, tenant_id: str, name: str, data: Any = None, *, id: str | None = None) -> Signalled:
        """Give a signal to the run that waits for it, if there is one; raise `InvalidEventError` for what is none.

        One that has an id is given once, as `Store.signal` says.
        """
        if not 0 < len(name) <= LONGEST_SIGNAL or not name.isprintable():
            raise InvalidEventError(f"A signal is a text of 1 to {LONGEST_SIGNAL} printable characters")
        if is_approval(name):
            raise InvalidEventError(NO_PLAIN_SIGNAL)
        return self._give(tenant_id, name, data, id=id)

    def _give(self, tenant_id: str, name: str, data: Any, *, id: str | None = None) -> Signalled:
        try:
            encode_within(data, self._max_event_bytes, "The data of a signal")
        except Uncodable as error:
            raise InvalidEventError(f"The data of a signal {error}") from error
        except LimitError as error:
            raise InvalidEventError(error.message, code="payload_too_large") from error
        signalled = self._store.signal(tenant_id, name, data, id=id)
        self._dispatcher.dispatch(signalled.queued)
        return signalled

    def approve(self, tenant_id: str, run_id: str, call_id: str, decision: Decision) -> bool:
        """Decide on a tool call that waits for a person; return whether this is the decision that counts.

        `call_id` is the id of the request, the path of the step, the id of the call in a stream, or that of its
        provider. False where no such call is open (any more). Raises `NotFoundError` for an unknown run, and
        `ConflictError` where several are meant.
        """
        return self._decide(tenant_id, run_id, call_id, decision) is not None

    def decide(
        self, tenant_id: str, run_id: str, call_id: str, decision: Decision, *, decision_id: str | None = None
    ) -> RunApproval:
        """Decide as `approve` does, and return the call with its decision.

        A decision that has an id is taken once: sent again it is answered alike. Raises `NotFoundError` for a call that
        nobody was asked about, and `ConflictError` for one that is decided, too late, or of a run that has ended.
        """
        path = self._decide(tenant_id, run_id, call_id, decision, decision_id)
        view = self._reads.view(tenant_id, run_id)
        run, asked = view.run, asked_calls(view)
        for call in asked:
            if call.path == path or (decision_id is not None and call.decision_id == decision_id):
                return RunApproval(run_id=run.id, app=run.app, function_id=run.function_id, call=call)
        raise refusal(run, asked, call_id)

    def _decide(
        self, tenant_id: str, run_id: str, call_id: str, decision: Decision, decision_id: str | None = None
    ) -> str | None:
        """Return the path of the call on which this decides; None where it decides on none."""
        if decision.reason is not None and len(decision.reason) > LONGEST_REASON:
            raise InvalidEventError(f"A reason has at most {LONGEST_REASON:,} characters")
        found, now = meant(run_id, open_approvals(self._reads.view(tenant_id, run_id)), call_id), self._store.now()
        if found is None or found.expires_at <= now:  # its time is over, whether or not somebody has looked
            return None
        data = replace(decision, at=now.isoformat()).export()
        is_taken = self._give(tenant_id, approval_signal(found.request.id), data, id=decision_id).is_awaited
        return found.path if is_taken else None

    def pause(self, tenant_id: str, app: str, function_id: str, *, is_paused: bool) -> FunctionView:
        """Let events start no runs of the function for the tenant, or again; raise `NotFoundError` for an unknown one.

        Runs that have begun go on.
        """
        self._function(tenant_id, app, function_id)
        self._store.pause(tenant_id, app, function_id, is_paused=is_paused)
        return self._function(tenant_id, app, function_id)

    def _function(self, tenant_id: str, app: str, function_id: str) -> FunctionView:
        for one in self._reads.declared(tenant_id):
            if (one.app, one.function_id) == (app, function_id):
                return one
        raise NotFoundError(f"There is no function '{app}/{function_id}'; `celeriac functions ls` shows them")

    def count(self, tenant_id: str, kind: BulkKind, where: RunFilter) -> Count:
        """Say how many runs a bulk action would change; raise `ConfigError` for a filter that it refuses."""
        check_bulk(kind, where)
        return self._operations.count(tenant_id, kind, where)

    def begin(self, tenant_id: str, kind: BulkKind, where: RunFilter, *, action_id: str | None = None) -> BulkAction:
        """Begin a bulk action, which the workers carry out; raise `ConfigError` for a filter that it refuses.

        One whose id is given begins once: it is returned where it is there.
        """
        check_bulk(kind, where)
        if action_id is not None:
            with suppress(NotFoundError):  # then it is made now
                return self._operations.action(tenant_id, action_id)
        return self._operations.begin(tenant_id, kind, where, action_id=action_id)
