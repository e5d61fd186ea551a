"""What a model is asked: system, history, the new input once, and an agent's own turns behind it."""

import pytest

from celeriac import Agent, Context, Message, Network, State, tool
from celeriac.testing import ScriptedModel, call


@tool
def note(text: str) -> str:
    """Note a text."""
    return f"noted {text}"


def in_turn(*names: str | None):  # type: ignore[no-untyped-def]
    """Return a router that names one agent a turn."""
    return lambda ctx: (*names, None)[ctx.network.call_count]


async def test_the_new_input_stands_once_behind_what_others_said() -> None:
    model = ScriptedModel({"a": ["from a"], "b": ["from b"]})
    network = Network("N", agents=[Agent("a", system="I am a"), Agent("b", system="I am b")], router=in_turn("a", "b"))
    await network.run("How?", model=model)
    first, second = model.requests
    assert (first.system, [m.text for m in first.messages]) == ("I am a", ["How?"])
    assert (second.system, [m.text for m in second.messages]) == ("I am b", ["from a", "How?"])


async def test_an_agents_own_turns_follow_the_input() -> None:
    model = ScriptedModel([call("note", text="x"), "done"])
    network = Network("N", agents=[Agent("a", tools=[note])], router=in_turn("a", "a"))
    await network.run("How?", model=model)
    assert [message.role for message in model.requests[1].messages] == ["user", "assistant", "tool"]


async def test_a_states_history_goes_before_the_input() -> None:
    model = ScriptedModel(["now"])
    network = Network("N", agents=[Agent("a")], router=in_turn("a"))
    earlier = [Message.user("before"), Message.assistant("was so")]
    await network.run("and now?", state=State({}, messages=earlier), model=model)
    assert [message.text for message in model.requests[0].messages] == ["before", "was so", "and now?"]


async def test_the_results_of_an_earlier_run_are_history_of_the_next() -> None:
    model = ScriptedModel(["one", "two"])
    network = Network("N", agents=[Agent("a")], router=in_turn("a"))
    first = await network.run("first", model=model)
    second = await network.run("second", state=first.state, model=model)
    assert [message.text for message in model.requests[1].messages] == ["first", "one", "second"]
    assert [result.text for result in second.results] == ["two"]


@pytest.mark.parametrize("is_async", [False, True])
async def test_a_system_prompt_may_be_made_for_the_turn(is_async: bool) -> None:
    async def later(ctx: Context) -> str:
        return f"{ctx.agent.name} knows {ctx.state.data['plan']}"

    def now(ctx: Context) -> str:
        return f"{ctx.agent.name} knows {ctx.state.data['plan']}"

    model = ScriptedModel(["ok"])
    network = Network("N", agents=[Agent("a", system=later if is_async else now)], router=in_turn("a"))
    await network.run("go", state={"plan": "B"}, model=model)
    assert model.requests[0].system == "a knows B"


async def test_a_system_prompt_without_a_context_is_called_without_one() -> None:
    model = ScriptedModel(["ok"])
    await Agent("a", system=lambda: "made", model=model).run("go")
    assert model.requests[0].system == "made"


async def test_tools_and_their_choice_are_offered_with_schemas() -> None:
    model = ScriptedModel(["ok"])
    await Agent("a", tools=[note], tool_choice="note", model=model).run("go")
    [request] = model.requests
    assert request.tool_choice == "note" and request.tools[0].description == "Note a text."
    assert request.tools[0].schema["properties"]["text"]["type"] == "string"
    assert request.tools[0].schema["required"] == ["text"]
