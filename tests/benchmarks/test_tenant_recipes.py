"""The benchmarks of tenants count truthfully; how fair anything is, their own run says."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.tenants.capacity import DEAD_SECONDS
from benchmarks.tenants.catalogue import RECIPES
from benchmarks.tenants.executions import Execution, executing, most_at_once, read
from benchmarks.tenants.models import most_within
from benchmarks.tenants.recipe import Outcome, at_least, at_most, exactly, line, markdown
from benchmarks.tenants.shares import jain, share_error
from benchmarks.tenants.site import percentile
from celeriac.settings import load_settings

LOG = "r1 k 7 begin 10\nr2 k 7 begin 20\nr1 k 7 end 30\nr3 other 8 begin 30\nr3 other 8 end 40\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "executions.txt"
    path.write_text(LOG)
    return path


def test_jains_index_is_one_for_equals_and_a_share_for_one_who_has_all() -> None:
    """Half of everything in the hands of one of ten gives 0.36."""
    assert jain([5.0] * 10) == pytest.approx(1)
    assert jain([5.0] + [0.0] * 9) == pytest.approx(0.1)
    assert jain([9.0] + [1.0] * 9) == pytest.approx(0.36)


def test_the_error_of_a_share_is_relative_to_the_share_of_the_weight() -> None:
    """The worst one counts."""
    assert share_error([1, 2, 4], [1, 2, 4]) == 0
    assert share_error([2, 2, 3], [1, 2, 4]) == pytest.approx(1)


def test_a_percentile_is_a_value_that_was_seen() -> None:
    """Of nothing it is infinite, so that an empty measurement keeps no bound."""
    assert percentile([3.0, 1.0, 2.0], 95) == 3.0
    assert percentile([float(value) for value in range(1, 101)], 95) == 95.0
    assert percentile([], 95) == float("inf")


def test_a_body_that_was_killed_lasts_until_its_process_was_seen_dead(log: Path) -> None:
    """It held its slot until then."""
    [killed] = [one for one in read(log, {7: 99}) if one.run_id == "r2"]
    assert (killed.began, killed.ended) == (20, 99)
    assert executing(log, 7) == {"r2"}


def test_executions_of_one_key_that_overlap_are_counted(log: Path) -> None:
    """One that ends when the next begins does not overlap it."""
    done = read(log, {7: 99})
    assert most_at_once(done, lambda one: one.key) == 2
    touching = [Execution(run_id="r", key="k", pid=1, began=at, ended=at + 5) for at in (0, 5)]
    assert most_at_once(touching, lambda one: one.key) == 1


def test_the_busiest_minute_is_found_wherever_it_begins() -> None:
    """A minute does not hold the moment at which the next one begins."""
    assert most_within([0, 59, 60, 61, 119], 60) == 3
    assert most_within([0, 60], 60) == 1
    assert most_within([], 60) == 0


def test_a_bound_that_misses_is_named_with_its_figure() -> None:
    """And one on the control arm as well, which has to miss what the product keeps."""
    outcome = Outcome(
        figures={"p95_ms": 200.0},
        bounds=(at_most("p95_ms", 150), exactly("leaked", 0)),
        control={"p95_ms": 30.0},
        control_bounds=(at_least("p95_ms", 20_000),),
    )
    assert outcome.missed == [
        "p95_ms is 200, not <= 150",
        "leaked is missing, not = 0",
        "control p95_ms is 30, not >= 20000",
    ]


def test_a_recipe_is_a_row_of_the_table() -> None:
    """With its verdict."""
    good = Outcome(figures={"jain": 0.999}, bounds=(at_least("jain", 0.99),))
    table = markdown([line(RECIPES[0], good)])
    assert "| T1 noisy neighbour | jain >= 0.99 | 0.999 |  | passed |" in table


def test_every_metric_has_its_recipe() -> None:
    """T1 to T13, each once."""
    ids = [recipe.id for recipe in RECIPES]
    assert {f"T{number}" for number in range(1, 14)} <= set(ids)
    assert len(ids) == len(set(ids))


def test_the_dead_time_is_that_of_the_product() -> None:
    """The bound on slots that come back is made from it."""
    assert load_settings().worker_dead_seconds == DEAD_SECONDS
