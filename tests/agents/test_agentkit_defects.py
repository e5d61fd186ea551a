"""What AgentKit gets wrong, by the numbers of a list of its defects, and how it is here.

Elsewhere: W3 in `test_agent_tools.py` and `test_tool_options.py`, W4 and W11 with threads in `tests/threads`, W8 and
W17 in `tests/models`, W14 in `test_streams.py`, W18 in `tests/mcp_servers`. What a defect is stands above its test.
"""

from __future__ import annotations

from typing import Any

import pytest

from celeriac import Agent, AgentResult, App, Context, Message, Network, Prompt, State, tool
from celeriac.errors import RouterError, StepError
from celeriac.testing import Harness, ScriptedModel, call, say

MODEL = "openai:gpt-4.1-mini"


@tool
def look(ctx: Context, at: str = "here") -> str:
    """Look."""
    return f"seen {at}"


@tool
async def rest(ctx: Context) -> str:
    """Wait an hour."""
    await ctx.step.sleep("rest", "1h")
    return "rested"


def in_order(*names: str) -> Any:
    """Return a router that names the agents one after the other."""
    return lambda ctx: names[ctx.network.call_count] if ctx.network.call_count < len(names) else None


# W1: an agent's loop sends tool calls without their results, and forgets all but its last reply.


async def test_w01_an_agents_loop_keeps_the_results_of_its_tools_and_all_its_replies() -> None:
    model = ScriptedModel([call("look", at="left"), call("look", at="right"), say("Both.")])
    result = await Agent("a", tools=[look], model=model).run("Look around")
    last = model.requests[-1].messages
    assert [message.role for message in last] == ["user", "assistant", "tool", "assistant", "tool"]
    assert [one.data for one in result.tool_results] == ["seen left", "seen right"]
    assert [message.role for message in result.messages] == ["assistant", "tool", "assistant", "tool", "assistant"]


# W2: the history comes after the new message, and with a stored thread the new message is there twice.


async def test_w02_the_new_message_comes_once_and_after_the_history() -> None:
    model = ScriptedModel(["ok"])
    state: State[dict[str, Any]] = State({}, messages=[Message.user("old"), Message.assistant("answer")])
    await Agent("a", model=model, system="You help.").run("new", state=state)
    asked = model.requests[0]
    assert (asked.system, [message.text for message in asked.messages]) == ("You help.", ["old", "answer", "new"])


# W4: an agent that runs alone has no step in its tools, so that nothing can be waited for.


async def test_w04_the_tools_of_an_agent_alone_have_steps_and_may_wait() -> None:
    app = App("alone", default_model=MODEL)
    app.agent(Agent("a", tools=[rest]), on="go")
    async with Harness(app, ScriptedModel([call("rest"), say("done")])) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert h.run(run.id).status == "parked"
        await h.advance("1h")
        assert h.run(run.id).output["text"] == "done"


# W5: tools and hooks get a copy of the network, `schedule` does nothing, other models lose options, state is shared.


async def test_w05_tools_and_hooks_see_the_network_that_runs() -> None:
    seen: list[int] = []

    @tool
    def hand_over(ctx: Context) -> None:
        """Let b go on."""
        ctx.network.schedule("b")

    def count(ctx: Context, prompt: Prompt) -> None:
        seen.append(ctx.network.call_count)

    agents = [Agent("a", tools=[hand_over], on_start=count), Agent("b", on_start=count)]
    run = await Network("N", agents=agents, router=lambda ctx: None if ctx.network.call_count else "a").run(
        "go", model=ScriptedModel([call("hand_over"), "from b"])
    )
    assert ([result.agent for result in run.results], seen) == (["a", "b"], [0, 1])


async def test_w05_two_runs_share_no_state_however_deep() -> None:
    @tool
    def keep(ctx: Context, word: str) -> None:
        """Keep a word."""
        ctx.state.data.setdefault("deep", {}).setdefault("words", []).append(word)

    network = Network("N", agents=[Agent("a", tools=[keep])], router=in_order("a"))
    runs = [await network.run("go", model=ScriptedModel([call("keep", word=word)])) for word in ("one", "two")]
    assert [run.state.data["deep"]["words"] for run in runs] == [["one"], ["two"]]


async def test_w05_a_state_that_was_written_down_keeps_its_thread() -> None:
    state: State[dict[str, int]] = State({"n": 1}, thread_id="thr_1", messages=[Message.user("old")])
    again: State[dict[str, int]] = State.from_json(state.to_json(), dict[str, int])
    assert (again.data, again.thread_id, again.messages[0].text) == ({"n": 1}, "thr_1", "old")


# W6: `enabled` is not enforced, unknown names are dropped, and a limit ends a run without a word.


@pytest.mark.parametrize(("route", "words"), [("ghost", "none of its agents"), ("off", "disabled")])
async def test_w06_a_router_that_names_nobody_who_may_run_is_an_error(route: str, words: str) -> None:
    agents = [Agent("on"), Agent("off", enabled=lambda ctx: False)]
    with pytest.raises((RouterError, StepError), match=words):
        await Network("N", agents=agents, router=lambda ctx: route).run("go", model=ScriptedModel([]))


async def test_w06_a_run_that_reaches_its_limit_says_so_and_keeps_its_results() -> None:
    run = await Network("N", agents=[Agent("a")], router=lambda ctx: "a", max_iter=2).run(
        "go", model=ScriptedModel(["1", "2"])
    )
    assert (run.stop_reason, [result.text for result in run.results]) == ("max_iter", ["1", "2"])


# W7: times, ids and checksums of results are made anew at each replay, so that they cannot be told apart by them.


async def test_w07_a_result_keeps_its_id_its_time_and_its_checksum_over_replays() -> None:
    seen: list[AgentResult[Any]] = []

    def router(ctx: Context) -> str | None:
        seen.extend(ctx.network.results[:1])
        return ["a", "b", "c", None][ctx.network.call_count]

    agents = [Agent("a", tools=[look]), Agent("b", tools=[rest]), Agent("c")]
    app = App("stable", default_model=MODEL)
    app.network(Network("N", agents=agents, router=router), on="go")
    async with Harness(app, ScriptedModel([call("look"), call("rest"), "end"])) as h:
        await h.send("go", {"input": "Hi"})
        await h.restart()
        await h.advance("1h")
    kept = {(one.id, one.created_at, one.checksum, tuple(message.id for message in one.messages)) for one in seen}
    assert len(seen) == 3 and len(kept) == 1


# W9: three decisions of a router call it ten to fourteen times, and prompts and hooks as often.


@pytest.mark.parametrize("links", ["turn", "budget"])
async def test_w09_three_decisions_are_three_calls_of_the_router(links: Any) -> None:
    calls: list[str] = []

    def router(ctx: Context) -> str | None:
        calls.append("router")
        return ["a", "b", None][ctx.network.call_count]

    def system(ctx: Context) -> str:
        calls.append("system")
        return ""

    hook = lambda ctx, result: calls.append("hook")  # noqa: E731
    agents = [Agent(name, tools=[look], system=system, on_finish=hook) for name in "ab"]
    app = App("once", default_model=MODEL)
    app.network(Network("N", agents=agents, router=router), on="go", links=links)
    async with Harness(app, ScriptedModel([call("look"), call("look")])) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert h.run(run.id).status == "completed"
    assert (calls.count("router"), calls.count("system"), calls.count("hook")) == (3, 2, 2)


# W10: ids take steps of their own: three for each tool call, and one for each event of a stream.


async def test_w10_a_run_has_no_steps_but_decisions_turns_model_calls_and_tool_calls() -> None:
    app = App("steps", default_model=MODEL)
    app.network(Network("N", agents=[Agent("a", tools=[look])], router=in_order("a")), on="go")
    async with Harness(app, ScriptedModel([call("look")])) as h:
        [run] = await h.send("go", {"input": "Hi"})
        assert [memo.path.removeprefix("network:n/") for memo in h.steps(run.id)] == [
            *("route:1", "turn:1/infer", "turn:1/tool:1:look", "turn:1", "route:2"),
        ]


# W12: nothing can be cancelled.


async def test_w12_a_network_that_waits_can_be_cancelled_and_calls_no_model_afterwards() -> None:
    app = App("stop", default_model=MODEL)
    app.network(Network("N", agents=[Agent("a", tools=[rest])], router=lambda ctx: "a"), on="go")
    model = ScriptedModel([call("rest"), "never"])
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hi"})
        h.cancel(run.id)
        await h.advance("2h")
        assert (h.run(run.id).status, len(model.requests)) == ("cancelled", 1)


# W13: a model call's id is the agent's name, so that two calls of one agent in a function are mixed up.


async def test_w13_an_agent_that_runs_twice_in_a_function_is_told_apart() -> None:
    agent, app = Agent("a"), App("twice", default_model=MODEL)

    @app.function(on="go")
    async def work(ctx: Context) -> list[str]:
        first = await agent.run("first")
        await ctx.step.sleep("rest", "1h")
        return [first.text, (await agent.run("second")).text, (await agent.run("third", id="named")).text]

    async with Harness(app, ScriptedModel(["1", "2", "3"])) as h:
        [run] = await h.send("go")
        await h.restart()
        await h.advance("1h")
        assert h.run(run.id).output == ["1", "2", "3"]
        calls = [memo.path for memo in h.steps(run.id) if memo.path.endswith("/infer")]
        assert calls == ["agent:a/turn:1/infer", "agent:a:1/turn:1/infer", "named/turn:1/infer"]
