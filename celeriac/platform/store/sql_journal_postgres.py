"""The commit on Postgres: one statement for a whole group, and so one round trip.

Columns travel as array literals, which Python writes faster than the driver builds arrays. Called by `sql_journal.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Connection

from celeriac.database import NOW, to_micros
from celeriac.platform.codec import utf8_size
from celeriac.platform.message import NOTHING
from celeriac.platform.store.sql_counting import DAY, OF_STEPS
from celeriac.platform.store.sql_part import text_array
from celeriac.platform.store.sql_shares import Share

_NOW = NOW["postgresql"]

_SHARE = """
share AS (
    SELECT * FROM unnest(
        %s::text[], %s::text[], %s::bigint[], %s::int[], %s::int[],
        %s::int[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::float8[]
    ) WITH ORDINALITY AS t (
        run_id, tenant_id, fence, steps, waits,
        model_calls, tool_calls, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_usd, n
    )
)"""

#: the same where nothing was called
_PLAIN_SHARE = """
share AS (
    SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::int[], %s::int[], %s::bigint[])
    WITH ORDINALITY AS t (run_id, tenant_id, fence, steps, waits, bytes, n)
)"""

#: Two groups that share runs lock them in one order; a group of one run needs no order.
_HELD = """
held AS MATERIALIZED (
    SELECT r.id FROM runs r JOIN share t ON r.id = t.run_id AND r.fence = t.fence AND r.tenant_id = t.tenant_id
    WHERE r.status = 'running' ORDER BY r.id FOR NO KEY UPDATE OF r
)"""

_USED = """
        model_calls = r.model_calls + t.model_calls,
        tool_calls = r.tool_calls + t.tool_calls,
        input_tokens = r.input_tokens + t.input_tokens,
        output_tokens = r.output_tokens + t.output_tokens,
        cached_tokens = r.cached_tokens + t.cached_tokens,
        reasoning_tokens = r.reasoning_tokens + t.reasoning_tokens,
        cost_usd = r.cost_usd + t.cost_usd,"""

_RUN = """
run AS (
    UPDATE runs r SET
        steps = r.steps + t.steps,
        waits = r.waits + t.waits,{used}
        suspicion = 0
    FROM share t {join}
    WHERE r.id = t.run_id AND r.fence = t.fence AND r.tenant_id = t.tenant_id AND r.status = 'running'
    RETURNING t.n, r.id, r.tenant_id, r.app, r.function_id, r.steps - t.steps AS base
)"""

_STEP = f"""
step AS (
    INSERT INTO steps (run_id, tenant_id, path, seq, kind, value, error, input, attempt, started_at, ended_at,
                       commit_id, committed_at)
    SELECT run.id, run.tenant_id, s.path, run.base + s.place, s.kind, s.value, s.error, s.input, s.attempt,
           s.started_at, s.ended_at, s.commit_id, {_NOW}
    FROM unnest(%s::int[], %s::int[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[],
                %s::bigint[], %s::bigint[], %s::text[])
         AS s (n, place, path, kind, value, error, input, attempt, started_at, ended_at, commit_id)
    JOIN run ON run.n = s.n
)"""

_ATTEMPT = """
attempt AS (
    INSERT INTO attempts (run_id, tenant_id, path, number, error, started_at, ended_at, commit_id)
    SELECT run.id, run.tenant_id, a.path, a.number, a.error, a.started_at, a.ended_at, a.commit_id
    FROM unnest(%s::int[], %s::text[], %s::int[], %s::text[], %s::bigint[], %s::bigint[], %s::text[])
         AS a (n, path, number, error, started_at, ended_at, commit_id)
    JOIN run ON run.n = a.n
)"""

_WAIT = f"""
wait AS (
    INSERT INTO waits (run_id, tenant_id, path, number, kind, wake_at, event_name, match_path, match_value, commit_id,
                       created_at)
    SELECT run.id, run.tenant_id, w.path, w.number, w.kind, w.wake_at, w.event_name, w.match_path, w.match_value,
           w.commit_id, {_NOW}
    FROM unnest(%s::int[], %s::text[], %s::int[], %s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[],
                %s::text[])
         AS w (n, path, number, kind, wake_at, event_name, match_path, match_value, commit_id)
    JOIN run ON run.n = w.n
)"""

_EVENT = f"""
event AS (
    INSERT INTO events (id, tenant_id, name, data, ts, is_internal, target, run_id, received_at)
    SELECT e.id, run.tenant_id, e.name, e.data, coalesce(e.ts, {_NOW}), e.is_internal, e.target, run.id, {_NOW}
    FROM unnest(%s::int[], %s::text[], %s::text[], %s::text[], %s::bigint[], %s::bool[], %s::text[])
         AS e (n, id, name, data, ts, is_internal, target)
    JOIN run ON run.n = e.n
    ON CONFLICT (id) DO NOTHING
    RETURNING run_id, octet_length(data) AS size
)"""

_CLOSED = f"""
closed AS (
    UPDATE waits w SET resolved_at = {_NOW}
    FROM run JOIN unnest(%s::int[], %s::text[]) AS c (n, path) ON c.n = run.n
    WHERE w.run_id = run.id AND w.resolved_at IS NULL AND (w.path = c.path OR starts_with(w.path, c.path || '/'))
)"""

#: What is counted of the group: a row for each tenant, function and model, of those shares alone whose fence holds.
_COUNTED = f"""
counted AS (
    INSERT INTO usage_deltas (tenant_id, day, function, model, {{names}})
    SELECT c.tenant_id, {DAY["postgresql"]}, c.app || '/' || c.function_id, c.model, {{names}}
    FROM (
        SELECT run.tenant_id, run.app, run.function_id, u.model, {{sums}}
        FROM ({{sources}}) AS u JOIN run ON run.n = u.n
        WHERE u.steps > 0 OR u.bytes > 0
        GROUP BY run.tenant_id, run.app, run.function_id, u.model
    ) AS c
)"""

_OF_PLAIN = "SELECT n, '' AS model, steps, bytes FROM share"

_OF_USED = f"""
SELECT * FROM unnest(
    %s::int[], %s::text[], %s::int[], %s::int[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::float8[], %s::bigint[]
) AS m (n, model, {", ".join(OF_STEPS)})"""

#: A lone step needs no arrays, and Postgres plans a statement without them faster.
_LONE = f"""
WITH run AS (
    UPDATE runs SET steps = steps + 1, {{used}}suspicion = 0
    WHERE id = %s AND tenant_id = %s AND fence = %s AND status = 'running'
    RETURNING id, tenant_id, steps, app, function_id
),
counted AS (
    INSERT INTO usage_deltas (tenant_id, day, function, model, steps, {{counts}}bytes)
    SELECT run.tenant_id, {DAY["postgresql"]}, run.app || '/' || run.function_id, %s, 1, {{counted}}%s FROM run
)
INSERT INTO steps (run_id, tenant_id, path, seq, kind, value, error, input, attempt, started_at, ended_at, commit_id,
                   committed_at)
SELECT run.id, run.tenant_id, %s, run.steps, %s, %s, %s, %s, %s, %s, %s, %s, {_NOW}
FROM run
RETURNING seq - 1"""

_PARTS = OF_STEPS[1:-1]
_LONE_PLAIN = _LONE.format(used="", counts="", counted="")
_LONE_USED = _LONE.format(
    used="".join(f"{part} = {part} + %s, " for part in _PARTS),
    counts="".join(f"{part}, " for part in _PARTS),
    counted="%s, " * len(_PARTS),
)


def commit_on_postgres(connection: Connection, shares: Sequence[Share]) -> dict[int, int]:
    """Commit the shares whose fence holds; return, by the place of each of those, how many steps its run had."""
    if len(shares) == 1 and shares[0].is_lone_step:
        return _commit_lone(connection, shares[0])
    is_plain = all(share.is_plain for share in shares)
    columns = _share_columns(shares, is_plain=is_plain)
    parts = []
    for name, rows in (
        ("step", _step_rows(shares)),
        ("attempt", _attempt_rows(shares)),
        ("wait", _wait_rows(shares)),
        ("event", _event_rows(shares)),
        ("closed", [(n, path) for n, share in enumerate(shares, start=1) for path in share.closes]),
    ):
        if rows:
            parts.append(name)
            columns += list(zip(*rows, strict=True))
    if not is_plain:
        columns += list(zip(*_used_rows(shares), strict=True))
    statement = _statement(len(shares) > 1, tuple(parts), is_plain)
    found = connection.exec_driver_sql(statement, tuple(text_array(column) for column in columns))
    return {n - 1: base for n, base in found}


def _commit_lone(connection: Connection, share: Share) -> dict[int, int]:
    (row,), (step,) = _step_rows([share]), share.steps
    right = (share.run_id, share.tenant_id, share.fence)
    if step.usage is NOTHING:
        found = connection.exec_driver_sql(_LONE_PLAIN, (*right, step.model, utf8_size(step.value), *row[2:]))
    else:
        used = step.usage.parts()
        found = connection.exec_driver_sql(
            _LONE_USED, (*used, *right, step.model, *used, utf8_size(step.value), *row[2:])
        )
    base = found.scalar_one_or_none()
    return {} if base is None else {0: base}


@cache
def _statement(is_group: bool, parts: tuple[str, ...], is_plain: bool) -> str:
    join = "JOIN held ON held.id = t.run_id" if is_group else ""
    texts = {"step": _STEP, "attempt": _ATTEMPT, "wait": _WAIT, "event": _EVENT, "closed": _CLOSED}
    ctes = [_PLAIN_SHARE if is_plain else _SHARE, *([_HELD] if is_group else [])]
    ctes += [_RUN.format(join=join, used="" if is_plain else _USED), *(texts[name] for name in parts)]
    if "step" in parts or "event" in parts:
        ctes.append(_counted(parts, is_plain))
    return "WITH" + ",".join(ctes) + "\nSELECT n, base FROM run"


def _counted(parts: tuple[str, ...], is_plain: bool) -> str:
    names = ("steps", "bytes") if is_plain else OF_STEPS
    sources = [_OF_PLAIN if is_plain else _OF_USED] if "step" in parts else []
    if "event" in parts:
        none = ", ".join(f"0 AS {name}" for name in names[:-1])
        sources.append(f"SELECT run.n, '' AS model, {none}, e.size AS bytes FROM event e JOIN run ON run.id = e.run_id")
    return _COUNTED.format(
        names=", ".join(names),
        sums=", ".join(f"sum(u.{name}) AS {name}" for name in names),
        sources=" UNION ALL ".join(sources),
    )


def _share_columns(shares: Sequence[Share], *, is_plain: bool) -> list[Sequence[object]]:
    rows = [
        (share.run_id, share.tenant_id, share.fence, *(share.plain_totals() if is_plain else share.totals()))
        for share in shares
    ]
    return list(zip(*rows, strict=True))


def _used_rows(shares: Sequence[Share]) -> list[tuple[object, ...]]:
    return [(n, *row) for n, share in enumerate(shares, start=1) for row in share.by_model()]


def _step_rows(shares: Sequence[Share]) -> list[tuple[object, ...]]:
    return [
        (
            n,
            place,
            step.path,
            step.kind,
            step.value,
            step.error,
            step.input,
            step.attempt,
            to_micros(step.started_at),
            to_micros(step.ended_at),
            step.commit_id,
        )
        for n, share in enumerate(shares, start=1)
        for place, step in enumerate(share.steps, start=1)
    ]


def _attempt_rows(shares: Sequence[Share]) -> list[tuple[object, ...]]:
    return [
        (n, one.path, one.number, one.error, to_micros(one.started_at), to_micros(one.ended_at), one.commit_id)
        for n, share in enumerate(shares, start=1)
        for one in share.attempts
    ]


def _wait_rows(shares: Sequence[Share]) -> list[tuple[object, ...]]:
    return [
        (
            n,
            wait.path,
            wait.number,
            wait.kind,
            to_micros(wait.wake_at),
            wait.event_name,
            wait.match_path,
            wait.match_value,
            commit_id,
        )
        for n, share in enumerate(shares, start=1)
        for wait, commit_id in share.waits
    ]


def _event_rows(shares: Sequence[Share]) -> list[tuple[object, ...]]:
    return [
        (
            n,
            event.id,
            event.name,
            event.data,
            None if event.ts is None else to_micros(event.ts),
            event.is_internal,
            event.target,
        )
        for n, share in enumerate(shares, start=1)
        for event in share.events
    ]
