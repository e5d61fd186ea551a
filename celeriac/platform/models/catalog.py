"""Models by name: `"openai:gpt-4.1"` to the model it means.

Called wherever users may write a name for a model; knows the providers, imports no SDK.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches

from celeriac.errors import ConfigError
from celeriac.platform.models.anthropic import anthropic
from celeriac.platform.models.model import Model, ModelLike
from celeriac.platform.models.openai import openai

_PROVIDERS: dict[str, Callable[[str], Model]] = {"anthropic": anthropic, "openai": openai}

#: the names of the providers that are known here
PROVIDERS = tuple(_PROVIDERS)


def resolve(model: ModelLike) -> Model:
    """Return the model that is meant; raise `ConfigError` where a name is none, with the likely one."""
    if not isinstance(model, str):
        return model
    provider, separator, name = model.partition(":")
    if not separator or not name.strip():
        raise ConfigError(f"Model {model!r} is no model name; write it as 'provider:model', like 'openai:gpt-4.1'")
    make = _PROVIDERS.get(provider)
    if make is None:
        close = get_close_matches(provider, _PROVIDERS, n=1)
        hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(map(repr, _PROVIDERS))}"
        raise ConfigError(f"Unknown provider {provider!r} in model {model!r}; {hint}")
    return make(name)
