"""The commit: entries of many runs become true at once, each under the fence of its run.

The hottest path of the platform, so it is written as text. The row of each run is updated before anything is inserted
for it: the update is the lock that makes a fence hold until the commit. Postgres takes a whole group in one statement
(`sql_journal_postgres.py`), SQLite in a loop. A group whose rows are on record already, because the outcome of its
COMMIT was unknown, is answered from the record.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, select, tuple_
from sqlalchemy.exc import IntegrityError

from celeriac.database import NOW, reading, single, straight, to_micros, transaction
from celeriac.platform.codec import utf8_size
from celeriac.platform.durable.memo import AttemptFailed, Entry, StepDone, WaitBegun
from celeriac.platform.store.sql_counting import Counted, count, count_steps
from celeriac.platform.store.sql_journal_postgres import commit_on_postgres
from celeriac.platform.store.sql_part import SqlPart
from celeriac.platform.store.sql_shares import Share, answer, share_out
from celeriac.platform.store.tables import steps, waits

_NOW = NOW["sqlite"]

_UPDATE_RUN = """
UPDATE runs SET
    steps = steps + ?, waits = waits + ?, model_calls = model_calls + ?, tool_calls = tool_calls + ?,
    input_tokens = input_tokens + ?, output_tokens = output_tokens + ?, cached_tokens = cached_tokens + ?,
    reasoning_tokens = reasoning_tokens + ?, cost_usd = cost_usd + ?, suspicion = 0
WHERE id = ? AND fence = ? AND tenant_id = ? AND status = 'running'
RETURNING steps, app || '/' || function_id"""

_INSERT_STEP = f"""
INSERT INTO steps (run_id, tenant_id, path, seq, kind, value, error, input, attempt, started_at, ended_at, commit_id,
                   committed_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {_NOW})"""

_INSERT_ATTEMPT = """
INSERT INTO attempts (run_id, tenant_id, path, number, error, started_at, ended_at, commit_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""

_INSERT_WAIT = f"""
INSERT INTO waits (run_id, tenant_id, path, number, kind, wake_at, event_name, match_path, match_value, commit_id,
                   created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, {_NOW})"""

_INSERT_EVENT = f"""
INSERT INTO events (id, tenant_id, name, data, ts, is_internal, target, run_id, received_at)
VALUES (?, ?, ?, ?, coalesce(?, {_NOW}), ?, ?, ?, {_NOW})
ON CONFLICT (id) DO NOTHING"""

_CLOSE_WAITS = f"""
UPDATE waits SET resolved_at = {_NOW}
WHERE run_id = ? AND resolved_at IS NULL AND (path = ? OR substr(path, 1, length(?) + 1) = ? || '/')"""

#: (run, path, number), where a step has no number
_Key = tuple[str, str, int | None]


class SqlJournal(SqlPart):
    """The part of the store that commits what links did."""

    def commit(self, entries: Sequence[Entry]) -> list[int | None]:
        if not entries:
            return []
        try:
            answers = self._commit(entries)
        except IntegrityError:
            recorded = self._recorded(entries)
            if not recorded:
                raise
            new = [entry for entry in entries if _key(entry) not in recorded]
            fresh = iter(self._commit(new) if new else ())
            answers = [None if _key(entry) in recorded else next(fresh) for entry in entries]
        if None in answers:
            self._answer_as_then(entries, answers)
        return answers

    def _commit(self, entries: Sequence[Entry]) -> list[int | None]:
        shares = share_out(entries)
        if self._is_postgres:
            with single(self._engine) as connection:
                bases = commit_on_postgres(connection, shares)
        else:
            with transaction(self._engine) as connection:
                bases = _commit_on_sqlite(connection, shares)
        return answer(entries, shares, bases)

    def _answer_as_then(self, entries: Sequence[Entry], answers: list[int | None]) -> None:
        """Replace the refusals of entries that are on record under their own commit_id."""
        refused = [place for place, one in enumerate(answers) if one is None]
        recorded = self._recorded([entries[place] for place in refused])
        for place in refused:
            commit_id, seq = recorded.get(_key(entries[place]), (None, 0))
            if commit_id == entries[place].commit_id:
                answers[place] = seq

    def _recorded(self, entries: Sequence[Entry]) -> dict[_Key, tuple[str, int]]:
        """Return the commit_id and the seq of those entries in whose place something stands."""
        keys = [_key(entry) for entry in entries]
        of_steps = sorted({(run, path) for run, path, number in keys if number is None})
        of_waits = sorted({(run, path, number) for run, path, number in keys if number is not None})
        found: dict[_Key, tuple[str, int]] = {}
        with reading(self._engine) as connection:
            if of_steps:
                place = tuple_(steps.c.run_id, steps.c.path)
                columns = (steps.c.run_id, steps.c.path, steps.c.commit_id, steps.c.seq)
                for row in connection.execute(select(*columns).where(place.in_(of_steps))):
                    found[row.run_id, row.path, None] = (row.commit_id, row.seq)
            if of_waits:
                place = tuple_(waits.c.run_id, waits.c.path, waits.c.number)
                named = (waits.c.run_id, waits.c.path, waits.c.number, waits.c.commit_id)
                for one in connection.execute(select(*named).where(place.in_(of_waits))):
                    found[one.run_id, one.path, one.number] = (one.commit_id, 0)
        return found


def _key(entry: Entry) -> _Key:
    match entry:
        case AttemptFailed() | WaitBegun():
            return entry.run_id, entry.path, entry.wait.number
        case _:
            return entry.run_id, entry.path, None


def _commit_on_sqlite(connection: Connection, shares: Sequence[Share]) -> dict[int, int]:
    bases: dict[int, int] = {}
    functions: list[str] = []
    with straight(connection) as cursor:
        for number, share in enumerate(shares):
            place = (share.run_id, share.fence, share.tenant_id)
            for steps_now, function in cursor.execute(_UPDATE_RUN, (*share.totals(), *place)).fetchall():
                bases[number] = steps_now - len(share.steps)
                functions.append(function)
    held = [(shares[number], base) for number, base in bases.items()]
    for statement, rows in (
        (_INSERT_STEP, [_step_row(s, step, seq) for s, base in held for seq, step in enumerate(s.steps, base + 1)]),
        (_INSERT_ATTEMPT, [row for share, _ in held for row in _attempt_rows(share)]),
        (_INSERT_WAIT, [row for share, _ in held for row in _wait_rows(share)]),
        (_CLOSE_WAITS, [(share.run_id, path, path, path) for share, _ in held for path in share.closes]),
    ):
        if rows:
            connection.exec_driver_sql(statement, rows)
    of_shares = [(share, function) for (share, _), function in zip(held, functions, strict=True)]
    count_steps(connection, [(s.tenant_id, function, row) for s, function in of_shares for row in s.by_model()])
    if any(share.events for share, _ in held):
        count(connection, [one for share, function in of_shares for one in _sent(connection, share, function)])
    return bases


def _sent(connection: Connection, share: Share, function: str) -> list[Counted]:
    """Insert the events that the share sends, and return what counts of those that were new."""
    with straight(connection) as cursor:
        return [
            Counted(tenant_id=share.tenant_id, function=function, bytes=utf8_size(event.data))
            for event, row in zip(share.events, _event_rows(share), strict=True)
            if cursor.execute(_INSERT_EVENT, row).rowcount
        ]


def _step_row(share: Share, step: StepDone, seq: int) -> tuple[object, ...]:
    return (
        share.run_id,
        share.tenant_id,
        step.path,
        seq,
        step.kind,
        step.value,
        step.error,
        step.input,
        step.attempt,
        to_micros(step.started_at),
        to_micros(step.ended_at),
        step.commit_id,
    )


def _attempt_rows(share: Share) -> list[tuple[object, ...]]:
    return [
        (
            share.run_id,
            share.tenant_id,
            one.path,
            one.number,
            one.error,
            to_micros(one.started_at),
            to_micros(one.ended_at),
            one.commit_id,
        )
        for one in share.attempts
    ]


def _wait_rows(share: Share) -> list[tuple[object, ...]]:
    return [
        (
            share.run_id,
            share.tenant_id,
            wait.path,
            wait.number,
            wait.kind,
            to_micros(wait.wake_at),
            wait.event_name,
            wait.match_path,
            wait.match_value,
            commit_id,
        )
        for wait, commit_id in share.waits
    ]


def _event_rows(share: Share) -> list[tuple[object, ...]]:
    return [
        (
            event.id,
            share.tenant_id,
            event.name,
            event.data,
            None if event.ts is None else to_micros(event.ts),
            event.is_internal,
            event.target,
            share.run_id,
        )
        for event in share.events
    ]
