"""OpenAI and those who speak its protocols: the adapter behind `openai(…)` and behind `compatible`'s factories.

Declared when user code is imported, so making a model imports no SDK and needs no key. One request, one reply; the
engine retries.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from celeriac.clock import Duration, duration
from celeriac.errors import ConfigError
from celeriac.platform import outside
from celeriac.platform.models import clients, wire
from celeriac.platform.models.chat import ChatForm
from celeriac.platform.models.delta import Delta
from celeriac.platform.models.exchange import Exchange, reached
from celeriac.platform.models.form import Asked
from celeriac.platform.models.model import ApiKey, ModelReply, ModelRequest
from celeriac.platform.models.responses import ResponsesForm

if TYPE_CHECKING:
    from openai import AsyncOpenAI

#: which of OpenAI's two protocols is spoken
Api = Literal["chat", "responses"]


def openai(
    model: str,
    *,
    api: Api = "chat",
    api_key: ApiKey | None = None,
    base_url: str | None = None,
    timeout: Duration = "10m",
    headers: Mapping[str, str] | None = None,
    **params: Any,
) -> OpenAIModel:
    """Declare a model of OpenAI, or of whoever speaks its protocol at `base_url`.

    `api="responses"` speaks the Responses API in place of chat completions. Key and address default to
    `OPENAI_API_KEY` and `OPENAI_BASE_URL`, read at each call. `params` go into the body of each request as they are:
    `openai("gpt-4.1", temperature=0, max_completion_tokens=500)`.
    """
    return OpenAIModel(
        name=model,
        api=checked_api(api),
        api_key=api_key,
        base_url=clients.checked_url(base_url),
        timeout=duration(timeout),
        headers=dict(headers or {}),
        params=wire.checked_params("openai", params),
    )


@dataclass(frozen=True, kw_only=True)
class OpenAIModel:
    """A model behind one of OpenAI's protocols; see `openai`, `gemini`, `grok` and `azure_openai`."""

    name: str
    provider: str = "openai"
    api: Api = "chat"
    api_key: ApiKey | None = field(default=None, repr=False)
    base_url: str | None = None
    timeout: timedelta = timedelta(minutes=10)
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict, hash=False)
    #: Azure's; it stands in each URL
    api_version: str | None = None

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
        where = await reached(self.provider, self.api_key, self.base_url, request)
        return replace(where, api_version=self.api_version)

    def _asked(self, request: ModelRequest) -> Asked:
        return Asked(provider=self.provider, model=self.name, request=request, params=self.params)

    def _exchange(self) -> Exchange:
        is_chat = self.api == "chat"
        return Exchange(
            sdk="openai",
            form=ChatForm() if is_chat else ResponsesForm(),
            make_client=_new_client,
            resource="chat.completions" if is_chat else "responses",
            arguments={"messages": []} if is_chat else {"input": []},
            timeout=self.timeout,
            headers=self.headers,
        )


def checked_api(api: Api) -> Api:
    """Return the protocol; raise `ConfigError` where it is none."""
    if api not in ("chat", "responses"):
        raise ConfigError(f"api={api!r} is no protocol of OpenAI; there are 'chat' and 'responses'")
    return api


def _new_client(where: clients.Endpoint) -> AsyncOpenAI:
    from openai import AsyncAzureOpenAI, AsyncOpenAI, DefaultAioHttpClient

    http_client = DefaultAioHttpClient(verify=outside.tls())
    if where.provider == "azure_openai" and where.base_url is not None:
        return AsyncAzureOpenAI(
            api_key=where.api_key,
            azure_endpoint=where.base_url,
            api_version=where.api_version,
            max_retries=0,
            http_client=http_client,
        )
    client = AsyncOpenAI(api_key=where.api_key, base_url=where.base_url, max_retries=0, http_client=http_client)
    if where.provider != "openai":
        client.organization = client.project = None  # read from the environment, and meant for OpenAI alone
    return client
