"""The chronicle: triggers that note every move of a run, and what may never happen to a step or a worker's row.

Only a database that the play has to itself gets them. They note facts from beside the engine, in its own
transactions, so that nothing that became true goes unseen.
"""

from __future__ import annotations

from sqlalchemy import Engine

from celeriac.database import NOW, single

_TABLES = (
    "CREATE TABLE chaos_moves (run_id TEXT, was TEXT, became TEXT, fence BIGINT, worker_id TEXT, at BIGINT)",
    "CREATE TABLE chaos_workers (id TEXT, pid BIGINT, what TEXT, has_heir BOOLEAN, at BIGINT)",
    "CREATE TABLE chaos_changes (run_id TEXT, path TEXT, at BIGINT)",
)

#: name, when it fires, and the statement; `{now}` is the database's time
_TRIGGERS = (
    (
        "chaos_run_began",
        "AFTER INSERT ON runs",
        "INSERT INTO chaos_moves VALUES (NEW.id, NULL, NEW.status, NEW.fence, NEW.worker_id, {now})",
    ),
    (
        "chaos_run_moved",
        "AFTER UPDATE ON runs {when}(OLD.status <> NEW.status OR OLD.fence <> NEW.fence)",
        "INSERT INTO chaos_moves VALUES (NEW.id, OLD.status, NEW.status, NEW.fence, NEW.worker_id, {now})",
    ),
    (
        "chaos_step_changed",
        "AFTER UPDATE ON steps",
        "INSERT INTO chaos_changes VALUES (OLD.run_id, OLD.path, {now})",
    ),
    (
        "chaos_worker_joined",
        "AFTER INSERT ON workers",
        "INSERT INTO chaos_workers VALUES (NEW.id, NEW.pid, 'joined', false, {now})",
    ),
    (
        # A worker that others bury has no other row then, and joins anew when it hears of it. One that lives and gives
        # itself up would write its new row before the old one goes.
        "chaos_worker_left",
        "AFTER DELETE ON workers",
        "INSERT INTO chaos_workers VALUES (OLD.id, OLD.pid, 'left', EXISTS(SELECT 1 FROM workers AS other "
        "WHERE other.pid = OLD.pid AND other.pid_started = OLD.pid_started AND other.id <> OLD.id), {now})",
    ),
)


def keep_chronicle(engine: Engine) -> None:
    """Make the tables and the triggers, once in the life of a database."""
    dialect = engine.dialect.name
    with single(engine) as connection:
        for table in _TABLES:
            connection.exec_driver_sql(table)
        for name, when, statement in _TRIGGERS:
            body = statement.format(now=NOW[dialect])
            if dialect == "sqlite":
                connection.exec_driver_sql(f"CREATE TRIGGER {name} {when.format(when='WHEN ')} BEGIN {body}; END")
                continue
            connection.exec_driver_sql(
                f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
                f"$$ BEGIN {body}; RETURN NULL; END $$"
            )
            fires = when.format(when="FOR EACH ROW WHEN ")
            each = "" if "FOR EACH ROW" in fires else "FOR EACH ROW"
            connection.exec_driver_sql(f"CREATE TRIGGER {name} {fires} {each} EXECUTE FUNCTION {name}()")
