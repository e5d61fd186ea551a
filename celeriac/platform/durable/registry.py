"""The registry: the functions that this process can run, with how each is run; an app makes it for an engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from celeriac.platform.context import Context
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.function import Function
from celeriac.platform.event import Event


class Registry:
    """The functions of this process, by `app/id`, with how each is run."""

    def __init__(
        self,
        functions: Mapping[str, Function[..., Any]],
        conduct: Callable[[Function[..., Any]], Conduct],
        equip: Callable[[Function[..., Any], Context[Any]], Context[Any]] = lambda _, ctx: ctx,
        read_event: Callable[[Event], Event] = lambda event: event,
    ) -> None:
        """Take the way to a function's conduct, what to add to its context, and how its events are read."""
        self.functions = functions
        self.conduct = conduct
        self.equip = equip
        self.read_event = read_event
