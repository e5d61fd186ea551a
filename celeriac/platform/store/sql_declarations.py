"""Declarations in SQL: what the apps of the fleet declared, so that events are matched without their code."""

from __future__ import annotations

import json
from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, update

from celeriac.database import db_now, reading, transaction
from celeriac.platform.durable.declaration import Declaration, EventSchema
from celeriac.platform.store.sql_part import SqlPart, insert_new, lock_names
from celeriac.platform.store.tables import event_schemas, functions, triggers


class SqlDeclarations(SqlPart):
    """The part of the store that knows functions and event schemas."""

    def declare(self, app: str, declared: Sequence[Declaration], schemas: Sequence[EventSchema]) -> None:
        with transaction(self._engine) as connection:
            owners = {app, *(one.app for one in declared)}  # functions of an app that is included keep its name
            lock_names(connection, {("app", owner) for owner in owners}, "exclusive")  # workers start at the same time
            connection.execute(update(functions).where(functions.c.app.in_(owners)).values(is_active=False))
            for one in declared:
                _write_function(connection, one)
            connection.execute(delete(triggers).where(triggers.c.app.in_(owners)))
            insert_new(connection, triggers, [row for one in declared for row in _trigger_rows(one)])
            connection.execute(delete(event_schemas).where(event_schemas.c.app == app))
            insert_new(
                connection,
                event_schemas,
                [{"app": app, "name": one.name, "schema": json.dumps(dict(one.schema))} for one in schemas],
            )

    def schemas(self, names: Sequence[str]) -> list[EventSchema]:
        statement = select(event_schemas).where(event_schemas.c.name.in_(sorted(set(names)))).order_by(*event_schemas.c)
        with reading(self._engine) as connection:
            rows = connection.execute(statement).all()
        return [EventSchema(app=row.app, name=row.name, schema=json.loads(row.schema)) for row in rows]


def _write_function(connection: Connection, one: Declaration) -> None:
    values = {
        "queue": one.queue,
        "version": one.version,
        "description": one.description,
        "is_internal": one.is_internal,
        "retries": one.retries,
        "is_active": True,
        "seen_at": db_now(),
    }
    place = (functions.c.app == one.app, functions.c.function_id == one.function_id)
    known = connection.execute(update(functions).where(*place).values(values).returning(functions.c.function_id))
    if known.one_or_none() is None:
        connection.execute(functions.insert().values(app=one.app, function_id=one.function_id, **values))


def _trigger_rows(one: Declaration) -> list[dict[str, object]]:
    return [
        {
            "app": one.app,
            "function_id": one.function_id,
            "event_name": trigger.event,
            "number": number,
            "is_pattern": trigger.event.endswith("*"),
            "condition": trigger.if_,
        }
        for number, trigger in enumerate(one.on)
    ]
