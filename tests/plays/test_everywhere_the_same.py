"""Each example comes to the same in a plain script and as durable runs on real workers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from celeriac import NetworkRun
from celeriac.testing.model_server import Faults
from celeriac.types import Model
from examples import quick_start
from examples.coding.app import CodeState, coding
from examples.coding.sample import PROBLEM, make_repository
from examples.deep_research.app import deep_research
from examples.deep_research.findings import Research
from examples.deep_research.script import TOPIC
from examples.insights_chat.app import CHAT, SUPPORT
from examples.insights_chat.insights import Insights, insights
from examples.insights_chat.script import SIGNUPS, SLOW
from examples.insights_chat.support import Desk, customer_support
from examples.support_desk.app import CREATED, desk, task_of
from examples.support_desk.records import TICKETS
from plays.playing import Stage, facts
from waiting import wait_until


@dataclass(frozen=True, kw_only=True)
class Play:
    """One example, played twice."""

    name: str
    in_a_script: Callable[[Model, Path], Awaitable[NetworkRun[Any]]]
    event: str
    data: Callable[[Path], Mapping[str, Any]]
    varying: tuple[str, ...] = ()


async def mend(model: Model, folder: Path) -> NetworkRun[Any]:
    make_repository(folder)
    return await coding.run(PROBLEM, state=CodeState(repo=str(folder)), model=model)


def issue(folder: Path) -> dict[str, str]:
    commit = make_repository(folder)
    return {"repo": str(folder), "base_commit": commit, "problem_statement": PROBLEM}


def asked(text: str) -> dict[str, Any]:
    return {"user_message": {"id": f"m-{text}", "content": text}, "user_id": "u-1"}


PLAYS = [
    Play(
        name="quick_start",
        in_a_script=lambda model, _: quick_start.devops.run(quick_start.QUESTION, model=model),
        event="agent-kit/network-devops-team",
        data=lambda _: {"input": quick_start.QUESTION},
    ),
    *(
        Play(
            name=f"support_desk {ticket}",
            in_a_script=lambda model, _, ticket=ticket: desk.run(task_of(TICKETS[ticket]), model=model),
            event=CREATED,
            data=lambda _, ticket=ticket: {"ticket_id": ticket},
        )
        for ticket in ("T123", "T124")
    ),
    Play(
        name="insights_chat",
        in_a_script=lambda model, _: insights.run(SIGNUPS, state=Insights(user_id="u-1"), model=model),
        event=CHAT,
        data=lambda _: asked(SIGNUPS),
    ),
    Play(
        name="insights_chat support",
        in_a_script=lambda model, _: customer_support.run(SLOW, state=Desk(user_id="u-1"), model=model),
        event=SUPPORT,
        data=lambda _: asked(SLOW),
    ),
    Play(
        name="deep_research",
        in_a_script=lambda model, _: deep_research.run(TOPIC, state=Research(topic=TOPIC), model=model),
        event="deep-research/run",
        data=lambda _: {"uuid": "r-1", "topic": TOPIC},
    ),
    Play(name="coding", in_a_script=mend, event="coding/issue.opened", data=issue, varying=("repo",)),
]


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.name)
def test_a_plain_script_and_real_workers_come_to_the_same(play: Play, stage: Stage, tmp_path: Path) -> None:
    """Texts, tool calls with their results, state, and why it ended."""
    here = asyncio.run(play.in_a_script(stage.model, tmp_path / "here")).export()
    there = stage.completed(stage.send(play.event, play.data(tmp_path / "there"))).output
    assert here["results"], "the example does something"
    assert facts(there, varying=play.varying) == facts(here, varying=play.varying)


@pytest.mark.parametrize(("name", "answered"), [("coding", 5), ("deep_research", 4), ("insights_chat", 2)])
def test_workers_that_are_killed_in_the_middle_come_to_the_same(
    name: str, answered: int, stage: Stage, tmp_path: Path
) -> None:
    """All of them die while a model is asked, some calls into the run."""
    [play] = [one for one in PLAYS if one.name == name]
    here = asyncio.run(play.in_a_script(stage.model, tmp_path / "here")).export()
    before = hanging(stage)
    stage.server.inject(Faults(script=(*("ok",) * answered, "hang")))
    event = stage.send(play.event, play.data(tmp_path / "there"))
    wait_until(lambda: hanging(stage) > before, 30, "a model to be asked in vain")
    stage.replace_workers()
    there = stage.completed(event)
    assert facts(there.output, varying=play.varying) == facts(here, varying=play.varying)
    assert there.usage.model_calls > answered


def hanging(stage: Stage) -> int:
    return int(stage.server.stats()["outcomes"].get("hang", 0))
