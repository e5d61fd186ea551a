"""An agent alone, its results, and which model answers for it."""

import asyncio
from typing import Any

import pytest

from celeriac import Agent, AgentResult, App, Message, Network, tool
from celeriac.errors import ConfigError, ContextError, ModelError
from celeriac.platform.message import Usage
from celeriac.testing import Harness, ScriptedModel, call, calls, say


@tool
def price(item: str) -> int:
    """Tell a price."""
    return len(item)


async def test_an_agent_alone_loops_over_its_tools_until_it_answers() -> None:
    model = ScriptedModel([call("price", item="egg"), call("price", item="milk"), "seven"])
    result = await Agent("shop", tools=[price], model=model).run("how much?")
    assert (result.text, [one.data for one in result.tool_results]) == ("seven", [3, 4])
    assert [message.role for message in result.messages] == ["assistant", "tool", "assistant", "tool", "assistant"]
    model.assert_done()


async def test_max_iter_keeps_the_tool_results_of_the_last_call() -> None:
    model = ScriptedModel([call("price", item="egg")])
    result = await Agent("shop", tools=[price], model=model).run("how much?", max_iter=1)
    assert (result.text, result.tool_results[0].data, result.finish_reason) == ("", 3, "tool")


async def test_in_a_network_a_turn_is_one_model_call_unless_the_agent_says_more() -> None:
    agents = [Agent("one", tools=[price]), Agent("two", tools=[price], max_iter=2)]
    network = Network("N", agents=agents, router=lambda ctx: ("one", "two", None)[ctx.network.call_count])
    model = ScriptedModel({"one": [call("price", item="egg")], "two": [call("price", item="egg"), "three"]})
    run = await network.run("go", model=model)
    assert [result.text for result in run.results] == ["", "three"]


async def test_usage_is_summed_over_calls_turns_and_tools() -> None:
    model = ScriptedModel([calls(call("price", item="a"), call("price", item="b")), "ok"])
    result = await Agent("shop", tools=[price], model=model).run("go")
    assert result.usage == Usage(model_calls=2, tool_calls=2, input_tokens=20, output_tokens=10)


async def test_a_result_is_exported_and_read_back() -> None:
    model = ScriptedModel([call("price", item="egg"), "three"])
    result = await Agent("shop", tools=[price], model=model).run("go")
    again = AgentResult.parse(result.export())
    assert again == result and again.checksum == result.checksum
    assert again.checksum != (await Agent("shop", model=ScriptedModel(["four"])).run("go")).checksum


async def test_a_message_may_be_given_in_place_of_a_text() -> None:
    model = ScriptedModel(["ok"])
    await Agent("a", model=model).run(Message.user("Hi", id="msg_1"))
    assert [(message.text, message.id) for message in model.requests[0].messages] == [("Hi", "msg_1")]


async def test_a_reply_with_characters_that_cannot_be_stored_is_kept_without_them() -> None:
    app = App("odd")
    app.agent(Agent("a"), on="go")
    async with Harness(app, ScriptedModel(["a\x00b \ud83d"])) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert (run.status, run.output["text"]) == ("completed", "a\ufffdb ?")


def test_run_sync_is_for_plain_scripts() -> None:
    model = ScriptedModel(["one", "two"])
    network = Network("N", agents=[Agent("a")], router=lambda ctx: None if ctx.network.call_count else "a")
    assert Agent("a", model=model).run_sync("go").text == "one"
    assert network.run_sync("go", model=model).text == "two"


async def test_run_sync_where_a_loop_runs_says_what_to_do() -> None:
    with pytest.raises(ContextError, match="await agent"):
        Agent("a", model=ScriptedModel(["one"])).run_sync("go")


def test_replace_keeps_all_other_options() -> None:
    agent = Agent("a", system="s", tools=[price], tool_choice="price", max_iter=3, description="d")
    other = agent.replace(name="b")
    assert (other.name, other.system, other.tools, other.tool_choice) == ("b", "s", (price,), "price")
    assert (other.max_iter, other.description, agent.name) == (3, "d", "a")
    with pytest.raises(ConfigError, match="did you mean 'system'"):
        agent.replace(sytem="x")


async def ask(*, run: Any = None, agent: Any = None, network: Any = None) -> str:
    """Return who answers, where these models are given."""
    one = Network("N", agents=[Agent("a", model=agent)], default_model=network, router=_once, max_iter=2)
    return (await one.run("who?", model=run)).text


def _once(ctx: Any) -> str | None:
    return None if ctx.network.call_count else "a"


async def test_the_nearest_model_answers() -> None:
    def named(name: str) -> ScriptedModel:
        return ScriptedModel([name])

    assert await ask(run=named("run"), agent=named("agent"), network=named("network")) == "run"
    assert await ask(run={"a": named("own")}, agent=named("agent"), network=named("network")) == "own"
    assert await ask(run={}, agent=named("agent"), network=named("network")) == "agent"
    assert await ask(network=named("network")) == "network"


async def test_an_app_may_give_the_model_that_is_used_last() -> None:
    app = App("models", default_model=ScriptedModel(["app"]))
    app.agent(Agent("a"), on="go")
    async with Harness(app) as h:
        [run] = await h.send("go", {"input": "who?"})
        assert run.output["text"] == "app"


async def test_a_missing_or_unknown_model_is_an_error_before_anything_starts() -> None:
    first = ScriptedModel(["never asked"])
    network = Network("N", agents=[Agent("a", model=first), Agent("b")], router=_once)
    with pytest.raises(ConfigError, match="Agent 'b' has no model"):
        await network.run("go")
    with pytest.raises(ConfigError, match="did you mean 'openai'"):
        await network.run("go", model={"b": "openay:gpt"})
    with pytest.raises(ConfigError, match="no agent of network 'N'"):
        await network.run("go", model={"c": first})
    assert first.requests == []


async def test_in_a_script_a_model_call_that_may_succeed_later_is_tried_three_times() -> None:
    busy = ModelError("busy", kind="overloaded", retry_after=0.0)
    model = ScriptedModel([busy, busy, "ok"])
    assert (await Agent("a", model=model).run("go")).text == "ok"
    with pytest.raises(ModelError, match="no key"):
        await Agent("a", model=ScriptedModel([ModelError("no key", kind="auth")])).run("go")


async def test_a_script_answers_in_every_shape_and_fails_on_what_it_did_not_expect() -> None:
    model = ScriptedModel([say("text"), lambda request: f"to {request.messages[-1].text}", "left"])
    agent = Agent("a", model=model)
    assert [(await agent.run("Hi")).text for _ in range(2)] == ["text", "to Hi"]
    with pytest.raises(AssertionError, match="lines left"):
        model.assert_done()
    await agent.run("Hi")
    model.assert_done()
    with pytest.raises(AssertionError, match="'a'"):
        await agent.run("Hi")
    assert len(model.requests) == 4


async def test_a_script_that_ended_fails_a_durable_run_at_once() -> None:
    app = App("scripts")
    app.agent(Agent("lonely"), on="go")
    async with Harness(app, ScriptedModel([])) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert run.status == "failed" and run.error is not None and "'lonely'" in run.error["message"]


async def test_a_script_may_take_its_time() -> None:
    slow = Agent("a", model=ScriptedModel(["late"], delay=0.01))
    assert [result.text for result in await asyncio.gather(slow.run("go"))] == ["late"]
