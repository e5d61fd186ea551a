"""What the turns of routing agents tell: that they were asked, their steps and what they used; none of their words."""

from __future__ import annotations

from typing import Any

from celeriac import Agent, App, Chunk, Context, Network, RoutingAgent, tool
from celeriac.errors import ModelError
from celeriac.platform.models.model import ModelRequest
from celeriac.testing import Harness, ScriptedModel, call
from crash_points import Play, play_with_a_death_at_each_point
from network_programs import what_is_told

CHOICE = [
    *("run.started", "step.started", "step.completed", "step.started", "step.completed"),
    *("usage.updated", "run.completed"),
]
ANSWER = [
    *("run.started", "step.started", "part.created", "text.delta", "part.completed", "step.completed"),
    *("usage.updated", "run.completed"),
]

speaker = Agent("Speaker", description="Speaks")
chosen = Network("Chosen", agents=[speaker], default_model="openai:gpt-4.1")


def by_request(request: ModelRequest) -> Any:
    """Answer by what was said: the speaker is chosen until it has spoken."""
    if request.agent == "Speaker":
        return "Hello"
    has_spoken = any(message.agent == "Speaker" for message in request.messages)
    return call("done") if has_spoken else call("select_agent", name="Speaker")


def model() -> ScriptedModel:
    """Answer so as often as is asked."""
    return ScriptedModel([by_request] * 200)


async def heard(network: Network[Any], **options: Any) -> list[Chunk]:
    """Return what the network tells in a script."""
    chunks: list[Chunk] = []

    async def listen(chunk: Chunk) -> None:
        chunks.append(chunk)

    run = await network.run("Go", on_chunk=listen, **{"model": model(), **options})
    used = [chunk.data for chunk in chunks if chunk.event == "usage.updated"]
    assert sum(one["usage"]["totalTokens"] for one in used) == used[-1]["cumulative"]["totalTokens"]
    assert used[-1]["cumulative"]["totalTokens"] == run.usage.input_tokens + run.usage.output_tokens
    return chunks


def of(event: str, chunks: list[Chunk]) -> list[dict[str, Any]]:
    """Return the data of all chunks of an event."""
    return [chunk.data for chunk in chunks if chunk.event == event]


async def test_a_choice_is_a_run_without_parts_before_the_turn_of_the_chosen() -> None:
    chunks = await heard(chosen)
    events = [chunk.event for chunk in chunks]
    assert events == ["run.started", *CHOICE, *ANSWER, *CHOICE, "run.completed", "stream.ended"]
    assert [chunk.sequence_number for chunk in chunks] == list(range(len(chunks)))


async def test_a_choice_has_a_mark_and_belongs_to_its_network() -> None:
    chunks = await heard(chosen)
    network, *inner = of("run.started", chunks)
    assert [one.get("routing", False) for one in inner] == [True, False, True]
    assert {one["parentRunId"] for one in inner} == {network["runId"]} and len({one["runId"] for one in inner}) == 3
    assert [one.get("routing", False) for one in of("run.completed", chunks)] == [True, False, True, False]
    assert of("step.started", chunks)[1]["stepId"].endswith("/route:1/tool:1:select_agent")


async def test_what_choices_used_is_told_as_it_adds_up() -> None:
    used = of("usage.updated", await heard(chosen))
    assert [one["usage"]["totalTokens"] for one in used] == [15, 15, 15]
    assert [one["cumulative"]["totalTokens"] for one in used] == [15, 30, 45]


async def test_a_router_in_code_is_told_as_the_routing_agent_that_it_asks() -> None:
    def route(ctx: Context) -> Any:
        return None if ctx.network.call_count else RoutingAgent("Supervisor")

    chunks = await heard(Network("Both", agents=[speaker], router=route))
    assert [chunk.event for chunk in chunks] == ["run.started", *CHOICE, *ANSWER, "run.completed", "stream.ended"]
    assert [one["name"] for one in of("run.started", chunks)] == ["Both", "Supervisor", "Speaker"]


async def test_what_a_router_in_code_asked_is_used_by_the_run_of_the_network() -> None:
    async def route(ctx: Context) -> Any:
        await ctx.step.ai.infer("guess", model(), "Who?")
        return None if ctx.network.call_count else "Speaker"

    chunks = await heard(Network("Guessing", agents=[speaker], router=route), model={"Speaker": model()})
    network, _ = of("run.started", chunks)
    assert [one["runId"] == network["runId"] for one in of("usage.updated", chunks)] == [True, False, True]


async def test_a_choice_that_was_not_made_is_interrupted() -> None:
    wrong = ScriptedModel([call("select_agent", name="Nobody")] * 3)
    chunks = await heard(chosen, model=wrong)
    assert [(one["routing"], one["reason"]) for one in of("run.interrupted", chunks)] == [(True, "max_iter")]
    assert [one["recoverable"] for one in of("step.failed", chunks)] == [True] * 3


async def test_a_choice_that_fails_is_told_as_failed() -> None:
    app = App("choices")
    app.network(chosen, on="go")
    async with Harness(app, ScriptedModel([ModelError("no", kind="invalid")])) as harness:
        [run] = await harness.send("go", {"input": "Go"})
        chunks = harness.chunks(run.id)
    assert [chunk.event for chunk in chunks][-4:] == ["step.failed", "run.failed", "run.failed", "stream.ended"]
    assert of("run.failed", chunks)[0]["name"] == "Default routing agent"


@tool
async def nap(ctx: Context) -> str:
    """Sleep."""
    await ctx.step.sleep("nap", "1h")
    return "rested"


def declare(app: App, effects: list[Any]) -> None:
    """Let a routing agent and its network be asked; its tool parks."""
    supervisor = RoutingAgent(
        "Supervisor", tools=[nap], on_route=_until_spoken, model=ScriptedModel([call("nap")] * 99)
    )
    app.network(Network("Chosen", agents=[speaker], router=supervisor, default_model=model()), on="go")


def _until_spoken(ctx: Context, result: Any) -> str | None:
    return None if ctx.network.call_count else "Speaker"


async def drive(play: Play) -> str:
    """Run to the end and return what was told."""
    await play.send("go", {"input": "Go"})
    for _ in range(4):
        await play.pass_time("1h")
    run = play.run_of("network-chosen")
    assert run.status == "completed"
    return repr(what_is_told(play.stage.chunks(run.id)))


async def test_choices_are_told_once_wherever_the_worker_dies() -> None:
    outcomes = await play_with_a_death_at_each_point(declare, drive)
    assert len(set(outcomes)) == 1 and len(outcomes) > 10
