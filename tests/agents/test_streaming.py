"""`agent.stream` and `network.stream`: a run that is watched from beside."""

from __future__ import annotations

import asyncio

import pytest

from celeriac import Agent
from celeriac.errors import ModelError
from celeriac.platform.models.model import ModelRequest
from celeriac.testing import ScriptedModel, say


def speaker(*lines: object) -> Agent:
    """An agent with a script."""
    return Agent("Speaker", model=ScriptedModel(list(lines)))  # type: ignore[arg-type]


async def test_chunks_then_the_result() -> None:
    async with speaker(say("Hello")).stream("Go") as stream:
        events = [chunk.event async for chunk in stream]
        assert (await stream.result()).text == "Hello"
    assert events[0] == "run.started" and events[-1] == "stream.ended"


async def test_text_alone() -> None:
    async with speaker(say("Hello")).stream("Go") as stream:
        assert [piece async for piece in stream.text()] == ["Hello"]


async def test_nothing_is_lost_for_who_looks_late() -> None:
    async with speaker(say("Hello")).stream("Go") as stream:
        await stream.result()
        numbers = [chunk.sequence_number async for chunk in stream]
    assert numbers == list(range(len(numbers))) and len(numbers) > 5


async def test_an_error_is_told_and_raised_by_the_result() -> None:
    async with speaker(ModelError("no", kind="invalid")).stream("Go") as stream:
        events = [chunk.event async for chunk in stream]
        with pytest.raises(ModelError, match="no"):
            await stream.result()
    assert events[-2:] == ["run.failed", "stream.ended"]


async def test_an_error_that_nobody_asks_for_is_raised_at_the_end_of_the_block() -> None:
    with pytest.raises(ModelError, match="no"):
        async with speaker(ModelError("no", kind="invalid")).stream("Go") as stream:
            assert [piece async for piece in stream.text()] == []


class Stuck:
    """A model that never answers, and says when it is asked and when it is left."""

    provider, name = "stuck", "s"

    def __init__(self) -> None:
        self.asked, self.left, self._answer = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def infer(self, request: ModelRequest) -> object:
        self.asked.set()
        try:
            return await self._answer.wait()
        finally:
            self.left.set()


async def test_leaving_early_cancels_the_run() -> None:
    model = Stuck()
    async with Agent("Stuck", model=model).stream("Go"):  # type: ignore[arg-type]
        await model.asked.wait()
    assert model.left.is_set()


async def test_a_cancelled_run_is_told_as_interrupted() -> None:
    model = Stuck()
    async with Agent("Stuck", model=model).stream("Go") as stream:  # type: ignore[arg-type]
        await model.asked.wait()
        await stream.cancel()
        told = [chunk async for chunk in stream]
        with pytest.raises(asyncio.CancelledError):
            await stream.result()
    assert [chunk.event for chunk in told][-2:] == ["run.interrupted", "stream.ended"]
    assert told[-2].data["reason"] == "cancelled"


async def test_it_has_to_be_entered() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await speaker(say("Hello")).stream("Go").result()
