"""A run that kills every worker that executes it ends, and its neighbours do."""

from __future__ import annotations

from pathlib import Path

from celeriac.platform.durable.poison import POISON
from fleet.worker_fleet import Fleet
from waiting import wait_until


def test_poison_ends_after_five_deaths_and_its_neighbours_complete(tmp_path: Path) -> None:
    with Fleet(tmp_path) as fleet:
        tenant = fleet.tenant()
        fleet.start()
        neighbours = [fleet.send(tenant, "fleet/counted", n=n, steps=5, seconds=0.05) for n in range(20)]
        event = fleet.send(tenant, "fleet/poison")

        def is_over() -> bool:
            if not fleet.workers[-1].is_running:
                fleet.launch()  # as a supervisor does
            return fleet.run_of(tenant, event).is_final

        wait_until(is_over, 90, "the poison to be found out")
        run = fleet.run_of(tenant, event)
        assert (run.status, run.error and run.error["code"]) == ("failed", "poison")
        assert len(fleet.notes.of("began", run=run.id, path="deadly")) == POISON
        if not fleet.workers[-1].is_running:
            fleet.start()
        assert {fleet.ended(tenant, one).status for one in neighbours} == {"completed"}
