"""A run that dies at any point leaves its thread as one that does not die."""

from __future__ import annotations

from typing import Any

from celeriac import Agent, App, Context, Network, SqlHistory, tool
from celeriac.platform.message import ToolCall, Usage
from celeriac.platform.models.model import ModelReply, ModelRequest
from crash_points import Play, play_with_a_death_at_each_point
from engine_stage import TENANT


class Counting:
    """A model that calls a tool, then says how much it was given."""

    provider = "counting"
    name = "counting"

    async def infer(self, request: ModelRequest) -> ModelReply:
        has_called = request.messages[-1].role == "tool"
        calls = () if has_called else (ToolCall(id="call_1", name="look", input={}),)
        used = Usage(model_calls=1, input_tokens=1, output_tokens=1)
        return ModelReply(model=self.name, text=str(len(request.messages)), tool_calls=calls, usage=used)


@tool
async def look(ctx: Context[Any]) -> str:
    """Look, and wait for an hour."""
    await ctx.step.sleep("nap", "1h")
    return "seen"


def in_turn(ctx: Context[Any]) -> str | None:
    return ("a", "b", None)[ctx.network.call_count]


def declare(app: App, effects: list[Any]) -> None:
    agents = [Agent(name, model=Counting(), tools=[look], max_iter=2) for name in "ab"]
    app.network(Network("N", agents=agents, router=in_turn, history=SqlHistory()), on="said", id="chat")


async def drive(play: Play) -> Any:
    """Say two things in one thread; return what it holds and whether that is what the runs gave out."""
    given: list[str] = []
    for number in (1, 2):
        await play.send("said", {"input": {"id": f"m{number}", "content": f"Said {number}"}, "thread_id": "t"})
        for _ in range(8):
            await play.pass_time("1h")
        run = play.run_of("chat")
        assert run.status == "completed", run
        given += [f"m{number}", *(result["id"] for result in run.output["results"])]
    kept = play.stage.threads.entries(TENANT, "t", last=99)
    assert [one.id for one in kept] == given
    return [(one.kind, one.agent, one.data.get("text") or one.data["output"], one.seq) for one in kept]


async def test_a_thread_holds_the_same_wherever_a_worker_died() -> None:
    """W7 and W11: nothing is lost, and nothing is kept twice."""
    outcomes = await play_with_a_death_at_each_point(declare, drive)
    assert len(outcomes) > 25
    assert outcomes[0] == [
        ("user", None, "Said 1", 1),
        ("agent", "a", "3", 2),
        ("agent", "b", "6", 3),
        ("user", None, "Said 2", 4),
        ("agent", "a", "10", 5),
        ("agent", "b", "13", 6),
    ]
    assert [outcome for outcome in outcomes if outcome != outcomes[0]] == []
