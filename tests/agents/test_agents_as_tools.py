"""An agent as a tool of another one: its own state and steps, its usage counted, its answer as JSON."""

from typing import Any

import pytest
from pydantic import BaseModel

from celeriac import Agent, App, Budget, Context, History, Network, tool
from celeriac.errors import ConfigError
from celeriac.testing import Harness, ScriptedModel, call, calls


class Verdict(BaseModel):
    good: bool


@tool
def look(ctx: Context) -> str:
    """Look."""
    ctx.state.data["looked"] = True
    return ctx.step.path


critic = Agent("The Critic", description="Judges a text", tools=[look], output=Verdict)
writer = Agent("Writer", tools=[critic.as_tool()], max_iter=4)


def script() -> ScriptedModel:
    return ScriptedModel(
        {
            "Writer": [call("the_critic", input="Is it good?"), "It is."],
            "The Critic": [call("look"), '{"good": true}'],
        }
    )


async def test_the_answer_is_what_the_other_agent_put_out() -> None:
    result = await writer.run("Write", model=script())
    assert result.tool_results[0].data == {"good": True}
    assert (critic.as_tool().name, critic.as_tool().description) == ("the_critic", "Judges a text")
    assert critic.as_tool(name="judge", description="Judge it").spec.description == "Judge it"


async def test_what_it_used_counts_for_the_one_that_asked() -> None:
    result = await writer.run("Write", model=script())
    assert (result.usage.model_calls, result.usage.tool_calls, result.usage.input_tokens) == (4, 2, 40)


async def test_a_budget_sees_what_it_used() -> None:
    model = ScriptedModel({"Writer": [call("the_critic", input="?")], "The Critic": ['{"good": false}']})
    network = Network("N", agents=[writer], router=lambda ctx: writer if ctx.network.call_count < 3 else None)
    run = await network.run("Write", model=model, budget=Budget(tokens=30))
    assert (run.stop_reason, run.stop_detail) == ("budget", "30 of 30 tokens are used")
    assert (run.usage.model_calls, run.usage.input_tokens) == (2, 20)


async def test_it_begins_no_thread_where_it_keeps_those_of_its_own_runs() -> None:
    class Opened(History[Any]):
        """Notes the threads that are made."""

        threads: list[str] = []

        async def create_thread(self, ctx: Context[Any], thread_id: str) -> str:
            self.threads.append(thread_id)
            return thread_id

    kept = Opened()
    asked = Agent("Asked", history=kept)
    asker = Agent("Asker", tools=[asked.as_tool()])
    script = {"Asker": [call("asked", input="bees?"), "Bees."], "Asked": ["Bees.", "Bees."]}
    await asker.run("What?", model=ScriptedModel(script))
    assert kept.threads == []
    await asked.run("What?", model=ScriptedModel(script))
    assert len(kept.threads) == 1


async def test_its_state_is_its_own() -> None:
    result = await Network("N", agents=[writer], router=_once).run("Write", model=script())
    assert result.state.data == {}


def _once(ctx: Context[Any]) -> Any:
    return None if ctx.network.call_count else writer


async def test_its_steps_stand_below_the_call_and_are_made_once() -> None:
    app = App("papers", default_model="openai:gpt-4.1-mini")
    app.agent(writer, on="asked")
    async with Harness(app, script()) as h:
        [run] = await h.send("asked", {"input": "Write"})
        inner = "agent:writer/turn:1/tool:1:the_critic/agent:the-critic/turn:1"
        paths = [memo.path for memo in h.steps(run.id)]
        assert [path for path in paths if path.startswith(inner)] == [
            f"{inner}/infer",
            f"{inner}/tool:1:look",
            f"{inner}/infer:1",
            inner,
        ]
        assert run.output["results"][0]["usage"]["model_calls"] == 4


async def test_what_an_agent_used_before_a_crash_counts_once() -> None:
    @tool
    async def rest(ctx: Context) -> None:
        """Rest."""
        await ctx.step.sleep("nap", "1h")

    sleeper = Agent("Sleeper", description="Rests", tools=[rest])
    app = App("rest", default_model="openai:gpt-4.1-mini")
    app.agent(Agent("Asker", tools=[sleeper.as_tool()], max_iter=3), on="asked")
    model = ScriptedModel(
        {"Asker": [calls(call("sleeper", input="a"), call("sleeper", input="b")), "ok"], "Sleeper": _naps}
    )
    async with Harness(app, model) as h:
        [run] = await h.send("asked", {"input": "Go"})
        await h.restart()
        await h.advance("2h")
        usage = h.run(run.id).output["results"][0]["usage"]
        assert (usage["model_calls"], usage["tool_calls"]) == (6, 4)


_naps = [lambda request: call("rest")] * 2 + ["rested"] * 2


async def test_the_failure_of_the_other_agent_goes_to_the_model() -> None:
    model = ScriptedModel({"Writer": [call("the_critic", input="?"), "Without."], "The Critic": [ValueError("ill")]})
    result = await writer.run("Write", model=model)
    assert result.tool_results[0].error == {"name": "ValueError", "message": "ill"} and result.text == "Without."


def test_an_agent_with_itself_as_a_tool_is_refused() -> None:
    with pytest.raises(ConfigError, match="'Writer' has itself as a tool"):
        writer.replace(tools=[writer.as_tool()])


async def test_agents_that_ask_one_another_in_a_circle_are_stopped() -> None:
    asked: list[str] = []

    def next_line(request: Any) -> Any:
        asked.append(request.agent)
        last = request.messages[-1].tool_result
        return call("b" if request.agent == "A" else "a", input="?") if last is None else str(last.error or last.data)

    a, b = Agent("A"), Agent("B")
    a.tools, b.tools = (b.as_tool(),), (a.as_tool(),)  # what no declaration can say
    result = await a.run("Go", model=ScriptedModel([next_line] * 40))
    assert "agents may ask one another 5 deep" in result.text
    assert asked[:6] == ["A", "B", "A", "B", "A", "B"] and len(asked) == 12
