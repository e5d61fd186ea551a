"""Random programs run on the gate in Redis and on its twin; both must decide alike, and keep what they promise."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from gate_program import HeadroomProgram, Program
from gate_stage import RedisStage, lasting_keys, picked

from celeriac.clock import ManualClock
from celeriac.platform.store.local_gate import LocalGate
from celeriac.platform.store.redis_gate import RedisGate

#: long enough that nothing expires while a program runs
DEAD_AFTER = timedelta(hours=1)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("kind", "capacity"), [(Program, 1_000), (HeadroomProgram, 8), (HeadroomProgram, 60)])
def test_the_gate_and_its_twin_decide_alike(
    redis_stage: RedisStage, seed: int, kind: type[Program], capacity: int
) -> None:
    """Whatever comes: no limit is broken, nothing is lost, all is picked once, and no key is left."""
    clock = ManualClock()
    program = kind(
        gate=RedisGate(redis_stage.redis, dead_after=DEAD_AFTER, clock=clock),
        twin=LocalGate(clock, dead_after=DEAD_AFTER),
        clock=clock,
        dice=random.Random(seed),
        capacity=capacity,
    )
    program.run(350)
    assert (picked(program.gate), picked(program.gate, queue="memory")) == ([], [])
    assert program.made > 30 and lasting_keys(redis_stage.redis) == []
