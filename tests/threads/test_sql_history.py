"""`SqlHistory`: what it reads and writes, in the harness and in plain scripts."""

from __future__ import annotations

from typing import Any

import pytest

from celeriac import Agent, AgentResult, App, Context, Message, Network, SqlHistory, tool
from celeriac.errors import ConfigError
from celeriac.testing import Harness, ScriptedModel, call

MODEL = "openai:gpt-4.1-mini"


def once(ctx: Context[Any]) -> str | None:
    return None if ctx.network.call_count else "a"


def chat(history: SqlHistory[Any], **options: Any) -> Network[Any]:
    return Network("Chat", agents=[Agent("a", **options)], router=once, history=history, default_model=MODEL)


def app_of(network: Network[Any], name: str, **options: Any) -> App:
    app = App(name)
    app.network(network, on="go", **options)
    return app


def texts(model: ScriptedModel, number: int = -1) -> list[str]:
    return [message.text for message in model.requests[number].messages]


async def test_a_second_run_in_the_thread_knows_what_was_said_in_the_first() -> None:
    model = ScriptedModel(["one", "two"])
    async with Harness(app_of(chat(SqlHistory()), "second"), model) as h:
        [first] = await h.send("go", {"input": "Hi"})
        await h.restart()
        [second] = await h.send("go", {"input": "Again", "thread_id": first.output["thread_id"]})
    assert texts(model) == ["Hi", "one", "Again"]
    assert second.output["thread_id"] == first.output["thread_id"]
    assert [result["messages"][0]["text"] for result in second.output["results"]] == ["two"]


async def test_a_thread_id_that_nobody_has_used_makes_a_thread() -> None:
    model = ScriptedModel(["one", "two"])
    async with Harness(app_of(chat(SqlHistory()), "upsert"), model) as h:
        for said in ("Hi", "Again"):
            [run] = await h.send("go", {"input": said, "thread_id": "mine"})
            assert run.output["thread_id"] == "mine"
    assert texts(model) == ["Hi", "one", "Again"]


async def test_the_id_of_the_message_is_the_one_that_was_sent() -> None:
    network = chat(SqlHistory())
    async with Harness(app_of(network, "ids"), ScriptedModel(["one"])) as h:
        await h.send("go", {"input": {"id": "m-17", "content": "Hi"}, "thread_id": "t"})
        entries = h._rooms.threads.entries("test", "t", last=9)
    assert [(one.kind, one.seq) for one in entries] == [("user", 1), ("agent", 2)]
    assert (entries[0].id, entries[0].data["text"]) == ("m-17", "Hi")
    assert entries[1].checksum == AgentResult.parse(entries[1].data).checksum


@pytest.mark.parametrize(("last", "read"), [(1, ["2"]), (3, ["one", "Two", "2"]), (9, ["One", "one", "Two", "2"])])
async def test_only_the_last_are_read(last: int, read: list[str]) -> None:
    model = ScriptedModel(["one", "2", "three"])
    async with Harness(app_of(chat(SqlHistory(last=last)), f"last{last}"), model) as h:
        for said in ("One", "Two", "Three"):
            await h.send("go", {"input": said, "thread_id": "t"})
    assert texts(model) == [*read, "Three"]


@tool
def weigh(n: int) -> str:
    """Weigh something."""
    return "heavy " * n


async def test_within_tokens_a_question_and_its_answer_are_read_together_or_not_at_all() -> None:
    model = ScriptedModel([call("weigh", n=300), call("weigh", n=1), call("weigh", n=1), "last"])
    network = chat(SqlHistory(max_tokens=400), tools=[weigh])
    async with Harness(app_of(network, "tokens"), model) as h:
        for said in ("One", "Two", "Three", "Four"):
            await h.send("go", {"input": said, "thread_id": "t"})
    # The first exchange alone, with its 1800 letters, is more than fits.
    roles = [message.role for message in model.requests[-1].messages]
    assert roles == ["user", "assistant", "tool", "user", "assistant", "tool", "user"]
    assert texts(model)[0] == "Two"


async def test_an_exchange_that_does_not_fit_is_not_read_in_part() -> None:
    model = ScriptedModel([call("weigh", n=300), "last"])
    network = chat(SqlHistory(max_tokens=400), tools=[weigh])
    async with Harness(app_of(network, "whole"), model) as h:
        for said in ("One", "Two"):
            await h.send("go", {"input": said, "thread_id": "t"})
    assert texts(model) == ["Two"]


async def test_no_more_is_read_than_a_step_may_remember() -> None:
    texts_of = [str(n) + "x" * 300_000 for n in range(9)]
    model = ScriptedModel([*texts_of, "last"])
    async with Harness(app_of(chat(SqlHistory()), "large"), model) as h:
        for said in range(10):
            [run] = await h.send("go", {"input": f"q{said}", "thread_id": "t"})
            assert run.status == "completed"
    # A text stands in its message and as the output of its result: six of those are too many.
    assert [text[0] for text in texts(model)] == [*"q6q7q8q"]


async def test_a_thread_longer_than_a_page_is_read_whole() -> None:
    network = chat(SqlHistory())
    model = ScriptedModel([str(n) for n in range(121)])
    async with Harness(app_of(network, "long"), model) as h:
        for number in range(121):
            await h.send("go", {"input": f"q{number}", "thread_id": "t"})
    assert len(texts(model)) == 241 and texts(model)[:3] == ["q0", "0", "q1"]


async def test_an_own_history_overrides_what_differs() -> None:
    class OwnTable(SqlHistory[Any]):
        async def get(self, ctx: Context[Any], thread_id: str) -> list[Message]:
            return [Message.user("old question"), Message.assistant("old answer", agent="a")]

    model = ScriptedModel(["one"])
    async with Harness(app_of(chat(OwnTable()), "own"), model) as h:
        await h.send("go", {"input": "Hi", "thread_id": "t"})
        assert len(h._rooms.threads.entries("test", "t", last=9)) == 2
    assert texts(model) == ["old question", "old answer", "Hi"]


async def test_a_plain_script_remembers_within_its_process() -> None:
    model = ScriptedModel(["one", "two"])
    network = chat(SqlHistory())
    first = await network.run("Hi", model=model)
    second = await network.run("Again", thread_id=first.state.thread_id, model=model)
    assert texts(model) == ["Hi", "one", "Again"]
    assert [result.text for result in second.results] == ["two"]


async def test_a_typed_answer_is_typed_again_when_it_is_read() -> None:
    network = Network(
        "T", agents=[Agent("a", output=list[int])], router=once, history=SqlHistory(), default_model=MODEL
    )
    model = ScriptedModel(['{"value": [1, 2]}', '{"value": [3]}'])
    first = await network.run("Hi", model=model)
    second = await network.run("Again", thread_id=first.state.thread_id, model=model)
    assert [result.output for result in second.state.results if result.agent == "a"] == [[1, 2], [3]]


@pytest.mark.parametrize("id", ["", "x" * 201, "a\nb"])
async def test_what_cannot_be_a_thread_id_is_refused(id: str) -> None:
    with pytest.raises(ConfigError, match="thread id"):
        await SqlHistory[Any]().create_thread(Context.__new__(Context), id)
    with pytest.raises(ConfigError, match="thread id"):
        await Agent("a", history=SqlHistory(), model=MODEL).run("Hi", thread_id=id)


@pytest.mark.parametrize("options", [{"last": 0}, {"max_tokens": 0}])
def test_a_history_that_reads_nothing_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match="1 or more"):
        SqlHistory[Any](**options)


async def test_two_runs_of_one_thread_take_turns_and_those_without_one_do_not() -> None:
    @tool
    async def nap(ctx: Context[Any]) -> str:
        """Wait for an hour."""
        await ctx.step.sleep("nap", "1h")
        return "slept"

    network = chat(SqlHistory(), tools=[nap])
    async with Harness(app_of(network, "turns"), ScriptedModel([call("nap")] * 5)) as h:
        [first] = await h.send("go", {"input": "1", "thread_id": "t"})
        [second] = await h.send("go", {"input": "2", "thread_id": "t"})
        free = [(await h.send("go", {"input": "3", **thread}))[0] for thread in ({}, {}, {"thread_id": None})]
        begun = [h.run(run.id).status for run in (first, second, *free)]
        await h.advance("1h")
        assert begun == ["parked", "queued", "parked", "parked", "parked"]
        assert [h.run(run.id).status for run in (first, second)] == ["completed", "parked"]
