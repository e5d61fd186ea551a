"""The context window: how much of a conversation a model is given.

A window is a function `(ctx, prompt)` that is called before each model call, before `on_start`, and changes
`prompt.history`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from celeriac.platform.agents.prompt import Prompt
from celeriac.platform.context import Context

Window = Callable[[Context[Any], Prompt], Prompt | None] | Callable[[Context[Any], Prompt], Awaitable[Prompt | None]]
