"""An app whose runs ask two models side by side, round after round; workers import it as `fleet.asking:app`."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from celeriac import App, Context
from celeriac.platform.models.catalog import resolve
from celeriac.platform.models.model import ModelReply, ModelRequest

app = App("asking")

MODELS = ("openai:gpt-4.1", "openai:gpt-4.1-mini")

#: while this file is there, the next worker that has an answer takes it away and dies before it can commit
TRAP = Path(os.environ.get("FLEET_NOTES", "notes")).with_name("trap")


class Deadly:
    """A model whose answer may kill the worker that has it."""

    provider = "openai"

    def __init__(self, name: str) -> None:
        self._model = resolve(name)
        self.name = self._model.name

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Ask the model, and die of its answer where there is a trap."""
        reply = await self._model.infer(request)
        try:
            TRAP.unlink()
        except FileNotFoundError:
            return reply
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("nobody is here any more")


@app.function(on="asking/begun")
async def ask(ctx: Context, n: int, rounds: int = 4) -> int:
    """Ask both models at once, round after round."""
    for number in range(rounds):
        asked = [ctx.step.ai.infer(f"{name}:{number}", Deadly(name), f"What is {n} times {number}?") for name in MODELS]
        await asyncio.gather(*asked)
    return n
