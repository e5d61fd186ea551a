"""Attempts that fail and are made again are told as they fail, once, and the step goes on."""

from __future__ import annotations

from typing import Any

from celeriac import Agent, App, Chunk, tool
from celeriac.errors import ModelError
from celeriac.testing import Harness, ScriptedModel, call, say

BUSY = ModelError("busy", kind="overloaded")


def failures(chunks: list[Chunk]) -> list[tuple[str, Any, Any]]:
    """Return what is told of failed attempts: error, whether it may be mended, and which attempt it was."""
    failed = [chunk.data for chunk in chunks if chunk.event == "step.failed"]
    return [(one["error"], one["recoverable"], one.get("retryAttempt")) for one in failed]


def steps(chunks: list[Chunk]) -> list[str]:
    """Return what is told of steps, by the events alone."""
    return [chunk.event.removeprefix("step.") for chunk in chunks if chunk.event.startswith("step.")]


async def durably(agent: Agent, **options: Any) -> list[Chunk]:
    """Return what the agent tells in a durable run whose processes die at every parking."""
    app = App("attempts")
    app.agent(agent, on="go", **options)
    async with Harness(app) as harness:
        [run] = await harness.send("go", {"input": "Go"})
        for _ in range(5):
            await harness.restart()
            await harness.advance("1h")
        return harness.chunks(run.id)


async def test_a_model_that_is_asked_again_fails_by_attempts() -> None:
    chunks = await durably(Agent("A", model=ScriptedModel([BUSY, BUSY, say("Hi")])))
    assert failures(chunks) == [("busy", True, 1), ("busy", True, 2)]
    assert steps(chunks) == ["started", "failed", "failed", "completed"]
    assert len({chunk.data["stepId"] for chunk in chunks if chunk.event.startswith("step.")}) == 1


async def test_the_last_attempt_fails_the_step() -> None:
    chunks = await durably(Agent("A", model=ScriptedModel([BUSY, BUSY])), retries=1)
    assert failures(chunks) == [("busy", True, 1), ("busy", False, None)]


async def test_a_tool_that_is_called_again_fails_by_attempts() -> None:
    left = [1, 1]

    @tool(retries=2)
    def flaky() -> str:
        """Fail twice."""
        if left:
            raise OSError(f"{left.pop()} left")
        return "there"

    chunks = await durably(Agent("A", tools=[flaky], model=ScriptedModel([call("flaky"), say("Hi")])))
    assert failures(chunks) == [("1 left", True, 1), ("1 left", True, 2)]
    assert steps(chunks)[2:6] == ["started", "failed", "failed", "completed"]


async def test_a_script_tells_the_same() -> None:
    chunks: list[Chunk] = []

    async def listen(chunk: Chunk) -> None:
        chunks.append(chunk)

    model = ScriptedModel([ModelError("busy", kind="overloaded", retry_after=0), say("Hi")])
    await Agent("A", model=model).run("Go", on_chunk=listen)
    assert failures(chunks) == [("busy", True, 1)]
    assert steps(chunks) == ["started", "failed", "completed"]
