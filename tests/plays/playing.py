"""How the tests play an example: the stage with real workers, and what must be the same wherever it is played."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from celeriac import Chunk, openai
from celeriac.platform.run import Run
from celeriac.platform.streams.reading import read_chunks
from celeriac.testing.model_server import ModelServer
from celeriac.types import Delta, Model, ModelReply, ModelRequest
from fleet.worker_fleet import Fleet, WorkerHandle
from waiting import wait_until


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Workers that run every example, and the model server that all of them and the scripts ask."""

    fleet: Fleet
    server: ModelServer
    tenant: str
    #: workers of other queues, by their queue
    others: dict[str, WorkerHandle] = field(default_factory=dict)

    @property
    def model(self) -> Model:
        """The model of a plain script."""
        return openai("gpt-4.1-mini", base_url=self.server.openai_base_url, api_key="offline")

    def send(self, name: str, data: Mapping[str, Any]) -> str:
        """Send an event to the workers and return its id."""
        return self.fleet.send(self.tenant, name, **data)

    def completed(self, event_id: str) -> Run:
        """Wait until the event's run has completed."""
        run = self.fleet.ended(self.tenant, event_id, timeout=60)
        assert run.status == "completed", run.error
        return run

    def told(self, run: Run) -> list[Chunk]:
        """Wait until an ended run has told all, and return that; its last words come after its end."""
        stream = self.fleet.rooms.stream
        wait_until(
            lambda: any(one.event == "stream.ended" for one in read_chunks(stream, run)), what="the end of the stream"
        )
        return read_chunks(stream, run)

    def parked(self, event_id: str) -> Run:
        """Wait until the event's run waits for something."""
        return self.fleet.wait_for_status(self.tenant, event_id, "parked", timeout=30)

    def of_another_tenant(self) -> Stage:
        """Return the same stage for a tenant that is new."""
        return replace(self, tenant=self.fleet.tenant("another"))

    def serve(self, queue: str) -> None:
        """Have a worker for a queue of its own."""
        if queue not in self.others or not self.others[queue].is_running:
            self.others[queue] = self.fleet.start(queues=queue)

    def stop_serving(self, queue: str) -> None:
        """Have no worker for the queue."""
        if queue in self.others and self.others[queue].is_running:
            self.others[queue].stop()

    def replace_workers(self) -> None:
        """Kill all workers, and start others."""
        for worker in self.fleet.workers:
            if worker.is_running:
                worker.kill()
        self.fleet.start_two()


def facts(exported: Mapping[str, Any], *, varying: Collection[str] = ()) -> dict[str, Any]:
    """Return what a run came to without ids, times and the fields of the state that say where it ran."""
    state = exported["state"]
    return {
        "text": exported["text"],
        "output": exported["output"],
        "stop_reason": exported["stop_reason"],
        "state": {key: value for key, value in state.items() if key not in varying},
        "turns": [_turn(result) for result in exported["results"]],
    }


def _turn(result: Mapping[str, Any]) -> dict[str, Any]:
    kept = {key: result[key] for key in ("agent", "output", "finish_reason", "stopped")}
    used = {key: result["usage"].get(key) for key in ("model_calls", "tool_calls")}
    return {**kept, "used": used, "messages": [_message(message) for message in result["messages"]]}


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    calls = [(call["name"], call["input"]) for call in message.get("tool_calls", ())]
    result = message.get("tool_result") or {}
    answer = {key: result.get(key) for key in ("name", "data", "error")}
    return {"role": message["role"], "text": message.get("text"), "calls": calls, "answer": answer}


class Overheard:
    """A model that asks another one and keeps what it was asked."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.provider, self.name = model.provider, model.name
        self.requests: list[ModelRequest] = []

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Ask on."""
        self.requests.append(request)
        return await self._model.infer(request)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        """Ask on, piece by piece."""
        self.requests.append(request)
        async for piece in self._model.stream(request):
            yield piece

    def asked_as(self, agent: str) -> list[ModelRequest]:
        """Return what one agent asked."""
        return [request for request in self.requests if request.agent == agent]
