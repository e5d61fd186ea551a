"""When a history is asked for what, and what it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from celeriac import Agent, AgentResult, App, Context, History, Message, Network, Parallel, State, tool
from celeriac.errors import ConfigError
from celeriac.testing import Harness, ScriptedModel, call, calls

MODEL = "openai:gpt-4.1-mini"


class Notebook(History[Any]):
    """Notes each call; what is kept stands in `said`."""

    def __init__(self, *said: Message | AgentResult[Any]) -> None:
        self.said: list[Message | AgentResult[Any]] = list(said)
        self.calls: list[str] = []

    async def create_thread(self, ctx: Context[Any], thread_id: str) -> str:
        self.calls.append("create_thread")
        return thread_id

    async def get(self, ctx: Context[Any], thread_id: str) -> Sequence[Message | AgentResult[Any]]:
        self.calls.append("get")
        return tuple(self.said)

    async def append_user_message(self, ctx: Context[Any], thread_id: str, message: Message) -> None:
        self.calls.append(f"append_user_message {message.text}")
        self.said.append(message)

    async def append_results(self, ctx: Context[Any], thread_id: str, results: Sequence[AgentResult[Any]]) -> None:
        self.calls.append(f"append_results {[result.agent for result in results]}")
        self.said += results


def in_turn(*names: str) -> Any:
    return lambda ctx: (*names, None)[min(ctx.network.call_count, len(names))]


def team(history: History[Any] | None, *names: str, **options: Any) -> Network[Any]:
    return Network("N", agents=[Agent(name) for name in names], router=in_turn(*names), history=history, **options)


async def test_the_thread_is_made_and_read_before_the_message_is_kept_and_each_turn_after_it_was_taken() -> None:
    book = Notebook()
    await team(book, "a", "b").run("Hi", model=ScriptedModel(["one", "two"]))
    assert book.calls == [
        "create_thread",
        "get",
        "append_user_message Hi",
        "append_results ['a']",
        "append_results ['b']",
    ]


async def test_turns_side_by_side_are_kept_together_in_their_order() -> None:
    book = Notebook()
    both = [Parallel("a", "b"), None, None]
    network = Network(
        "N", agents=[Agent("a"), Agent("b")], router=lambda ctx: both[ctx.network.call_count], history=book
    )
    await network.run("Hi", model=ScriptedModel({"a": ["one"], "b": ["two"]}))
    kept = [one.agent for one in book.said if isinstance(one, AgentResult)]
    assert kept == ["a", "b"]


async def test_an_agent_alone_has_a_history_too() -> None:
    """W4: what is said to it and what it answers is kept, and read again."""
    book = Notebook()
    agent = Agent("a", history=book)
    model = ScriptedModel(["one", "two"])
    await agent.run("First", thread_id="t", model=model)
    await agent.run("Second", thread_id="t", model=model)
    assert [message.text for message in model.requests[1].messages] == ["First", "one", "Second"]
    assert book.calls[4:] == ["create_thread", "get", "append_user_message Second", "append_results ['a']"]


async def test_the_new_message_stands_once_in_the_prompt_and_last() -> None:
    """W2: also where it was kept before it was read, as by an attempt that crashed."""
    said = Message.user("Hi", id="m1")
    book = Notebook(Message.user("Before", id="m0"), said)
    model = ScriptedModel(["one"])
    await team(book, "a").run(said, thread_id="t", model=model)
    assert [message.text for message in model.requests[0].messages] == ["Before", "Hi"]


async def test_who_brings_a_conversation_is_not_given_another_one() -> None:
    book = Notebook(Message.user("Kept", id="m0"))
    model = ScriptedModel(["one"])
    state = State[Any]({}, messages=[Message.user("Brought"), Message.assistant("so")], thread_id="t")
    await team(book, "a").run("Hi", state=state, model=model)
    assert [message.text for message in model.requests[0].messages] == ["Brought", "so", "Hi"]
    assert book.calls == ["create_thread", "append_user_message Hi", "append_results ['a']"]


async def test_a_thread_without_a_history_is_refused() -> None:
    with pytest.raises(ConfigError, match="thread_id"):
        await team(None, "a").run("Hi", thread_id="t", model=ScriptedModel([]))


@tool
async def nap(ctx: Context[Any]) -> str:
    """Wait for an hour."""
    await ctx.step.sleep("nap", "1h")
    return "slept"


async def test_a_replay_calls_no_hook_again_and_ids_and_checksums_are_the_same() -> None:
    """W7: what a thread holds does not depend on how often a run was interrupted."""
    book, app = Notebook(), App("replayed", default_model=MODEL)
    agents = [Agent("a"), Agent("b", tools=[nap])]
    app.network(Network("N", agents=agents, router=in_turn("a", "b"), history=book), on="go")
    async with Harness(app, ScriptedModel({"a": ["one"], "b": [call("nap")]})) as h:
        [run] = await h.send("go", {"input": "Hi"})
        before = list(book.said)
        await h.restart()
        await h.advance("1h")
        output = h.run(run.id).output
    assert book.calls.count("append_user_message Hi") == book.calls.count("append_results ['a']") == 1
    assert book.said[:2] == before
    kept = [(one.id, one.checksum) for one in book.said if isinstance(one, AgentResult)]
    told = [AgentResult.parse(one) for one in output["results"]]
    assert kept == [(one.id, one.checksum) for one in told]


async def test_a_run_that_fails_keeps_the_turns_it_finished() -> None:
    """What earlier turns said is kept (W11)."""
    book, app = Notebook(), App("failing", default_model=MODEL)
    app.network(team(book, "a", "b", "c"), on="go", retries=0)
    model = ScriptedModel({"a": ["one"], "b": ["two"], "c": [ValueError("down")]})
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert run.status == "failed"
    assert book.calls[3:] == ["append_results ['a']", "append_results ['b']"]


async def test_a_message_kept_by_an_attempt_that_crashed_is_kept_under_the_same_id_by_the_next() -> None:
    class Crashing(Notebook):
        async def append_user_message(self, ctx: Context[Any], thread_id: str, message: Message) -> None:
            await super().append_user_message(ctx, thread_id, message)
            if len(self.said) == 1:
                raise OSError("gone")

    book, app = Crashing(), App("crashing", default_model=MODEL)
    app.network(team(book, "a"), on="go")
    async with Harness(app, ScriptedModel(["one"])) as h:
        [run] = await h.send("go", {"input": "Hi"})
        await h.restart()
        await h.advance("10m")
        assert h.run(run.id).status == "completed"
    ids = [one.id for one in book.said if isinstance(one, Message)]
    assert len(ids) == 2 and ids[0] == ids[1] and ids[0] is not None


async def test_a_call_that_is_not_overridden_costs_no_step() -> None:
    class ReadOnly(History[Any]):
        async def get(self, ctx: Context[Any], thread_id: str) -> list[Message]:
            return [Message.user("old question"), Message.assistant("old answer", agent="a")]

    app, model = App("readonly", default_model=MODEL), ScriptedModel(["one"])
    app.network(team(ReadOnly(), "a"), on="go")
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hi"})
        steps = [memo.path.rpartition("/")[2] for memo in h.steps(run.id)]
    assert [step for step in steps if step.startswith("history")] == ["history:get"]
    assert [message.text for message in model.requests[0].messages] == ["old question", "old answer", "Hi"]


async def test_the_history_of_the_app_is_that_of_its_networks_and_not_of_agents_that_are_asked_inside() -> None:
    book = Notebook()
    helper = Agent("helper", description="Helps")
    app = App("shared", default_model=MODEL, history=book)
    agents = [Agent("a", tools=[helper.as_tool()])]
    app.network(Network("N", agents=agents, router=in_turn("a")), on="go")
    model = ScriptedModel({"a": [calls(call("helper", input="please"))], "helper": ["helped"]})
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hi", "thread_id": "t"})
    assert (run.status, run.output["thread_id"]) == ("completed", "t")
    assert book.calls == ["create_thread", "get", "append_user_message Hi", "append_results ['a']"]
