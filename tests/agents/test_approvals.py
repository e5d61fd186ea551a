"""Approvals: a tool call that waits for a person, is decided once, and runs once."""

from dataclasses import replace
from typing import Any

import pytest

from celeriac import Agent, App, Context, ToolError, tool
from celeriac.errors import ConflictError, NotFoundError
from celeriac.platform.approval import approval_signal
from celeriac.platform.durable.tree import waiting_words
from celeriac.platform.event import signal_of
from celeriac.testing import Harness, ScriptedModel, call, calls
from crash_points import Play, play_with_a_death_at_each_point
from engine_stage import Stage, new_app, soon

PATH = "agent:clerk/turn:1/tool:1:refund"


class Till:
    """An app whose agent pays refunds, and what was paid."""

    def __init__(self, approval: Any = True, **options: Any) -> None:
        self.paid: list[int] = []
        self.app = new_app()
        self.model = ScriptedModel([call("refund", cents=500), "Done."])

        @tool(approval=approval, **options)
        async def refund(ctx: Context, cents: int) -> str:
            """Pay money back."""
            self.paid.append(cents)
            await ctx.step.sleep("transfer", "1h")
            return "paid"

        self.app.agent(Agent("Clerk", model="openai:gpt-4.1-mini", tools=[refund], max_iter=3), on="asked")

    def stage(self) -> Harness:
        return Harness(self.app, self.model)


def result_of(h: Harness, run_id: str) -> dict[str, Any]:
    """Return what the model was told of the call."""
    messages = h.run(run_id).output["results"][0]["messages"]
    result: dict[str, Any] = next(one["tool_result"] for one in messages if "tool_result" in one)
    return result


async def test_a_call_waits_for_a_person_over_restarts_and_runs_once() -> None:
    till = Till()
    async with till.stage() as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        await h.restart()
        await h.settle()
        assert till.paid == [] and h.run(run.id).status == "parked"
        assert await h.approve(run.id, h.open_approvals(run.id)[0].request.id)
        await h.restart()
        await h.advance("2h")
        assert result_of(h, run.id)["data"] == "paid"
        assert len(till.paid) == 2  # once, and once more up to its sleep after the restart
    assert len(till.model.requests) == 2


def pay_when_approved(app: App, effects: list[Any]) -> None:
    @tool(approval=True)
    async def refund(ctx: Context, cents: int) -> str:
        """Pay money back."""
        await ctx.step.run("pay", lambda: effects.append(cents))
        return "paid"

    lines = [lambda request: call("refund", cents=5) if len(request.messages) == 1 else "Done."] * 40
    clerk = Agent("Clerk", model=ScriptedModel(lines), tools=[refund], max_iter=3)

    @app.function(on="asked")
    async def ask(ctx: Context) -> str:
        return (await clerk.run("Refund?")).text


async def test_a_death_at_any_point_neither_forgets_a_decision_nor_pays_undecided() -> None:
    async def drive(play: Play) -> Any:
        await play.send("asked")
        before = list(play.effects)
        waits = play.stage.store.all[play.run_of("ask").id].waits.values()
        [signal] = [signal_of(one.event_name or "") for one in waits if one.kind == "signal"]
        play.signal(signal, {"approved": True})
        await play.settle()
        return before, play.run_of("ask").output, set(play.effects)

    outcomes = await play_with_a_death_at_each_point(pay_when_approved, drive)
    assert len(outcomes) > 4
    assert all(outcome == ([], "Done.", {5}) for outcome in outcomes)


@pytest.mark.parametrize(("reason", "told"), [("Too much", "Too much"), (None, "A person denied the call of refund")])
async def test_a_denied_call_reaches_the_model_as_an_error_and_never_runs(reason: str | None, told: str) -> None:
    till = Till(retries=2)
    async with till.stage() as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        assert await h.approve(run.id, PATH, approved=False, reason=reason, by="Ada")
        assert result_of(h, run.id)["error"] == {"name": "Denied", "message": told}
        assert h.run(run.id).output["text"] == "Done." and till.paid == []


async def test_nobody_within_thirty_days_is_a_denial() -> None:
    till = Till()
    async with till.stage() as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        await h.advance("31d")
        assert result_of(h, run.id)["error"] == {"name": "Denied", "message": "Nobody decided within 30 days"}
        assert not await h.approve(run.id, PATH) and till.paid == []


async def test_a_call_is_decided_once() -> None:
    till = Till()
    async with till.stage() as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        request = h.open_approvals(run.id)[0].request.id
        assert await h.approve(run.id, "call_1", approved=False)
        assert not await h.approve(run.id, request) and not await h.approve(run.id, "call_1")
        assert till.paid == []


async def test_a_signal_that_says_nothing_approves_nothing() -> None:
    till = Till()
    async with till.stage() as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        store = getattr(h, "_rooms").store  # noqa: B009
        store.signal(h.tenant, approval_signal(h.open_approvals(run.id)[0].request.id), {"approved": "yes"})
        await h.advance("1s")
        assert result_of(h, run.id)["error"]["name"] == "Denied" and till.paid == []


async def test_a_run_that_nobody_knows_is_not_found() -> None:
    async with Till().stage() as h:
        with pytest.raises(NotFoundError):
            await h.approve("run_unknown", PATH)


async def test_no_id_at_all_means_no_call() -> None:
    till = Till()
    async with till.stage() as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        assert not await h.approve(run.id, "") and len(h.open_approvals(run.id)) == 1


async def test_a_predicate_says_which_calls_need_a_person_and_is_asked_once() -> None:
    asked: list[int] = []

    async def is_large(ctx: Context, input: dict[str, Any]) -> bool:
        asked.append(input["cents"])
        return bool(input["cents"] > 100)

    till = Till(is_large)
    till.model = ScriptedModel([calls(call("refund", cents=7), call("refund", cents=500)), "Done."])
    async with till.stage() as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        assert till.paid == [7]
        await h.restart()
        [waiting] = h.open_approvals(run.id)
        assert (waiting.request.tool, waiting.request.input) == ("refund", {"cents": 500})
        await h.approve(run.id, waiting.path)
        await h.advance("2h")
        assert asked == [7, 500] and h.run(run.id).output["text"] == "Done."


def refuses(ctx: Context, input: Any) -> bool:
    raise ToolError("Ask the shop.")


async def test_a_predicate_that_fails_lets_nothing_run() -> None:
    till = Till(refuses)
    async with till.stage() as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        assert result_of(h, run.id)["error"] == {"name": "ToolError", "message": "Ask the shop."} and till.paid == []


async def test_nobody_is_asked_about_a_call_that_does_not_fit() -> None:
    till = Till()
    till.model = ScriptedModel([call("refund", cents="many"), "Done."])
    async with till.stage() as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        assert result_of(h, run.id)["error"]["name"] == "InvalidArguments"


class SameId(ScriptedModel):
    """A model that gives all of its calls one id."""

    async def infer(self, request: Any) -> Any:
        reply = await super().infer(request)
        return replace(reply, tool_calls=tuple(replace(one, id="same") for one in reply.tool_calls))

    async def stream(self, request: Any) -> Any:
        yield await self.infer(request)


async def test_an_id_that_several_open_calls_have_is_ambiguous() -> None:
    till = Till()
    till.model = SameId([calls(call("refund", cents=1), call("refund", cents=2)), "Done."])
    async with till.stage() as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        with pytest.raises(ConflictError, match="several open calls 'same'; name one of the requests apr_"):
            await h.approve(run.id, "same")
        assert await h.approve(run.id, PATH) and till.paid == [1]


async def test_who_looks_at_the_run_sees_what_a_person_has_to_approve() -> None:
    till = Till()
    async with Stage(till.app, model=till.model) as stage:
        [run_id] = stage.send("asked", {"input": "Refund?"})
        await soon(stage.advance(run_id))
        stored = stage.store.all[run_id]
        words = waiting_words(stored.run.status, list(stored.waits.values())) or ""
        assert words.startswith(f"waits for a person to approve 'refund' at step '{PATH}' until ")


async def test_a_plain_script_has_nobody_to_ask() -> None:
    @tool(approval=True)
    def refund(cents: int) -> None:
        """Pay money back."""
        raise AssertionError("ran")

    model = ScriptedModel([call("refund", cents=1), "Done."])
    [result] = (await Agent("a", tools=[refund], model=model).run("?")).tool_results
    assert result.error is not None and result.error["name"] == "not_durable"
    assert "nobody can in a plain script; start it through an App" in result.error["message"]


async def test_an_approved_call_that_fails_is_tried_again_without_asking_again() -> None:
    app, tries = App("again", default_model="openai:gpt-4.1-mini"), []

    @tool(approval=True, retries=2)
    def refund(cents: int) -> str:
        """Pay money back."""
        tries.append(cents)
        if len(tries) < 3:
            raise ConnectionError("the bank is closed")
        return "paid"

    app.agent(Agent("Clerk", tools=[refund], max_iter=2), on="asked")
    async with Harness(app, ScriptedModel([call("refund", cents=5), "Done."])) as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        assert await h.approve(run.id, PATH)
        await h.advance("1h")
        assert (result_of(h, run.id)["data"], tries) == ("paid", [5, 5, 5])
        assert [memo.path for memo in h.steps(run.id) if memo.kind == "signal"] == [f"{PATH}/approval"]


async def test_a_run_cannot_approve_calls_by_a_signal() -> None:
    app = App("sly")

    @app.function(on="asked", retries=0)
    async def approve(ctx: Context) -> None:
        await ctx.step.send_signal("yes", "approval:apr_1", {"approved": True})

    async with Harness(app) as h:
        [run] = await h.send("asked")
        assert run.error is not None and "decides on a tool call" in run.error["message"]


async def test_who_watches_the_stream_can_decide_by_what_it_says() -> None:
    till = Till()
    async with till.stage() as h:
        [run] = await h.send("asked", {"input": "Refund?"})
        [asked] = [chunk.data for chunk in h.chunks(run.id) if chunk.event == "hitl.requested"]
        [part] = asked["toolCalls"]
        assert (part["toolName"], part["toolInput"]) == ("refund", {"cents": 500})
        await h.restart()
        assert await h.approve(run.id, part["partId"], approved=False, reason="No", by="Ada")
        [told] = [chunk.data for chunk in h.chunks(run.id) if chunk.event == "hitl.resolved"]
        assert (told["resolution"], told["reason"], told["resolvedBy"]) == ("denied", "No", "Ada")
        assert told["requestId"] == asked["requestId"] and told["resolvedAt"] == h.clock.now().isoformat()
