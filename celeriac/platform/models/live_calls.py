"""Live calls: those that leave for a provider's public address, which tests must not make by accident.

The adapters ask before each call. It is a test where pytest runs (it says so in the environment, which processes that
it starts inherit) or while a `Harness` is open; there a live call needs somebody who says that it is meant.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from celeriac.errors import ConfigError

#: variables that pytest sets for as long as it runs, and for each test
_PYTEST = ("PYTEST_VERSION", "PYTEST_CURRENT_TEST")


@dataclass
class _Now:
    """What is so in this process: how many harnesses are open, and how many blocks allow live calls."""

    tests: int = 0
    allowing: int = 0


_now = _Now()


@contextmanager
def in_test() -> Iterator[None]:
    """Say that what is called inside belongs to a test."""
    _now.tests += 1
    try:
        yield
    finally:
        _now.tests -= 1


@contextmanager
def allow_model_calls() -> Iterator[None]:
    """Let the tests inside call the providers, as `CELERIAC_ALLOW_MODEL_CALLS=true` does for all."""
    _now.allowing += 1
    try:
        yield
    finally:
        _now.allowing -= 1


def check_live_call(provider: str, base_url: str | None) -> None:
    """Raise `ConfigError` where a test is about to call a public address that nobody allowed.

    `base_url=None` is the address that the provider's SDK knows.
    """
    is_test = _now.tests > 0 or any(name in os.environ for name in _PYTEST)
    if not is_test or _now.allowing or not _is_public(base_url):
        return
    from celeriac.settings import load_settings  # no script needs them for a call

    if load_settings().allow_model_calls:
        return
    raise ConfigError(
        f"A test was about to call {provider!r} at its public address. Give the run a ScriptedModel (model=), or the "
        "model the base_url= of a ModelServer; where the call is meant, `with celeriac.testing.allow_model_calls():` "
        "or CELERIAC_ALLOW_MODEL_CALLS=true"
    )


def _is_public(base_url: str | None) -> bool:
    """Whether the address leads out of this machine and its private networks, as far as its text tells."""
    if base_url is None:
        return True
    host = urlsplit(base_url).hostname or ""
    try:
        return ip_address(host).is_global
    except ValueError:  # a name: one without a dot is of the same network, as those of containers are
        return "." in host and not host.endswith((".localhost", ".local", ".internal", ".test"))
