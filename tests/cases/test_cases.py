"""Every case holds in memory, on SQLite and on Postgres; the last two with worker processes."""

from __future__ import annotations

import pytest

from cases.catalog import case_of, is_at_home, limits_of, playable
from cases.stages.fleet import CaseFleet, fleet_stage
from cases.stages.memory import memory_stage
from cases.stages.stage import Stage

each_case = pytest.mark.parametrize("name", playable())


async def check_behaviour(name: str, stage: Stage) -> None:
    """Play the case: its script asserts."""
    await case_of(name).play(stage)


@each_case
async def test_the_case_holds_in_memory(name: str) -> None:
    """On the harness, with a clock that is moved."""
    case = case_of(name)
    async with memory_stage(case.app, **limits_of(case)) as stage:
        await check_behaviour(name, stage)


@each_case
async def test_the_case_holds_with_real_workers(name: str, fleet: CaseFleet) -> None:
    """On worker processes, where time passes by itself."""
    case = case_of(name)
    await check_behaviour(name, fleet_stage(fleet, case.app, at_home=is_at_home(case), **limits_of(case)))
