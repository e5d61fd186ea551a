"""Migrations: the schema that they make is the one that the code is written for, on both databases."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text
from store_stage import LINK, Stage, event_wait, function, step_done, together

import celeriac
from celeriac.database import connect, metadata, migrate, reading, transaction
from celeriac.platform.event import Event
from celeriac.platform.store.sql_store import SqlStore


def test_the_migrated_schema_is_that_of_the_tables(database_url: str) -> None:
    migrate(database_url)
    engine = connect(database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


def test_every_table_is_made(database_url: str) -> None:
    migrate(database_url)
    engine = connect(database_url)
    assert set(inspect(engine).get_table_names()) == {*metadata.tables, "alembic_version"}
    engine.dispose()


def test_the_indexes_that_the_code_names_are_made(database_url: str) -> None:
    migrate(database_url)
    engine = connect(database_url)
    for table in metadata.sorted_tables:
        made = {index["name"] for index in inspect(engine).get_indexes(table.name)}
        assert {index.name for index in table.indexes} <= made
    engine.dispose()


def test_migrating_twice_and_by_two_at_once_does_no_harm(database_url: str) -> None:
    together(*[lambda: migrate(database_url)] * 3)
    migrate(database_url)
    engine = connect(database_url)
    assert "runs" in inspect(engine).get_table_names()
    engine.dispose()


def move(url: str, revision: str) -> None:
    """Bring the database to an older schema."""
    engine, config = connect(url), Config()
    config.set_main_option("script_location", str(Path(celeriac.__file__).parent / "migrations"))
    with transaction(engine) as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, revision)
    engine.dispose()


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """Return what a query finds."""
    engine = connect(url)
    with reading(engine) as connection:
        found = [tuple(row) for row in connection.execute(text(query))]
    engine.dispose()
    return found


def test_runs_go_on_after_a_downgrade_and_an_upgrade(database_url: str) -> None:
    migrate(database_url)
    stage = Stage(SqlStore(engine := connect(database_url)))
    stage.declare(function())
    waiting = stage.parked(event_wait(match=("data.id", '"T-1"')))
    working = stage.claimed()
    assert stage.store.commit([step_done(working, "before")]) == [1]
    engine.dispose()
    move(database_url, "0001")
    migrate(database_url)
    stage = Stage(SqlStore(engine))
    assert stage.store.commit([step_done(working, "after")]) == [2]
    assert [run.run_id for run in stage.send(Event("answer", {"id": "T-1"}))] == [waiting.run.id]
    assert stage.store.claim(waiting.run.id, "wrk_one", LINK) is not None
    engine.dispose()


def test_a_function_keeps_its_triggers_through_a_downgrade_and_an_upgrade(database_url: str) -> None:
    migrate(database_url)
    Stage(SqlStore(engine := connect(database_url))).declare(function("work", "one", "two"), function("other", "two"))
    engine.dispose()
    expected = [("one", "work"), ("two", "other"), ("two", "work")]
    triggers = "SELECT event_name, function_id FROM triggers ORDER BY event_name, function_id"
    move(database_url, "0001")
    assert rows(database_url, triggers) == expected
    migrate(database_url)
    assert rows(database_url, triggers) == expected


def test_a_downgraded_and_upgraded_schema_is_that_of_the_tables(database_url: str) -> None:
    migrate(database_url)
    move(database_url, "0001")
    migrate(database_url)
    engine = connect(database_url)
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()
