"""What a run may have, what a step may be called, and what a declaration may say."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from celeriac import Agent, App, Context, Network
from celeriac.errors import ConfigError
from celeriac.platform.durable.conduct import Conduct
from celeriac.testing import Harness
from engine_stage import new_app


def loop_over(verb: str) -> Callable[[Context, int], Any]:
    """Return what makes the n-th step of a kind."""
    return {
        "run": lambda ctx, n: ctx.step.run(f"s{n}", lambda: n),
        "sleep": lambda ctx, n: ctx.step.sleep(f"s{n}", 0),
        "send": lambda ctx, n: ctx.step.send_event(f"s{n}", "nobody/listens"),
    }[verb]


@pytest.mark.parametrize("verb", ["run", "sleep", "send"])
async def test_a_run_has_no_more_steps_than_its_limit(verb: str) -> None:
    app, step = new_app(), loop_over(verb)

    @app.function(on="go")
    async def endless(ctx: Context, most: int) -> str:
        for n in range(most):
            await step(ctx, n)
        return "fits"

    async with Harness(app, conduct=Conduct(max_steps=5)) as h:
        [fits], [over] = await h.send("go", {"most": 5}), await h.send("go", {"most": 6})
        assert (fits.output, over.status, over.error and over.error["code"]) == ("fits", "failed", "limit")
        assert len(h.steps(over.id)) == 5


async def test_an_output_of_exactly_the_limit_fits() -> None:
    app = new_app()

    @app.function(on="go")
    async def answers(ctx: Context, size: int) -> str:
        return "x" * (size - 2)

    async with Harness(app, conduct=Conduct(max_output_bytes=100)) as h:
        [fits], [over] = await h.send("go", {"size": 100}), await h.send("go", {"size": 101})
        assert (fits.status, over.status, over.error and over.error["code"]) == ("completed", "failed", "limit")


async def test_what_a_run_remembers_in_all_is_limited() -> None:
    app = new_app()

    @app.function(on="go")
    async def hoards(ctx: Context) -> None:
        for n in range(3):
            await ctx.step.run(f"s{n}", lambda: "x" * 40)

    async with Harness(app, conduct=Conduct(max_state_bytes=100)) as h:
        [run] = await h.send("go")
        assert run.error is not None and "over 100 bytes at 's2'" in run.error["message"]


async def test_a_numbered_id_never_meets_one_that_was_given() -> None:
    app = new_app()

    @app.function(on="go")
    async def repeats(ctx: Context) -> list[str]:
        return [
            await ctx.step.run(id, lambda id=id, n=n: f"{id} {n}") for n, id in enumerate(["n:1", "n", "n", "n:1", "n"])
        ]

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.output == ["n:1 0", "n 1", "n 2", "n:1 3", "n 4"]
        assert len({memo.path for memo in h.steps(run.id)}) == 5


@pytest.mark.parametrize("id", ["", "a/b", "nul\x00", "line\n", "half \ud83d", "x" * 201, 7])
async def test_an_id_that_cannot_stand_in_a_path_is_refused(id: Any) -> None:
    app = new_app()

    @app.function(on="go")
    async def names(ctx: Context) -> None:
        await ctx.step.run(id, lambda: 1)

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.error is not None and run.error["code"] == "config" and "Step id" in run.error["message"]


async def test_a_step_called_from_a_thread_says_what_to_do() -> None:
    app = new_app()

    @app.function(on="go")
    async def threads(ctx: Context) -> None:
        await ctx.step.run("thread", lambda: ctx.step.sleep("nap", 1), retries=0)

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert run.error is not None and "`async def`" in run.error["message"]


class Empty(BaseModel):
    """Another model than the one that is bound."""


async def _works(ctx: Context) -> None:
    return None


def _plain(ctx: Context) -> None:
    return None


async def _positional(ctx: Context, *names: str) -> None:
    return None


DECLARATIONS: dict[str, Callable[[App], Any]] = {
    "did you mean 'retries'": lambda app: app.function(on="go", retires=2),  # type: ignore[call-arg]
    "did you mean 'version'": lambda app: App("x", versoin="1"),  # type: ignore[call-arg]
    "did you mean 'tools'": lambda app: Agent("a", tolls=[]),  # type: ignore[call-arg]
    "did you mean 'max_iter'": lambda app: Network("n", agents=[Agent("a", model="openai:gpt-4.1-mini")], max_itr=3),  # type: ignore[call-arg]
    "did you mean 'memory'": lambda app: app.function(queue="memry")(_works),
    "`async def`": lambda app: app.function(on="go")(_plain),
    "without \\* or /": lambda app: app.function(on="go")(_positional),
    "must be 0 to 20": lambda app: app.function(retries=21)(_works),
    "'turn' or 'budget'": lambda app: app.function(links="step")(_works),  # type: ignore[arg-type]
    "must be an event's name": lambda app: app.function(on="a*b"),
    "platform's own": lambda app: app.function(on="celeriac/secret")(_works),
    "two functions": lambda app: (app.function()(_works), app.function()(_works)),
    "try 'my-app'": lambda app: App("My App"),
    "bound to": lambda app: (app.event("e", BaseModel), app.event("e", Empty)),
    "lower case letters": lambda app: app.function("Bad Id")(_works),
}


@pytest.mark.parametrize("words", DECLARATIONS)
def test_a_declaration_that_cannot_work_says_why_and_what_to_write(words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        DECLARATIONS[words](new_app())


def test_networks_whose_names_give_one_id_are_refused() -> None:
    app = new_app()
    app.network(Network("Dev Ops", agents=[Agent("a", model="openai:gpt-4.1-mini")], router=lambda ctx: None))
    with pytest.raises(ConfigError, match="network-dev-ops"):
        app.network(Network("dev-ops", agents=[Agent("a", model="openai:gpt-4.1-mini")], router=lambda ctx: None))


def test_a_function_without_triggers_answers_to_its_own_name() -> None:
    app = App("agent-kit")
    function = app.network(
        Network("DevOps team", agents=[Agent("a", model="openai:gpt-4.1-mini")], router=lambda ctx: None)
    )
    assert [trigger.event for trigger in function.triggers] == ["agent-kit/network-devops-team"]


async def test_a_function_is_still_a_coroutine_to_call() -> None:
    app = new_app()

    @app.function(on="go")
    async def doubles(ctx: Context | None, n: int) -> int:
        return 2 * n

    assert await doubles(None, 4) == 8


async def test_a_data_model_that_does_not_fit_fails_the_run_without_repeating_the_values() -> None:
    class Secret(BaseModel):
        amount: int

    app = new_app()
    app.event("go", Secret)

    @app.function(on="go")
    async def reads(ctx: Context) -> None:
        await ctx.step.run("read", lambda: None)

    @app.function(on="start")
    async def sends(ctx: Context) -> None:
        await ctx.step.send_event("tell", "go", {"amount": "hunter2"})

    async with Harness(app) as h:
        await h.send("start")
        [failed] = [run for run in h.runs() if run.function_id == "reads"]
        assert failed.error is not None and failed.error["code"] == "invalid_event"
        assert "hunter2" not in failed.error["message"]


def test_a_decorator_without_brackets_is_refused() -> None:
    app: Any = new_app()
    with pytest.raises(ConfigError, match="with brackets above 'go'"):

        @app.function
        async def go(ctx: Context) -> None: ...


def test_a_schema_that_is_no_model_is_refused() -> None:
    app: Any = new_app()
    with pytest.raises(ConfigError, match="takes a Pydantic model class"):
        app.event("go", {"type": "object"})
