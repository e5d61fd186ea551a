"""The providers: where each is reached, which variables name its key and address, under which name it has prices.

Read by the adapters and by whoever tells a user what to set. Facts only.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Provider:
    """What must be known of a provider before it is called."""

    key_variable: str
    url_variable: str
    #: its address; None: its SDK knows it, or it must be given
    url: str | None = None
    #: its name in the price table
    prices: str
    #: whether each customer has an address of his own, so that one must be given
    needs_url: bool = False


_PROVIDERS = {
    "openai": Provider(key_variable="OPENAI_API_KEY", url_variable="OPENAI_BASE_URL", prices="openai"),
    "anthropic": Provider(key_variable="ANTHROPIC_API_KEY", url_variable="ANTHROPIC_BASE_URL", prices="anthropic"),
    "azure_openai": Provider(
        key_variable="AZURE_OPENAI_API_KEY", url_variable="AZURE_OPENAI_ENDPOINT", prices="azure", needs_url=True
    ),
    "gemini": Provider(
        key_variable="GEMINI_API_KEY",
        url_variable="GEMINI_BASE_URL",
        url="https://generativelanguage.googleapis.com/v1beta/openai/",
        prices="google",
    ),
    "grok": Provider(key_variable="XAI_API_KEY", url_variable="XAI_BASE_URL", url="https://api.x.ai/v1", prices="x-ai"),
}


def known(provider: str) -> Provider:
    """Return the facts of a provider; for one that nobody knows, what its name suggests."""
    name = provider.upper()
    return _PROVIDERS.get(provider) or Provider(
        key_variable=f"{name}_API_KEY", url_variable=f"{name}_BASE_URL", prices=provider
    )
