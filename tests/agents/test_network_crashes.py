"""A network's run that dies at any points comes to what one comes to that does not: results, state and stream."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from celeriac.clock import ManualClock
from celeriac.testing import Harness
from crash_points import DyingStore, Play
from engine_stage import Stage
from network_programs import (
    FULL,
    Programmed,
    TurnPlan,
    app_of,
    network_of,
    played,
    programs,
    what_is_said,
    what_is_told,
)

deaths = st.lists(st.integers(min_value=1, max_value=12), min_size=1, max_size=4)


async def undisturbed(plans: list[TurnPlan]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Run the program without a death."""
    async with Harness(app_of(plans), Programmed(plans)) as harness:  # type: ignore[arg-type]
        return await played(harness)


async def dying(plans: list[TurnPlan], points: list[int]) -> tuple[dict[str, Any], dict[str, list[Any]]]:
    """Run the program with deaths; return what is left and what was told."""
    clock, model = ManualClock(), Programmed(plans)
    app = app_of(plans)
    async with Stage(app, store=DyingStore(clock, *points), clock=clock, model=model) as stage:  # type: ignore[arg-type]
        play = Play(stage)
        await play.send("go", {"input": "Begin"})
        for _ in range(60):
            run = play.run_of("network-program")
            if run.is_final:
                break
            await play.pass_time("1h")
        paths = [memo.path for memo in stage.steps(run.id)]
        assert len(paths) == len(set(paths))
        return what_is_said(run.output), what_is_told(stage.chunks(run.id))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans=programs, points=deaths)
def test_a_run_that_dies_anywhere_comes_to_the_same(plans: list[TurnPlan], points: list[int]) -> None:
    expected = asyncio.run(undisturbed(plans))
    assert asyncio.run(dying(plans, points)) == expected


async def test_a_run_that_dies_at_any_one_point_comes_to_the_same() -> None:
    expected = await undisturbed(FULL)
    assert set(expected[1]) > {"Program", "ann", "bob", "steps of bob"}
    for point in range(1, 32):
        assert await dying(FULL, [point]) == expected, f"death at commit {point}"


def has_no_wait(plans: list[TurnPlan]) -> bool:
    """Whether a plain script can run it without an hour passing."""
    return all(name != "nap" for plan in plans for calls in plan.calls for name, _ in calls)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(plans=programs.filter(has_no_wait))
def test_a_plain_script_comes_to_the_same_as_a_durable_run(plans: list[TurnPlan]) -> None:
    run = asyncio.run(network_of(plans).run("Begin", model=Programmed(plans)))  # type: ignore[arg-type]
    assert what_is_said(run.export()) == asyncio.run(undisturbed(plans))[0]
