"""Routing agents: the stock one, own ones, and code that asks one only where it has to."""

from __future__ import annotations

from typing import Any

import pytest

from celeriac import Agent, AgentResult, App, Context, Network, RoutingAgent, tool
from celeriac.errors import ConfigError, RouterError, StepError
from celeriac.testing import Harness, ScriptedModel, call

STOCK = "Default routing agent"

billing = Agent("Billing", description="Answers questions on invoices")
outages = Agent("Outages", description="Knows what does not work")


def desk(**options: Any) -> Network[Any]:
    """Return a network in which a model chooses."""
    return Network("Desk", agents=[billing, outages], **options)


async def test_the_stock_one_chooses_until_it_is_done() -> None:
    model = ScriptedModel(
        {STOCK: [call("select_agent", name="Outages"), call("done", summary="all well")], "Outages": ["It works."]}
    )
    run = await desk().run("Is it down?", model=model)
    assert ([result.agent for result in run.results], run.stop_reason) == (["Outages"], "router")
    asked = model.requests[0]
    assert asked.tool_choice == "any" and "- Billing: Answers questions on invoices" in asked.system
    model.assert_done()


async def test_its_choices_are_used_and_paid_for_but_stand_in_no_history() -> None:
    model = ScriptedModel({STOCK: [call("select_agent", name="Billing"), call("done")], "Billing": ["Here."]})
    run = await desk().run("Invoice?", model=model)
    assert run.usage.model_calls == 3 and len(run.results) == 1
    assert [message.text for message in model.requests[1].messages] == ["Invoice?"]
    assert [message.text for message in model.requests[2].messages] == ["Invoice?", "Here."]


async def test_a_name_that_does_not_exist_goes_back_to_the_model() -> None:
    model = ScriptedModel(
        {
            STOCK: [call("select_agent", name="Ghost"), call("select_agent", name="Billing"), call("done")],
            "Billing": ["ok"],
        }
    )
    run = await desk().run("Invoice?", model=model)
    assert [result.agent for result in run.results] == ["Billing"]
    assert "There is no agent 'Ghost'" in str(model.requests[1].messages[-1].tool_result)


async def test_a_disabled_agent_is_not_offered() -> None:
    network = Network("Desk", agents=[billing, outages.replace(enabled=lambda ctx: False)])
    model = ScriptedModel({STOCK: [call("select_agent", name="Outages"), call("done")]})
    run = await network.run("Is it down?", model=model)
    assert "Outages" not in model.requests[0].system
    assert (run.results, run.stop_reason) == ([], "router")


def test_an_agent_that_nobody_can_choose_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="'Silent' has no description"):
        Network("Desk", agents=[billing, Agent("Silent")])
    with pytest.raises(ConfigError, match="'Silent', 'Mute' have no description"):
        Network("Desk", agents=[Agent("Silent"), billing, Agent("Mute", description=" ")], router=RoutingAgent())


async def test_one_that_a_model_chooses_for_once_is_refused_before_it_is_asked() -> None:
    model = ScriptedModel([])
    for router in (RoutingAgent(), lambda ctx: RoutingAgent()):
        with pytest.raises(ConfigError, match="'Silent' has no description=; say there what it is for"):
            await Network("N", agents=[Agent("Silent")], router=lambda ctx: None).run("go", router=router, model=model)
    assert model.requests == []


def test_tools_of_ones_own_need_a_reader() -> None:
    with pytest.raises(ConfigError, match="needs on_route="):
        RoutingAgent(tools=[go_to])


@tool
def go_to(agent: str) -> str:
    """Hand over."""
    return agent


@tool
def finished() -> None:
    """All is said."""


def read(ctx: Context, result: AgentResult[Any]) -> str | None:
    """Read what the supervisor chose."""
    return None if result.tool_calls[-1].name == "finished" else str(result.tool_results[-1].data)


supervisor = RoutingAgent("Supervisor", system="Choose.", tools=[go_to, finished], on_route=read)


async def test_one_of_ones_own_has_its_tools_prompt_and_reader() -> None:
    model = ScriptedModel({"Supervisor": [call("go_to", agent="Billing"), call("finished")], "Billing": ["ok"]})
    run = await desk(router=supervisor).run("Invoice?", model=model)
    assert run.text == "ok" and model.requests[0].system == "Choose."


async def test_on_route_that_names_nobody_known_is_an_error() -> None:
    model = ScriptedModel({"Supervisor": [call("go_to", agent="Bilingual")]})
    with pytest.raises((RouterError, StepError), match="named 'Bilingual'"):
        await desk(router=supervisor).run("Invoice?", model=model)


async def test_code_may_ask_a_model_only_where_it_has_to() -> None:
    def record(ctx: Context, result: AgentResult[Any]) -> None:
        ctx.state.data.setdefault("asked", []).append(result.tool_calls[0].name)

    chooser = RoutingAgent(on_response=record)

    def hybrid(ctx: Context) -> Any:
        return chooser if ctx.network.last_result is None else None

    model = ScriptedModel({STOCK: [call("select_agent", name="Billing")], "Billing": ["ok"]})
    run = await desk(router=hybrid).run("Invoice?", model=model)
    assert (run.text, run.state.data) == ("ok", {"asked": ["select_agent"]})


async def test_a_model_is_needed_where_a_model_chooses() -> None:
    app = App("desk")
    network = Network("D", agents=[billing.replace(model="openai:gpt-4.1-mini")], router=RoutingAgent())
    with pytest.raises(ConfigError, match=f"'{STOCK}' has no model"):
        app.network(network)


async def test_a_choice_is_remembered_and_not_paid_again() -> None:
    @tool
    async def rest(ctx: Context) -> str:
        """Wait."""
        await ctx.step.sleep("rest", "1h")
        return "rested"

    app = App("desk", default_model="openai:gpt-4.1-mini")
    app.network(Network("Desk", agents=[billing.replace(tools=[rest])]), on="go")
    model = ScriptedModel({STOCK: [call("select_agent", name="Billing"), call("done")], "Billing": [call("rest")]})
    async with Harness(app, model) as h:
        [run] = await h.send("go", {"input": "Invoice?"})
        await h.restart()
        await h.advance("1h")
        assert (h.run(run.id).status, h.run(run.id).reason) == ("completed", "router")
        routes = [memo.path for memo in h.steps(run.id) if memo.path.endswith(("route:1", "route:2"))]
        assert len(routes) == 2
    model.assert_done()


async def test_who_is_disabled_is_known_again_after_a_crash() -> None:
    @tool
    async def rest(ctx: Context) -> list[str]:
        """Wait."""
        await ctx.step.sleep("rest", "1h")
        return ctx.network.available

    app = App("desk", default_model="openai:gpt-4.1-mini")
    agents = [Agent("a", tools=[rest]), Agent("off", enabled=lambda ctx: False)]
    app.network(Network("N", agents=agents, router=lambda ctx: None if ctx.network.call_count else "a"), on="go")
    async with Harness(app, ScriptedModel([call("rest")])) as h:
        [run] = await h.send("go", {"input": "Hi"})
        await h.restart()
        await h.advance("1h")
        assert h.run(run.id).output["results"][0]["messages"][1]["tool_result"]["data"] == ["a"]


async def test_the_router_of_one_run_may_be_a_model_of_its_own() -> None:
    boss, network = RoutingAgent("Boss"), Network("N", agents=[billing.replace(model="openai:x")])
    run = await network.run("go", router=boss, model={"Boss": ScriptedModel([call("done")])})
    assert (run.stop_reason, run.call_count) == ("router", 0)
    with pytest.raises(ConfigError, match="'Boss' has no model"):
        await network.run("go", router=boss)


async def test_a_routing_agent_of_a_router_in_code_is_given_its_model_by_itself() -> None:
    boss, asked = RoutingAgent("Boss", model="openai:x"), ScriptedModel([call("select_agent", name="Billing")])
    network = desk(router=lambda ctx: None if ctx.network.call_count else boss)
    run = await network.run("go", model={boss: asked, "Billing": ScriptedModel(["ok"]), outages: ScriptedModel([])})
    assert (run.text, len(asked.requests)) == ("ok", 1)


async def test_a_name_that_nobody_is_known_to_have_is_refused_with_the_way_out() -> None:
    boss, model = RoutingAgent("Boss"), ScriptedModel([])
    network = desk(router=lambda ctx: boss, default_model=model)
    with pytest.raises(ConfigError, match=r"'Boss', which is no agent of network 'Desk'; .* model=\{agent: …\}"):
        await network.run("go", model={"Boss": model})
    with pytest.raises(ConfigError, match="did you mean 'Billing'"):
        await network.run("go", model={"Biling": model})
    assert model.requests == []


async def test_an_agent_that_a_tool_asks_is_given_its_model_by_itself() -> None:
    expert = Agent("Expert")

    @tool
    async def ask() -> str:
        """Ask the expert."""
        return (await expert.run("?")).text

    model = {"Desk": ScriptedModel([call("ask")]), expert: ScriptedModel(["yes"])}
    network = Network(
        "N", agents=[Agent("Desk", tools=[ask])], router=lambda ctx: None if ctx.network.call_count else "Desk"
    )
    run = await network.run("go", model=model)
    assert run.results[0].tool_results[0].data == "yes"


@pytest.mark.parametrize("most", [0, -1])
async def test_no_turn_at_all_is_refused_and_not_taken_for_the_default(most: int) -> None:
    with pytest.raises(ConfigError, match="must be 1 or more"):
        await desk().run("go", max_iter=most, model=ScriptedModel([]))
    with pytest.raises(ConfigError, match="must be 1 or more"):
        RoutingAgent(max_iter=most)


async def test_one_run_may_have_a_router_of_its_own() -> None:
    model = ScriptedModel({"Billing": ["ok"]})
    run = await desk().run("go", model=model, router=lambda ctx: None if ctx.network.call_count else billing)
    assert run.text == "ok"
