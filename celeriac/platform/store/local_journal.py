"""The commit in memory: entries become true one by one, each under the fence of its run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from celeriac.platform.durable.memo import AttemptFailed, Entry, Memo, OutgoingEvent, StepDone, WaitBegun
from celeriac.platform.store.local_part import LocalPart
from celeriac.platform.store.local_records import StoredRun


class LocalJournal(LocalPart):
    """The part of the store that commits what links did."""

    def commit(self, entries: Sequence[Entry]) -> list[int | None]:
        """Commit entries under their fences."""
        with self._lock:
            return [self._commit(entry) for entry in entries]

    def _commit(self, entry: Entry) -> int | None:
        run = self.all.get(entry.run_id)
        if run is None or run.run.tenant_id != entry.tenant_id:
            return None
        if entry.commit_id in run.commits:
            return run.commits[entry.commit_id]
        if run.fence != entry.fence or run.run.status != "running":
            return None
        seq = 0
        match entry:
            case StepDone():
                if entry.path in run.steps:
                    return None
                seq = len(run.steps) + 1
                memo = Memo(path=entry.path, kind=entry.kind, seq=seq, value=entry.value, error=entry.error)
                run.steps[entry.path] = (memo, entry)
                run.run = replace(run.run, usage=run.run.usage + entry.usage)
                self._count_step(run, entry)
                self._send(run, entry.events)
                self._close(run, entry.closes)
            case AttemptFailed():
                run.attempts.append(entry)
                run.waits[(entry.path, entry.wait.number)] = entry.wait
            case WaitBegun():
                run.waits[(entry.path, entry.wait.number)] = entry.wait
                self._send(run, entry.events)
            case _:
                raise TypeError(f"{type(entry).__name__} is no entry of the journal")
        run.suspicion = 0
        run.commits[entry.commit_id] = seq
        return seq

    def _send(self, run: StoredRun, events: Sequence[OutgoingEvent]) -> None:
        for event in events:
            self._insert(run.run.tenant_id, event, run.run.id)

    def _close(self, run: StoredRun, paths: Sequence[str]) -> None:
        """Resolve the open waits at these paths and below them."""
        for (path, number), wait in run.waits.items():
            if wait.resolved_at is None and any(path == one or path.startswith(f"{one}/") for one in paths):
                run.waits[path, number] = replace(wait, resolved_at=self.now())
