"""Declarations in memory: functions, schemas, pauses and crons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from celeriac.platform.durable.cron import Schedule, due_again, next_due
from celeriac.platform.durable.declaration import Declaration, EventSchema
from celeriac.platform.durable.declared import Declared
from celeriac.platform.store.local_part import LocalPart


class LocalDeclarations(LocalPart):
    """The part of the store that knows what the fleet has declared."""

    def declare(self, app: str, functions: Sequence[Declaration], schemas: Sequence[EventSchema]) -> None:
        """Replace what the app declared before."""
        with self._lock:
            owners = {app, *(one.app for one in functions)}  # functions of an app that is included keep its name
            self._functions = {key: one for key, one in self._functions.items() if one.app not in owners}
            self._functions |= {one.name: one for one in functions}
            self._schemas = {key: value for key, value in self._schemas.items() if key[0] != app}
            self._schemas |= {(app, schema.name): schema for schema in schemas}
            kept = {key: value for key, value in self._crons.items() if key[0].partition("/")[0] not in owners}
            self._crons = kept | {
                (one.name, cron.cron, cron.tz): (cron, self._next_due(one.name, cron))
                for one in functions
                for cron in one.crons
            }
            self._renew_declared()

    def declared(self) -> Declared:
        """Return what is declared."""
        with self._lock:
            return self._declared

    def schemas(self, names: Sequence[str]) -> list[EventSchema]:
        """Return the schemas of these names."""
        with self._lock:
            return self._declared.schemas(names)

    def pause(self, tenant_id: str, app: str, function_id: str, *, is_paused: bool) -> None:
        """Let events start no runs of the function, or again."""
        with self._lock:
            change = self._pauses.add if is_paused else self._pauses.discard
            change((tenant_id, app, function_id))
            self._renew_declared()

    def _renew_declared(self) -> None:
        self._declared = Declared(self._functions.values(), self._pauses, list(self._schemas.values()))

    def _next_due(self, name: str, cron: Schedule) -> datetime:
        """Return when the cron is due next; one that was known goes on from where it stands."""
        known = self._crons.get((name, cron.cron, cron.tz))
        if known is None:
            return next_due(cron, name, self.now())
        return due_again(known[0], cron, name, known[1])
