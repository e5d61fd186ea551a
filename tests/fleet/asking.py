"""An app whose runs ask two models side by side, round after round; workers import it as `fleet.asking:app`."""

from __future__ import annotations

import asyncio

from celeriac import App, Context

app = App("asking")

MODELS = ("openai:gpt-4.1", "openai:gpt-4.1-mini")


@app.function(on="asking/begun")
async def ask(ctx: Context, n: int, rounds: int = 4) -> int:
    """Ask both models at once, round after round."""
    for number in range(rounds):
        asked = [ctx.step.ai.infer(f"{model[-4:]}{number}", model, f"What is {n} times {number}?") for model in MODELS]
        await asyncio.gather(*asked)
    return n
