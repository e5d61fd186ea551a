"""Gemini, Grok and Azure, each at its OpenAI-compatible address: their factories.

Declared when user code is imported; what they make is the adapter of `openai`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from celeriac.clock import Duration, duration
from celeriac.platform.models import clients, wire
from celeriac.platform.models.model import ApiKey
from celeriac.platform.models.openai import Api, OpenAIModel, checked_api

#: the version of Azure's API where the user names none
AZURE_API_VERSION = "2025-04-01-preview"


def gemini(
    model: str,
    *,
    api_key: ApiKey | None = None,
    base_url: str | None = None,
    timeout: Duration = "10m",
    headers: Mapping[str, str] | None = None,
    **params: Any,
) -> OpenAIModel:
    """Declare a model of Google: `gemini("gemini-2.5-flash")`.

    The key defaults to `GEMINI_API_KEY`, read at each call; `params` go into the body of each request as they are.
    """
    return _compatible("gemini", model, api_key, base_url=base_url, timeout=timeout, headers=headers, params=params)


def grok(
    model: str,
    *,
    api_key: ApiKey | None = None,
    base_url: str | None = None,
    timeout: Duration = "10m",
    headers: Mapping[str, str] | None = None,
    **params: Any,
) -> OpenAIModel:
    """Declare a model of xAI: `grok("grok-4")`.

    The key defaults to `XAI_API_KEY`, read at each call; `params` go into the body of each request as they are.
    """
    return _compatible("grok", model, api_key, base_url=base_url, timeout=timeout, headers=headers, params=params)


def azure_openai(
    deployment: str,
    *,
    endpoint: str | None = None,
    api_version: str = AZURE_API_VERSION,
    api: Api = "chat",
    api_key: ApiKey | None = None,
    timeout: Duration = "10m",
    headers: Mapping[str, str] | None = None,
    **params: Any,
) -> OpenAIModel:
    """Declare a deployment of OpenAI's models on Azure: `azure_openai("my-gpt", endpoint="https://me.openai.azure.com")`.

    Key and endpoint default to `AZURE_OPENAI_API_KEY` and `AZURE_OPENAI_ENDPOINT`, read at each call. A deployment
    that is named like its model has a price.
    """
    return OpenAIModel(
        name=deployment,
        provider="azure_openai",
        api=checked_api(api),
        api_key=api_key,
        base_url=clients.checked_url(endpoint),
        timeout=duration(timeout),
        headers=dict(headers or {}),
        params=wire.checked_params("azure_openai", params),
        api_version=api_version,
    )


def _compatible(
    provider: str,
    model: str,
    api_key: ApiKey | None,
    *,
    base_url: str | None,
    timeout: Duration,
    headers: Mapping[str, str] | None,
    params: Mapping[str, Any],
) -> OpenAIModel:
    """Return a model of a provider that differs from OpenAI by its name alone: its key, address and prices follow."""
    return OpenAIModel(
        name=model,
        provider=provider,
        api_key=api_key,
        base_url=clients.checked_url(base_url),
        timeout=duration(timeout),
        headers=dict(headers or {}),
        params=wire.checked_params(provider, params),
    )
