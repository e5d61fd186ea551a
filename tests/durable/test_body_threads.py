"""The threads of plain functions: so many work at once, and one that waits for the loop makes room for another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import wait

import pytest

from celeriac import App, Context
from celeriac.platform.body_threads import BodyThreads
from engine_stage import Stage, new_app


@pytest.fixture
def threads() -> Iterator[BodyThreads]:
    """Threads with one place."""
    made = BodyThreads(1, thread_name_prefix="one")
    yield made
    made.shutdown()


def test_functions_are_called_in_the_order_in_which_they_came(threads: BodyThreads) -> None:
    begin, order = threading.Event(), list[int]()
    first = threads.submit(begin.wait, 10)
    others = [threads.submit(order.append, number) for number in range(20)]
    assert order == []
    begin.set()
    assert first.result(10) and wait(others, 10).not_done == set()
    assert order == list(range(20))


def test_what_a_function_returns_and_raises_comes_to_who_waits(threads: BodyThreads) -> None:
    assert threads.submit(divmod, 7, 2).result(10) == (3, 1)
    assert isinstance(threads.submit(divmod, 7, 0).exception(10), ZeroDivisionError)
    assert threads.submit(lambda: threading.current_thread().name).result(10).startswith("one")


def test_one_that_waits_makes_room_for_those_it_waits_for(threads: BodyThreads) -> None:
    def asks(depth: int) -> int:
        if not depth:
            return 0
        with threads.lent():
            return 1 + threads.submit(asks, depth - 1).result(10)

    assert threads.submit(asks, 30).result(10) == 30


def test_who_has_waited_takes_the_place_back(threads: BodyThreads) -> None:
    """The thread that worked meanwhile is there still, and idle, but has no place."""

    def asks() -> bool:
        with threads.lent():
            threads.submit(int).result(10)
        later = threads.submit(int)
        return bool(wait([later], 0.1).done)

    assert threads.submit(asks).result(10) is False
    assert threads.submit(int).result(10) == 0  # the place is free again


def test_those_who_come_back_at_once_leave_places_for_nobody_else() -> None:
    """Both work, where one may; the one that ends first passes its place on to nobody."""
    threads, met, go, is_back = BodyThreads(1), threading.Barrier(2), threading.Event(), threading.Event()

    def asks() -> None:
        with threads.lent():
            met.wait(10)

    def works_on() -> None:
        asks()
        is_back.set()
        go.wait(10)

    asked = [threads.submit(works_on), threads.submit(asks)]
    assert (asked[1].result(10), is_back.wait(10)) == (None, True)
    later = threads.submit(int)
    assert not wait([later], 0.1).done
    go.set()
    assert later.result(10) == 0
    threads.shutdown()


def test_one_that_was_called_off_before_its_turn_is_not_called(threads: BodyThreads) -> None:
    begin, called = threading.Event(), list[int]()
    threads.submit(begin.wait, 10)
    assert threads.submit(called.append, 1).cancel()
    begin.set()
    threads.submit(called.append, 2).result(10)
    assert called == [2]


@pytest.mark.parametrize(("is_dropped", "called"), [(False, [1]), (True, [])])
def test_after_the_shutdown_nothing_more_is_taken(is_dropped: bool, called: list[int]) -> None:
    threads, begin, done = BodyThreads(1), threading.Event(), list[int]()
    threads.submit(begin.wait, 10)
    waiting = threads.submit(done.append, 1)
    threads.shutdown(wait=False, cancel_futures=is_dropped)
    with pytest.raises(RuntimeError, match="shut down"):
        threads.submit(int)
    begin.set()
    threads.shutdown()
    assert (waiting.cancelled(), done) == (is_dropped, called)


async def test_plain_functions_that_block_hold_up_no_other_run() -> None:
    app, begun, go = new_app(), threading.Semaphore(0), threading.Event()
    declare(app, begun, go)
    async with Stage(app) as stage:
        [blocked], [other] = stage.send("block"), stage.send("listen")
        advancing = stage.advance(blocked)
        for _ in range(8):
            await asyncio.to_thread(begun.acquire)
        try:
            assert (await stage.finish(other)).status == "parked"
        finally:
            go.set()
        await advancing


def declare(app: App, begun: threading.Semaphore, go: threading.Event) -> None:
    """Declare a function that wants more threads than there are, and holds them, and one that asks the database."""

    def block() -> None:
        begun.release()
        assert go.wait(30)

    @app.function(on="block")
    async def blocking(ctx: Context) -> None:
        await asyncio.gather(*(ctx.step.run(f"block-{number}", block) for number in range(20)))

    @app.function(on="listen")
    async def listening(ctx: Context) -> None:
        await ctx.step.wait_for_event("news", "news", timeout="1h")
