"""The page of `celeriac runs get`: why a run ended stands there, whichever way it did."""

import click
import pytest

from celeriac.cli.run_text import run_page
from celeriac.platform.durable.reads import RunView
from celeriac.platform.run import Run, Status

RUN = {"id": "run_1", "tenant_id": "ten_1", "app": "desk", "function_id": "network-desk"}


@pytest.mark.parametrize(
    ("status", "reason"),
    [("completed", "budget"), ("cancelled", "timeout"), ("failed", "error"), ("parked", "step_order_changed")],
)
def test_a_run_that_ended_says_by_what(status: Status, reason: str) -> None:
    page = run_page(RunView(run=Run(**RUN, status=status, reason=reason), event=None, steps=[], waits=[]))
    assert (f"ended by {reason}" in click.unstyle(page)) == (status != "parked")
