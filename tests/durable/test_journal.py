"""The journal: commits in groups, and what one bad value or an absent database may do to the others."""

import asyncio
import gc
import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from celeriac import Context, Event, StepError
from celeriac.errors import StoreUnavailable
from celeriac.platform.durable.conduct import Conduct
from celeriac.platform.durable.journal import Journal
from celeriac.platform.durable.memo import Entry, StepDone
from celeriac.platform.store.local_store import LocalStore
from celeriac.testing import Harness
from engine_stage import Hold, Stage, new_app, soon
from waiting import until

BAD_VALUES = {
    "nul": "a\x00b",
    "nul in a key": {"\x00": 1},
    "surrogate": "half \ud83d",
    "nan": float("nan"),
    "infinity": [float("inf")],
    "object": object(),
    "too large": "x" * 2_000,
}


@pytest.mark.parametrize("bad", BAD_VALUES)
async def test_a_value_that_cannot_be_stored_fails_only_its_own_step(bad: str) -> None:
    app, ran = new_app(), []

    @app.function(on="go")
    async def mixed(ctx: Context) -> list[str]:
        def body() -> Any:
            ran.append(1)
            return BAD_VALUES[bad]

        steps = [ctx.step.run("good", lambda: "good"), ctx.step.run("bad", body), ctx.step.run("fine", lambda: "fine")]
        results = await asyncio.gather(*steps, return_exceptions=True)
        return [type(one).__name__ if isinstance(one, StepError) else str(one) for one in results]

    async with Harness(app, conduct=Conduct(max_output_bytes=1_000)) as h:
        [run] = await h.send("go")
        assert (h.run(run.id).output, len(ran)) == (["good", "StepError", "fine"], 1)


async def test_a_text_that_only_looks_like_a_nul_is_stored() -> None:
    app = new_app()

    @app.function(on="go")
    async def works(ctx: Context) -> str:
        return await ctx.step.run("text", lambda: "\\u0000 \\\\u0000")

    async with Harness(app) as h:
        [run] = await h.send("go")
        assert h.run(run.id).output == "\\u0000 \\\\u0000"


async def test_an_error_message_that_cannot_be_stored_is_made_storable() -> None:
    app = new_app()

    @app.function(on="go")
    async def fails(ctx: Context) -> None:
        def body() -> None:
            raise ValueError("a\x00b \ud83d")

        await ctx.step.run("bad", body, retries=0)

    async with Harness(app) as h:
        [run] = await h.send("go")
        error = h.run(run.id).error
        assert error is not None and "a\ufffdb ?" in error["message"]


class Faulty(LocalStore):
    """A store whose commits can be watched, held up, refused or lost."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[list[str]] = []
        self.entered = threading.Event()
        self.gate = threading.Event()
        self.gate.set()
        #: errors raised before (False) or after (True) what is given was committed
        self.faults: list[tuple[bool, Exception]] = []
        self.hated_path: str | None = None

    def commit(self, entries: Sequence[Entry]) -> list[int | None]:
        self.entered.set()
        assert self.gate.wait(10)
        self.groups.append([entry.path for entry in entries])
        if self.hated_path in self.groups[-1]:
            raise ValueError("the database refuses a row")
        is_late, fault = self.faults.pop() if self.faults else (False, None)
        if fault is not None and not is_late:
            raise fault
        answers = super().commit(entries)
        if fault is not None:
            raise fault
        return answers


async def _held_up(store: Faulty, journal: Journal) -> asyncio.Task[int | None]:
    """Begin a commit that is not over until the store's gate is open."""
    store.gate.clear()
    first = asyncio.create_task(journal.commit(_entry("p0")))
    await until(store.entered.is_set, what="the first commit to be held up")
    return first


async def test_entries_that_wait_while_one_commits_become_one_group() -> None:
    store = Faulty()
    journal = Journal(store)
    first = await _held_up(store, journal)
    others = [asyncio.create_task(journal.commit(_entry(f"p{n}"))) for n in range(1, 5)]
    asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, store.gate.set)
    assert await soon(asyncio.gather(first, *others)) == [None] * 5
    assert store.groups == [["p0"], ["p1", "p2", "p3", "p4"]]
    journal.close()


async def test_a_group_ends_when_it_has_grown_large() -> None:
    """However few entries there are: a group of five hundred could be gigabytes otherwise."""
    store = Faulty()
    journal = Journal(store)
    first = await _held_up(store, journal)
    large, now = "x" * 6 * 2**20, datetime.now(UTC)
    facts: dict[str, Any] = {"kind": "run", "value": large, "started_at": now, "ended_at": now}
    place: dict[str, Any] = {"run_id": "run_x", "tenant_id": "test", "fence": 1}
    others = [asyncio.create_task(journal.commit(StepDone(**place, **facts, path=f"p{n}"))) for n in range(1, 6)]
    asyncio.get_running_loop().call_soon(asyncio.get_running_loop().call_soon, store.gate.set)
    assert await soon(asyncio.gather(first, *others)) == [None] * 6
    assert store.groups == [["p0"], ["p1", "p2", "p3"], ["p4", "p5"]]
    journal.close()


async def test_steps_that_end_together_are_numbered_without_gaps() -> None:
    app = new_app()

    @app.function(on="go")
    async def fans_out(ctx: Context) -> None:
        await asyncio.gather(*(ctx.step.run(f"s{n}", _nothing) for n in range(50)))

    async with Harness(app) as h:
        runs = await h.send([Event("go"), Event("go"), Event("go")])
        for run in runs:
            assert [memo.seq for memo in h.steps(run.id)] == list(range(1, 51))


async def _nothing() -> None:
    return None


def _entry(path: str) -> Entry:
    return Entry(run_id="run_x", tenant_id="test", fence=1, path=path)


async def test_a_row_that_the_database_refuses_fails_alone() -> None:
    app, store = new_app(), Faulty()
    store.hated_path = "hated"

    @app.function(on="go", retries=0)
    async def fans_out(ctx: Context) -> list[str]:
        results = await asyncio.gather(
            *(ctx.step.run(name, _nothing) for name in ("one", "hated", "two")), return_exceptions=True
        )
        return [type(result).__name__ for result in results]

    async with Stage(app, store=store) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        assert stage.run(run_id).output == ["NoneType", "ValueError", "NoneType"]
        assert sorted(memo.path for memo in stage.steps(run_id)) == ["one", "two"]


@pytest.mark.parametrize("is_late", [False, True])
async def test_a_commit_of_unknown_outcome_is_made_exactly_once(is_late: bool) -> None:
    app, store, ran = new_app(), Faulty(), []
    store.faults = [(is_late, StoreUnavailable("gone")), (is_late, StoreUnavailable("gone"))]

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        await ctx.step.run("one", ran.append, 1)
        await ctx.step.send_event("tell", Event("heard"))

    async with Stage(app, store=store) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        assert (stage.run(run_id).status, stage.run(run_id).links, ran) == ("completed", 1, [1])
        assert [memo.path for memo in stage.steps(run_id)] == ["one", "tell"]
        assert len([event for event in store.events.values() if event.event.name == "heard"]) == 1


async def test_the_journal_gives_up_when_the_database_stays_away() -> None:
    store = Faulty()
    store.faults = [(False, StoreUnavailable("gone"))] * 3
    journal = Journal(store, patience=0.0)
    with pytest.raises(StoreUnavailable):
        await soon(journal.commit(_entry("p")))
    journal.close()


class Deaf(LocalStore):
    """A store that registers no waits for events for a while: it does not answer, or the run is another link's."""

    def __init__(self, *, failures: int = 0, is_lost: bool = False) -> None:
        super().__init__()
        self.failures, self.is_lost = failures, is_lost

    def await_event(self, *args: Any, **options: Any) -> Any:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("gone")
        return None if self.is_lost else super().await_event(*args, **options)


async def test_a_body_goes_on_while_its_sibling_waits_for_the_database() -> None:
    """Else an outage costs a run the bodies of all its branches, as soon as one of them has to ask."""
    app, store, ran, hold = new_app(), Deaf(failures=2), [], Hold()

    async def body() -> None:
        ran.append(1)
        await hold()

    @app.function(on="go")
    async def works(ctx: Context) -> None:
        await asyncio.gather(ctx.step.run("long", body), ctx.step.wait_for_event("w", "e", timeout="1h"))

    async with Stage(app, store=store) as stage:
        [run_id] = stage.send("go")
        link = stage.advance(run_id)
        await until(lambda: stage.store.all[run_id].waits, what="the wait to be registered")
        hold.let_go()
        await soon(link)
        assert (stage.run(run_id).status, stage.run(run_id).links, ran) == ("parked", 1, [1])


async def test_user_code_and_the_log_see_nothing_of_a_link_that_is_left(caplog: pytest.LogCaptureFixture) -> None:
    app, store, seen = new_app(), Deaf(is_lost=True), []

    @app.function(on="go")
    async def careful(ctx: Context) -> str:
        try:
            await ctx.step.wait_for_event("w", "e", timeout="1h")
        except Exception as error:  # noqa: BLE001  # whatever may come
            seen.append(error)
        return "came"

    async with Stage(app, store=store) as stage:
        [run_id] = stage.send("go")
        await soon(stage.advance(run_id))
        assert (stage.run(run_id).status, seen) == ("running", [])
        stage.kill("a")
        store.is_lost = False
        assert (await stage.finish(run_id)).status == "parked"
    gc.collect()
    assert not [record for record in caplog.records if record.name == "asyncio"]
