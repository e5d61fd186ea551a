"""Answers that cannot be kept were paid for: they count with the failure of their step."""

from __future__ import annotations

from datetime import timedelta

import pytest

from celeriac import Agent, App, Context, tool
from celeriac.errors import StepError
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.usage import UsageRow
from celeriac.platform.message import Usage
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.platform.store.local_store import LocalStore
from celeriac.testing import Harness, ScriptedModel, call, say
from engine_stage import TENANT, Stage, new_app

USED = Usage(model_calls=1, input_tokens=7, output_tokens=3, cost_usd=0.5)

LONG = "x" * 50_000


class Chatterbox:
    """A model whose answers are long, and not free."""

    provider, name = "delphi", "pythia"

    async def infer(self, request: ModelRequest) -> ModelReply:
        return ModelReply(model=self.name, text=LONG, usage=USED)


def used(store: LocalStore, model: str) -> UsageRow:
    """Return what was used of a model."""
    rows = store.usage(TENANT, store.today() - timedelta(days=9), store.today())
    [found] = [row for row in rows if row.model == model]
    return found


@pytest.mark.parametrize("conduct", [Conduct(max_output_bytes=20_000), Conduct(max_state_bytes=20_000)])
async def test_an_answer_that_cannot_be_kept_is_counted_with_its_model(conduct: Conduct) -> None:
    """Once a call, however often the code catches the error and asks again: a budget sees what was spent."""
    app = new_app()

    @app.function(on="go")
    async def ask(ctx: Context) -> list[float]:
        told = []
        for n in range(3):
            try:
                await ctx.step.ai.infer(f"ask-{n}", Chatterbox(), "why?")
            except StepError as error:
                told.append((error.usage or {}).get("cost_usd", 0.0))
        return told

    async with Stage(app, conduct=conduct) as stage:
        run = await stage.finish(*stage.send("go"))
        assert run.output == [0.5, 0.5, 0.5]
        row = used(stage.store, "delphi:pythia")
        assert (row.steps, row.model_calls, row.input_tokens, row.cost_usd) == (3, 3, 21, 1.5)
        assert run.usage.cost_usd == stage.store.spent(TENANT, stage.store.today()) == 1.5


async def test_a_tool_whose_result_cannot_be_kept_is_a_call_that_was_made() -> None:
    app = new_app()

    @app.function(on="go")
    async def work(ctx: Context) -> str:
        try:
            return (await ctx.step.ai.wrap("ask", lambda: LONG))[:1]
        except StepError as error:
            return error.error_name

    async with Stage(app, conduct=Conduct(max_output_bytes=20_000)) as stage:
        run = await stage.finish(*stage.send("go"))
        assert (run.output, run.usage.model_calls) == ("LimitError", 1)


async def test_an_agent_whose_answer_cannot_be_kept_is_used_by_the_one_that_asked() -> None:
    """Two calls of the asker and the one of the agent in its tool; the run that was counted says the same."""
    well = Agent("Well", description="Answers at length")
    asker = Agent("Asker", tools=[well.as_tool(name="ask")], max_iter=3)
    model = ScriptedModel({"Asker": [call("ask", input="?"), say("Without.")], "Well": [LONG]})
    app = App("asks")
    app.agent(asker.replace(model=model), on="asked")
    async with Harness(app, model, conduct=Conduct(max_output_bytes=20_000)) as h:
        [run] = await h.send("asked", {"input": "Go"})
        used = h.run(run.id).output["results"][0]["usage"]
        assert (used["model_calls"], used["input_tokens"], h.run(run.id).usage.model_calls) == (3, 30, 3)


async def test_a_model_that_a_tool_asked_itself_is_used_by_its_agent() -> None:
    """Though its answer could not be kept, by `step.ai` as well."""

    @tool
    async def ask(ctx: Context) -> str:
        """Ask."""
        return (await ctx.step.ai.infer("other", model, "?")).output

    model = ScriptedModel({"Asker": [call("ask"), say("Without.")], "": [LONG]})
    app = App("asks")
    app.agent(Agent("Asker", model=model, tools=[ask], max_iter=3), on="asked")
    async with Harness(app, model, conduct=Conduct(max_output_bytes=20_000)) as h:
        [run] = await h.send("asked", {"input": "Go"})
        used = h.run(run.id).output["results"][0]["usage"]
        assert (used["model_calls"], h.run(run.id).usage.model_calls) == (3, 3)
