"""The app of the tests that kill workers in the middle of a network: one program, its model calls and tools noted.

Imported by the worker processes as `fleet.program_app:app`.
"""

from __future__ import annotations

import asyncio
from typing import Any

from celeriac import App
from celeriac.platform.models.model import ModelReply, ModelRequest
from fleet.apps import note
from network_programs import FULL, Programmed, network_of
from waiting import work_for


class Slow(Programmed):
    """A programmed model that takes a while to answer, so that a death can come meanwhile."""

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer as the program says."""
        run_id, _, path = (request.origin or "").partition(" ")
        note("asked", run=run_id, path=path)
        await asyncio.to_thread(work_for, 0.05)
        reply = await super().infer(request)
        note("replied", run=run_id, path=path)
        return reply


MODEL: Any = Slow(FULL)

app = App("program", default_model=MODEL)
app.network(network_of(FULL), on="go")
