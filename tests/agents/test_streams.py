"""What runs of agents tell: the events in their order, in a plain script and in a durable run alike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any

import pytest

from celeriac import Agent, App, Chunk, Context, Network, StepError, tool
from celeriac.errors import ConfigError, ModelError
from celeriac.platform.message import ToolCall, Usage
from celeriac.platform.models.delta import CallDelta, Delta, ReasoningDelta, TextDelta
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.testing import Harness, ScriptedModel, call, calls, say

#: the events of the canonical case as AgentKit has them, and with what Celeriac adds
AGENTKIT = [
    *("run.started", "run.started", "part.created", "tool_call.arguments.delta", "part.completed"),
    *("part.created", "tool_call.output.delta", "part.completed", "run.completed"),
    *("run.started", "part.created", "text.delta", "part.completed", "run.completed", "run.completed", "stream.ended"),
]
ALL = [
    *("run.started", "run.started"),
    *("step.started", "part.created", "tool_call.arguments.delta", "part.completed", "step.completed"),
    *("step.started", "part.created", "tool_call.output.delta", "part.completed", "step.completed"),
    *("usage.updated", "run.completed"),
    *("run.started", "step.started", "part.created", "text.delta", "part.completed", "step.completed"),
    *("usage.updated", "run.completed", "run.completed", "stream.ended"),
]
ADDED = ("step.started", "step.completed", "usage.updated")


@tool
def look(what: str) -> str:
    """Look at something."""
    return f"{what} is blue"


def two_agents(model: Any) -> Network[Any]:
    """A network of an agent with a tool and one that talks."""
    looker, talker = Agent("Looker", tools=[look]), Agent("Talker")
    turns = [looker, talker]

    def next_turn(ctx: Context) -> Agent | None:
        return turns[ctx.network.call_count] if ctx.network.call_count < 2 else None

    return Network("Pair", agents=turns, router=next_turn, default_model=model)


def pair_model() -> ScriptedModel:
    """Its script."""
    return ScriptedModel([call("look", what="sky"), say("It is blue")])


class Ear:
    """An `on_chunk` that keeps what it is told."""

    def __init__(self) -> None:
        self.chunks: list[Chunk] = []

    async def __call__(self, chunk: Chunk) -> None:
        self.chunks.append(chunk)

    @property
    def events(self) -> list[str]:
        """What was told, by the events alone."""
        return [chunk.event for chunk in self.chunks]

    def data(self, event: str) -> list[dict[str, Any]]:
        """Return the data of all chunks of an event."""
        return [chunk.data for chunk in self.chunks if chunk.event == event]


async def heard(run: Callable[..., Any], **options: Any) -> Ear:
    """Run and listen, whatever comes of it."""
    ear = Ear()
    with suppress(ModelError, StepError):
        await run("Go", on_chunk=ear, **options)
    return ear


async def durably(network: Network[Any]) -> list[Chunk]:
    """Run the network durably to its end and return what it told."""
    app = App("streams")
    app.network(network, on="go")
    async with Harness(app) as harness:
        [run] = await harness.send("go", {"input": "Go"})
        return harness.chunks(run.id)


async def test_the_canonical_case_is_agentkits_with_additions_in_their_places() -> None:
    ear = await heard(two_agents(pair_model()).run)
    assert ear.events == ALL
    assert [event for event in ear.events if event not in ADDED] == AGENTKIT
    assert [chunk.sequence_number for chunk in ear.chunks] == list(range(len(ALL)))


async def test_a_durable_run_tells_the_same_as_a_script() -> None:
    chunks = await durably(two_agents(pair_model()))
    assert [chunk.event for chunk in chunks] == ALL
    assert [chunk.sequence_number for chunk in chunks] == list(range(len(ALL)))


async def test_an_agents_message_is_its_result() -> None:
    ear = Ear()
    run = await two_agents(pair_model()).run("Go", on_chunk=ear)
    started = ear.data("run.started")
    assert [one["messageId"] for one in started[1:]] == [result.id for result in run.results]
    assert {one["parentRunId"] for one in started[1:]} == {started[0]["runId"]} == {run.id}
    assert [one["scope"] for one in started] == ["network", "agent", "agent"]


async def test_an_output_names_the_part_of_its_call() -> None:
    ear = await heard(two_agents(pair_model()).run)
    called, answered, said = ear.data("part.completed")
    assert answered["metadata"]["callPartId"] == called["partId"] != answered["partId"]
    assert called["finalContent"] == {"what": "sky"} and called["metadata"]["toolName"] == "look"
    assert (answered["finalContent"], said["finalContent"]) == ({"data": "sky is blue"}, "It is blue")


async def test_usage_is_told_by_turn_and_in_all() -> None:
    ear = await heard(two_agents(pair_model()).run)
    assert [one["usage"]["totalTokens"] for one in ear.data("usage.updated")] == [15, 15]
    assert [one["cumulative"]["totalTokens"] for one in ear.data("usage.updated")] == [15, 30]


async def test_an_agent_alone_is_one_run() -> None:
    ear = await heard(Agent("Alone", model=ScriptedModel([say("Hi")])).run)
    assert ear.events[0] == "run.started" and ear.events[-2:] == ["run.completed", "stream.ended"]
    assert ear.events.count("run.started") == ear.events.count("run.completed") == 1
    assert ear.data("run.started")[0]["scope"] == "agent"


async def test_a_failed_run_is_never_completed() -> None:
    ear = await heard(two_agents(ScriptedModel([ModelError("no", kind="invalid")])).run)
    assert ear.events[-4:] == ["step.failed", "run.failed", "run.failed", "stream.ended"]
    assert "run.completed" not in ear.events
    assert [one["recoverable"] for one in ear.data("run.failed")] == [False, False]


async def test_a_failed_durable_run_ends_in_the_same_way() -> None:
    chunks = await durably(two_agents(ScriptedModel([ModelError("no", kind="invalid")])))
    assert [chunk.event for chunk in chunks][-4:] == ["step.failed", "run.failed", "run.failed", "stream.ended"]
    assert chunks[-2].data["error"] == "no"


async def test_a_limit_interrupts_and_says_which() -> None:
    polly = Agent("Polly", model=ScriptedModel([say("a"), say("b")]))
    ear = await heard(Network("Loop", agents=[polly], router=lambda ctx: polly, max_iter=2).run)
    assert ear.events[-2:] == ["run.interrupted", "stream.ended"]
    assert ear.data("run.interrupted")[-1]["reason"] == "max_iter"


async def test_an_agent_alone_that_reaches_its_limit_is_interrupted() -> None:
    agent = Agent("Busy", tools=[look], max_iter=1, model=ScriptedModel([call("look", what="sky")]))
    ear = await heard(agent.run)
    assert ear.data("run.interrupted") == [{**ear.data("run.interrupted")[0], "reason": "max_iter"}]


async def test_a_tools_error_fails_its_step_and_not_the_run() -> None:
    @tool
    def breaks() -> None:
        """Break."""
        raise ValueError("broken")

    model = ScriptedModel([calls(call("breaks"), call("unknown")), say("Sorry")])
    ear = await heard(Agent("A", tools=[breaks], model=model).run)
    assert ear.data("step.failed")[0]["error"] == "broken"
    assert [one["recoverable"] for one in ear.data("step.failed")] == [True, True]
    assert ear.events[-2:] == ["run.completed", "stream.ended"]


class Pieces:
    """A model that says each reply in the pieces that it was made with."""

    provider, name = "pieces", "p"

    def __init__(self, *replies: list[Delta | ModelReply | Exception]) -> None:
        self._replies = list(replies)

    async def infer(self, request: ModelRequest) -> ModelReply:
        raise AssertionError("somebody listens")

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        for piece in self._replies.pop(0):
            if isinstance(piece, Exception):
                raise piece
            yield piece


def reply(text: str, **parts: Any) -> ModelReply:
    """Return a whole reply."""
    return ModelReply(model="p", text=text, usage=Usage(model_calls=1), **parts)


async def test_tokens_thoughts_and_arguments_are_told_as_they_come() -> None:
    looks = ToolCall(id="c", name="look", input={"what": "sky"})
    first = [
        *(ReasoningDelta(text="hm"), ReasoningDelta(text="m")),
        *(TextDelta(text="Let "), TextDelta(text="me look")),
        *(CallDelta(place=0, id="c", name="look"), CallDelta(place=0, id="c", name="look", arguments='{"what"')),
        CallDelta(place=0, id="c", name="look", arguments=':"sky"}'),
        reply("Let me look", tool_calls=(looks,), reasoning="hmm"),
    ]
    ear = await heard(Agent("A", tools=[look], model=Pieces(first, [TextDelta(text="Blue"), reply("Blue")])).run)
    assert [one["delta"] for one in ear.data("text.delta")] == ["Let ", "me look", "Blue"]
    assert [one["delta"] for one in ear.data("reasoning.delta")] == ["hm", "m"]
    assert "".join(one["delta"] for one in ear.data("tool_call.arguments.delta")) == '{"what":"sky"}'
    finals = [(one["type"], one["finalContent"]) for one in ear.data("part.completed")]
    assert finals[:2] == [("reasoning", "hmm"), ("text", "Let me look")]


async def test_a_call_of_half_a_character_is_told_with_all_the_rest() -> None:
    """The pieces come as the provider sent them; the reply that is kept of them has a sign in its place."""
    app = App("half", default_model=ScriptedModel([call("look\ud83d")]))
    app.agent(Agent("A", tools=[look], max_iter=1), on="go")
    async with Harness(app) as harness:
        [run] = await harness.send("go", {"input": "?"})
        told = [chunk.event for chunk in harness.chunks(run.id)]
    assert told.count("part.created") == told.count("part.completed") == 2, told


async def test_a_reply_that_breaks_off_is_taken_back_before_the_next_attempt() -> None:
    torn = [TextDelta(text="It is gr"), ModelError("cut", kind="connection", retry_after=0)]
    ear = await heard(Agent("A", model=Pieces(torn, [TextDelta(text="Blue"), reply("Blue")])).run)
    assert [event for event in ear.events if event.startswith(("part", "text"))] == [
        *("part.created", "text.delta", "part.failed"),
        *("part.created", "text.delta", "part.completed"),
    ]
    failed, completed = ear.data("part.failed")[0], ear.data("part.completed")[0]
    assert failed["recoverable"] is True and failed["partId"] != completed["partId"]


async def test_a_fallback_takes_back_what_the_first_model_said() -> None:
    torn = Pieces([TextDelta(text="It is gr"), ModelError("down", kind="overloaded")])
    ear = await heard(Agent("A", model=[torn, Pieces([TextDelta(text="Blue"), reply("Blue")])]).run)
    assert [one["recoverable"] for one in ear.data("part.failed")] == [True]
    assert [one["finalContent"] for one in ear.data("part.completed")] == ["Blue"]


async def test_a_reply_that_a_hook_changes_is_told_as_it_was_changed() -> None:
    from dataclasses import replace

    def moderate(ctx: Context, result: Any) -> Any:
        return replace(result, messages=tuple(replace(one, text="[removed]") for one in result.messages))

    ear = await heard(Agent("A", model=ScriptedModel([say("rude")]), on_response=moderate).run)
    assert ear.data("part.completed")[0]["finalContent"] == "[removed]"


async def test_nobody_listens_and_the_model_is_asked_at_once() -> None:
    with pytest.raises(AssertionError, match="somebody listens"):
        await Agent("A", model=Pieces([reply("Blue")])).run("Go")


async def test_what_is_published_comes_between_with_its_topic() -> None:
    @tool
    async def search(ctx: Context, query: str) -> str:
        """Search."""
        await ctx.publish("progress", {"percent": 50})
        await ctx.publish("progress", {"percent": 100})
        return "found"

    model = ScriptedModel([call("search", query="x"), say("Found")])
    ear = await heard(Agent("A", tools=[search], model=model).run)
    assert [(one["topic"], one["delta"]["percent"]) for one in ear.data("data.delta")] == [
        ("progress", 50),
        ("progress", 100),
    ]


async def test_more_than_a_stream_should_carry_is_published_as_left_out() -> None:
    @tool
    async def fetch(ctx: Context) -> None:
        """Fetch."""
        await ctx.publish("page", "x" * 300_000)

    ear = await heard(Agent("A", tools=[fetch], model=ScriptedModel([call("fetch"), say("Found")])).run)
    [told] = ear.data("data.delta")
    assert (told["topic"], told["truncated"], "delta" in told) == ("page", True, False)
    assert {one["runId"] for one in ear.data("data.delta")} == {ear.data("run.started")[0]["runId"]}


async def test_an_agent_in_a_tool_belongs_to_the_run_around_it() -> None:
    inner = Agent("Inner", description="Helps.", model=ScriptedModel([say("inner")]))
    outer = Agent("Outer", tools=[inner.as_tool()], model=ScriptedModel([call("inner", input="?"), say("outer")]))
    ear = await heard(outer.run)
    first, second = ear.data("run.started")
    assert second["parentRunId"] == first["runId"]
    assert ear.events.count("stream.ended") == 1 and ear.events[-1] == "stream.ended"


async def test_a_listener_that_breaks_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(chunk: Chunk) -> None:
        raise ValueError("deaf")

    result = await Agent("A", model=ScriptedModel([say("Hi")])).run("Go", on_chunk=breaks)
    assert result.text == "Hi"
    assert "on_chunk failed" in caplog.text


async def test_a_slow_listener_gets_all_before_the_run_is_over() -> None:
    slow: list[str] = []

    async def listen(chunk: Chunk) -> None:
        await asyncio.to_thread(slow.append, chunk.event)

    await two_agents(pair_model()).run("Go", on_chunk=listen)
    assert slow == ALL


async def test_channels_of_runs_and_threads_are_not_for_users() -> None:
    with pytest.raises(ConfigError, match="written by themselves"):
        await two_agents(pair_model()).run("Go", channel="run:run_1")
