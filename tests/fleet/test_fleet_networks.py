"""A network whose workers are killed comes to the same as one that is left alone."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from celeriac import Chunk, Run
from celeriac.platform.streams.reading import read_chunks
from celeriac.testing import Harness
from fleet.worker_fleet import Fleet
from network_programs import FULL, Programmed, app_of, played, what_is_said, what_is_told
from waiting import wait_until

#: twenty deaths, in parts that may be run side by side
SEEDS = [range(first, first + 5) for first in range(0, 20, 5)]


@pytest.fixture(scope="module")
def program_fleet(tmp_path_factory: pytest.TempPathFactory, postgres_server: str) -> Iterator[Fleet]:
    """Two workers that run the program, on Postgres."""
    from services import fresh_database

    folder = tmp_path_factory.mktemp("program")
    with (
        fresh_database(postgres_server) as url,
        Fleet(folder, url, app="fleet.program_app:app", PROGRAM_NAP="0.2s") as fleet,
    ):
        fleet.start_two()
        yield fleet


#: what a run has said, and what it has told
Left = tuple[dict[str, Any], dict[str, list[Any]]]


async def expected() -> Left:
    """Return what the program comes to in memory, where nobody dies."""
    async with Harness(app_of(FULL), Programmed(FULL)) as harness:  # type: ignore[arg-type]
        return await played(harness)


def killed_at(fleet: Fleet, tenant: str, moment: int) -> Left:
    """Run the program, kill the worker that makes so many notes of it, and return what the run comes to."""
    event = fleet.send(tenant, "go", input="Begin")
    run_id = fleet.run_of(tenant, event).id

    def notes() -> list[dict[str, Any]]:
        return sorted(
            [*fleet.notes.of("asked", run=run_id), *fleet.notes.of("replied", run=run_id)], key=lambda one: one["time"]
        )

    wait_until(lambda: len(notes()) >= moment, 20, f"{moment} notes of the run")
    pid = notes()[moment - 1]["pid"]
    victim = next(worker for worker in fleet.workers if worker.pid == pid)
    victim.kill()
    fleet.start()
    run = fleet.ended(tenant, event)
    wait_until(lambda: chunks_of(fleet, run)[-1].event == "stream.ended", what="the end of the stream")
    return what_is_said(run.output), what_is_told(chunks_of(fleet, run))


def chunks_of(fleet: Fleet, run: Run) -> list[Chunk]:
    """Return what the run has told up to now."""
    return read_chunks(fleet.rooms.stream, run)


@pytest.mark.parametrize("seeds", SEEDS, ids=str)
async def test_a_network_comes_to_the_same_over_seeded_kills(program_fleet: Fleet, seeds: range) -> None:
    wanted, tenant = await expected(), program_fleet.tenant()
    for seed in seeds:
        moment = random.Random(seed).randint(1, 7)
        assert killed_at(program_fleet, tenant, moment) == wanted, f"seed {seed}, killed at note {moment}"
    committed = program_fleet.sql("SELECT run_id, path FROM steps WHERE kind = 'model'")
    replied = [(one["run"], one["path"]) for one in program_fleet.notes.of("replied")]
    assert len(committed) == len(set(committed)) and {tuple(one) for one in committed} == set(replied)
