"""The scope: a place in the tree of steps, and the numbering of the ids in it.

One ContextVar holds the scope that is entered. A step's path is that of its scope and its id, fixed at the call, in
the caller's asyncio task: `network:support/turn:2/tool:1:refund/charge`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any

from celeriac.errors import ConfigError, ContextError, StepIdConflict
from celeriac.platform.kernel import Kernel

_LONGEST_ID = 200
#: what begins with a tilde is the engine's own
_ID = re.compile(rf"(?!~)[^/]{{1,{_LONGEST_ID}}}")


class Scope:
    """A place in the tree of steps: ids taken in it become paths below it."""

    __slots__ = ("_published", "_taken", "kernel", "path")

    def __init__(self, kernel: Kernel, path: str = "") -> None:
        """Start with no ids taken."""
        self.kernel = kernel
        self.path = path
        self._taken: dict[str, tuple[asyncio.Task[Any], int]] = {}
        self._published = 0

    def count_published(self) -> int:
        """Return how many things were published here before, and count one more; another attempt counts anew."""
        self._published += 1
        return self._published - 1

    def take(self, id: str) -> str:
        """Return the path of a step called now; a repeated id of the same task is numbered from `id:1` on.

        Raises `StepIdConflict` when two tasks use one id: by arrival alone, replay could swap their results.
        """
        if not isinstance(id, str) or not _ID.fullmatch(id) or not id.isprintable():
            raise ConfigError(
                f"Step id {str(id)[:80]!r} must be a text of 1 to {_LONGEST_ID} printable characters without '/', "
                "and not begin with '~'"
            )
        try:
            task = asyncio.current_task()
        except RuntimeError:
            task = None
        if task is None:
            raise ContextError(f"Step {id!r} was called outside of the run's loop; steps need `async def`")
        owner, count = self._taken.get(id, (task, 0))
        if owner is not task:
            raise StepIdConflict(
                f"Step id {id!r} is used by two tasks in {self.path or 'the function'}; "
                f"give each its own id, or its own `with ctx.step.scope(name):`"
            )
        while count and f"{id}:{count}" in self._taken:
            count += 1  # somebody's own id looks like that
        self._taken[id] = (task, count + 1)
        if not count:
            return self.below(id)
        numbered = f"{id}:{count}"
        self._taken[numbered] = (task, 1)
        return self.below(numbered)

    def below(self, id: str) -> str:
        """Return the path of `id` in this scope."""
        return f"{self.path}/{id}" if self.path else id


_entered: ContextVar[Scope | None] = ContextVar("celeriac_scope", default=None)


def current_scope() -> Scope | None:
    """Return the scope that is entered here, or None outside of any."""
    return _entered.get()


@contextmanager
def enter(scope: Scope) -> Iterator[Scope]:
    """Make `scope` the one in which steps are called."""
    token = _entered.set(scope)
    try:
        yield scope
    finally:
        _entered.reset(token)


def context_in(scope: Scope) -> Context:
    """Return a copy of the context that we are in, in which `scope` is entered."""
    context = copy_context()
    context.run(_entered.set, scope)
    return context
