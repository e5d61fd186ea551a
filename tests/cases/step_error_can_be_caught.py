"""A step that has used up its attempts raises a `StepError` with its name and message; who catches it goes on."""

from __future__ import annotations

from typing import Any

from cases.stages.stage import Stage
from celeriac import App, Context, StepError

app = App("step-error-can-be-caught")


@app.function(on="step-error-can-be-caught/go", retries=0)
async def catches(ctx: Context) -> dict[str, Any]:
    """Catch the failure of one step and make another one."""
    try:
        await ctx.step.run("fails", _fail)
    except StepError as error:
        caught = {"step": error.step, "name": error.error_name, "text": str(error)}
    else:
        caught = {}
    return {"caught": caught, "then": await ctx.step.run("succeeds", lambda: ["ok", True])}


def _fail() -> str:
    raise ValueError("this step fails")


async def play(stage: Stage) -> None:
    """The error is a memo like any value."""
    run_id = await stage.start("step-error-can-be-caught/go")
    run = await stage.ended(run_id)
    assert run.status == "completed"
    assert run.output["then"] == ["ok", True]
    caught = run.output["caught"]
    assert (caught["step"], caught["name"]) == ("fails", "ValueError")
    assert "this step fails" in caught["text"]
    assert (await stage.steps(run_id))["fails"].error == {"name": "ValueError", "message": "this step fails"}
