"""What durable runs tell, over parkings, crashes and ends that come from outside: everything once, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Any

import pytest

from celeriac import Agent, App, Chunk, Context, History, Network, tool
from celeriac.errors import ModelError
from celeriac.platform.models.delta import Delta, TextDelta
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.platform.streams.stream import Passage, StreamUnavailable
from celeriac.testing import Harness, ScriptedModel, call, calls, say


@tool
async def nap(ctx: Context, time: int) -> str:
    """Sleep for seconds, and say so."""
    await ctx.publish("nap", {"time": time})
    await ctx.step.sleep("nap", time)
    await ctx.publish("nap", {"time": 0})
    return "rested"


def sleepers(model: Any, **options: Any) -> App:
    """An app whose network parks in each of two turns."""
    first = Agent("First", tools=[nap], max_iter=3)
    second = Agent("Second", tools=[nap], max_iter=3)
    turns = [first, second]

    def next_turn(ctx: Context) -> Agent | None:
        return turns[ctx.network.call_count] if ctx.network.call_count < 2 else None

    app = App("streams")
    app.network(Network("Nap", agents=turns, router=next_turn, default_model=model, **options), on="go")
    return app


def script() -> ScriptedModel:
    """What the two say."""
    naps = calls(call("nap", time=60), call("nap", time=120))
    return ScriptedModel([naps, say("one"), call("nap", time=60), say("two")])


def told(chunks: Sequence[Chunk]) -> list[Any]:
    """Return what was told, without what differs from run to run."""
    shown = [(chunk.event, chunk.data.get("finalContent"), chunk.data.get("delta")) for chunk in chunks]
    assert [chunk.sequence_number for chunk in chunks] == list(range(len(chunks)))
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    return shown


def of_agents(shown: list[Any]) -> list[Any]:
    """Return what can be told from memos: all but what functions published in steps that do not run again."""
    return [one for one in shown if one[0] != "data.delta"]


async def played(*, restart: bool) -> list[Any]:
    """Run to the end; with `restart` all processes die at every parking."""
    async with Harness(sleepers(script())) as harness:
        [run] = await harness.send("go", {"input": "Go"})
        for _ in range(5):
            before = told(harness.chunks(run.id))
            if restart:
                await harness.restart()
            await harness.advance("1m")
            assert told(harness.chunks(run.id))[: len(before)] == before
        assert harness.run(run.id).status == "completed"
        return told(harness.chunks(run.id))


async def test_a_run_that_restarts_at_every_parking_tells_the_same() -> None:
    assert await played(restart=True) == await played(restart=False)


async def test_parking_ends_nothing() -> None:
    async with Harness(sleepers(script())) as harness:
        [run] = await harness.send("go", {"input": "Go"})
        events = [chunk.event for chunk in harness.chunks(run.id)]
    assert not {"stream.ended", "run.failed", "run.interrupted", "run.completed", "part.failed"} & set(events)


async def test_a_stream_that_lost_everything_is_told_again_from_what_is_remembered() -> None:
    whole = await played(restart=False)
    async with Harness(sleepers(script())) as harness:
        [run] = await harness.send("go", {"input": "Go"})
        await harness.advance("2m")
        assert harness.chunks(run.id)
        harness._rooms.stream.clear()
        await harness.advance("2m")
        again = told(harness.chunks(run.id))
    # Calls that ran side by side are told one after the other now.
    assert sorted(map(repr, of_agents(again))) == sorted(map(repr, of_agents(whole)))
    assert again[-1] == whole[-1]


class Deaf:
    """A stream that takes nothing while it is told to, as where a process dies between a commit and its telling."""

    def __init__(self, harness: Harness) -> None:
        self._append = harness._rooms.stream.append
        self.is_deaf = False
        harness._rooms.stream.append = self  # type: ignore[method-assign,assignment]

    def __call__(self, passages: Sequence[Passage]) -> list[list[Chunk]]:
        return [[] for _ in passages] if self.is_deaf else self._append(passages)


@pytest.mark.parametrize("lost_at", range(3))
async def test_what_was_committed_and_not_told_is_told_by_the_next_link(lost_at: int) -> None:
    async with Harness(sleepers(script())) as harness:
        deaf = Deaf(harness)
        deaf.is_deaf = lost_at == 0
        [run] = await harness.send("go", {"input": "Go"})
        for number in range(1, 5):
            harness.chunks(run.id)
            deaf.is_deaf = number == lost_at
            await harness.advance("1m")
        deaf.is_deaf = False
        await harness.restart()
        assert of_agents(told(harness.chunks(run.id))) == of_agents(await played(restart=False))


class Torn:
    """A model whose first answers break off in the middle."""

    provider, name = "torn", "t"

    def __init__(self, breaks: int) -> None:
        self._breaks = breaks

    async def infer(self, request: ModelRequest) -> ModelReply:
        raise AssertionError("durable runs are streamed")

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        yield TextDelta(text="Hel")
        if self._breaks:
            self._breaks -= 1
            raise ModelError("cut", kind="connection")
        yield TextDelta(text="lo")
        yield ModelReply(model="t", text="Hello")


async def test_a_retried_reply_supersedes_its_part() -> None:
    app = App("streams")
    app.agent(Agent("A", model=Torn(2)), on="go")
    async with Harness(app) as harness:
        [run] = await harness.send("go", {"input": "Go"})
        await harness.advance("1h")
        parts = [chunk for chunk in harness.chunks(run.id) if chunk.event.startswith("part")]
    events = ["part.created", "part.failed", "part.created", "part.failed", "part.created", "part.completed"]
    assert [chunk.event for chunk in parts] == events
    assert parts[-1].data["finalContent"] == "Hello" and parts[1].data["recoverable"] is True
    assert len({chunk.data["partId"] for chunk in parts}) == 3


async def test_a_cancelled_run_is_interrupted_from_the_inside() -> None:
    async with Harness(sleepers(script())) as harness:
        [run] = await harness.send("go", {"input": "Go"})
        harness.cancel(run.id)
        await harness.settle()
        chunks = harness.chunks(run.id)
    assert [chunk.event for chunk in chunks][-3:] == ["run.interrupted", "run.interrupted", "stream.ended"]
    assert [chunk.data["scope"] for chunk in chunks[-3:]] == ["agent", "network", "network"]
    assert {chunk.data["reason"] for chunk in chunks[-3:-1]} == {"cancelled"}


async def test_a_run_that_times_out_says_so() -> None:
    app = App("streams")
    agent = Agent("A", tools=[nap], model=ScriptedModel([call("nap", time=3_600)]))
    app.agent(agent, on="go", timeout="1m")
    async with Harness(app) as harness:
        [run] = await harness.send("go", {"input": "Go"})
        await harness.advance("2m")
        chunks = harness.chunks(run.id)
    assert [chunk.event for chunk in chunks][-2:] == ["run.interrupted", "stream.ended"]
    assert chunks[-2].data["reason"] == "timeout"


async def test_a_run_that_breaks_beside_its_network_fails_what_is_open() -> None:
    app = App("streams")

    @app.function(on="go", retries=0)
    async def go(ctx: Context) -> None:
        agent = Agent("A", tools=[nap], model=ScriptedModel([call("nap", time=60)]))
        beside = asyncio.create_task(agent.run("Go"))
        await ctx.step.sleep("wait", 30)
        raise ValueError(f"broken beside {beside.done()}")

    async with Harness(app) as harness:
        [run] = await harness.send("go")
        await harness.advance("1m")
        chunks = harness.chunks(run.id)
    assert [chunk.event for chunk in chunks][-2:] == ["run.failed", "stream.ended"]
    assert chunks[-2].data["error"] == "broken beside False"


async def test_the_loser_of_a_race_is_interrupted() -> None:
    app = App("streams")

    @app.function(on="go")
    async def go(ctx: Context) -> str:
        agent = Agent("A", tools=[nap], model=ScriptedModel([call("nap", time=600)]))
        name, _ = await ctx.step.race(agent=agent.run("Go"), clock=ctx.step.sleep("clock", 30))
        return name

    async with Harness(app) as harness:
        [run] = await harness.send("go")
        await harness.advance("1m")
        assert harness.run(run.id).output == "clock"
        events = [chunk.event for chunk in harness.chunks(run.id)]
    assert events[-2:] == ["run.interrupted", "stream.ended"]


class Kept(History):
    """A history that keeps nothing, so that there is a thread."""


async def test_a_thread_and_a_channel_hear_of_all_their_runs() -> None:
    app = App("streams")

    @app.function(on="go")
    async def go(ctx: Context, text: str) -> str:
        agent = Agent("A", history=Kept(), model=ScriptedModel([say(text)]))
        return (await agent.run("Go", thread_id="thr_1", channel="user:42")).text

    async with Harness(app) as harness:
        [one] = await harness.send("go", {"text": "one"})
        [two] = await harness.send("go", {"text": "two"})
        chunks = harness.chunks(one.id) + harness.chunks(two.id)
        stream = harness._rooms.stream
        found = [[each.chunk for each in stream.read("test", name)] for name in ("thread:thr_1", "user:42")]
    assert found == [chunks, chunks]
    assert {chunk.data["threadId"] for chunk in chunks} == {"thr_1"}


async def test_a_listener_in_a_durable_run_hears_what_its_process_tells() -> None:
    app, heard = App("streams"), []
    agent = Agent("A", tools=[nap], model=ScriptedModel([call("nap", time=60), say("rested")]))

    async def listen(chunk: Chunk) -> None:
        heard.append(chunk)

    @app.function(on="go")
    async def go(ctx: Context) -> str:
        return (await agent.run("Go", on_chunk=listen)).text

    async with Harness(app) as harness:
        [run] = await harness.send("go")
        await harness.advance("2m")
        assert harness.chunks(run.id) == heard


async def test_a_broken_stream_fails_and_delays_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with Harness(sleepers(script())) as harness:

        def refuse(passages: Sequence[Passage]) -> list[list[Chunk]]:
            raise StreamUnavailable("away")

        harness._rooms.stream.append = refuse  # type: ignore[method-assign]
        [run] = await harness.send("go", {"input": "Go"})
        await asyncio.wait_for(harness.advance(timedelta(minutes=5)), 5)
        assert harness.run(run.id).status == "completed"
    assert [record.message for record in caplog.records].count(
        "The stream does not answer, what runs tell is dropped: away"
    ) == 1


def published() -> App:
    """An app whose function publishes in its body, and in a step that fails twice."""
    app, attempts = App("streams"), []

    @app.function(on="go")
    async def go(ctx: Context) -> None:
        async def work() -> None:
            await ctx.publish("work", "begun")
            attempts.append(1)
            if len(attempts) < 3:
                raise ValueError("again")

        await ctx.publish("go", 1)
        await ctx.step.run("work", work)
        await ctx.step.sleep("nap", 60)
        await ctx.publish("go", 2, channel="room:1")

    return app


async def test_publishing_in_a_function_needs_no_agent_and_repeats_nothing() -> None:
    async with Harness(published()) as harness:
        [run] = await harness.send("go")
        await harness.advance("1h")
        assert [chunk.data["delta"] for chunk in harness.chunks(run.id)] == [1, "begun", 2]
        assert [one.chunk.data["delta"] for one in harness._rooms.stream.read("test", "room:1")] == [2]
