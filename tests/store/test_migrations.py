"""Migrations: the schema that they make is the one that the code is written for, on both databases."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect
from store_stage import together

from celeriac.database import connect, metadata, migrate


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
