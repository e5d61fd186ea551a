"""Links: where one ends, what makes the next one follow, and what a run gives back at its end."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from pydantic import BaseModel

from celeriac import Agent, App, Context, Network
from celeriac.platform.durable.conduct import Conduct
from celeriac.testing import Harness, ScriptedModel
from engine_stage import Stage, new_app, soon


def two_turns(app: App, links: str | None = None) -> ScriptedModel:
    """Declare a network in which two agents say one thing each; return its model."""

    def router(ctx: Context) -> str | None:
        return ["first", "second", None][ctx.network.call_count]

    agents = [Agent("first"), Agent("second")]
    network = Network("Pair", agents=agents, router=router, default_model="openai:gpt-4.1-mini")
    app.network(network, on="go", links=links)  # type: ignore[arg-type]
    return ScriptedModel({"first": ["one"], "second": ["two"]})


async def test_each_turn_ends_a_link_and_the_chain_has_them_all() -> None:
    app = new_app()
    model = two_turns(app)
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hello"})
        turns = [memo.path for memo in h.steps(run.id) if memo.kind == "turn"]
        assert turns == ["network:pair/turn:1", "network:pair/turn:2"]
        assert run.links == len(h.chains[run.id]) == 3  # in the last one the router ends it


async def test_links_by_budget_go_on_over_turns() -> None:
    app = new_app()
    model = two_turns(app, links="budget")
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hello"})
        assert (run.output["text"], run.links) == ("two", 1)


async def test_a_link_whose_budget_is_used_ends_after_its_step() -> None:
    app, ran = new_app(), []

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        for name in ("a", "b", "c"):
            await ctx.step.run(name, ran.append, name)

    async with Harness(app, conduct=Conduct(link_budget=timedelta(0))) as h:
        [run] = await h.send("go")
        assert (run.links, ran) == (4, ["a", "b", "c"])


async def test_a_worker_that_drains_ends_its_links_at_the_next_step() -> None:
    app, ran = new_app(), []

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        def body() -> None:
            ran.append(1)
            stage.engine("a").is_draining = True

        await ctx.step.run("one", body)
        await ctx.step.run("two", ran.append, 2)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        assert await soon(stage.advance(run_id, "a")) is True
        assert (stage.run(run_id).status, ran) == ("queued", [1])
        await stage.finish(run_id, "b")
        assert (stage.run(run_id).status, ran) == ("completed", [1, 2])


async def test_a_link_does_not_end_under_a_sibling_that_works() -> None:
    import asyncio

    app, ran = new_app(), []

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        both = asyncio.Barrier(2)

        async def body(name: str) -> None:
            ran.append(name)
            await both.wait()

        await asyncio.gather(ctx.step.run("a", body, "a"), ctx.step.run("b", body, "b"))

    async with Harness(app, conduct=Conduct(link_budget=timedelta(0))) as h:
        [run] = await h.send("go")
        assert (run.status, sorted(ran)) == ("completed", ["a", "b"])


async def test_a_networks_run_as_output_is_exported_with_its_reason() -> None:
    app = new_app()
    model = two_turns(app)
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hello"})
        assert set(run.output) == {"output", "text", "thread_id", "stop_reason", "results", "state"}
        assert (run.reason, [result["agent"] for result in run.output["results"]]) == ("router", ["first", "second"])


class Answer(BaseModel):
    text: str


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(("value", "output"), [(Answer(text="a"), {"text": "a"}), (Point(1), {"x": 1}), ({1}, [1])])
async def test_a_typed_value_as_output_is_plain_json(value: object, output: object) -> None:
    app = new_app()

    @app.function(on="go")
    async def answers(ctx: Context) -> object:
        return value

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.output == output


async def test_an_agents_result_as_output_is_exported() -> None:
    app = new_app()

    @app.function(on="go")
    async def asks(ctx: Context) -> object:
        return await Agent("a").run("Hello")

    async with Harness(app, ScriptedModel(["Hi"])) as h:
        [run] = await h.send("go")
        assert (run.output["text" if "text" in run.output else "output"], run.output["agent"]) == ("Hi", "a")


async def test_what_the_models_used_is_summed_on_the_run() -> None:
    app = new_app()
    model = two_turns(app)
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Hello"})
        assert (run.usage.model_calls, run.usage.input_tokens, run.usage.output_tokens) == (2, 20, 10)
