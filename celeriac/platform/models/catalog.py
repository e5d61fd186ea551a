"""Models by name: `"openai:gpt-4.1"` to the model it means, and several to their `Fallback`.

Called wherever users may write a name for a model; knows the providers, imports no SDK.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from celeriac.errors import ConfigError
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.compatible import azure_openai, gemini, grok
from celeriac.platform.models.fallback import Fallback
from celeriac.platform.models.model import Model, ModelLike
from celeriac.platform.models.openai import openai

_PROVIDERS: dict[str, Callable[[str], Model]] = {
    "anthropic": anthropic,
    "azure_openai": azure_openai,
    "gemini": gemini,
    "grok": grok,
    "openai": openai,
}

#: the names of the providers that are known here
PROVIDERS = tuple(_PROVIDERS)


def resolve(model: ModelLike) -> Model:
    """Return the model that is meant; raise `ConfigError` where a name is none, with the likely one."""
    if isinstance(model, str):
        return _named(model)
    if not isinstance(model, Sequence):
        return model
    if not model:
        raise ConfigError("model=[] names no model; give at least one, like model=['openai:gpt-4.1']")
    return resolve(model[0]) if len(model) == 1 else Fallback(tuple(map(resolve, model)))


def _named(model: str) -> Model:
    provider, separator, name = model.partition(":")
    if not separator or not name.strip():
        raise ConfigError(f"Model {model!r} is no model name; write it as 'provider:model', like 'openai:gpt-4.1'")
    make = _PROVIDERS.get(provider)
    if make is None:
        close = get_close_matches(provider, _PROVIDERS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(map(repr, _PROVIDERS))}"
        raise ConfigError(f"Unknown provider {provider!r} in model {model!r}; {hint}")
    return make(name)
