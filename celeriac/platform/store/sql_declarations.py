"""Declarations in SQL: what the apps of the fleet declared, so that events are matched without their code.

A process keeps what it has read until the revision changes, which every ingest asks for beside its locks: so an event
is always matched against what is declared when it comes. Schemas and limits may be a second old.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Engine, case, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from celeriac.database import NOW, db_now, reading, transaction
from celeriac.platform.durable.declaration import Declaration, EventSchema, StartRules
from celeriac.platform.durable.declared import Declared
from celeriac.platform.store.sql_crons import write_crons
from celeriac.platform.store.sql_part import SqlPart, insert_new, insert_one, lock_names
from celeriac.platform.store.sql_rows import AnyRow
from celeriac.platform.store.tables import apps, event_schemas, functions, pauses, triggers
from celeriac.platform.trigger import Trigger
from celeriac.row_security import go_on_as_engine

#: What stands for everything that is declared and paused; no parameters, so that it goes into any statement. Revisions
#: are microseconds, of which some thousand are more than a BIGINT holds: so their upper and lower parts are added up.
REVISION = """(
    SELECT coalesce(CAST(sum(revision >> 20) AS TEXT) || '.' || CAST(sum(revision & 1048575) AS TEXT), '') FROM apps
)"""

#: how old may be what is asked for beside an ingest
_FRESH_SECONDS = 1.0


class SqlDeclarations(SqlPart):
    """The part of the store that knows functions, pauses and event schemas."""

    def __init__(
        self,
        engine: Engine,
        *,
        walled: Engine | None = None,
        heart: Engine | None = None,
        tenants: Callable[[], Sequence[str]] = tuple,
    ) -> None:
        """Work on this engine; `tenants` tells the active tenants, for crons of each."""
        super().__init__(engine, walled=walled, heart=heart)
        self._tenants = tenants
        #: the revision that was read last, what it holds, and when it was seen to be the newest
        self._known: tuple[str, Declared, float] | None = None

    def declare(self, app: str, declared: Sequence[Declaration], schemas: Sequence[EventSchema]) -> None:
        with transaction(self._engine) as connection:
            owners = sorted({app, *(one.app for one in declared)})  # functions of an included app keep its name
            lock_names(connection, {("app", owner) for owner in owners}, "exclusive")  # workers start at the same time
            connection.execute(update(functions).where(functions.c.app.in_(owners)).values(is_active=False))
            for one in declared:
                _write_function(connection, one)
            connection.execute(delete(triggers).where(triggers.c.app.in_(owners)))
            insert_new(connection, triggers, [row for one in declared for row in _trigger_rows(one)])
            write_crons(connection, owners, declared)
            connection.execute(delete(event_schemas).where(event_schemas.c.app == app))
            insert_new(
                connection,
                event_schemas,
                [{"app": app, "name": one.name, "schema": json.dumps(dict(one.schema))} for one in schemas],
            )
            _raise_revision(connection, owners)
        self._known = None

    def declared(self) -> Declared:
        known = self._known
        if known is None or time.monotonic() - known[2] > _FRESH_SECONDS:
            with reading(self._engine) as connection:
                revision = connection.exec_driver_sql(f"SELECT {REVISION}").scalar_one()
                return self._declared_at(connection, revision)
        return known[1]

    def schemas(self, names: Sequence[str]) -> list[EventSchema]:
        return self.declared().schemas(names)

    def pause(self, tenant_id: str, app: str, function_id: str, *, is_paused: bool) -> None:
        place = {"tenant_id": tenant_id, "app": app, "function_id": function_id}
        with transaction(self._walled if tenant_id else self._engine, tenant_id) as connection:
            lock_names(connection, {("app", app)}, "exclusive")
            if is_paused:
                insert_one(connection, pauses, {**place, "paused_at": db_now()})
            else:
                connection.execute(delete(pauses).where(*(pauses.c[name] == value for name, value in place.items())))
            go_on_as_engine(connection)  # the revision is the fleet's, and has to be one with the pause
            _raise_revision(connection, [app])
        self._known = None

    def _declared_at(self, connection: Connection, revision: str) -> Declared:
        """Return what is declared, read anew where this process has another revision of it."""
        known = self._known
        declared = known[1] if known is not None and known[0] == revision else read_declared(connection)
        self._known = (revision, declared, time.monotonic())
        return declared


def read_declared(connection: Connection) -> Declared:
    """Read what is declared, with the pauses that this connection may see."""
    of_function: dict[tuple[str, str], list[Trigger]] = {}
    for row in connection.execute(select(triggers).order_by(triggers.c.number)):
        of_function.setdefault((row.app, row.function_id), []).append(Trigger(row.event_name, if_=row.condition))
    active = connection.execute(select(functions).where(functions.c.is_active)).all()
    paused = connection.execute(select(pauses.c.tenant_id, pauses.c.app, pauses.c.function_id)).all()
    found = connection.execute(select(event_schemas).order_by(*event_schemas.c)).all()
    return Declared(
        [_declaration(row, of_function.get((row.app, row.function_id), [])) for row in active],
        [(row.tenant_id, row.app, row.function_id) for row in paused],
        [EventSchema(app=row.app, name=row.name, schema=json.loads(row.schema)) for row in found],
    )


def _declaration(row: AnyRow, on: Sequence[Trigger]) -> Declaration:
    return Declaration(
        app=row.app,
        function_id=row.function_id,
        triggers=tuple(on),
        rules=StartRules.decode(row.rules),
        queue=row.queue,
        version=row.version,
        description=row.description,
        is_internal=bool(row.is_internal),
        retries=row.retries,
    )


def _write_function(connection: Connection, one: Declaration) -> None:
    values = {
        "queue": one.queue,
        "version": one.version,
        "description": one.description,
        "is_internal": one.is_internal,
        "retries": one.retries,
        "rules": one.rules.encode(),
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


def _raise_revision(connection: Connection, owners: Sequence[str]) -> None:
    """Give the apps a higher revision; it follows the time, so that no two databases come to the same sum."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    now = connection.exec_driver_sql(f"SELECT {NOW[connection.dialect.name]}").scalar_one()
    new = dialect.insert(apps)
    higher = case((apps.c.revision >= new.excluded.revision, apps.c.revision + 1), else_=new.excluded.revision)
    statement: Any = new.on_conflict_do_update(index_elements=[apps.c.app], set_={"revision": higher})
    connection.execute(statement, [{"app": app, "revision": now} for app in owners])
