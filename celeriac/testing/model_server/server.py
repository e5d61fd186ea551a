"""The HTTP server of the offline model: connections, faults, latency and counters.

Tests start it in a thread (`with ModelServer(respond) as server`), a process tree starts it as a process (`serve`).
It must never read a provider's body itself: that is the wires' work, and the answers are the brain's.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import math
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from celeriac.errors import ConfigError
from celeriac.testing.model_server.anthropic_wire import AnthropicWire
from celeriac.testing.model_server.faults import FaultPlan, Faults, read_faults, write_faults
from celeriac.testing.model_server.openai_wire import OpenAIWire
from celeriac.testing.model_server.request_log import RequestLog
from celeriac.testing.model_server.responses_wire import ResponsesWire
from celeriac.testing.model_server.wire import Refusal, Respond, Wire, WireReply, WireRequest

#: The header by which an adapter says for which step it asks; it stands in the request log as `key`.
STEP_HEADER = "x-celeriac-step"
#: The largest body that is read: the limit of Anthropic's own API.
MAX_BODY = 32 * 1024 * 1024
#: How long a start or a stop may take, in seconds.
PATIENCE = 10.0

_OPENAI, _ANTHROPIC = OpenAIWire(), AnthropicWire()
_WIRES: tuple[Wire, ...] = (
    _OPENAI,
    _ANTHROPIC,
    ResponsesWire(),
    OpenAIWire("gemini", "/v1beta/openai/chat/completions"),
    OpenAIWire("grok", "/xai/v1/chat/completions"),
    OpenAIWire("azure_openai", "/openai/deployments/{model}/chat/completions", needs_query=("api-version",)),
    ResponsesWire("azure_openai", "/openai/responses", needs_query=("api-version",)),
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class _Arrival:
    """A model request that arrived."""

    wire: Wire
    request_id: str
    started: float
    headers: dict[str, str]


class ModelServer:
    """A model that answers over HTTP: chat completions, responses and Anthropic's messages.

    It streams what is asked for as a stream, with `pace` seconds between two events. `respond` runs on the server's
    event loop for every request, so it must be quick. `latency` is in seconds. With a `log`, every answered model
    request is one JSON line, written before the answer leaves: no answer that somebody acted upon is without its line.
    One object serves once.

        with ModelServer(respond, latency=0.05) as server:
            client = openai.OpenAI(base_url=server.openai_base_url, api_key="offline")
    """

    def __init__(
        self,
        respond: Respond,
        *,
        latency: float = 0.0,
        pace: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        log: Path | None = None,
        faults: Faults | None = None,
    ) -> None:
        """Remember what to serve; nothing is opened before `start` or `run`."""
        self._respond = respond
        self._latency = latency
        self._pace = pace
        self._host = host
        self._port = port
        self._log_path = log
        self._request_log: RequestLog | None = None
        self._plan = FaultPlan(faults or Faults())
        self._requests = 0
        self._in_flight = 0
        self._peak_in_flight = 0
        self._outcomes: Counter[str] = Counter()
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Serve from a thread until the block ends."""
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Close the port and all connections."""
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens, without a trailing slash."""
        return f"http://{self._host}:{self._port}"

    @property
    def openai_base_url(self) -> str:
        """What `openai.OpenAI(base_url=)` wants."""
        return f"{self.url}/v1"

    @property
    def anthropic_base_url(self) -> str:
        """What `anthropic.Anthropic(base_url=)` wants."""
        return self.url

    @property
    def gemini_base_url(self) -> str:
        """What `gemini(base_url=)` wants."""
        return f"{self.url}/v1beta/openai/"

    @property
    def grok_base_url(self) -> str:
        """What `grok(base_url=)` wants."""
        return f"{self.url}/xai/v1"

    @property
    def azure_endpoint(self) -> str:
        """What `azure_openai(endpoint=)` wants."""
        return self.url

    @property
    def requests(self) -> int:
        """How many model requests arrived, whatever became of them."""
        return self._requests

    def inject(self, faults: Faults) -> None:
        """Replace the faults and start their sequence anew; safe from any thread."""
        self._plan = FaultPlan(faults)

    def stats(self) -> dict[str, Any]:
        """The counters, as `GET /_stats` shows them; `hang` and `cut` stand among the statuses."""
        return {
            "requests": self._requests,
            "outcomes": dict(self._outcomes),
            "in_flight": self._in_flight,
            "peak_in_flight": self._peak_in_flight,
            "latency": self._latency,
            "faults": write_faults(self._plan.faults),
        }

    def start(self) -> None:
        """Serve from a thread of its own. Raises `ConfigError` when the port cannot be opened."""
        opened = threading.Event()
        failures: list[Exception] = []

        def target() -> None:
            try:
                asyncio.run(self.run(opened.set))
            except Exception as error:
                if opened.is_set():
                    raise
                failures.append(error)  # `start` waits for it and tells
                opened.set()

        self._thread = threading.Thread(target=target, name="model-server", daemon=True)
        self._thread.start()
        if not opened.wait(PATIENCE) or failures:
            cause = failures[0] if failures else None
            raise ConfigError(f"The model server cannot serve on {self.url!r}: {cause or 'no answer'}.") from cause

    def stop(self) -> None:
        """End the serving, from any thread; requests in flight are cut."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ended.set)
        if self._thread is not None:
            self._thread.join(PATIENCE)

    async def run(self, opened: Callable[[], object]) -> None:
        """Serve on the running loop until `stop`; `opened` is called once, when the port is known."""
        self._loop = asyncio.get_running_loop()
        # A client that leaves cancels its request: what nobody received is neither answered nor logged.
        # Idle connections stay open: closing one just as it is used again would look like a fault.
        runner = web.AppRunner(
            self._application(),
            handler_cancellation=True,
            access_log=None,
            keepalive_timeout=3600,
            shutdown_timeout=0.05,
        )
        with ExitStack() as stack:
            if self._log_path is not None:
                self._request_log = stack.enter_context(RequestLog(self._log_path))
            await runner.setup()
            try:
                await web.TCPSite(runner, self._host, self._port, backlog=1024).start()
                self._port = runner.addresses[0][1]
                opened()
                await self._ended.wait()
            finally:
                await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY)
        for wire in _WIRES:
            application.router.add_post(wire.path, partial(self._serve_model, wire))
        application.router.add_get("/_stats", self._show_stats)
        application.router.add_post("/_control", self._control)
        application.router.add_route("*", "/{path:.*}", self._refuse_unknown)
        return application

    async def _serve_model(self, wire: Wire, request: web.Request) -> web.StreamResponse:
        self._requests += 1
        self._in_flight += 1
        self._peak_in_flight = max(self._peak_in_flight, self._in_flight)
        arrival = _Arrival(
            wire=wire,
            request_id=f"req_{self._requests:08d}",
            started=time.time(),
            headers={name.lower(): value for name, value in request.headers.items()},
        )
        try:
            raw = await request.read()
            asked = _misdirected(wire, request) or wire.read(raw, arrival.headers)
            if isinstance(asked, Refusal):
                return self._refuse(arrival, asked)
            asked = replace(asked, path=request.path)
            return await self._meet_fate(arrival, asked, request, _digest(raw))
        except web.HTTPRequestEntityTooLarge:
            return self._refuse(arrival, Refusal(status=413, message=f"The body is over {MAX_BODY} bytes."))
        finally:
            self._in_flight -= 1

    async def _meet_fate(
        self, arrival: _Arrival, asked: WireRequest, request: web.Request, digest: str
    ) -> web.StreamResponse:
        """Wait out the latency, then answer, refuse, hang or cut."""
        plan = self._plan
        fate = plan.next()
        if wait := self._latency + fate.delay.total_seconds():
            await asyncio.sleep(wait)
        match fate.outcome:
            case "ok" | "half" if fate.outcome == "ok" or asked.is_streamed:
                reply = self._think(asked)
                if isinstance(reply, Refusal):
                    return self._refuse(arrival, reply, asked.model)
                if asked.is_streamed:
                    events = arrival.wire.write_stream(asked, reply, digest)
                    return await self._stream(arrival, asked, request, events, fate.outcome)
                return self._reply(arrival, asked, reply, digest)
            case "hang" | "cut" | "half":
                self._outcomes[fate.outcome] += 1
                if fate.outcome == "hang":
                    await self._ended.wait()
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()  # the connection is gone: it is sent to nobody
            case int() as status:
                return self._refuse(arrival, plan.refusal(status), asked.model)
            case _:
                raise AssertionError(f"no such outcome: {fate.outcome!r}")

    def _think(self, asked: WireRequest) -> WireReply | Refusal:
        try:
            return self._respond(asked)
        except Exception as error:  # noqa: BLE001 - a brain is a test's own code: its error is an answer, and logged
            _log.exception("the brain of the model server failed")
            return Refusal(status=500, message=f"The brain of the model server failed: {error!r}.")

    def _reply(self, arrival: _Arrival, asked: WireRequest, reply: WireReply, digest: str) -> web.Response:
        body = arrival.wire.write(asked, reply, digest)
        self._record(arrival, asked.model, 200)
        return web.json_response(body, headers={arrival.wire.request_id_header: arrival.request_id})

    async def _stream(
        self, arrival: _Arrival, asked: WireRequest, request: web.Request, events: list[str], outcome: str
    ) -> web.StreamResponse:
        """Send the events, a pace apart; of a `half` only the first half."""
        headers = {"content-type": "text/event-stream", arrival.wire.request_id_header: arrival.request_id}
        response = web.StreamResponse(headers=headers)
        if outcome == "ok":
            self._record(arrival, asked.model, 200)
        await response.prepare(request)
        for event in events if outcome == "ok" else events[: len(events) // 2]:
            await response.write(event.encode())
            if self._pace:
                await asyncio.sleep(self._pace)
        if outcome != "ok":
            self._outcomes[outcome] += 1
            if request.transport is not None:
                request.transport.abort()
        return response

    def _refuse(self, arrival: _Arrival, refusal: Refusal, model: str = "") -> web.Response:
        self._record(arrival, model, refusal.status)
        return _refusal_response(arrival.wire, refusal, arrival.request_id)

    def _record(self, arrival: _Arrival, model: str, status: int) -> None:
        """Count and log an answer that is about to leave."""
        self._outcomes[str(status)] += 1
        if self._request_log is not None:
            self._request_log.append(
                started=arrival.started,
                provider=arrival.wire.provider,
                model=model,
                key=arrival.headers.get(STEP_HEADER),
                status=status,
            )

    async def _show_stats(self, _: web.Request) -> web.Response:
        return web.json_response(self.stats())

    async def _control(self, request: web.Request) -> web.Response:
        """Take new faults as JSON; an empty object takes all faults away."""
        try:
            self.inject(read_faults(await request.read()))
        except ConfigError as error:
            return web.json_response({"error": error.message}, status=400)
        return await self._show_stats(request)

    async def _refuse_unknown(self, request: web.Request) -> web.Response:
        wire: Wire = _ANTHROPIC if "anthropic-version" in request.headers else _OPENAI
        refusal = Refusal(status=404, message=f"Unknown request: {request.method} {request.path}.")
        return _refusal_response(wire, refusal, "req_unknown")


def serve(server: ModelServer) -> None:
    """Serve in this process until SIGTERM or SIGINT; prints one JSON line with the URLs when the port is open."""

    def announce() -> None:
        names = ("url", "openai_base_url", "anthropic_base_url")
        sys.stdout.write(json.dumps({name: getattr(server, name) for name in names}) + "\n")
        sys.stdout.flush()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, server.stop)
        await server.run(announce)

    asyncio.run(main())


def _misdirected(wire: Wire, request: web.Request) -> Refusal | None:
    """Refuse a URL that lacks what must stand behind its question mark."""
    missing = [name for name in wire.needs_query if not request.query.get(name)]
    return Refusal(status=404, message=f"Resource not found: the URL lacks {missing[0]!r}.") if missing else None


def _refusal_response(wire: Wire, refusal: Refusal, request_id: str) -> web.Response:
    headers = {wire.request_id_header: request_id}
    if refusal.retry_after is not None:
        headers["retry-after"] = str(math.ceil(refusal.retry_after))
    if refusal.retry_after is not None and refusal.retry_after % 1:
        headers["retry-after-ms"] = str(round(refusal.retry_after * 1000))
    return web.json_response(wire.write_refusal(refusal, request_id), status=refusal.status, headers=headers)


def _digest(raw: bytes) -> str:
    """A short name of a request: the same body gets the same ids."""
    return hashlib.blake2b(raw, digest_size=10).hexdigest()
