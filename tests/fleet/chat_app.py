"""A chat on real workers: a network with a history, and a model that says how much it was given.

Imported by the worker processes as `fleet.chat_app:app`. The first process that comes to the third turn of a run about
`crash` is killed there, once for each tenant's file in FLEET_CRASHES.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from celeriac import Agent, App, Context, Network, SqlHistory
from celeriac.platform.message import Usage
from celeriac.platform.models.model import ModelReply, ModelRequest

app = App("chat")


class Counting:
    """A model that answers with the number of messages that it was given."""

    provider = "counting"
    name = "counting"

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer, or die where that is asked for."""
        if request.messages[0].text == "crash" and len(request.messages) == 3:
            _die_once(Path(os.environ["FLEET_CRASHES"]))
        usage = Usage(model_calls=1, input_tokens=1, output_tokens=1)
        return ModelReply(model=self.name, text=str(len(request.messages)), usage=usage)


def _die_once(mark: Path) -> None:
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


def _next_turn(ctx: Context[Any]) -> str | None:
    turns = 3 if ctx.network.input.text == "crash" else 1
    return "Clerk" if ctx.network.call_count < turns else None


app.network(
    Network("Desk", agents=[Agent("Clerk", model=Counting())], router=_next_turn, history=SqlHistory()),
    on="chat/said",
)
