"""Usage of runs: what is committed counts once, whatever it took to get there."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from celeriac import App, Context
from celeriac.errors import ModelError
from celeriac.platform.durable.usage import UsageRow
from celeriac.platform.message import Usage
from celeriac.platform.models.model import ModelReply, ModelRequest
from celeriac.platform.store.local_store import LocalStore
from crash_points import Play, play_with_a_death_at_each_point
from engine_stage import TENANT, Hold, Stage, new_app, soon

USED = Usage(model_calls=1, input_tokens=7, output_tokens=3, cost_usd=0.5)


class Oracle:
    """A model that fails so often, and then answers under the name that it is given."""

    provider, name = "delphi", "pythia"

    def __init__(self, failures: int = 0, answers_as: str = "pythia-2026-01-01") -> None:
        self._failures, self._answers_as = failures, answers_as

    async def infer(self, request: ModelRequest) -> ModelReply:
        if self._failures:
            self._failures -= 1
            raise ModelError("busy", kind="overloaded", status=529)
        return ModelReply(model=self._answers_as, text="42", usage=USED)


def used(store: LocalStore, model: str | None = None) -> UsageRow:
    """Return what was used of a model, or in all."""
    rows = store.usage(TENANT, store.today() - timedelta(days=9), store.today(), by=() if model is None else ("model",))
    [found] = [row for row in rows if row.model == model]
    return found


def asking(oracle: Oracle) -> App:
    """Declare a function that asks once."""
    app = new_app()

    @app.function(on="go")
    async def ask(ctx: Context) -> str:
        return (await ctx.step.ai.infer("ask", oracle, "why?")).output

    return app


async def test_a_call_that_was_retried_is_counted_once() -> None:
    async with Stage(asking(Oracle(failures=2))) as stage:
        [run_id] = stage.send("go")
        while (await stage.finish(run_id)).status == "parked":
            stage.pass_time("1h")
        row = used(stage.store, model="delphi:pythia-2026-01-01")
    assert row == UsageRow(model="delphi:pythia-2026-01-01", steps=1, bytes=row.bytes, **USED.export())


async def test_a_reply_that_names_no_model_counts_under_the_one_asked() -> None:
    async with Stage(asking(Oracle(answers_as=""))) as stage:
        await stage.finish(*stage.send("go"))
        assert used(stage.store, model="delphi:pythia").model_calls == 1


class Sibyl(Oracle):
    """One of another provider."""

    provider, name = "cumae", "sibyl"


async def test_an_answer_of_a_fallback_counts_under_the_provider_that_gave_it() -> None:
    app = new_app()

    @app.function(on="go")
    async def ask(ctx: Context) -> str:
        return (await ctx.step.ai.infer("ask", [Oracle(failures=1), Sibyl()], "why?")).model

    async with Stage(app) as stage:
        run = await stage.finish(*stage.send("go"))
        assert run.output == "cumae:sibyl"
        row = used(stage.store, model="cumae:pythia-2026-01-01")
        assert (row.model_calls, row.cost_usd) == (1, 0.5)


async def test_a_name_of_any_length_is_cut() -> None:
    """The provider says it, and a key of the database has to hold it."""
    async with Stage(asking(Oracle(answers_as="x" * 5000))) as stage:
        await stage.finish(*stage.send("go"))
        assert used(stage.store, model=f"delphi:{'x' * 5000}"[:200]).model_calls == 1


async def test_a_step_that_runs_again_before_its_commit_is_counted_once() -> None:
    app, hold = new_app(), Hold("late")

    @app.function(on="go")
    async def work(ctx: Context) -> Any:
        return await ctx.step.run("work", hold)

    async with Stage(app) as stage:
        [run_id] = stage.send("go")
        first = stage.advance(run_id, "a")
        await hold.is_entered()
        stage.kill("a")
        second = stage.advance(run_id, "b")
        await hold.is_entered()
        hold.let_go()
        await soon(first), await soon(second)
        assert (used(stage.store).steps, used(stage.store).links, used(stage.store).runs) == (1, 2, 1)


def declare(app: App, effects: list[Any]) -> None:
    """Declare a run of steps, a call, an event and a sleep, and another that the event starts."""

    @app.function(on="go")
    async def first(ctx: Context) -> None:
        await ctx.step.run("a", lambda: "ä")
        await ctx.step.ai.infer("ask", Oracle(), "why?")
        await ctx.step.sleep("nap", "1m")
        await ctx.step.send_event("told", "next", {"n": 1})

    @app.function(on="next")
    async def second(ctx: Context) -> str:
        return await ctx.step.run("b", lambda: "b")


async def drive(play: Play) -> tuple[UsageRow, int]:
    """Play it to its end; return what was used, without the links, and how many of those there were too many."""
    await play.send("go")
    await play.pass_time("2m")
    store = play.stage.store
    row = used(store)
    links = sum(stored.run.links for stored in store.all.values())
    return UsageRow(**{**vars_of(row), "links": 0}), row.links - links


def vars_of(row: UsageRow) -> dict[str, Any]:
    """Return the parts of a row."""
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


async def test_a_death_at_any_point_changes_nothing_but_links() -> None:
    outcomes = await play_with_a_death_at_each_point(declare, drive)
    assert len(outcomes) > 5
    assert outcomes == [outcomes[0]] * len(outcomes)
    assert (outcomes[0][0].runs, outcomes[0][0].model_calls, outcomes[0][1]) == (2, 1, 0)
