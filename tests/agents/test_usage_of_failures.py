"""What came to nothing was paid for as well: agents and networks that fail count for whoever asked them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from celeriac import Agent, App, Budget, Context, Network, Parallel, RoutingAgent, tool
from celeriac.errors import ModelError, RetryAfterError
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.testing import Harness, ScriptedModel, call
from crash_points import Play, play_with_a_death_at_each_point


@tool
def look() -> str:
    """Look."""
    return "seen"


def by_request(request: ModelRequest) -> Any:
    """Answer by what was said: the asker asks once, the ill one looks once and fails, the well one is fine."""
    has_result = request.messages[-1].tool_result is not None
    if request.agent == "Asker":
        return "Without." if has_result else call("ask", input="?")
    if request.agent == "Well":
        return "Fine."
    if has_result:
        raise ModelError("ill", kind="auth")
    return call("look")


def model() -> ScriptedModel:
    """Answer so as often as is asked."""
    return ScriptedModel([by_request] * 200)


ill = Agent("Ill", description="Fails at its second call", tools=[look], max_iter=3)
asker = Agent("Asker", description="Asks the ill one", tools=[ill.as_tool(name="ask")], max_iter=3)
well = Agent("Well", description="Answers")


async def test_an_agent_that_fails_in_a_tool_is_used_by_the_one_that_asked() -> None:
    result = await asker.run("Go", model=model())
    assert (result.text, result.tool_results[0].error) == ("Without.", {"name": "model", "message": "ill"})
    assert (result.usage.model_calls, result.usage.tool_calls, result.usage.input_tokens) == (3, 2, 30)


async def test_a_budget_counts_what_failed() -> None:
    """The asker's call and that of the one that fails use 30 tokens."""
    result = await asker.run("Go", model=model(), budget=Budget(tokens=30))
    assert (result.usage.model_calls, result.stopped) == (2, "budget: 30 of 30 tokens are used")


def declare(app: App, effects: list[Any]) -> None:
    """Let the asker be asked."""
    app.agent(asker.replace(model=model()), on="asked")


async def drive(play: Play) -> tuple[int, ...]:
    """Run to the end; return what the asker used, and what was counted for the tenant."""
    await play.send("asked", {"input": "Go"})
    run = play.run_of("agent-asker")
    used = run.output["results"][0]["usage"]
    return used["model_calls"], used["tool_calls"], used["input_tokens"], run.usage.model_calls


async def test_it_is_the_same_after_a_death_at_any_point() -> None:
    """The tenant is billed by the step, so that nothing is counted there twice."""
    outcomes = await play_with_a_death_at_each_point(declare, drive)
    assert set(outcomes) == {(3, 2, 30, 3)} and len(outcomes) > 5


async def asks(network: Network[Any], **options: Any) -> tuple[int, int]:
    """Return the model calls of an agent whose tool runs the network and then fails, in a script and durably."""

    @tool(**options)
    async def ask(ctx: Context, input: str) -> str:
        """Ask."""
        return (await network.run(input)).text

    app = App("asks")
    app.agent(asker.replace(tools=[ask], model=model()), on="asked")
    result = await asker.replace(tools=[ask]).run("Go", model=model())
    async with Harness(app, model()) as harness:
        [run] = await harness.send("asked", {"input": "Go"})
        await harness.restart()
        used = harness.run(run.id).output["results"][0]["usage"]
        assert harness.run(run.id).usage.model_calls == used["model_calls"]
    return result.usage.model_calls, used["model_calls"]


async def test_the_turns_before_and_beside_the_one_that_failed_count() -> None:
    """Both of the first two call the model once, the third one is ill; the asker calls it twice."""

    def route(ctx: Context) -> Any:
        return Parallel(well, ill) if ctx.network.call_count else well

    network = Network("Both", agents=[well, ill], router=route, default_model="openai:gpt-4.1")
    assert await asks(network) == (5, 5)


async def test_a_choice_that_failed_counts() -> None:
    supervisor = RoutingAgent("Supervisor", tools=[look], on_route=lambda ctx, result: 1 / 0)
    network = Network("Chosen", agents=[well], router=supervisor, default_model="openai:gpt-4.1")
    assert await asks(network) == (3, 3)


async def test_a_tool_that_uses_up_its_retries_has_used_what_its_last_attempt_came_to() -> None:
    network = Network("One", agents=[ill], router=lambda ctx: ill, default_model="openai:gpt-4.1")
    assert await asks(network, retries=2) == (3, 3)


async def test_an_attempt_that_follows_at_once_does_not_count_what_is_remembered_again() -> None:
    """The first one did not park the run, so that the second one is made by the same process."""
    attempts: list[int] = []

    @tool(retries=1)
    async def ask(ctx: Context, input: str) -> str:
        """Ask, and fail once."""
        text = (await well.run(input)).text
        attempts.append(1)
        if len(attempts) == 1:
            raise RetryAfterError("At once", 0)
        return text

    app = App("asks")
    app.agent(asker.replace(tools=[ask], model=model()), on="asked")
    async with Harness(app, model()) as harness:
        [run] = await harness.send("asked", {"input": "Go"})
    used = run.output["results"][0]["usage"]["model_calls"]
    assert (len(attempts), used, run.usage.model_calls) == (2, 3, 3)


class Endless:
    """A model that asks for a tool, and then never answers; `hangs` says when it has come to that."""

    provider, name = "endless", "e"

    def __init__(self) -> None:
        self.hangs = asyncio.get_running_loop().create_future()

    async def infer(self, request: ModelRequest) -> ModelReply:
        if request.messages[-1].tool_result is not None:
            self.hangs.set_result(None)
            await asyncio.get_running_loop().create_future()
        asks = call("ask", input="?") if request.agent == "Between" else call("look")
        return await ScriptedModel([asks]).infer(request)


between = Agent("Between", tools=[ill.as_tool(name="ask")], max_iter=3)


@pytest.mark.parametrize(("asked", "model_calls"), [(ill, 3), (between, 4)])
async def test_what_was_ended_in_the_middle_counts_up_to_there(asked: Agent, model_calls: int) -> None:
    @tool
    async def ask(ctx: Context, input: str) -> None:
        """Ask, and lose patience."""
        endless = Endless()
        beside = asyncio.create_task(asked.run(input, model=endless))
        await endless.hangs
        beside.cancel()
        await asyncio.gather(beside, return_exceptions=True)

    result = await asker.replace(tools=[ask]).run("Go", model=model())
    assert result.text == "Without."
    assert (result.usage.model_calls, result.usage.tool_calls) == (model_calls, 2)
