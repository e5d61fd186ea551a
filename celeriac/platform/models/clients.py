"""The providers' HTTP clients: one for each loop and endpoint, closed with their loop.

Called by the adapters only. Connections are pooled and outlive the call that opened them, so nothing here may hold a
run: calls are made in an empty context (`outside.apart`), which no run's variables and no run's task list can see.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import threading
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, cast
from weakref import WeakKeyDictionary

from celeriac.errors import ConfigError, ModelError
from celeriac.platform.models import providers
from celeriac.platform.models.model import ApiKey

#: how long opening a connection may take; the time for the answer is the model's `timeout`
CONNECT_SECONDS = 10.0
#: how many clients a loop keeps; beyond that, idle ones are closed
MOST_CLIENTS = 256


class SdkClient(Protocol):
    """What the clients of all SDKs have in common."""

    async def close(self) -> None:
        """Close the connections."""
        ...


C = TypeVar("C", bound=SdkClient)


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where a call goes and with which key; clients are shared between calls of one endpoint."""

    provider: str
    api_key: str = field(repr=False)
    #: None: the address that the SDK knows
    base_url: str | None
    #: Azure's, which stands in each of its URLs
    api_version: str | None = None


class _LoopClients:
    """The clients of one loop, and the generator through which the loop closes them at its own end."""

    def __init__(self) -> None:
        #: the one that was used last stands last
        self.by_endpoint: dict[Endpoint, SdkClient] = {}
        self.in_use: Counter[Endpoint] = Counter()
        self.closer = self._close_at_the_end()

    def take(self, where: Endpoint, make: Callable[[Endpoint], SdkClient]) -> SdkClient:
        client = self.by_endpoint.pop(where, None) or make(where)
        self.by_endpoint[where] = client
        return client

    async def shrink(self) -> None:
        """Close what is idle beyond the limit, the longest unused first: every tenant may bring a key of its own."""
        surplus = max(0, len(self.by_endpoint) - MOST_CLIENTS)
        idle = [where for where in self.by_endpoint if not self.in_use[where]]
        for client in [self.by_endpoint.pop(where) for where in idle[:surplus]]:
            await client.close()

    async def close(self) -> None:
        while self.by_endpoint:
            _, client = self.by_endpoint.popitem()
            await client.close()

    async def _close_at_the_end(self) -> AsyncGenerator[None, None]:
        """Wait, suspended, for `loop.shutdown_asyncgens`, which `asyncio.run` calls: plain scripts leave no socket."""
        try:
            yield
        finally:
            await self.close()


#: a client refers to its loop, so entries of loops that ended are dropped by hand (`client_for`)
_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, _LoopClients] = WeakKeyDictionary()
_guard = threading.Lock()


async def given_key(api_key: ApiKey | None, context: object) -> str | None:
    """Return a model's own key; a function is asked now, with the context where it takes one.

    A plain function may look into a database, so it runs in a thread.
    """
    if not callable(api_key):
        return api_key
    arguments = (context,) if _takes_context(api_key) else ()
    if arguments and context is None:
        raise ModelError("The model's api_key= function takes a context, but there is none here", kind="auth")
    if inspect.iscoroutinefunction(api_key):
        return str(await api_key(*arguments))
    key = await asyncio.to_thread(api_key, *arguments)
    return str(await key if inspect.isawaitable(key) else key)


def endpoint(provider: str, api_key: str | None, base_url: str | None) -> Endpoint:
    """Read key and address at the time of the call, from the environment where the model names none.

    Raises `ModelError` of kind `auth` where there is no key that can be sent.
    """
    known = providers.known(provider)
    variable = known.key_variable
    key = (os.environ.get(variable, "") if api_key is None else api_key).strip()
    if not key:
        raise ModelError(f"No API key for {provider!r}: set {variable}, or give api_key= to the model", kind="auth")
    if not (key.isascii() and key.isprintable()):
        raise ModelError(
            f"The API key for {provider!r} has characters that cannot be sent; see {variable}", kind="auth"
        )
    address = base_url or os.environ.get(known.url_variable) or known.url
    if address is None and known.needs_url:
        raise ModelError(
            f"No address for {provider!r}: set {known.url_variable}, or give endpoint= to the model", kind="invalid"
        )
    return Endpoint(provider=provider, api_key=key, base_url=checked_url(address))


def checked_url(base_url: str | None) -> str | None:
    """Return the address as it is; raise `ConfigError` where it is none."""
    if base_url is not None and not base_url.startswith(("http://", "https://")):
        raise ConfigError(f"base_url {base_url!r} is no address; it must begin with http:// or https://")
    return base_url


async def client_for(where: Endpoint, make: Callable[[Endpoint], C]) -> C:
    """Return the running loop's client of this endpoint, made at its first use."""
    loop = asyncio.get_running_loop()
    with _guard:
        for ended in [known for known in _clients if known.is_closed()]:
            del _clients[ended]
        mine = _clients.get(loop)
        is_new = mine is None
        if mine is None:
            mine = _clients[loop] = _LoopClients()
    if is_new:
        await anext(mine.closer)
    return cast(C, mine.take(where, make))


@asynccontextmanager
async def lent(where: Endpoint, make: Callable[[Endpoint], C]) -> AsyncGenerator[C, None]:
    """Lend the running loop's client of this endpoint for a call: it is not closed before the call is over."""
    client = await client_for(where, make)
    mine = _clients[asyncio.get_running_loop()]
    mine.in_use[where] += 1
    try:
        yield client
    finally:
        mine.in_use[where] -= 1
        mine.in_use += Counter()  # forgets those at zero
        await mine.shrink()


async def close_clients() -> None:
    """Close all clients of the running loop; a later call opens new ones."""
    with _guard:
        mine = _clients.get(asyncio.get_running_loop())
    if mine is not None:
        await mine.close()


def _takes_context(api_key: Callable[..., object]) -> bool:
    try:
        parameters = inspect.signature(api_key).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
