"""Anthropic's messages: the adapter behind `anthropic(…)`.

Declared when user code is imported, so making a model imports no SDK and needs no key. One request, one reply; the
engine retries.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from celeriac.clock import Duration, duration
from celeriac.platform import outside
from celeriac.platform.models import clients, wire
from celeriac.platform.models.delta import Delta
from celeriac.platform.models.exchange import Exchange, reached
from celeriac.platform.models.form import Asked
from celeriac.platform.models.messages import MAX_TOKENS, MessagesForm
from celeriac.platform.models.model import ApiKey, ModelReply, ModelRequest

if TYPE_CHECKING:
    from anthropic import AsyncAnthropic


def anthropic(
    model: str,
    *,
    api_key: ApiKey | None = None,
    base_url: str | None = None,
    timeout: Duration = "10m",
    headers: Mapping[str, str] | None = None,
    **params: Any,
) -> AnthropicModel:
    """Declare a model of Anthropic.

    Key and address default to `ANTHROPIC_API_KEY` and `ANTHROPIC_BASE_URL`, read at each call. `params` go into the
    body of each request as they are; `max_tokens` is 4096 where it is not among them. Beta features are asked for with
    `headers={"anthropic-beta": "…"}`.
    """
    return AnthropicModel(
        name=model,
        api_key=api_key,
        base_url=clients.checked_url(base_url),
        timeout=duration(timeout),
        headers=dict(headers or {}),
        params=wire.checked_params("anthropic", params),
    )


@dataclass(frozen=True, kw_only=True)
class AnthropicModel:
    """A model behind Anthropic's messages; see `anthropic`."""

    name: str
    api_key: ApiKey | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout: timedelta = timedelta(minutes=10)
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def provider(self) -> str:
        """The provider's name."""
        return "anthropic"

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Answer once, through the SDK."""
        return await self._exchange().reply(await self._endpoint(request), self._asked(request))

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        """Answer piece by piece."""
        where = await self._endpoint(request)
        async with aclosing(self._exchange().stream(where, self._asked(request))) as items:
            async for item in items:
                yield item

    async def _endpoint(self, request: ModelRequest) -> clients.Endpoint:
        return await reached(self.provider, self.api_key, self.base_url, request)

    def _asked(self, request: ModelRequest) -> Asked:
        return Asked(provider=self.provider, model=self.name, request=request, params=self.params)

    def _exchange(self) -> Exchange:
        return Exchange(
            sdk="anthropic",
            form=MessagesForm(),
            make_client=_new_client,
            resource="messages",
            arguments={"max_tokens": MAX_TOKENS, "messages": []},
            timeout=self.timeout,
            headers=self.headers,
        )


def _new_client(where: clients.Endpoint) -> AsyncAnthropic:
    from anthropic import AsyncAnthropic, DefaultAioHttpClient

    http_client = DefaultAioHttpClient(verify=outside.tls())
    return AsyncAnthropic(api_key=where.api_key, base_url=where.base_url, max_retries=0, http_client=http_client)
