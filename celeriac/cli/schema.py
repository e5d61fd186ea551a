"""The schema of the database: what it has and what this version needs, for `doctor` and for what is about to start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from celeriac.errors import ConfigError

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Engine


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What a database has."""

    #: the database's own name and version
    database: str
    #: None: there are no tables yet
    current: str | None
    newest: str | None
    #: whether an older version of ours made it; a newer one may have come first
    is_old: bool


def schema_of(url: str) -> Schema:
    """Look at the database; raise `StoreUnavailable` where it does not answer."""
    from celeriac.database import connect
    from celeriac.row_security import ENGINE

    engine = connect(url, role=ENGINE, row_security="off")  # the login itself may have no right to read
    try:
        return _look(engine)
    finally:
        engine.dispose()


def require_schema(url: str) -> None:
    """Raise `ConfigError` where the database has no tables yet, or those of an older version."""
    found = schema_of(url)
    if found.current is None:
        raise ConfigError(f"{found.database} has no tables yet; run `celeriac migrate`")
    if found.is_old:
        raise ConfigError(
            f"{found.database} has schema {found.current}, and this version needs {found.newest}; "
            "run `celeriac migrate`"
        )


def _look(engine: Engine) -> Schema:
    from alembic.runtime.migration import MigrationContext

    from celeriac.database import reading

    with reading(engine) as connection:
        version = ".".join(str(part) for part in connection.dialect.server_version_info or ())
        current = MigrationContext.configure(connection).get_current_revision()
    name = {"sqlite": "SQLite", "postgresql": "Postgres"}[engine.dialect.name]
    migrations = _migrations()
    newest = migrations.get_current_head()
    return Schema(
        database=f"{name} {version}".strip(),
        current=current,
        newest=newest,
        is_old=current != newest and any(one.revision == current for one in migrations.walk_revisions()),
    )


def _migrations() -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    import celeriac.database

    return ScriptDirectory(str(Path(celeriac.database.__file__).parent / "migrations"))
