"""A durable function as a tool: a run of its own, with its steps, whose outcome the model sees."""

import pytest

from celeriac import Agent, App, Context, tool
from celeriac.errors import ConfigError
from celeriac.testing import Harness, ScriptedModel, call, calls

app = App("desk", default_model="openai:gpt-4.1-mini")


async def crawl(topic: str) -> str:
    return f"pages on {topic}"


@app.function("research-web.tool", retries=0)
async def research_web(ctx: Context, topic: str, depth: int = 1) -> str:
    """Research a topic on the web.

    Returns a summary.
    """
    if topic == "nothing":
        raise ValueError("found nothing")
    return f"{await ctx.step.run('crawl', crawl, topic)}, {depth} deep"


researcher = Agent("Researcher", tools=[research_web], max_iter=5)
app.agent(researcher, on="asked")


def test_a_function_is_offered_as_it_was_declared() -> None:
    [one] = researcher.tools
    assert (one.name, one.description) == (
        "research-web_tool",
        "Research a topic on the web.\n\nReturns a summary.",
    )
    spec = getattr(one, "spec").schema  # noqa: B009
    assert (list(spec["properties"]), spec["required"]) == (["topic", "depth"], ["topic"])


def test_an_agent_that_is_a_function_keeps_its_description() -> None:
    assert App("other").agent(Agent("Poet", description="Writes poems")).description == "Writes poems"


def test_a_function_may_be_chosen_and_kept_by_a_copy_of_the_agent() -> None:
    chosen = researcher.replace(tool_choice="research-web_tool")
    assert [one.name for one in chosen.tools] == ["research-web_tool"]


async def test_each_call_is_a_run_of_its_own() -> None:
    script = [calls(call("research-web_tool", topic="tea"), call("research-web_tool", topic="mud", depth=2)), "done"]
    async with Harness(app, ScriptedModel(script)) as h:
        [run] = await h.send("asked", {"input": "Compare tea and mud"})
        results = [message["tool_result"]["data"] for message in run.output["results"][0]["messages"][1:3]]
        assert results == ["pages on tea, 1 deep", "pages on mud, 2 deep"]
        children = [one for one in h.runs() if one.function_id == "research-web.tool"]
        assert [memo.path for child in children for memo in h.steps(child.id)] == ["crawl", "crawl"]


async def test_its_failure_and_bad_arguments_go_to_the_model() -> None:
    script = [call("research-web_tool", topic="nothing"), call("research-web_tool", about="tea"), "I could not."]
    model = ScriptedModel(script)
    async with Harness(app, model) as h:
        [run] = await h.send("asked", {"input": "?"})
        results = [m["tool_result"] for m in run.output["results"][0]["messages"] if "tool_result" in m]
        assert results[0]["error"] == {"name": "ValueError", "message": "found nothing"}
        assert results[1]["error"]["name"] == "InvalidArguments"
        assert len(h.runs()) == 2 and run.output["text"] == "I could not."


async def test_in_a_plain_script_the_model_is_told_that_there_is_no_fleet() -> None:
    model = ScriptedModel([call("research-web_tool", topic="tea"), "done"])
    [result] = (await researcher.run("?", model=model)).tool_results
    assert result.error is not None and result.error["name"] == "not_durable"
    assert "start it through an App" in result.error["message"]


def test_a_tool_and_a_function_of_one_name_are_told_apart_at_once() -> None:
    @tool(name="research-web_tool")
    def other() -> None:
        """Do otherwise."""

    with pytest.raises(ConfigError, match="two tools named 'research-web_tool'"):
        Agent("a", tools=[other, research_web])
