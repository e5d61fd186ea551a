"""An app whose model stops in the middle of its second reply while a file is there; workers import it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from celeriac import Agent, App, Context, Network
from celeriac.platform.message import Usage
from celeriac.platform.models.delta import Delta, TextDelta
from celeriac.platform.models.model import ModelReply, ModelRequest
from waiting import wait_until

app = App("talking")

#: while this file is there, nobody says more than half of the second reply
PAUSE = Path(os.environ.get("FLEET_NOTES", "notes")).with_name("pause")


class Halting:
    """A model that says `one`, then `two`, letter by letter."""

    provider, name = "halting", "h"

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Refuse: durable runs are streamed."""
        raise AssertionError("a durable run is watched")

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        """Answer in letters."""
        text = "two" if any(message.text == "one" for message in request.messages) else "one"
        yield TextDelta(text=text[:2])
        if text == "two":
            await asyncio.to_thread(wait_until, lambda: not PAUSE.exists(), 30, "the pause to end")
        yield TextDelta(text=text[2:])
        yield ModelReply(model=self.name, text=text, usage=Usage(model_calls=1))


talker = Agent("Talker", model=Halting())


def _next_turn(ctx: Context) -> Agent | None:
    return talker if ctx.network.call_count < 2 else None


app.network(Network("Talk", agents=[talker], router=_next_turn), on="talking/begun")
