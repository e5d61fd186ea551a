"""Edited inputs: a rerun may replace what a step is given."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import BaseModel

from celeriac import Context, StepError
from celeriac.platform.durable.store import Claim
from celeriac.platform.store.local_store import LocalStore
from celeriac.testing import ScriptedModel
from engine_stage import Stage, new_app


class Card(BaseModel):
    """An argument of a step."""

    number: str


class Edited(LocalStore):
    """A store whose runs are reruns with these inputs."""

    def __init__(self, overrides: dict[str, Any]) -> None:
        super().__init__()
        self._overrides = overrides

    def claim_all(self, wishes: Any, worker_id: str) -> list[Claim | None]:
        claims = super().claim_all(wishes, worker_id)
        return [None if claim is None else replace(claim, overrides=self._overrides) for claim in claims]


async def output_of(body: Any, overrides: dict[str, Any]) -> tuple[Any, Stage]:
    app = new_app()
    app.function(id="works", on="go", retries=0)(body)
    async with Stage(app, store=Edited(overrides)) as stage:
        [run_id] = stage.send("go")
        run = await stage.finish(run_id)
        return run.output or run.error, stage


async def test_a_step_runs_with_its_edited_arguments_and_shows_them() -> None:
    def charge(card: Card, *cents: int) -> str:
        return f"{card.number}: {sum(cents)}"

    async def works(ctx: Context) -> str:
        return await ctx.step.run("charge", charge, Card(number="1"), 2, 3)

    output, stage = await output_of(works, {"charge": [{"number": "9"}, 5, 6]})
    assert output == "9: 11"
    [stored] = stage.store.all.values()
    assert [done.input for _, done in stored.steps.values()] == ['[{"number":"9"},5,6]']


@pytest.mark.parametrize("edited", [[{"wrong": 1}, 2], [1, 2, 3], {"card": 1}])
async def test_an_edited_input_that_does_not_fit_fails_the_step_at_once(edited: Any) -> None:
    def charge(card: Card, cents: int) -> str:
        return f"{card.number}: {cents}"

    async def works(ctx: Context) -> str:
        try:
            return await ctx.step.run("charge", charge, Card(number="1"), 2)
        except StepError as error:
            return error.error_name

    assert (await output_of(works, {"charge": edited}))[0] == "ConfigError"


async def test_a_model_is_asked_the_edited_question() -> None:
    model = ScriptedModel(["because"])

    async def works(ctx: Context) -> str:
        return (await ctx.step.ai.infer("ask", model, "Why?", system="Be brief.")).text

    edited = {"system": "Be kind.", "messages": [{"role": "user", "text": "Why not?"}]}
    assert (await output_of(works, {"ask": edited}))[0] == "because"
    [request] = model.requests
    assert (request.system, [message.text for message in request.messages]) == ("Be kind.", ["Why not?"])


async def test_other_steps_keep_their_inputs() -> None:
    async def works(ctx: Context) -> list[int]:
        return [await ctx.step.run(name, int, "7") for name in ("one", "two")]

    assert (await output_of(works, {"two": ["8"]}))[0] == [7, 8]
