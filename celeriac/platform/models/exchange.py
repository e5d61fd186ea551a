"""One request through an SDK, answered at once or as a stream: the I/O of every adapter.

Called by the adapters only, each with its form. Whatever goes wrong leaves as `ModelError`, so that no SDK's exception
(some of which cannot be unpickled) does.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from celeriac.platform import outside
from celeriac.platform.models import clients, pricing, wire
from celeriac.platform.models.delta import Delta, UsageDelta
from celeriac.platform.models.failure import (
    Callee,
    refused,
    request_id,
    told,
    torn,
    unreachable,
    unreadable,
    unsendable,
)
from celeriac.platform.models.form import Asked, Assembler, Form
from celeriac.platform.models.key_choice import KeyChoice, own_key_only
from celeriac.platform.models.live_calls import check_live_call
from celeriac.platform.models.model import ApiKey, ModelReply, ModelRequest


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """How a model is reached: the SDK's client and resource, and the form that is spoken."""

    sdk: str
    form: Form
    make_client: Callable[[clients.Endpoint], Any]
    #: the SDK's resource that posts the body, with the arguments it cannot do without
    resource: str
    arguments: Mapping[str, Any]
    timeout: timedelta
    headers: Mapping[str, str] = field(default_factory=dict)

    async def reply(self, where: clients.Endpoint, asked: Asked) -> ModelReply:
        """Ask and read the answer; raise `ConfigError` in a test that would call the provider itself."""
        await outside.load(self.sdk, pricing.TABLE)
        body = self.form.write(asked)
        check_live_call(where.provider, where.base_url)
        return await outside.apart(self._reply(where, asked, body))

    async def stream(self, where: clients.Endpoint, asked: Asked) -> AsyncGenerator[Delta | ModelReply, None]:
        """Ask and yield the pieces of the answer, its usage, and then the whole reply."""
        await outside.load(self.sdk, pricing.TABLE)
        body = self.form.streamed(self.form.write(asked))
        check_live_call(where.provider, where.base_url)
        async with aclosing(outside.each_apart(self._stream(where, asked, body))) as items:
            async for item in items:
                yield item

    async def _reply(self, where: clients.Endpoint, asked: Asked, body: dict[str, Any]) -> ModelReply:
        callee = _callee(where, asked)
        async with clients.lent(where, self.make_client) as client:
            with self._failures(callee):
                answer = await self._resource(client).with_raw_response.create(**self._sent(asked, body))
            content, named = answer.http_response.content, request_id(answer.headers)
        return self._read(callee, asked, wire.read_body(content), named)

    async def _stream(
        self, where: clients.Endpoint, asked: Asked, body: dict[str, Any]
    ) -> AsyncIterator[Delta | ModelReply]:
        callee = _callee(where, asked)
        assembler = self.form.assembler(asked)
        async with clients.lent(where, self.make_client) as client:
            with self._failures(callee):
                async with self._resource(client).with_streaming_response.create(**self._sent(asked, body)) as answer:
                    named = request_id(answer.headers)
                    if "json" in answer.headers.get("content-type", ""):  # some answer at once, whatever was asked
                        whole = wire.read_body(await answer.read())
                    else:
                        async for delta in _pieces(callee, assembler, _events(_lines(answer.iter_bytes())), named):
                            yield delta
                        whole = assembler.body()
        reply = self._read(callee, asked, whole, named)
        yield UsageDelta(usage=reply.usage)
        yield reply

    def _read(self, callee: Callee, asked: Asked, body: dict[str, Any] | None, named: str | None) -> ModelReply:
        if body is None or not self.form.is_reply(body):
            raise told(callee, body or {}, named) or unreadable(callee, "no reply in it", named)
        with _understood(callee, named):
            return self.form.read(asked, body)

    def _resource(self, client: Any) -> Any:
        found = client
        for name in self.resource.split("."):
            found = getattr(found, name)
        return found

    def _sent(self, asked: Asked, body: dict[str, Any]) -> dict[str, Any]:
        """Return the SDK's arguments.

        All of the body goes this way, sent as it stands: the SDK walks through what it is given otherwise with its
        types in hand, which takes most of a call's CPU (1.7 of 2.6 ms for a dozen messages), and knows no parameter
        that is newer or older than itself.
        """
        seconds = self.timeout.total_seconds()
        limits = importlib.import_module(self.sdk).Timeout(seconds, connect=min(seconds, clients.CONNECT_SECONDS))
        headers = {**self.headers, **wire.step_header(asked.request.origin)}
        return {**self.arguments, "model": asked.model, "extra_body": body, "extra_headers": headers, "timeout": limits}

    @contextmanager
    def _failures(self, callee: Callee) -> Iterator[None]:
        """Turn what the SDK raises into `ModelError`."""
        sdk = importlib.import_module(self.sdk)
        import httpx2

        base = getattr(sdk, "OpenAIError", None) or sdk.AnthropicError
        try:
            yield
        except sdk.APIStatusError as error:
            raise refused(callee, error.status_code, error.response.headers, error.body) from error
        except (sdk.APIConnectionError, httpx2.HTTPError) as error:
            raise unreachable(callee, error) from error
        except (base, TypeError, ValueError) as error:
            raise unsendable(callee, error) from error


async def reached(
    provider: str, api_key: ApiKey | None, base_url: str | None, request: ModelRequest
) -> clients.Endpoint:
    """Return where a call goes, its key read now: the tenant's own, the model's, or that of the environment.

    Raises `ModelError` of kind `auth` where there is no key that can be sent.
    """
    chosen = None if request.choose_key is None else await request.choose_key(provider)
    choice = chosen or KeyChoice()
    key = choice.own or await clients.given_key(api_key, request.context)
    if key is None and not choice.may_use_operators:
        raise own_key_only(provider)
    return clients.endpoint(provider, key, base_url)


async def _pieces(
    callee: Callee, assembler: Assembler, events: AsyncIterator[str], named: str | None
) -> AsyncIterator[Delta]:
    """Yield what the events say that is new; raise `ModelError` where one is an error, or the end is missing."""
    async for data in events:
        if not data.strip():
            continue
        with _understood(callee, named):
            event = _event(data)
        if error := told(callee, event, named):
            raise error
        with _understood(callee, named):
            deltas = list(assembler.feed(event))
        for delta in deltas:
            yield delta
    if not assembler.is_complete:
        raise torn(callee, named)


@contextmanager
def _understood(callee: Callee, named: str | None) -> Iterator[None]:
    """Turn what reading an answer of a foreign shape raises into `ModelError`."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise unreadable(callee, f"{type(error).__name__}: {error}", named) from error


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Cut bytes at line feeds alone: other separators of Unicode may stand in the text of a reply."""
    rest = b""
    async for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line.removesuffix(b"\r").decode(errors="replace")
    if rest:
        yield rest.decode(errors="replace")


async def _events(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    """Read server-sent events: the data of each that has some."""
    data: list[str] = []
    async for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
        elif not line.strip() and data:
            yield "\n".join(data)
            data = []
    if data and data[-1].endswith(("}", "[DONE]")):  # what was cut in its middle is no event
        yield "\n".join(data)


def _event(data: str) -> dict[str, Any]:
    """Read the data of an event; raise `ValueError` where it is neither an object nor the closing mark."""
    if data.strip() == "[DONE]":
        return {"type": "[DONE]"}
    event = wire.parsed(data)
    if not isinstance(event, dict):
        raise ValueError(f"an event that is no object: {data[:50]}")
    return event


def _callee(where: clients.Endpoint, asked: Asked) -> Callee:
    return Callee(provider=asked.provider, model=asked.model, secret=where.api_key)
