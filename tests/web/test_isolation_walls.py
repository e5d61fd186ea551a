"""The second wall under the whole API: what requests ask beside it, and that it holds without their filters.

Made from /openapi.json and Flask's own map, as the other matrices are, so that a new route is in it by itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from isolation_world import CANARY, World
from sqlalchemy import Engine, event
from test_isolation_api import GUARDED, WITH_IDS, Operation, shape
from test_isolation_pages import CLOSED, Page

from celeriac.database import metadata
from tenants.walls_stage import without_filter

#: what requests may read as the engine, each by the one place that does
BESIDE = {
    "api_keys": "whose a key is: Keys._look_up",
    "users": "whose a session is: People.session",
    "memberships": "the same, and between which tenants somebody may switch: People.places",
    "tenants": "limits, plan and pause of the tenant itself: Tenants, whom the gate asks for everybody",
    "plans": "the same",
}

#: routes by which events come in, which is the engine's: the intake
INTAKE = re.compile(r"^POST (/v1/events|/e/)")

_TABLES = "|".join(table.name for table in metadata.sorted_tables)
_READ = re.compile(rf"\b(?:FROM|JOIN) ({_TABLES})\b")
_WRITTEN = re.compile(rf"\b(?:INSERT INTO|UPDATE|DELETE FROM) ({_TABLES})\b")

on_postgres = pytest.mark.parametrize("world", ["postgres"], indirect=True)


@contextmanager
def asked_as_engine() -> Iterator[list[str]]:
    """Yield the statements of this process that name no tenant to the wall."""
    found: list[str] = []

    def note(connection: Any, _: Any, statement: str, *__: Any) -> None:
        if not is_walled(connection):
            found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@contextmanager
def filters_of_the_web_removed() -> Iterator[list[str]]:
    """Make each comparison with a tenant true on the web's side of the database; yield the statements."""
    found: list[str] = []

    def strip(connection: Any, _: Any, statement: str, parameters: Any, *__: Any) -> tuple[str, Any]:
        stripped = without_filter(statement) if is_walled(connection) else statement
        if stripped != statement:
            found.append(statement)
        return stripped, parameters

    event.listen(Engine, "before_cursor_execute", strip, retval=True)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", strip)


def is_walled(connection: Any) -> bool:
    """Say whether this is the web's side."""
    return bool(connection.get_execution_options().get("celeriac_walled"))


def out_of_place(statements: list[str]) -> list[str]:
    """Return those that read beside the wall what nobody has named, and those that write there at all."""
    return [one for one in statements if set(_READ.findall(one)) - set(BESIDE) or _WRITTEN.search(one)]


@on_postgres
@pytest.mark.parametrize("operation", [one for one in GUARDED if not INTAKE.match(one.name)], ids=lambda one: one.name)
def test_the_api_works_behind_the_wall(world: World, operation: Operation) -> None:
    """But for the few places that ask whose something is."""
    ids, key = world.ids(operation.parts, world.own), world.keys[operation.key_kind]
    with asked_as_engine() as statements:
        operation.ask(world, ids, key)
    assert out_of_place(statements) == []


@on_postgres
@pytest.mark.parametrize("page", CLOSED, ids=lambda page: f"{page.method} {page.path}")
def test_the_dashboard_works_behind_the_wall(world: World, page: Page) -> None:
    ids = world.ids(page.parts, world.own)
    with asked_as_engine() as statements:
        page.ask(world, ids, world.people["owner"], world.own.tenant_id)
    assert out_of_place(statements) == []


@on_postgres
@pytest.mark.parametrize("operation", WITH_IDS, ids=lambda one: one.name)
def test_without_filters_the_wall_alone_hides_what_is_anothers(world: World, operation: Operation) -> None:
    """T11 for every route with ids: it is answered as what nobody has, and nothing of it is changed."""
    others, nobodys = world.ids(operation.parts, world.other), world.ids(operation.parts, None)
    before, key = world.rows_of_other(), world.keys[operation.key_kind]
    with filters_of_the_web_removed():
        there, nowhere = operation.ask(world, others, key), operation.ask(world, nobodys, key)
    assert shape(there, others) == shape(nowhere, nobodys)
    assert (there.status_code, CANARY.lower() in there.text.lower()) == (404, False)
    assert world.rows_of_other() == before


@on_postgres
@pytest.mark.parametrize("operation", [one for one in GUARDED if one.method == "GET"], ids=lambda one: one.name)
def test_without_filters_the_wall_alone_shows_ones_own(world: World, operation: Operation) -> None:
    ids, key = world.ids(operation.parts, world.own), world.keys[operation.key_kind]
    with filters_of_the_web_removed() as removed:
        answer = operation.ask(world, ids, key)
    assert removed or operation.path == "/v1/functions", "no filter was removed, so this shows nothing"
    assert (answer.status_code, CANARY.lower() in answer.text.lower()) == (200, False), answer.text
