"""The fallback: several models as one, the next of which answers when those before it are out.

Made of `model=[a, b]` by the catalog. It moves on at once, in the same attempt, and never waits: waiting is the
engine's, which tries the whole chain again when all have failed.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from celeriac.errors import ModelError
from celeriac.platform.models.delta import Delta, Restarted
from celeriac.platform.models.model import Model, ModelReply, ModelRequest


@dataclass(frozen=True)
class Fallback:
    """Asks the first model, and the next one when that is out.

    Out is a model that cannot answer now (`rate_limit`, `overloaded`, `server`, `timeout`, `connection`) or not us
    (`auth`, `quota`). Each is asked once in an attempt. A request that is wrong (`invalid`), was filtered
    (`content_filter`) or got a useless reply (`output`) goes to no other model.
    """

    models: tuple[Model, ...]

    @property
    def provider(self) -> str:
        """The first model's provider; a reply says in `by` who answered."""
        return self.models[0].provider

    @property
    def name(self) -> str:
        """The first model's name."""
        return self.models[0].name

    async def infer(self, request: ModelRequest) -> ModelReply:
        """Return the first reply that a model gives."""
        failures: list[ModelError] = []
        for model in self.models:
            try:
                return await model.infer(request)
            except ModelError as error:
                failures.append(_passed_over(error))
        raise all_out(failures)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        """Answer piece by piece; a model that fails in the middle is followed by `Restarted` and the next one."""
        failures: list[ModelError] = []
        has_begun = False
        for model in self.models:
            if has_begun:
                yield Restarted(model=f"{model.provider}:{model.name}")
                has_begun = False
            try:
                async with aclosing(model.stream(request)) as items:
                    async for item in items:
                        has_begun = True
                        yield item
                return
            except ModelError as error:
                failures.append(_passed_over(error))
        raise all_out(failures)


def all_out(failures: list[ModelError]) -> ModelError:
    """Return the error of a chain in which all are out: the one that may be mended first, with all of their texts."""
    by_patience = sorted(failures, key=lambda error: (not error.is_retriable, error.retry_after or 0.0))
    first = by_patience[0]
    return ModelError(
        "All models failed: " + "; ".join(error.message for error in failures),
        kind=first.kind,
        status=first.status,
        retry_after=first.retry_after,
        request_id=first.request_id,
    )


def _passed_over(error: ModelError) -> ModelError:
    """Return the failure where the next model may do better; raise it where it would not."""
    if not error.is_outage:
        raise error
    return error
