"""Research in stages by three agents: one divides the question, one explores each stage, one writes the report.

As durable runs: `celeriac dev examples.deep_research.app:app`, then the event `deep-research/run`. Progress is told to
the channel `deep-research.<uuid>`.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from celeriac import Agent, App, Context, Network, StepError, openai, tool
from celeriac.errors import ModelError
from examples.deep_research.exploring import explore
from examples.deep_research.findings import Configuration, Node, Research, Stage

PLANNING = "You divide a question into the stages of a research, each with the queries to begin with."
CONCLUDING = "You say in two sentences what the findings of one stage of a research come to."
OUTLINING = "You outline a report: a title, and the headings of its sections."
WRITING = "You write one section of a report from the findings. No heading, no sources."
EDITING = "You edit a report: mend the language, change no fact. Return the whole text."


class StagePlan(BaseModel):
    """A stage as it is planned."""

    name: str
    queries: list[str] = Field(min_length=1)


class ResearchPlan(BaseModel):
    """All stages."""

    stages: list[StagePlan] = Field(min_length=1)


class ReportOutline(BaseModel):
    """What the report has."""

    title: str
    sections: list[str]


# -- what the agents do ---------------------------------------------------------------------------------------------


@tool
async def create_reasoning_stages(ctx: Context[Research]) -> list[str]:
    """Divide the topic into stages."""
    research, limits = ctx.state.data, ctx.state.data.configuration
    plan = await _plan(ctx)
    for planned in plan.stages[: limits.stage_count]:
        queries = [query for query in planned.queries if query not in research.asked][: limits.queries_per_stage]
        research.asked.update(queries)
        research.stages.append(Stage(name=planned.name, nodes=[Node(query=query) for query in queries]))
    names = [stage.name for stage in research.stages]
    await tell(ctx, f"Planned {len(names)} stages: {', '.join(names)}")
    return names


@tool
async def build_reasoning_tree(ctx: Context[Research]) -> str:
    """Explore the questions of the stage that is next."""
    research = ctx.state.data
    stage = research.stages[research.current_stage]
    await tell(ctx, f"Exploring {stage.name}")
    await explore(ctx, stage)
    claims = "\n".join(f"- {finding.claim}" for finding in stage.findings())
    stage.analysis = await _say(ctx, "conclude", CONCLUDING, f"Stage: {stage.name}\n{claims}")
    research.current_stage += 1
    return f"{len(stage.findings())} findings for {stage.name}"


@tool
async def generate_report(ctx: Context[Research]) -> str:
    """Write the report from what all stages came to."""
    research = ctx.state.data
    await tell(ctx, "Writing the report")
    known = "\n\n".join(f"{stage.name}: {stage.analysis}" for stage in research.stages)
    asked = f"Topic: {research.topic}\n\n{known}"
    model = ctx.network.model_of(ctx.agent)
    outline = (await ctx.step.ai.infer("outline", model, asked, system=OUTLINING, output=ReportOutline)).output
    written = await asyncio.gather(
        *(
            _say(ctx, f"write section {number}", WRITING, f"{asked}\n\nSection: {heading}")
            for number, heading in enumerate(outline.sections, 1)
        )
    )
    sections = [f"## {heading}\n\n{text}" for heading, text in zip(outline.sections, written, strict=True)]
    research.draft_report = "\n\n".join([f"# {outline.title}", *sections])
    edited = await _say(ctx, "edit", EDITING, research.draft_report)
    sources = "\n".join(f"{number}. {url}" for number, url in enumerate(sorted(research.visited), 1))
    research.final_report = f"{edited}\n\n## Sources\n\n{sources}"
    await tell(ctx, "The report is written", kind="complete")
    return f"A report of {len(outline.sections)} sections"


async def _plan(ctx: Context[Research]) -> ResearchPlan:
    """Have the stages planned; a model that cannot is no reason to end the research."""
    research = ctx.state.data
    model = ctx.network.model_of(ctx.agent)
    prompt = f"Topic: {research.topic}\nContext: {research.context or 'none'}"
    try:
        return (await ctx.step.ai.infer("plan", model, prompt, system=PLANNING, output=ResearchPlan)).output
    except (ModelError, StepError) as error:
        await tell(ctx, f"No plan ({error}); asking for the topic itself", kind="error")
        return ResearchPlan(stages=[StagePlan(name="Overview", queries=[research.topic])])


async def _say(ctx: Context[Research], id: str, system: str, prompt: str) -> str:
    return (await ctx.step.ai.infer(id, ctx.network.model_of(ctx.agent), prompt, system=system)).text


# -- who does it, and in which order --------------------------------------------------------------------------------

staging = Agent[Research](
    "Staging",
    description="Divides the topic into stages",
    system="You begin a research. Call create_reasoning_stages.",
    tools=[create_reasoning_stages],
    tool_choice=create_reasoning_stages.name,
)
reasoning = Agent[Research](
    "Reasoning",
    description="Explores the questions of one stage",
    system="You go on with a research, stage by stage. Call build_reasoning_tree.",
    tools=[build_reasoning_tree],
    tool_choice=build_reasoning_tree.name,
)
reporting = Agent[Research](
    "Reporting",
    description="Writes the report",
    system="You end a research. Call generate_report.",
    tools=[generate_report],
    tool_choice=generate_report.name,
)


def route(ctx: Context[Research]) -> Agent[Research] | None:
    """Divide, explore every stage, write; the state says what is done."""
    research = ctx.state.data
    if not research.stages:
        return staging
    if not research.is_explored:
        return reasoning
    return reporting if research.final_report is None else None


deep_research = Network[Research](
    "Deep research",
    agents=[staging, reasoning, reporting],
    state=Research,
    router=route,
    default_model=openai("gpt-4.1-mini"),
    max_iter=25,
)

app = App("deep-research")


@app.function(on="deep-research/run", timeout="1h")
async def research(
    ctx: Context,
    uuid: Annotated[str, Field(examples=["r1"])],
    topic: Annotated[str, Field(examples=["Why do honey bees swarm, and what can a beekeeper do?"])],
    context: str = "",
    configuration: Configuration | None = None,
) -> dict[str, Any]:
    """Research a topic and return the report."""
    begun = Research(topic=topic, context=context, configuration=configuration or Configuration())
    run = await deep_research.run(topic, state=begun, channel=f"deep-research.{uuid}")
    await ctx.step.sleep("sleep", "1s")  # whoever watches has time to take the last words
    return run.export()


async def tell(
    ctx: Context[Research], message: str, *, kind: Literal["progress", "complete", "error"] = "progress"
) -> None:
    """Tell whoever watches how far it is."""
    research = ctx.state.data
    steps = len(research.stages) + 2
    step = steps if kind == "complete" else research.current_stage + bool(research.stages)
    progress = {"percent": round(100 * step / steps), "currentStep": step, "totalSteps": steps}
    told = {"eventType": kind, "message": message, "agent": ctx.agent.name, "progress": progress}
    await ctx.publish("updates", told)
