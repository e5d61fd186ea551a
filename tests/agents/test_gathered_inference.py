"""Model calls that are gathered under one id: told apart by the order of the calls, as all steps are."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel

from celeriac import App, Context
from celeriac.testing import Harness, ScriptedModel
from celeriac.types import ModelRequest


class Length(BaseModel):
    letters: int


app = App("gathers", default_model="openai:gpt-4.1-mini")


@app.function(on="gather")
async def measure(ctx: Context, words: list[str]) -> list[int]:
    """Ask for the length of each word, side by side."""
    asked = (ctx.step.ai.infer("measure", "openai:gpt-4.1-mini", word, output=Length) for word in words)
    results = await asyncio.gather(*asked)
    await ctx.step.sleep("nap", "1h")
    return [result.output.letters for result in results]


def answer(request: ModelRequest) -> str:
    """Count, but for a word that is misunderstood at first."""
    word = request.messages[0].text
    if word == "odd" and len(request.messages) == 1:
        return "three"
    return Length(letters=len(word)).model_dump_json()


async def test_gathered_calls_of_one_id_keep_their_replies_on_replay() -> None:
    model = ScriptedModel([answer] * 4)
    async with Harness(app, model=model) as engine:
        [run] = await engine.send("gather", {"words": ["a", "odd", "sentence"]})
        await engine.restart()
        await engine.advance("1h")
        paths = {memo.path for memo in engine.steps(run.id)}
        assert engine.run(run.id).output == [1, 3, 8]
    assert paths == {"measure", "measure:1", "measure:1:again", "measure:2", "nap"}
