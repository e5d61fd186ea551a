"""Functions in SQL, as people see them: what is declared, by what each is started, and whether it is paused."""

from __future__ import annotations

from collections import defaultdict

from sqlalchemy import Connection, select

from celeriac.platform.durable.declaration import StartRules
from celeriac.platform.durable.reads import FunctionView
from celeriac.platform.store.tables import crons, functions, pauses, triggers

_ACTIVE = (
    select(functions)
    .where(functions.c.is_active, functions.c.is_internal.is_(False))
    .order_by(functions.c.app, functions.c.function_id)
)


def declared_functions(connection: Connection, tenant_id: str) -> list[FunctionView]:
    """Return the functions that events may start, with the pauses that hold for the tenant."""
    on: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for row in connection.execute(select(triggers).order_by(triggers.c.number)):
        on[row.app, row.function_id].append(row.event_name)
    at: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for row in connection.execute(select(crons).order_by(crons.c.schedule, crons.c.tz)):
        at[row.app, row.function_id].append(f"{row.schedule} {row.tz}")
    holding = select(pauses.c.app, pauses.c.function_id).where(pauses.c.tenant_id.in_(("", tenant_id)))
    paused = {(row.app, row.function_id) for row in connection.execute(holding)}
    return [
        FunctionView(
            app=row.app,
            function_id=row.function_id,
            version=row.version,
            description=row.description,
            queue=row.queue,
            triggers=tuple(dict.fromkeys(on[row.app, row.function_id])),
            crons=tuple(at[row.app, row.function_id]),
            is_paused=(row.app, row.function_id) in paused,
            seen_at=row.seen_at,
            rules=StartRules.decode(row.rules),
        )
        for row in connection.execute(_ACTIVE)
    ]
