"""Each model of a fallback is kept to the tenant's limits at its own provider, and counted as what it is."""

from __future__ import annotations

from typing import Any

from celeriac import Agent, App, Context
from celeriac.errors import ModelError, StepError
from celeriac.platform.flow.meter import Allowance, Meter
from celeriac.platform.models.fallback import Fallback
from celeriac.testing import Harness, ScriptedModel
from waiting import until

#: one call at once at each provider, and another every three seconds
TWENTY = Allowance(model_requests_per_minute=20)


def at(provider: str, lines: list[Any]) -> ScriptedModel:
    """Make a model of that provider."""
    model = ScriptedModel(lines)
    model.provider = provider
    return model


def out(**parts: Any) -> ModelError:
    """Make the failure of a provider that is overloaded."""
    return ModelError("busy", **{"kind": "overloaded", "status": 529, **parts})


def asking(first: ScriptedModel, second: ScriptedModel, *, retries: int = 0) -> App:
    """Make an app of one function that asks the second model alone, and then the chain of the two."""
    app = App("desk")

    @app.function(on="ask", retries=retries)
    async def ask(ctx: Context) -> str:
        await ctx.step.ai.infer("alone", second, "hello")
        try:
            return (await ctx.step.ai.infer("chain", [first, second], "hello")).output
        except StepError as error:
            return error.detail

    return app


async def test_a_fallback_waits_for_its_own_providers_limit() -> None:
    """The first model is out, and its limit has room; that of the second has none for three seconds."""
    first, second = at("a", [out()]), at("b", ["one", "two"])
    async with Harness(asking(first, second), allowance=TWENTY) as h:
        [run] = await h.send("ask")
        assert (h.run(run.id).status, len(second.requests)) == ("parked", 1)
        await h.advance("2.9s")
        assert len(second.requests) == 1
        await h.advance("0.2s")
        assert h.run(run.id).output == "two"
        first.assert_done()
        second.assert_done()


async def test_a_model_that_was_out_before_the_wait_is_not_asked_again_after_it() -> None:
    """Also where the process died meanwhile: the wait remembers for which model it is."""
    first, second = at("a", [out()]), at("b", ["one", "two"])
    async with Harness(asking(first, second), allowance=TWENTY) as h:
        [run] = await h.send("ask")
        await h.restart()
        await h.advance("4s")
        assert h.run(run.id).output == "two"
        assert (len(first.requests), h.attempts(run.id)) == (1, [])


async def test_a_chain_that_is_all_out_begins_with_the_first_again() -> None:
    """What failed before the wait counts: it may be back, though the second one never will."""
    first, second = at("a", [out(retry_after=5.0), "back"]), at("b", ["one", out(kind="auth", status=401)])
    async with Harness(asking(first, second, retries=1), allowance=TWENTY) as h:
        [run] = await h.send("ask")
        await h.restart()
        await h.advance("4s")
        assert h.attempts(run.id) == ["chain"]
        await h.restart()
        await h.advance("6s")
        assert h.run(run.id).output == "back"


async def test_the_last_error_names_what_failed_before_the_wait() -> None:
    first, second = at("a", [out()]), at("b", ["one", ModelError("no key", kind="auth")])
    async with Harness(asking(first, second), allowance=TWENTY) as h:
        [run] = await h.send("ask")
        await h.restart()
        await h.advance("4s")
        assert h.run(run.id).output == "All models failed: busy; no key"


async def test_tokens_are_settled_with_the_provider_that_used_them() -> None:
    """The one that refused gets all of its back, and the one that answered what it did not use of the estimate."""
    first, second = at("a", [out()]), at("b", ["one"])
    app = App("desk")

    @app.function(on="ask")
    async def ask(ctx: Context) -> str:
        return (await ctx.step.ai.infer("chain", [first, second], "hello")).output

    async with Harness(app, allowance=Allowance(model_tokens_per_minute=1200)) as h:
        await h.send("ask")
        meter: Meter = h._meter

        def left() -> list[float]:
            return [level.left for level in meter.levels(h.tenant, ("a", "b")).values()]

        await until(lambda: left() == [60.0, 45.0], what="both to be settled")
        assert left() == [60.0, 45.0]


async def test_a_stream_waits_for_its_turn_as_well() -> None:
    first, second = at("a", [out()]), at("b", ["one", "two"])
    app = App("desk")

    @app.function(on="ask")
    async def ask(ctx: Context) -> str:
        await ctx.step.ai.infer("alone", second, "hello")
        heard: list[Any] = []

        async def hear(chunk: Any) -> None:
            heard.append(chunk)

        result = await Agent("Ann", model=[first, second]).run("hello", on_chunk=hear)
        return result.text if heard else "unheard"

    async with Harness(app, allowance=TWENTY) as h:
        [run] = await h.send("ask")
        assert h.run(run.id).status == "parked"
        await h.advance("3.1s")
        assert h.run(run.id).output == "two"


def test_a_chain_inside_a_chain_is_one_chain() -> None:
    """So that each of its models is asked for by itself."""
    a, b, c = (at(name, []) for name in "abc")
    assert Fallback((Fallback((a, b)), c)).models == (a, b, c)
