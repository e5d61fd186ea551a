"""The database: no lost update, a true clock, and an honest word when it is away."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import Column, Engine, Integer, MetaData, Table, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError
from store_stage import PAST, TENANT, Stage, step_done, together

from celeriac.database import (
    Moment,
    answers_within,
    connect,
    db_ago,
    db_now,
    from_micros,
    reading,
    single,
    to_micros,
    transaction,
)
from celeriac.errors import ConfigError, StoreUnavailable
from celeriac.platform.event import Event
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.tables import events, steps
from services import free_port

BACKEND = text("SELECT pg_backend_pid()")

counters = Table("counters", MetaData(), Column("id", Integer, primary_key=True), Column("n", Integer))


@pytest.fixture
def plain(database_url: str) -> Iterator[Engine]:
    """An engine over a database with a counter that stands at zero."""
    engine = connect(database_url)
    with transaction(engine) as connection:
        counters.create(connection)
        connection.execute(counters.insert().values(id=1, n=0))
    yield engine
    engine.dispose()


def count_up(engine: Engine, times: int) -> None:
    """Read the counter, and write it back raised by one."""
    for _ in range(times):
        with transaction(engine) as connection:
            now = connection.execute(select(counters.c.n).with_for_update()).scalar_one()
            connection.execute(update(counters).values(n=now + 1))


def test_writers_of_several_engines_lose_no_update(plain: Engine) -> None:
    engines = [plain, connect(plain.url.render_as_string(hide_password=False))]
    together(*[lambda engine=engine: count_up(engine, 25) for engine in engines * 3])
    with reading(plain) as connection:
        assert connection.execute(select(counters.c.n)).scalar_one() == 150
    engines[1].dispose()


def test_an_exception_takes_the_transaction_back(plain: Engine) -> None:
    with pytest.raises(RuntimeError), transaction(plain) as connection:
        connection.execute(update(counters).values(n=7))
        raise RuntimeError
    with reading(plain) as connection:
        assert connection.execute(select(counters.c.n)).scalar_one() == 0


def test_a_single_statement_stands_at_once(plain: Engine) -> None:
    with single(plain) as connection:
        connection.execute(update(counters).values(n=7))
        with reading(plain) as other:
            assert other.execute(select(counters.c.n)).scalar_one() == 7


def test_moments_keep_their_microseconds() -> None:
    moment = datetime(2026, 11, 20, 10, 31, 5, 123457, tzinfo=UTC)
    assert from_micros(to_micros(moment)) == moment
    assert from_micros(to_micros(moment.astimezone())) == moment


def test_the_database_tells_the_time(plain: Engine) -> None:
    with reading(plain) as connection:
        now, ago = connection.execute(select(db_now(), db_ago(timedelta(hours=1)))).one()
        later = connection.execute(select(db_now())).scalar_one()
    assert abs(now - datetime.now(UTC)) < timedelta(minutes=1)
    assert timedelta(minutes=59) < now - ago < timedelta(minutes=61)
    assert now <= later


def test_a_moment_that_is_missing_is_none() -> None:
    assert Moment().process_result_value(None, connect("sqlite:///unused.db").dialect) is None


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "no url"])
def test_a_url_that_cannot_work_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        connect(url)


def test_a_postgres_that_is_away_is_reported_within_a_second() -> None:
    store = SqlStore(connect(f"postgresql://nobody:secret@127.0.0.1:{free_port()}/none"))
    began = time.monotonic()
    with pytest.raises(StoreUnavailable) as raised:
        store.ingest(TENANT, [Event("ticket")])
    assert time.monotonic() - began < 1
    assert "secret" not in str(raised.value)


def test_a_sqlite_file_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    engine = connect(f"sqlite:///{tmp_path / 'deep' / 'file.db'}")
    (tmp_path / "deep" / "file.db").mkdir()
    with pytest.raises(StoreUnavailable):
        SqlStore(engine).now()


def test_a_connection_that_was_cut_is_replaced(postgres_url: str) -> None:
    engine, other = connect(postgres_url), connect(postgres_url)
    store = SqlStore(engine)
    store.now()
    cut = text(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = :name"
    )
    with single(other) as connection:
        connection.execute(cut, {"name": engine.url.database})
    assert store.now().tzinfo == UTC
    for one in (engine, other):
        one.dispose()


def test_all_connections_of_a_restarted_server_are_replaced_unnoticed(postgres_url: str) -> None:
    engine, other = connect(postgres_url), connect(postgres_url)
    with single(engine) as first, single(engine) as second:
        warm = {first.execute(BACKEND).scalar_one(), second.execute(BACKEND).scalar_one()}
    with single(other) as connection:
        for pid in warm:
            connection.execute(text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    with transaction(engine) as first, reading(engine) as second:
        assert warm.isdisjoint({first.execute(BACKEND).scalar_one(), second.execute(BACKEND).scalar_one()})
    for one in (engine, other):
        one.dispose()


def test_a_postgres_that_does_not_answer_in_time_is_reported(postgres_url: str) -> None:
    engine = connect(postgres_url)
    began = time.monotonic()
    with pytest.raises(StoreUnavailable), answers_within(timedelta(seconds=0.2)), transaction(engine) as connection:
        connection.execute(text("SELECT pg_sleep(5)"))
    assert time.monotonic() - began < 2
    with answers_within(timedelta(seconds=5)):
        assert SqlStore(engine).now().tzinfo == UTC
    engine.dispose()


@pytest.mark.parametrize(("query", "idle"), [("", "10"), ("keepalives_idle=60", "60")])
def test_a_postgres_that_vanishes_is_given_up_after_a_while(postgres_url: str, query: str, idle: str) -> None:
    """A commit to it would wait for hours otherwise. The URL may say after how long."""
    engine = connect(make_url(postgres_url).update_query_string(query).render_as_string(hide_password=False))
    with reading(engine) as connection:
        asked = connection.connection.driver_connection.info.get_parameters()
    assert (asked["keepalives_idle"], asked["tcp_user_timeout"]) == (idle, "15000")
    engine.dispose()


def test_an_error_of_ours_is_not_called_an_outage(plain: Engine) -> None:
    with pytest.raises(Exception, match="SELEKT") as raised, reading(plain) as connection:
        connection.execute(text("SELEKT 1"))
    assert not isinstance(raised.value, StoreUnavailable)


def test_a_database_without_tables_says_what_to_run(plain: Engine) -> None:
    with pytest.raises(StoreUnavailable, match="celeriac migrate"), reading(plain) as connection:
        connection.execute(text("SELECT * FROM nowhere"))


def test_a_step_carries_the_databases_time_of_its_commit(sql_stage: Stage, engine: Engine) -> None:
    claim = sql_stage.claimed()
    before = sql_stage.store.now()
    sql_stage.store.commit([step_done(claim, "a")])
    with reading(engine) as connection:
        committed_at = connection.execute(select(steps.c.committed_at)).scalar_one()
    assert before <= committed_at <= sql_stage.store.now()


def test_an_id_may_be_used_again_after_a_day(sql_stage: Stage, engine: Engine) -> None:
    sql_stage.send(Event("ticket", id="same"))
    with transaction(engine) as connection:
        connection.execute(update(events).values(received_at=PAST))
    ingested = sql_stage.store.ingest(TENANT, [Event("ticket", id="same"), Event("ticket", id="same")])
    assert [one.is_duplicate for one in ingested.accepted] == [False, True]
    assert len(ingested.queued) == 1


@pytest.mark.parametrize("rule", ["CHECK (length(data) < 4)", "UNIQUE"])
def test_an_error_does_not_tell_what_the_statement_was_given(plain: Engine, rule: str) -> None:
    """It ends in a log, with all that led to it."""
    with transaction(plain) as connection:
        connection.execute(text(f"CREATE TABLE kept (n INTEGER PRIMARY KEY, data TEXT {rule})"))
    given = "-".join(["4111", "1111"])
    insert = text("INSERT INTO kept VALUES (:n, :data)")
    with pytest.raises(IntegrityError) as failed, transaction(plain) as connection:
        connection.execute(insert, [{"n": n, "data": given} for n in range(2)])
    told = "".join(traceback.format_exception(failed.value))
    assert "INSERT INTO kept" in told and "constraint" in told
    assert given not in told
