"""The second wall between tenants: row-level security on Postgres, for the case that a statement lacks its filter.

Each table says at its definition whose its rows are; from that the migrations make policies for two roles, which
nobody logs in as. `celeriac_web` sees the rows of the tenant that its transaction names, `celeriac_engine` those of
all. `celeriac.database` enters them by SET ROLE. Nothing here reads a row, and on SQLite there is no such wall.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Table
from sqlalchemy.exc import DBAPIError

from celeriac.errors import ConfigError

ENGINE = "celeriac_engine"
WEB = "celeriac_web"

#: auto: where the login may; required: or nothing starts; off: taken down at the next migration
Mode = Literal["auto", "required", "off"]

#: the tenant that a transaction of the web names; nothing, and what a finished one leaves behind, is no tenant's
TENANT = "nullif(current_setting('app.tenant_id', true), '')"

#: where a table keeps its `Rule`
_PLACE = "row_security"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Who may do what with the rows of a table; the engine may do everything."""

    #: the column that names the tenant; None: the rows are no tenant's
    owner: str | None
    #: a condition under which the web may read rows that are not its tenant's
    also_read: str | None = None
    web_may: str = "SELECT, INSERT, UPDATE, DELETE"


def owned_by(owner: str, *, also_read: str | None = None, web_may: str = Rule.web_may) -> dict[Any, Any]:
    """Return the `info=` of a table whose rows are tenants'; without it, `tenant_id` is the owner."""
    return {_PLACE: Rule(owner=owner, also_read=also_read, web_may=web_may)}


def seen_by(condition: str, *, columns: Sequence[str]) -> dict[Any, Any]:
    """Return the `info=` of a table of no tenant's, of which the web reads these columns where the condition holds."""
    return {_PLACE: Rule(owner=None, also_read=condition, web_may=f"SELECT ({', '.join(columns)})")}


#: `info=` of a table that is of no tenant and may be read by all: what the fleet has declared
SHARED: dict[Any, Any] = {_PLACE: Rule(owner=None, web_may="SELECT")}

#: `info=` of a table that the web has no business with
ENGINE_ONLY: dict[Any, Any] = {_PLACE: Rule(owner=None, web_may="")}


def rule_of(table: Table) -> Rule | None:
    """Return the rule of a table; None where it says none and has no tenant either."""
    found: Rule | None = table.info.get(_PLACE)
    return Rule(owner="tenant_id") if found is None and "tenant_id" in table.c else found


def open_schema(connection: Connection) -> None:
    """Let a login make tables in a database of its own, also where it inherits nothing.

    Before Postgres 16 the wall takes inheritance from the login, and since 15 the owner of a database has its schema
    `public` by that alone. So the right is given to the login itself. Part of a migration; does nothing for others.
    """
    connection.exec_driver_sql(_OPEN_SCHEMA)


def raise_wall(connection: Connection, tables: Sequence[Table], mode: Mode) -> bool:
    """Make roles and policies as far as they are missing, or take the policies down; say whether the wall is new.

    Part of a migration. A login that may not make roles changes nothing: `celeriac doctor` says what its administrator
    has to do. Raises `ConfigError` for that where the wall is required.
    """
    standing = _marks(connection)
    there = [table for table in tables if table.name in standing]
    if mode == "off":
        for table in there:
            if standing[table.name] is not None:
                connection.exec_driver_sql(_taken_down(table.name))
        return False
    if not _have_roles(connection):
        if mode == "required":
            what = "; ".join(todo for _, todo in missing(connection, tables))
            raise ConfigError(f"Row-level security is required, and this login may not make its roles: {what}")
        return False
    built = {table.name: _built(table.name, _whole_rule_of(table)) for table in there}
    new = {name: text for name, text in built.items() if standing[name] != _mark(text)}
    for name, text in new.items():
        connection.exec_driver_sql(f"{text}; COMMENT ON POLICY {ENGINE} ON {name} IS '{_mark(text)}'")
    if new:
        connection.exec_driver_sql(_LET_IN)
    return bool(there) and not any(standing[table.name] for table in there)


def set_tenant(tenant_id: str | None) -> str:
    """Return the statement that names the tenant of a transaction, as text that needs no parameters."""
    quoted = (tenant_id or "").replace("\0", "").replace("'", "''").replace("%", "%%")
    return f"SELECT set_config('app.tenant_id', '{quoted}', true)"


def go_on_as_engine(connection: Connection) -> None:
    """Let what is left of a transaction of the web be the engine's, for what is no tenant's and has to be one with it.

    Does nothing on SQLite, where there is no wall, and where one does not stand.
    """
    if connection.dialect.name == "postgresql":
        entered = f"SELECT set_config('role', '{ENGINE}', true) WHERE current_user = '{WEB}'"
        connection.exec_driver_sql(entered)


_OPEN_SCHEMA = """
DO $$ DECLARE place text := coalesce(current_schema(), 'public'); BEGIN
    IF NOT has_schema_privilege(session_user, place, 'CREATE')
       AND pg_has_role(session_user, to_regrole('pg_database_owner'), 'MEMBER') THEN
        SET LOCAL ROLE pg_database_owner;
        EXECUTE format('GRANT USAGE, CREATE ON SCHEMA %I TO %I', place, session_user);
        RESET ROLE;
    END IF;
END $$""".replace("%", "%%")

#: whether there are tables, whether the wall stands, and whether the login may enter the role of that name
LOOK = """
SELECT runs.relname IS NOT NULL, coalesce(runs.relforcerowsecurity, false),
       coalesce((SELECT pg_has_role(session_user, oid, 'MEMBER') FROM pg_roles WHERE rolname = %s), false)
FROM (SELECT to_regclass('runs') AS oid) AS named LEFT JOIN pg_class AS runs ON runs.oid = named.oid"""

#: cuts the idle connections that this login opened before the wall stood, as they have entered no role
CUT_OTHERS = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND usename = session_user AND pid <> pg_backend_pid()
  AND application_name = 'celeriac' AND state = 'idle'"""


# -- what is missing ------------------------------------------------------------------------------------------------


def missing(connection: Connection, tables: Sequence[Table]) -> list[tuple[str, str]]:
    """Say what keeps the wall from standing for this login, each with what to do; nothing where it stands."""
    login, is_super, version = connection.exec_driver_sql(_LOGIN).one()
    found: list[tuple[str, str]] = []
    for role in (ENGINE, WEB):
        row = connection.exec_driver_sql(_ROLE, (role,)).one_or_none()
        if row is None:
            found.append((f"there is no role {role}", f"CREATE ROLE {role} NOLOGIN"))
        elif row.is_above:
            found.append((f"role {role} is above row-level security", f"ALTER ROLE {role} NOSUPERUSER NOBYPASSRLS"))
        if row is None or not row.is_member:
            found.append((f"{login} may not enter {role}", _grant(login, role, version)))
        elif row.is_open and not is_super:
            found.append((f"{login} has what {role} may without entering it", _close(login, role, version)))
    marks = _marks(connection)
    weak = [table.name for table in tables if marks.get(table.name) != _mark(_built(table.name, _whole_rule_of(table)))]
    if weak:
        named = ", ".join(weak[:5]) + (f" and {len(weak) - 5} more" if len(weak) > 5 else "")
        found.append((f"no policy, or an old one, on {named}", "celeriac migrate"))
    return found


_LOGIN = """
SELECT quote_ident(session_user), (SELECT rolsuper FROM pg_roles WHERE rolname = session_user),
       current_setting('server_version_num')::int"""

_ROLE = """
SELECT rolsuper OR rolbypassrls AS is_above, pg_has_role(session_user, oid, 'MEMBER') AS is_member,
       pg_has_role(session_user, oid, 'USAGE') AS is_open
FROM pg_roles WHERE rolname = %s"""


def _grant(login: str, role: str, version: int) -> str:
    """Return how a login becomes a member that has nothing of the role before it enters it."""
    if version >= 160000:
        return f"GRANT {role} TO {login} WITH INHERIT FALSE, SET TRUE"
    return f"ALTER ROLE {login} NOINHERIT; GRANT {role} TO {login}"


def _close(login: str, role: str, version: int) -> str:
    return _grant(login, role, version) if version >= 160000 else f"ALTER ROLE {login} NOINHERIT"


def _have_roles(connection: Connection) -> bool:
    """Make the roles and enter this login into them where that is missing and allowed; say whether all is there.

    Roles are the whole server's, and databases on it are migrated at the same time.
    """
    login, is_super, version = connection.exec_driver_sql(_LOGIN).one()
    for role in (ENGINE, WEB):
        row = connection.exec_driver_sql(_ROLE, (role,)).one_or_none()
        wanted = [f"CREATE ROLE {role} NOLOGIN"] if row is None else []
        if not is_super and (row is None or not row.is_member):
            wanted.append(_grant(login, role, version))
        elif not is_super and row is not None and row.is_open:
            wanted.append(_close(login, role, version))
        if wanted and not _did(connection, wanted):
            return False
    return True


def _did(connection: Connection, statements: Sequence[str]) -> bool:
    duplicate = "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL"
    try:
        with connection.begin_nested():
            for one in statements:
                connection.exec_driver_sql(f"DO $$ BEGIN {one}; {duplicate}; END $$")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != "42501":  # insufficient privilege
            raise
        return False
    return True


#: lets both roles see that there is a schema, and of which revision
_LET_IN = f"""
DO $$ BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO {ENGINE}, {WEB}', current_schema());
    IF to_regclass('alembic_version') IS NOT NULL THEN
        GRANT SELECT ON alembic_version TO {ENGINE}, {WEB};
    END IF;
END $$""".replace("%", "%%")


# -- what is made ---------------------------------------------------------------------------------------------------


def _built(table: str, rule: Rule) -> str:
    """Return the statements that build the wall of one table, whatever stands there."""
    own = "false" if rule.owner is None else f"{rule.owner} = {TENANT}"
    seen = rule.also_read or ("true" if rule.owner is None and rule.web_may else None)
    reads = f"; CREATE POLICY {WEB}_reads ON {table} FOR SELECT TO {WEB} USING ({seen})" if seen else ""
    may = f"GRANT {rule.web_may} ON {table} TO {WEB}; " if rule.web_may else ""
    return (
        f"{_without_policies(table)}; ALTER TABLE {table} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; "
        f"REVOKE ALL ON {table} FROM {ENGINE}, {WEB}; "
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {ENGINE}; {may}"
        f"CREATE POLICY {ENGINE} ON {table} TO {ENGINE} USING (true) WITH CHECK (true); "
        f"CREATE POLICY {WEB} ON {table} TO {WEB} USING ({own}) WITH CHECK ({own}){reads}"
    )


def _taken_down(table: str) -> str:
    return f"{_without_policies(table)}; ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY"


def _without_policies(table: str) -> str:
    return "; ".join(f"DROP POLICY IF EXISTS {one} ON {table}" for one in (ENGINE, WEB, f"{WEB}_reads"))


def _whole_rule_of(table: Table) -> Rule:
    """Return the rule of a table; one that says none is closed to the web."""
    return rule_of(table) or Rule(owner=None, web_may="")


def _mark(text: str) -> str:
    """Return what stands as the comment of a policy, so that it is known by which statements it was made."""
    return f"celeriac {hashlib.blake2b(text.encode(), digest_size=8).hexdigest()}"


def _marks(connection: Connection) -> Mapping[str, str | None]:
    """Return the tables of this schema with the marks of their walls; None where none stands."""
    rows = connection.exec_driver_sql(
        "SELECT t.relname, CASE WHEN t.relforcerowsecurity THEN obj_description(p.oid, 'pg_policy') END "
        "FROM pg_class AS t LEFT JOIN pg_policy AS p ON p.polrelid = t.oid AND p.polname = %s "
        "WHERE t.relkind = 'r' AND t.relnamespace = current_schema()::regnamespace",
        (ENGINE,),
    )
    return {row[0]: row[1] for row in rows}
