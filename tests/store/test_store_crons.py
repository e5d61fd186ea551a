"""Crons: each tick starts its runs once, however many workers look, and the last one that was missed once as well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import update
from starting_stage import run_of
from store_stage import OTHER, PAST, TENANT, Stage, function, together

from celeriac.database import transaction
from celeriac.platform.durable.cron import Schedule
from celeriac.platform.durable.declaration import Declaration
from celeriac.platform.store.local_store import LocalStore
from celeriac.platform.store.tables import crons

YEARLY = Schedule(cron="0 0 1 1 *", tenant_id=TENANT)
NEW_YEAR = datetime(datetime.now(UTC).year, 1, 1, tzinfo=UTC)


def timed(cron: Schedule = YEARLY) -> Declaration:
    """Declare `work` with a cron and no other trigger."""
    return Declaration(app="desk", function_id="work", crons=(cron,))


def since(stage: Stage, moment: datetime) -> None:
    """Let every cron be due since then, as if no worker had looked."""
    if isinstance(stage.store, LocalStore):
        stage.store._crons = {place: (cron, moment) for place, (cron, _) in stage.store._crons.items()}
        return
    with transaction(stage.store._engine) as connection:  # type: ignore[attr-defined]
        connection.execute(update(crons).values(next_at=moment))


def test_a_cron_waits_for_its_time(stage: Stage) -> None:
    stage.declare(timed())
    assert stage.store.fire_crons().accepted == []


def test_a_tick_starts_a_run_with_an_event_without_data(stage: Stage) -> None:
    stage.declare(timed())
    since(stage, NEW_YEAR)
    [queued] = stage.store.fire_crons().queued
    event = stage.claim(queued.run_id).event
    assert (queued.tenant_id, event.name, event.data, event.ts) == (TENANT, "celeriac/cron", {}, NEW_YEAR)


def test_a_tick_fires_once(stage: Stage) -> None:
    stage.declare(timed())
    since(stage, NEW_YEAR)
    fired = together(*[stage.store.fire_crons] * 4)
    assert len([run for one in fired for run in one.queued]) == 1
    assert stage.store.fire_crons().queued == []


def test_after_an_outage_the_last_tick_that_was_missed_fires_alone(stage: Stage) -> None:
    stage.declare(timed())
    since(stage, datetime(2020, 1, 1, tzinfo=UTC))
    [queued] = stage.store.fire_crons().queued
    assert stage.claim(queued.run_id).event.ts == NEW_YEAR
    assert stage.store.fire_crons().queued == []


def test_a_cron_for_each_tenant_starts_a_run_for_each(stage: Stage) -> None:
    stage.store._tenants = lambda: [TENANT, OTHER]  # type: ignore[attr-defined]
    stage.declare(timed(Schedule(cron="0 0 1 1 *")))
    since(stage, NEW_YEAR)
    assert sorted(run.tenant_id for run in stage.store.fire_crons().queued) == [TENANT, OTHER]


def test_a_cron_that_is_declared_again_goes_on(stage: Stage) -> None:
    stage.declare(timed())
    since(stage, NEW_YEAR)
    stage.declare(timed())
    assert len(stage.store.fire_crons().queued) == 1
    stage.declare(timed())
    assert stage.store.fire_crons().queued == []


def test_a_cron_that_is_removed_and_added_again_repeats_no_tick(stage: Stage) -> None:
    stage.declare(timed())
    since(stage, NEW_YEAR)
    assert len(stage.store.fire_crons().queued) == 1
    stage.declare()
    stage.declare(timed())
    since(stage, NEW_YEAR)
    assert stage.store.fire_crons().queued == []


def test_a_cron_that_is_removed_fires_no_more(stage: Stage) -> None:
    stage.declare(timed())
    since(stage, NEW_YEAR)
    stage.declare(function())
    assert stage.store.fire_crons().accepted == []


def test_a_cron_with_other_times_begins_anew(stage: Stage) -> None:
    stage.declare(timed())
    since(stage, NEW_YEAR)
    stage.declare(timed(Schedule(cron="0 0 2 1 *", tenant_id=TENANT)))
    assert stage.store.fire_crons().accepted == []


def test_another_jitter_loses_no_tick(stage: Stage) -> None:
    stage.declare(timed())
    since(stage, NEW_YEAR)
    late = Schedule(cron="0 0 1 1 *", jitter=timedelta(minutes=5), tenant_id=TENANT)
    stage.declare(timed(late))
    assert len(stage.store.fire_crons().queued) == 1
    stage.declare(timed())
    assert stage.store.fire_crons().queued == []


def test_a_paused_function_skips_its_ticks(stage: Stage) -> None:
    stage.declare(timed())
    stage.store.pause(TENANT, "desk", "work", is_paused=True)
    since(stage, NEW_YEAR)
    [event] = stage.store.fire_crons().accepted
    assert run_of(stage, event.id).status == "skipped"


def test_crons_of_several_functions_and_times_fire_each(stage: Stage) -> None:
    other = Schedule(cron="0 0 1 1 *", tz="Europe/Paris", tenant_id=TENANT)
    both = Declaration(app="desk", function_id="both", crons=(YEARLY, other))
    stage.declare(timed(), both)
    since(stage, PAST)
    assert len(stage.store.fire_crons().queued) == 3
