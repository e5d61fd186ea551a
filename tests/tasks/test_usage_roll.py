"""The round that rolls usage up: nothing that was counted is left behind."""

from __future__ import annotations

from celeriac.database import connect, migrate, reading
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.event import Event
from celeriac.platform.store.sql_store import SqlStore
from celeriac.platform.store.sql_usage import SqlUsages
from celeriac.tasks.usage import PAGE, UsageRoll


def test_a_round_rolls_up_more_than_a_page(postgres_url: str) -> None:
    """Rows that came meanwhile are for the next one."""
    migrate(postgres_url)
    engine = connect(postgres_url)
    store, usages = SqlStore(engine), SqlUsages(engine)
    store.declare("app", [Declaration(app="app", function_id="f", triggers=("go",))], [])
    store.ingest("ten_a", [Event("go")])
    with engine.begin() as connection:
        copies = f"SELECT u.* FROM usage_deltas u, generate_series(1, {PAGE})"
        connection.exec_driver_sql(f"INSERT INTO usage_deltas {copies}")
    before = usages.usage("ten_a", usages.today(), usages.today())
    assert UsageRoll(usages).run_once() == 2 * (PAGE + 1)
    with reading(engine) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM usage_daily").scalar_one() == 2
    assert usages.usage("ten_a", usages.today(), usages.today()) == before
    engine.dispose()
