"""Research in stages: pages are read side by side and once, stages follow each other, and progress is told."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from celeriac import Chunk, NetworkRun, openai
from celeriac.testing import Harness
from celeriac.testing.model_server import ModelServer, Refusal, WireReply, WireRequest
from celeriac.types import Model
from examples.deep_research import library
from examples.deep_research.app import PLANNING, app, deep_research
from examples.deep_research.exploring import READING
from examples.deep_research.findings import Configuration, Research
from examples.deep_research.script import SCRIPT, TOPIC
from examples.script import Part, Script, model_that_says, question_of
from plays.playing import Overheard, Stage

DEEPEST = Configuration(max_depth=3)


async def researched(
    model: Model, limits: Configuration | None = None, on_chunk: Callable[[Chunk], None] | None = None
) -> NetworkRun[Research]:
    async def hear(chunk: Chunk) -> None:
        if on_chunk is not None:
            on_chunk(chunk)

    begun = Research(topic=TOPIC, configuration=limits or Configuration())
    return await deep_research.run(TOPIC, state=begun, model=model, on_chunk=hear)


async def test_the_stages_follow_each_other_and_the_report_comes_last(model: Model) -> None:
    run = await researched(model)
    assert [result.agent for result in run.results] == ["Staging", "Reasoning", "Reasoning", "Reporting"]
    assert [(stage.name, bool(stage.analysis)) for stage in run.state.data.stages] == [
        ("Causes", True),
        ("Prevention", True),
    ]
    assert (run.stop_reason, run.state.data.current_stage) == ("router", 2)
    assert run.state.data.draft_report is not None
    assert str(run.state.data.final_report).startswith(run.state.data.draft_report)


async def test_no_page_is_read_twice_though_several_questions_find_it(model: Model) -> None:
    overheard = Overheard(model)
    research = (await researched(overheard, DEEPEST)).state.data
    read = [one.messages[0].text for one in overheard.requests if one.system == READING]
    findings = [finding.url for stage in research.stages for finding in stage.findings()]
    assert len(read) == len(research.visited) == len(set(findings)) < len(findings)
    assert research.visited == set(research.notes) == {page.url for page in library.PAGES}


async def test_the_sources_are_what_was_read(model: Model) -> None:
    research = (await researched(model)).state.data
    listed = str(research.final_report).partition("## Sources\n\n")[2].splitlines()
    assert [line.partition(". ")[2] for line in listed] == sorted(research.visited)


@pytest.mark.parametrize(("depth", "deepest"), [(1, 0), (2, 1)])
async def test_questions_are_followed_as_deep_as_is_allowed(model: Model, depth: int, deepest: int) -> None:
    research = (await researched(model, Configuration(max_depth=depth))).state.data
    nodes = [node for stage in research.stages for root in stage.nodes for node in root.walk()]
    assert max(node.depth for node in nodes) == deepest
    assert [node.query for node in nodes if not node.findings] == []


async def test_a_stage_begins_with_no_more_questions_than_it_may(model: Model) -> None:
    research = (await researched(model, Configuration(stage_count=1, queries_per_stage=1))).state.data
    assert [[node.query for node in stage.nodes] for stage in research.stages] == [
        ["why honey bees divide by swarming"]
    ]


def test_pages_are_read_side_by_side() -> None:
    """Each reading waits in the model server until another one is there."""
    with ModelServer(SCRIPT, latency=0.3) as server:
        model = openai("gpt-4.1-mini", base_url=server.openai_base_url, api_key="offline")
        deep_research.run_sync(TOPIC, state=Research(topic=TOPIC), model=model)
        assert server.stats()["peak_in_flight"] >= 3


async def test_a_plan_that_cannot_be_read_is_replaced_by_the_topic_itself() -> None:
    """And whoever watches is told so."""
    told: list[Chunk] = []
    with model_that_says(Script(Part(PLANNING, says="I have no idea."), *SCRIPT.parts)) as model:
        run = await researched(model, on_chunk=told.append)
    assert run.state.data.stages[0].name == "Overview"
    assert run.state.data.final_report is not None
    assert "error" in [chunk.data["delta"]["eventType"] for chunk in told if chunk.event == "data.delta"]


async def test_a_crash_in_the_middle_of_a_tree_reads_nothing_again() -> None:
    """One page of the second level cannot be read at first; what stands in steps by then is not asked for again."""
    read: list[str] = []

    def failing_once(request: WireRequest) -> WireReply | Refusal:
        if request.system == READING:
            read.append(question_of(request))
            if "Signs: queen cells" in read[-1] and read.count(read[-1]) == 1:
                return Refusal(status=500, message="not now")
        return SCRIPT(request)

    with model_that_says(failing_once) as model:
        async with Harness(app, model=model) as engine:
            [run] = await engine.send("deep-research/run", {"uuid": "r-2", "topic": TOPIC})
            assert engine.run(run.id).status == "parked"
            await engine.restart()
            await engine.advance("5m")
            assert engine.run(run.id).status == "completed"
    titles = [one.splitlines()[2] for one in read]
    assert sorted(titles) == sorted([*(page.title for page in library.PAGES), "Signs: queen cells"])


def test_workers_tell_progress_to_the_channel_of_the_research(stage: Stage) -> None:
    run = stage.completed(stage.send("deep-research/run", {"uuid": "r-3", "topic": TOPIC}))
    all_told = stage.told(run)
    placed = stage.fleet.rooms.stream.read(stage.tenant, "deep-research.r-3")
    told = [one.chunk.data["delta"] for one in placed if one.chunk.event == "data.delta"]
    assert [one["progress"]["percent"] for one in told] == [25, 25, 50, 75, 100]
    assert told[-1] == {
        "eventType": "complete",
        "message": "The report is written",
        "agent": "Reporting",
        "progress": {"percent": 100, "currentStep": 4, "totalSteps": 4},
    }
    assert len(all_told) >= len(placed)
    assert json.loads(json.dumps(run.output["state"]))["visited"] == sorted(run.output["state"]["visited"])
