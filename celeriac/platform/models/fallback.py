"""The fallback: several models as one, the next of which answers when those before it are out.

Made of `model=[a, b]` by the catalog; a call of one model is a chain of one. It moves on at once, in the same attempt.
It waits for nobody who is out: that is the engine's, which tries the whole chain again when all have failed. But each
model waits for its own turn where the tenant's limits say so: being limited is no outage.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from celeriac.errors import ModelError
from celeriac.platform.models.delta import Delta, Restarted
from celeriac.platform.models.estimate import estimate
from celeriac.platform.models.model import Model, ModelReply, ModelRequest
from celeriac.platform.models.pace import Stand


@dataclass(frozen=True)
class Fallback:
    """Asks the first model, and the next one when that is out.

    Out is a model that cannot answer now (`rate_limit`, `overloaded`, `server`, `timeout`, `connection`) or not us
    (`auth`, `quota`). Each is asked once in an attempt. A request that is wrong (`invalid`), was filtered
    (`content_filter`) or got a useless reply (`output`) goes to no other model.
    """

    models: tuple[Model, ...]

    def __post_init__(self) -> None:
        """Take the models of a chain inside this one as if they stood here: each is paced by itself."""
        flat = (one.models if isinstance(one, Fallback) else (one,) for one in self.models)
        object.__setattr__(self, "models", tuple(model for models in flat for model in models))

    @classmethod
    def of(cls, model: Model) -> Fallback:
        """Return the chain that a model is."""
        return model if isinstance(model, cls) else cls((model,))

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
        way = _Way(self.models, request)
        while True:
            model = await way.admitted()
            try:
                return way.answered(await model.infer(request))
            except ModelError as error:
                way.failed(error)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
        """Answer piece by piece; a model that fails in the middle is followed by `Restarted` and the next one."""
        way = _Way(self.models, request)
        has_begun = False
        while True:
            if has_begun:
                yield Restarted(model=_named(way.model))
                has_begun = False
            model = await way.admitted()
            try:
                async with aclosing(_items(model, request)) as items:
                    async for item in items:
                        has_begun = True
                        if isinstance(item, ModelReply):
                            yield way.answered(item)
                            return
                        yield item
                raise ModelError(f"{_named(model)} ended its stream without a reply", kind="connection")
            except ModelError as error:
                way.failed(error)


class _Way:
    """The way of one attempt along the chain."""

    def __init__(self, models: tuple[Model, ...], request: ModelRequest) -> None:
        self._models, self._request, self._pace = models, request, request.pace
        stand = Stand() if request.pace is None else request.pace.stand
        # The code may have fewer models now than it had when it began to wait.
        self._stand = stand if stand.place < len(models) else Stand()

    @property
    def model(self) -> Model:
        """The one whose turn it is."""
        return self._models[self._stand.place]

    async def admitted(self) -> Model:
        """Return that model once it may be called."""
        if self._pace is not None:
            await self._pace.admit(self._stand, self.model.provider, estimate(self.model, self._request))
        return self.model

    def answered(self, reply: ModelReply) -> ModelReply:
        """Return the reply with the name of who gave it."""
        if self._pace is not None:
            self._pace.answered(reply.usage)
        return reply if reply.by else replace(reply, by=_named(self.model))

    def failed(self, error: ModelError) -> None:
        """Go on to the next model where that may do better; raise where none can."""
        if self._pace is not None:
            self._pace.failed(error)
        if not error.is_outage or len(self._models) == 1:
            raise error
        failures = (*self._stand.failures, error)
        self._stand = Stand(place=self._stand.place + 1, failures=failures)
        if self._stand.place == len(self._models):
            raise all_out(failures)


def all_out(failures: Sequence[ModelError]) -> ModelError:
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


async def _items(model: Model, request: ModelRequest) -> AsyncGenerator[Delta | ModelReply, None]:
    """Yield what the model streams; one of the user's own may know no pieces."""
    if not hasattr(model, "stream"):
        yield await model.infer(request)
        return
    async with aclosing(model.stream(request)) as items:
        async for item in items:
            yield item


def _named(model: Model) -> str:
    return f"{model.provider}:{model.name}"
