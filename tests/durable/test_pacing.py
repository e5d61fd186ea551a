"""Calls of models are kept to the tenant's limits: runs wait for their turn, holding nothing, and budgets end them."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from datetime import timedelta

import pytest

from celeriac import Agent, App, Context, tool
from celeriac.errors import ConfigError, RefusedError
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.memo import Wait
from celeriac.platform.durable.parking import Parking
from celeriac.platform.durable.tree import step_tree, waiting_words
from celeriac.platform.flow.meter import Allowance
from celeriac.testing import Harness, ScriptedModel, call, say
from waiting import until

#: one call at once, and another every three seconds
TWENTY = Allowance(model_requests_per_minute=20)


def asking(model: ScriptedModel, *, times: int = 1, retries: int = 0) -> App:
    """Make an app of one function that asks the model one time after another."""
    app = App("desk")

    @app.function(on="ask", retries=retries)
    async def ask(ctx: Context) -> list[str]:
        return [(await ctx.step.ai.infer(f"ask-{n}", model, "hello")).output for n in range(times)]

    return app


async def test_a_call_beyond_the_limit_waits_for_its_turn() -> None:
    """The second of two calls is made three seconds later, and the run is parked until then."""
    model = ScriptedModel(["one", "two"])
    async with Harness(asking(model, times=2), allowance=TWENTY) as h:
        [run] = await h.send("ask")
        assert (h.run(run.id).status, len(model.requests)) == ("parked", 1)
        await h.advance("2.9s")
        assert len(model.requests) == 1
        await h.advance("0.2s")
        assert h.run(run.id).output == ["one", "two"]


async def test_waiting_for_a_turn_is_no_attempt() -> None:
    """A function without retries gets through all the same, and no attempt has failed."""
    async with Harness(asking(ScriptedModel(["a"] * 4), times=4), allowance=TWENTY) as h:
        [run] = await h.send("ask")
        await h.advance("10s")
        assert (h.run(run.id).status, h.attempts(run.id)) == ("completed", [])


async def test_runs_that_wait_come_back_one_by_one() -> None:
    """Each of ten is woken once, at a time of its own, and not whenever another one might have its turn."""
    async with Harness(asking(ScriptedModel(["yes"] * 10)), allowance=TWENTY) as h:
        runs = [(await h.send("ask"))[0] for _ in range(10)]
        ended = []
        for _ in range(9):
            await h.advance("3s")
            ended.append(sum(one.status == "completed" for one in h.runs()))
        assert ended == [2, 3, 4, 5, 6, 7, 8, 9, 10]
        assert {h.run(one.id).links for one in runs} == {1, 2}


async def test_who_looks_again_before_its_time_keeps_its_place() -> None:
    """Those behind twenty others look again half-way; all thirty end as soon as the limit lets them."""
    async with Harness(asking(ScriptedModel(["yes"] * 30)), allowance=TWENTY) as h:
        runs = [(await h.send("ask"))[0] for _ in range(30)]
        await h.advance("87.5s")
        assert {h.run(one.id).status for one in runs} == {"completed"}
        assert h.run(runs[-1].id).links > 2


async def test_runs_that_are_cancelled_while_they_wait_hold_nobody_up() -> None:
    """After a little time the next one does not wait for the turns of twenty that are gone."""
    async with Harness(asking(ScriptedModel(["yes"] * 2)), allowance=TWENTY) as h:
        runs = [(await h.send("ask"))[0] for _ in range(21)]
        for run in runs[1:]:
            h.cancel(run.id)
        await h.advance("8s")
        [late] = await h.send("ask")
        assert h.run(late.id).status == "completed"


async def test_an_attempt_after_one_that_was_made_stands_behind_all_others() -> None:
    """Its call has had its turn: who waited meanwhile goes first."""
    model = ScriptedModel(["first", RuntimeError("no"), "third", "fourth"])
    conduct = Conduct(retry_delay=timedelta(seconds=1))
    async with Harness(asking(model, retries=1), allowance=TWENTY, conduct=conduct) as h:
        _, failing, other = [(await h.send("ask"))[0] for _ in range(3)]
        await h.advance("10s")
        assert (h.run(failing.id).output, h.run(other.id).output) == (["fourth"], ["third"])


async def test_a_crash_while_waiting_loses_no_turn() -> None:
    """The time of the turn was committed."""
    model = ScriptedModel(["one", "two"])
    async with Harness(asking(model, times=2), allowance=TWENTY) as h:
        [run] = await h.send("ask")
        await h.restart()
        await h.advance("3s")
        assert h.run(run.id).output == ["one", "two"]


async def test_each_attempt_takes_a_turn() -> None:
    """A call that fails and is tried again asks the provider twice."""
    model = ScriptedModel([RuntimeError("no"), "yes"])
    app = asking(model, retries=1)
    async with Harness(app, allowance=Allowance(model_requests_per_minute=1)) as h:
        [run] = await h.send("ask")
        await h.advance("59s")
        assert len(model.requests) == 1
        await h.advance("62s")
        assert h.run(run.id).output == ["yes"]


def of_two_calls(model: ScriptedModel) -> App:
    """Make an app of an agent whose tool has a time limit, and asks the model inside it; it may sleep as well."""

    @tool(timeout="1m")
    async def ask(ctx: Context, then: str) -> str:
        """Ask somebody else."""
        answer = (await ctx.step.ai.infer("other", model, "hello")).output
        if then == "sleep":
            await ctx.step.sleep("nap", "1s")
        return answer

    app = App("desk")
    app.agent(Agent("Ann", model=model, tools=[ask], max_iter=5), on="ask")
    return app


async def test_the_time_limit_of_a_tool_is_not_used_up_by_waiting_for_a_turn() -> None:
    """The tool's model is asked, though the run parks for it; the tool's own sleep is refused as ever."""
    anns = [call("ask", then="tell"), call("ask", then="sleep"), say("Done.")]
    async with Harness(of_two_calls(ScriptedModel({"": ["yes", "yes"], "Ann": anns})), allowance=TWENTY) as h:
        [run] = await h.send("ask", {"input": "Go"})
        assert h.run(run.id).status == "parked"
        await h.advance("30s")
        run = h.run(run.id)
    assert (run.status, run.output["text"]) == ("completed", "Done.")
    told = [one["tool_result"] for one in run.output["results"][0]["messages"] if one["role"] == "tool"]
    assert (told[0]["data"], told[1]["error"]["name"]) == ("yes", "config")


async def held(parking: Parking, turn: asyncio.Event) -> None:
    """Wait for the turn as a call of a model does."""
    with parking.time_limits_stopped():
        await turn.wait()


async def test_a_time_limit_stops_for_as_long_as_any_branch_inside_it_is_held() -> None:
    """It goes on with what it had left; who stands still for other reasons is refused all the while."""
    parking, turns = Parking(), [asyncio.Event(), asyncio.Event()]

    async def look(limit: asyncio.Timeout) -> None:
        for holders, turn in ((2, turns[0]), (1, turns[1])):
            await until(
                lambda holders=holders: parking._stopped.get(limit, (0,))[0] == holders, what=f"{holders} to be held"
            )
            assert limit.when() is None
            with pytest.raises(ConfigError, match="inside a time limit"):
                parking.refuse_timeout("nap")
            turn.set()

    async def run() -> None:
        async with asyncio.timeout(60) as limit:
            await asyncio.gather(*(held(parking, turn) for turn in turns), look(limit))
            assert limit.when() is not None

    await asyncio.wait_for(parking.start(run(), copy_context()), 10)


async def test_calls_without_limits_do_not_wait() -> None:
    """Nothing is counted for a tenant without limits."""
    async with Harness(asking(ScriptedModel(["yes"] * 50), times=50)) as h:
        [run] = await h.send("ask")
        assert h.run(run.id).status == "completed"


async def test_a_run_fails_once_the_budget_is_spent() -> None:
    """The call that found it spent was not made."""
    model = ScriptedModel(["one"])
    app = App("desk")

    @app.function(on="ask", retries=3)
    async def ask(ctx: Context) -> None:
        await ctx.step.ai.infer("first", model, "hello")
        h.ledger.today = 2.0
        await ctx.step.ai.infer("second", model, "hello")

    async with Harness(app, allowance=Allowance(cost_usd_per_day=2)) as h:
        [run] = await h.send("ask")
    error = h.run(run.id).error
    assert error is not None and error["code"] == "budget_exceeded"
    model.assert_done()


async def test_events_are_refused_once_the_budget_is_spent() -> None:
    """Until the day is over."""
    async with Harness(asking(ScriptedModel(["yes"])), allowance=Allowance(cost_usd_per_day=2)) as h:
        h.ledger.today = 2.0
        with pytest.raises(RefusedError, match="2026-01-02 00:00:00 UTC"):
            await h.send("ask")
        assert h.runs() == []


async def test_people_see_what_a_run_waits_for() -> None:
    """The step stands in the tree before its call was made, and the words name limit, provider and time."""
    async with Harness(App("x")) as h:
        until = h.clock.now()
    wait = Wait(path="greet/~limits", kind="limit", number=1, wake_at=until, match_path="openai:requests")
    [view] = step_tree([], [], [wait])
    assert (view.path, view.kind, view.status) == ("greet", "model", "waiting")
    words = waiting_words("parked", [wait])
    assert words == "waits for the tenant's limit of requests a minute to 'openai' until 2026-01-01 00:00:00 UTC"
