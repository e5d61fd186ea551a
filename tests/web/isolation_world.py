"""Two tenants side by side for the isolation matrix: one who asks, and one whose every row holds a canary.

`PARAMETERS` is the table that a new part of a path is added to: how to make such a thing for a tenant, and an id of
nobody's. `BODIES` and `FORMS` are for what cannot be guessed from the schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from bank_runs import Desk
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, Integer, Table, insert, select, update

import celeriac.platform.memory.tables
import celeriac.platform.store.tables  # noqa: F401 (rooms with tables)
from celeriac.database import Moment, connect, db_now, metadata, transaction
from celeriac.platform.durable.run_filter import RunFilter
from celeriac.platform.event import Event
from celeriac.tenants.keys import KeyWish
from celeriac.tenants.people import User
from celeriac.tenants.roles import ROLES, Role
from celeriac.tenants.tables import api_keys
from celeriac.web.app import create_app
from celeriac.wiring import Installation

#: stands in everything that is the other tenant's, and may stand in no answer to anybody else
CANARY = "CANARY7f3a"

#: columns that reading itself may change
_MOVES_BY_READING = {"last_used_at"}


@dataclass(frozen=True, kw_only=True)
class Side:
    """A tenant with one of each thing that the web can show."""

    rooms: Installation
    tenant_id: str
    mark: str

    def key(self, kind: str = "api", **wish: Any) -> tuple[str, str]:
        """Make a key; return its id and plaintext."""
        return self.rooms.keys.create(self.tenant_id, KeyWish.of(kind, name=f"{self.mark} key", **wish))

    def run(self) -> str:
        """Make a run that waits for the approval of a tool call."""
        return Desk(self.rooms.store, self.tenant_id).asking(f"{self.mark} text")

    def event(self) -> str:
        """Send an event that starts nothing."""
        ingested = self.rooms.store.ingest(self.tenant_id, [Event(f"{self.mark}/event", {"text": self.mark})])
        return ingested.accepted[0].id

    def action(self) -> str:
        """Make a bulk action, which is over at once so that there may be more of them."""
        where = RunFilter(event_name=f"{self.mark}/event")
        action_id = self.rooms.operations.begin(self.tenant_id, "cancel", where).id
        return self.rooms.operations.abort(self.tenant_id, action_id).id

    def member(self, role: Role = "viewer") -> User:
        """Make a user who belongs to the tenant."""
        user = self.rooms.people.create(f"{self.mark.lower()}-{uuid4().hex}@example.com", "correct horse battery")
        self.rooms.people.set_role(self.tenant_id, user.id, role)
        return user

    def secret(self) -> str:
        """Keep a secret."""
        name = f"secret-{uuid4().hex}"  # a message repeats the name that was asked for
        self.rooms.secrets.put(self.tenant_id, name, self.mark, actor="cli:me")
        return name

    def invitation(self) -> str:
        """Invite somebody."""
        return self.rooms.invitations.create(self.tenant_id, f"{self.mark.lower()}-inv@example.com", "viewer")[0].id


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A part of a path."""

    #: makes a thing of this kind for a tenant and returns its id
    made: Callable[[Side], str]
    #: an id that nobody has
    nobodys: str
    #: whether it names something of the fleet, which all tenants share
    is_shared: bool = False


#: Every part of every path. A route with another one fails the matrix until it stands here.
PARAMETERS: dict[str, Parameter] = {
    "run_id": Parameter(made=Side.run, nobodys="run_01M8FZZZZZZZZZZZZZZZZZZZZZ"),
    "call_id": Parameter(made=lambda _: "call_1", nobodys="apr_01M8FZZZZZZZZZZZZZZZZZZZZZ"),
    "event_id": Parameter(made=Side.event, nobodys="evt_01M8FZZZZZZZZZZZZZZZZZZZZZ"),
    "action_id": Parameter(made=Side.action, nobodys="blk_01M8FZZZZZZZZZZZZZZZZZZZZZ"),
    "key_id": Parameter(made=lambda side: side.key()[0], nobodys="Zz9Zz9Zz9Z"),
    "user_id": Parameter(made=lambda side: side.member().id, nobodys="usr_01M8FZZZZZZZZZZZZZZZZZZZZZ"),
    "invitation_id": Parameter(made=Side.invitation, nobodys="inv_01M8FZZZZZZZZZZZZZZZZZZZZZ"),
    "name": Parameter(made=Side.secret, nobodys="no-secret"),
    "app": Parameter(made=lambda _: "bank", nobodys="no-app", is_shared=True),
    "function_id": Parameter(made=lambda _: "support", nobodys="no-function", is_shared=True),
}


def is_shared(part: str) -> bool:
    """Say whether a part of a path names something that all tenants share; what the table lacks does not."""
    return part in PARAMETERS and PARAMETERS[part].is_shared


#: bodies by operation, where the least that the schema asks for says nothing or asks for too much
BODIES: dict[str, dict[str, Any]] = {
    "POST /v1/bulk": {"kind": "cancel", "filter": {"function": "bank/support"}},
    "POST /v1/events": {"name": "own/event", "data": {}},
    "POST /e/{event_key}": {"name": "own/event", "data": {}},
    "POST /v1/keys": {"kind": "api", "name": "another"},
    "PUT /v1/secrets/{name}": {"value": "own value"},
}

#: forms by endpoint, where an empty one is refused before anything is looked up
FORMS: dict[str, dict[str, str]] = {
    "dashboard.change_role": {"role": "operator"},
    "dashboard.invite": {"email": "new@example.com", "role": "viewer"},
    "dashboard.begin_action": {"kind": "cancel", "function": "bank/support"},
    "dashboard.decide": {"answer": "approve"},
    "dashboard.create_key": {"kind": "event"},
}


@dataclass(frozen=True, kw_only=True)
class World:
    """The web over an installation, the tenant that asks, and the other one."""

    app: Flask
    engine: Engine
    own: Side
    other: Side
    #: bearer keys by what is right or wrong with them
    keys: Mapping[str, str]
    people: Mapping[str, User]

    def ids(self, names: list[str], side: Side | None) -> dict[str, str]:
        """Return a path's parts: things of the side, or, without one, of nobody."""
        found = {name: PARAMETERS[name] for name in names}
        return {name: one.nobodys if side is None else one.made(side) for name, one in found.items()}

    def browser(self, user: User, tenant_id: str) -> FlaskClient:
        """Return a browser in which the user is signed in for the tenant."""
        client = self.app.test_client()
        with client.session_transaction() as session:
            session.update(user_id=user.id, stamp=user.session_stamp, tenant_id=tenant_id, csrf="token")
            session["ends_at"] = datetime.now(UTC).timestamp() + 3600
        return client

    def rows_of_other(self) -> str:
        """Write down every row of the other tenant, so that a change of any shows."""
        rows: list[str] = []
        with self.engine.connect() as connection:
            for table in _tables():
                columns = [column for column in table.c if column.name not in _MOVES_BY_READING]
                found = select(*columns).where(table.c.tenant_id == self.other.tenant_id)
                rows += sorted(f"{table.name} {row}" for row in connection.execute(found))
        return "\n".join(rows)


def build_world(rooms: Installation) -> World:
    """Make both tenants in a migrated, empty database."""
    own, other = (
        Side(rooms=rooms, tenant_id=rooms.tenants.create(f"{mark} & Sons").id, mark=mark) for mark in ("own", CANARY)
    )
    Desk(rooms.store, own.tenant_id).open()
    for side in (own, other):
        for made in {one.made for one in PARAMETERS.values()}:
            made(side)
        Desk(rooms.store, side.tenant_id).completed(f"{side.mark} reply")
    engine = connect(rooms.settings.database_url)
    _plant(engine, other.tenant_id)
    keys = {"good": own.key()[1], "event": own.key("event")[1], "signing": own.key("signing")[1]}
    other.key("signing")
    keys |= {"without the scope": own.key(scopes=["audit:read"])[1], "keys alone": own.key(scopes=["keys:read"])[1]}
    revoked, keys["revoked"] = own.key()
    rooms.keys.revoke(revoked)
    expired, keys["expired"] = own.key(lasts="1h")
    with transaction(engine) as connection:
        connection.execute(update(api_keys).where(api_keys.c.id == expired).values(expires_at=db_now()))
    people: dict[str, User] = {role: own.member(role) for role in ROLES}
    return World(
        app=create_app(rooms), engine=engine, own=own, other=other, keys=keys,
        people=people | {"other": other.member("owner")},
    )  # fmt: skip


def _tables() -> list[Table]:
    return [table for table in metadata.sorted_tables if "tenant_id" in table.c]


def _plant(engine: Engine, tenant_id: str) -> None:
    """Give the other tenant a row in every table of tenants that has none, with the canary in each text."""
    with transaction(engine) as connection:
        for table in _tables():
            if connection.execute(select(table).where(table.c.tenant_id == tenant_id).limit(1)).first() is None:
                row = {column.name: _planted(column) for column in table.c if not column.foreign_keys}
                connection.execute(insert(table).values({**row, "tenant_id": tenant_id}))


def _planted(column: Any) -> Any:
    match column.type:
        case Moment():
            return db_now()
        case Integer():
            return 1
        case one if one.python_type is str:
            return json.dumps(f"{CANARY} {column.name}")
        case one if one.python_type is bytes:
            return CANARY.encode()
        case one:
            return one.python_type(1)
