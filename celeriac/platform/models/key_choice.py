"""Whose key a model is called with: the tenant's own, that of the code, or the operator's from the environment.

The engine's kernel asks for a tenant's `KeyChoice` and puts it into the request; adapters hand it to
`clients.endpoint`. Nothing here may show a key.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from celeriac.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class KeyChoice:
    """What a tenant brings along to a call; the default is that of a plain script."""

    #: its own key at the provider; None: it has none
    own: str | None = field(default=None, repr=False)
    #: whether the environment's key may be used for it
    may_use_operators: bool = True


#: returns what the tenant brings along to a provider
KeyChooser = Callable[[str, str], Awaitable[KeyChoice]]

#: the same for those who ask in threads
KeyLookUp = Callable[[str, str], KeyChoice]


def own_key_only(provider: str) -> ModelError:
    """Return the error of a tenant that may not use the operator's key and has none of its own."""
    return ModelError(
        f"This tenant calls {provider!r} with a key of its own only, and has none: "
        f"`celeriac secrets set {provider} --provider {provider} --tenant …` keeps one",
        kind="auth",
    )
