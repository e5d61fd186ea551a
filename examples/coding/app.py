"""A planner and an editor on one repository: typed state, steps in tools, an agent that takes part late.

As durable runs: make the sample repository by `python -m examples.coding.sample`, then
`celeriac dev examples.coding.app:app` and the event `coding/issue.opened`, which the first one prints. All workers of
an installation must see the folder that repositories are cloned into.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from celeriac import Agent, App, Context, Network, Prompt, openai, tool
from examples.coding import repository, sample


class Edit(BaseModel):
    """One change that the plan asks for."""

    filename: str
    idea: str = Field(description="What to change")
    reasoning: str = Field(description="Why this mends the issue")


class Plan(BaseModel):
    """What the planner hands to the editor."""

    thoughts: str
    plan_details: str
    edits: list[Edit]


class CodeState(BaseModel):
    """What planner and editor share."""

    #: the folder of the clone
    repo: str
    files: list[str] = []
    plan: Plan | None = None
    done: bool = False


@tool
async def list_files(ctx: Context[CodeState]) -> list[str]:
    """List the Python files of the project."""
    ctx.state.data.files = await ctx.step.run("list files", repository.python_files, ctx.state.data.repo)
    return ctx.state.data.files


@tool
async def read_file(ctx: Context[CodeState], filename: str) -> str:
    """Read one file."""
    return await ctx.step.run("read file", repository.read, ctx.state.data.repo, filename)


@tool
async def extract_classes_and_functions(ctx: Context[CodeState], filename: str) -> repository.Outline:
    """Parse one file and list its classes, with their methods, and its functions."""
    return await ctx.step.run("parse file", repository.outline, ctx.state.data.repo, filename)


@tool
def create_plan(ctx: Context[CodeState], thoughts: str, plan_details: str, edits: list[Edit]) -> None:
    """Hand over the plan: which files to edit, how, and why that mends the issue."""
    ctx.state.data.plan = Plan(thoughts=thoughts, plan_details=plan_details, edits=edits)


@tool(parallel=False)
async def replace_class_method(
    ctx: Context[CodeState], filename: str, class_name: str, function_name: str, new_contents: str
) -> str:
    """Replace one method of a class, its `def` line included."""
    where = (ctx.state.data.repo, filename, class_name, function_name)
    return await ctx.step.run("update class method", repository.replace_method, *where, new_contents)


@tool
def done(ctx: Context[CodeState]) -> str:
    """Say that every edit of the plan is made."""
    ctx.state.data.done = True
    return "Done editing"


def editor_system(ctx: Context[CodeState]) -> str:
    """Tell the editor the plan as it stands."""
    plan = ctx.state.data.plan
    return f"You edit code by the plan that you are given, and change nothing else. The plan:\n{_json(plan)}"


def has_plan(ctx: Context[CodeState]) -> bool:
    """Whether there is something to edit."""
    return ctx.state.data.plan is not None


def only_own_turns(ctx: Context[CodeState], prompt: Prompt) -> None:
    """Keep from the editor what the planner read: the plan says it all."""
    own = {message.id for result in ctx.state.results if result.agent == ctx.agent.name for message in result.messages}
    prompt.history = [message for message in prompt.history if message.id in own]


planner = Agent[CodeState](
    "Planner",
    description="Reads the code and plans which files to edit",
    system="You plan changes to a Python project. Read what you need, then hand over a plan with create_plan.",
    tools=[list_files, read_file, extract_classes_and_functions, create_plan],
)
editor = Agent[CodeState](
    "Editor",
    description="Edits the code by the plan",
    system=editor_system,
    enabled=has_plan,
    on_start=only_own_turns,
    tools=[extract_classes_and_functions, read_file, replace_class_method, done],
)


def route(ctx: Context[CodeState]) -> Agent[CodeState] | None:
    """Let the planner work until there is a plan, then the editor until it is done."""
    if ctx.state.data.done:
        return None
    return editor if ctx.state.data.plan else planner


coding = Network[CodeState](
    "Coding",
    agents=[planner, editor],
    state=CodeState,
    router=route,
    default_model=openai("gpt-4.1-mini", max_tokens=2000),
    max_iter=40,
)

app = App("coding")


@app.function(on="coding/issue.opened", retries=2, timeout="2h")
async def fix_issue(
    ctx: Context,
    repo: Annotated[str, Field(examples=[sample.FOLDER])],
    base_commit: Annotated[str, Field(examples=["HEAD"])],
    problem_statement: Annotated[str, Field(examples=[sample.PROBLEM])],
) -> dict[str, Any]:
    """Clone a repository, let the agents mend the issue in it, and return the change as a patch."""
    folder = str(Path(os.environ.get("CODING_FOLDER") or tempfile.gettempdir()) / ctx.run.id)
    await ctx.step.run("clone repo", repository.clone, repo, folder)
    await ctx.step.run("check out commit", repository.git, folder, "checkout", "--quiet", base_commit)
    run = await coding.run(problem_statement, state=CodeState(repo=folder))
    patch = await ctx.step.run("diff", repository.git, folder, "diff")
    history = [{**result.export(), "checksum": result.checksum} for result in run.results]
    return {**run.export(), "results": history, "patch": patch}


def _json(plan: Plan | None) -> str:
    return "none" if plan is None else plan.model_dump_json(indent=2)
