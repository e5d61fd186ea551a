"""Hooks: at their moments, in their order, once a committed turn, and with what they may change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from celeriac import Agent, AgentResult, App, Context, Message, Network, Prompt, State, tool
from celeriac.errors import ConfigError, ModelError, RouterError, StepError
from celeriac.testing import Harness, ScriptedModel, call, say

OUT = ModelError("The key is refused", kind="auth")


@tool
def look(ctx: Context) -> str:
    """Look."""
    ctx.state.data.setdefault("order", []).append("tool")
    return "seen"


def noted(name: str) -> Any:
    """Return a hook that notes its moment in the state."""

    def hook(ctx: Context, given: Any) -> None:
        ctx.state.data.setdefault("order", []).append(name)

    return hook


ALL = {name: noted(name) for name in ("on_start", "on_response", "on_tools", "on_finish")}


async def test_hooks_are_called_in_their_order() -> None:
    agent = Agent("a", tools=[look], max_iter=2, **ALL)
    run = await Network("N", agents=[agent], router=lambda ctx: None if ctx.network.call_count else agent).run(
        "go", model=ScriptedModel([call("look"), say("done")])
    )
    assert run.state.data["order"] == [
        *("on_start", "on_response", "tool", "on_tools"),
        *("on_start", "on_response"),
        "on_finish",
    ]


async def test_on_start_changes_what_the_model_is_given_and_nothing_else() -> None:
    async def shorten(ctx: Context, prompt: Prompt) -> None:
        prompt.system += " Be brief."
        prompt.history = prompt.history[-1:]
        prompt.input = Message.user(prompt.input.text.upper())

    model = ScriptedModel(["ok"])
    state: State[dict[str, Any]] = State({}, messages=[Message.user("old"), Message.assistant("older answer")])
    agent = Agent("a", system="You help.", on_start=shorten, model=model)
    run = await Network("N", agents=[agent], router=lambda ctx: None if ctx.network.call_count else agent).run(
        "new", state=state
    )
    asked = model.requests[0]
    assert asked.system == "You help. Be brief."
    assert [message.text for message in asked.messages] == ["older answer", "NEW"]
    assert [message.text for message in run.state.messages] == ["old", "older answer"] and run.input.text == "new"


async def test_on_start_may_return_another_prompt() -> None:
    def other(ctx: Context, prompt: Prompt) -> Prompt:
        return Prompt(system="Other", history=[], input=Message.user("another question"))

    model = ScriptedModel(["ok"])
    await Agent("a", on_start=other, model=model).run("question")
    assert [message.text for message in model.requests[0].messages] == ["another question"]


async def test_on_start_may_skip_the_call_and_the_reason_is_kept() -> None:
    agent = Agent("a", on_start=lambda ctx, prompt: prompt.stop("nothing to do"), model=ScriptedModel([]))
    result = await agent.run("go")
    assert (result.text, result.messages, result.stopped) == ("", (), "nothing to do")


async def test_on_response_may_change_the_reply_before_its_tools_are_called() -> None:
    def moderate(ctx: Context, result: AgentResult[Any]) -> AgentResult[Any]:
        return replace(result, messages=(Message.assistant("I must not."),), output="I must not.")

    agent = Agent("a", tools=[look], on_response=moderate, model=ScriptedModel([call("look")]))
    result = await agent.run("go")
    assert (result.text, result.tool_calls) == ("I must not.", ())


async def test_on_finish_may_replace_the_result() -> None:
    agent = Agent(
        "a", on_finish=lambda ctx, result: replace(result, output="short"), model=ScriptedModel(["long text"])
    )
    assert (await agent.run("go")).output == "short"


async def test_on_error_may_answer_in_place_of_a_model_that_fails() -> None:
    seen: list[Exception] = []

    def apologise(ctx: Context, error: Exception) -> str:
        seen.append(error)
        return "Please come back later."

    agent = Agent("a", on_error=apologise, model=ScriptedModel([OUT]))
    result = await agent.run("go")
    assert (result.text, result.stopped) == ("Please come back later.", "error")
    assert isinstance(seen[0], ModelError)


async def test_on_error_that_has_no_answer_leaves_the_error() -> None:
    agent = Agent("a", on_error=lambda ctx, error: None, model=ScriptedModel([OUT]))
    with pytest.raises(ModelError, match="key is refused"):
        await agent.run("go")


async def test_a_result_of_another_agent_in_place_of_a_failure_is_the_turns_own() -> None:
    backup = Agent("Backup", model=ScriptedModel([say("I can")]))

    async def ask_backup(ctx: Context, error: Exception) -> AgentResult:
        return await backup.run("Can you?")

    agent = Agent("a", tools=[look], max_iter=2, on_error=ask_backup, model=ScriptedModel([call("look"), OUT]))
    network = Network("N", agents=[agent], router=lambda ctx: None if ctx.network.call_count else agent)
    async with network.stream("go") as stream:
        told = [chunk async for chunk in stream]
        [result] = (await stream.result()).results
    assert (result.agent, result.text, result.stopped, result.usage.model_calls) == ("a", "I can", "error", 2)
    assert told[1].data["messageId"] == result.id


async def test_words_in_place_of_a_typed_answer_are_no_output() -> None:
    agent = Agent("a", output=int, on_error=lambda ctx, error: "Sorry", model=ScriptedModel([OUT]))
    result = await agent.run("How many?")
    assert (result.text, result.output, result.stopped) == ("Sorry", None, "error")


async def test_a_hook_that_returns_an_output_of_another_type_is_named() -> None:
    agent = Agent("a", output=int, on_finish=lambda ctx, result: replace(result, output="four"))
    with pytest.raises(ConfigError, match="hook of agent 'a'"):
        await agent.run("How many?", model=ScriptedModel([say('{"value": 4}')]))


async def test_what_hooks_do_to_the_state_is_remembered_and_they_are_not_called_again() -> None:
    called: list[str] = []

    def count(ctx: Context, given: Any) -> None:
        called.append(ctx.agent.name)
        ctx.state.data["count"] = ctx.state.data.get("count", 0) + 1

    async def rest(ctx: Context, given: Any) -> None:
        await ctx.step.sleep("rest", "1h")

    agents = [Agent("first", on_finish=count), Agent("second", on_finish=rest)]
    network = Network("N", agents=agents, router=lambda ctx: ["first", "second", None][ctx.network.call_count])
    app = App("hooks", default_model="openai:gpt-4.1-mini")
    app.network(network, on="go")
    async with Harness(app, ScriptedModel(["1", "2"])) as h:
        [run] = await h.send("go", {"input": "Hi"})
        await h.restart()
        await h.advance("1h")
        assert h.run(run.id).output["state"] == {"count": 1}
    assert called == ["first"]


@pytest.mark.parametrize("route", ["off", ["on", "off"]])
async def test_a_disabled_agent_is_not_run(route: Any) -> None:
    agents = [Agent("on"), Agent("off", enabled=lambda ctx: False)]
    with pytest.raises((RouterError, StepError), match="'off', which is disabled"):
        await Network("N", agents=agents, router=lambda ctx: route).run("go", model=ScriptedModel(["1"]))


async def test_enabled_is_asked_before_each_choice_and_may_be_async() -> None:
    async def has_plan(ctx: Context) -> bool:
        return "plan" in ctx.state.data

    @tool
    def plan(ctx: Context) -> None:
        """Plan."""
        ctx.state.data["plan"] = True

    seen: list[list[str]] = []

    def router(ctx: Context) -> str | None:
        seen.append(ctx.network.available)
        return ["planner", "editor", None][ctx.network.call_count]

    agents = [Agent("planner", tools=[plan]), Agent("editor", enabled=has_plan)]
    run = await Network("N", agents=agents, router=router).run("go", model=ScriptedModel([call("plan"), "edited"]))
    assert seen[:2] == [["planner"], ["planner", "editor"]] and run.text == "edited"


async def test_an_agent_that_was_scheduled_and_is_disabled_by_then_is_left_out() -> None:
    @tool
    def later(ctx: Context) -> None:
        """Schedule one that is never there."""
        ctx.network.schedule("off")

    agents = [Agent("on", tools=[later]), Agent("off", enabled=lambda ctx: False)]
    run = await Network("N", agents=agents, router=lambda ctx: None if ctx.network.call_count else "on").run(
        "go", model=ScriptedModel([call("later")])
    )
    assert ([result.agent for result in run.results], run.stop_reason) == (["on"], "router")


async def test_scheduling_an_agent_that_does_not_exist_is_an_error_that_the_model_sees() -> None:
    @tool
    def ghost(ctx: Context) -> None:
        """Schedule nobody."""
        ctx.network.schedule("Writter")

    agents = [Agent("a", tools=[ghost]), Agent("Writer")]
    run = await Network("N", agents=agents, router=lambda ctx: None if ctx.network.call_count else "a").run(
        "go", model=ScriptedModel([call("ghost")])
    )
    error = run.results[0].tool_results[0].error
    assert error is not None and "did you mean 'Writer'" in error["message"]


async def test_the_prefill_begins_the_reply() -> None:
    model = ScriptedModel([' "yes"}'])
    result = await Agent("a", assistant='{"answer":', model=model).run("go")
    assert (model.requests[0].prefill, result.text) == ('{"answer":', '{"answer": "yes"}')


async def test_replace_keeps_every_option() -> None:
    agent = Agent("a", description="d", system="s", tools=[look], tool_choice="look", max_iter=3, output=int, **ALL)
    other = agent.replace(model="openai:gpt-4.1-mini")
    kept = [name for name in vars(agent) if name not in ("model", "_options", "shape")]
    assert [name for name in kept if getattr(agent, name) != getattr(other, name)] == []
    assert (other.model, agent.model) == ("openai:gpt-4.1-mini", None)


async def test_the_system_prompt_is_made_once_a_turn_and_sees_the_state() -> None:
    made: list[int] = []

    async def system(ctx: Context) -> str:
        made.append(ctx.network.call_count)
        return f"Turn {ctx.network.call_count}"

    agent = Agent("a", system=system, tools=[look], max_iter=2)
    model = ScriptedModel([call("look"), "1", "2"])
    network = Network("N", agents=[agent], router=lambda ctx: agent if ctx.network.call_count < 2 else None)
    await network.run("go", model=model)
    assert made == [0, 1]
    assert [request.system for request in model.requests] == ["Turn 0", "Turn 0", "Turn 1"]


async def test_a_forced_choice_of_tool_is_kept_for_the_first_call_of_a_turn() -> None:
    model = ScriptedModel([call("look"), "seen"])
    await Agent("a", tools=[look], tool_choice="look", model=model).run("go")
    assert [request.tool_choice for request in model.requests] == ["look", "auto"]


@tool
async def nap(ctx: Context) -> None:
    """Sleep for an hour."""
    await ctx.step.sleep("nap", "1h")


async def test_a_turn_that_parks_begins_anew_with_its_hooks_and_is_then_not_hooked_again() -> None:
    moments: list[str] = []
    hooks: dict[str, Any] = {
        "on_start": lambda ctx, prompt: moments.append("start"),
        "on_finish": lambda ctx, result: moments.append("finish"),
    }
    app = App("hooked", default_model="openai:gpt-4.1-mini")
    app.agent(Agent("a", tools=[nap], max_iter=2, **hooks), on="go")
    async with Harness(app, ScriptedModel([call("nap"), "rested"])) as h:
        [run] = await h.send("go", {"input": "Hi"})
        await h.advance("2h")
        assert h.run(run.id).status == "completed"
    assert moments == ["start", "start", "start", "finish"]
