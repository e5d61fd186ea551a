"""Patience: a move in the truth is tried again while the database does not answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from celeriac.errors import StoreUnavailable

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE_SECONDS = 30.0
_BACKOFF_SECONDS = 0.2


def patiently(move: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Repeat a move while the database does not answer: each is a compare-and-set, so that twice does no harm."""
    waited = 0.0
    while True:
        try:
            return move(*args, **kwargs)
        except StoreUnavailable:
            if waited >= PATIENCE_SECONDS:
                raise
            threading.Event().wait(_BACKOFF_SECONDS)
            waited += _BACKOFF_SECONDS
