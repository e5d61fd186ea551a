"""The planner and the editor: the plan comes first, the files really change, and nobody leaves the repository."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from celeriac import ToolError
from celeriac.errors import RouterError
from celeriac.types import Model
from examples.coding.app import CodeState, coding, editor
from examples.coding.repository import git, outline, python_files, read, replace_method
from examples.coding.sample import PROBLEM, make_repository
from plays.playing import Overheard, Stage

TWO_LAMPS = "from shop.cart import Cart; cart = Cart(); cart.add('lamp', 2); print(cart.total())"


@pytest.fixture
def repo(tmp_path: Path) -> str:
    """The sample repository."""
    make_repository(tmp_path / "shop")
    return str(tmp_path / "shop")


def price_of_two_lamps(repo: str) -> str:
    done = subprocess.run([sys.executable, "-c", TWO_LAMPS], cwd=repo, capture_output=True, text=True, check=True)
    return done.stdout.strip()


async def test_the_bug_is_gone_from_the_files(repo: str, model: Model) -> None:
    """And only the planned file has changed."""
    assert price_of_two_lamps(repo) == "4900"
    await coding.run(PROBLEM, state=CodeState(repo=repo), model=model)
    assert price_of_two_lamps(repo) == "9800"
    assert git(repo, "status", "--short", "--untracked-files=no").split() == ["M", "shop/cart.py"]


async def test_nothing_is_edited_before_there_is_a_plan(repo: str, model: Model) -> None:
    run = await coding.run(PROBLEM, state=CodeState(repo=repo), model=model)
    called = [(result.agent, made.name) for result in run.results for made in result.tool_calls]
    planned = called.index(("Planner", "create_plan"))
    assert {agent for agent, _ in called[: planned + 1]} == {"Planner"}
    assert {agent for agent, _ in called[planned + 1 :]} == {"Editor"}
    assert run.state.data.files == ["shop/__init__.py", "shop/cart.py", "shop/prices.py"]


async def test_the_editor_takes_no_part_without_a_plan(repo: str, model: Model) -> None:
    with pytest.raises(RouterError, match="'Editor', which is disabled"):
        await coding.run(PROBLEM, state=CodeState(repo=repo), model=model, router=lambda ctx: editor)


async def test_the_editor_is_given_the_plan_and_its_own_turns_alone(repo: str, model: Model) -> None:
    overheard = Overheard(model)
    await coding.run(PROBLEM, state=CodeState(repo=repo), model=overheard)
    asked = overheard.asked_as("Editor")
    assert "Multiply the price of each item" in asked[0].system
    assert [message.text for message in asked[0].messages] == [PROBLEM]
    assert {message.agent for message in asked[-1].messages[1:]} == {"Editor"}


async def test_a_slip_of_the_editor_comes_back_as_an_error(repo: str, model: Model) -> None:
    run = await coding.run(PROBLEM, state=CodeState(repo=repo), model=model)
    answers = [one for result in run.results for one in result.tool_results if one.name == "replace_class_method"]
    assert answers[0].error == {"name": "ToolError", "message": "Cart in shop/cart.py has no method 'sum'"}
    assert answers[1].data == "Cart.total is replaced"


def test_the_run_ends_with_the_patch_and_the_history(stage: Stage, tmp_path: Path) -> None:
    """The clone's own folder is where it was changed; the repository itself is as it was."""
    commit = make_repository(tmp_path / "shop")
    data = {"repo": str(tmp_path / "shop"), "base_commit": commit, "problem_statement": PROBLEM}
    run = stage.completed(stage.send("coding/issue.opened", data))
    assert "+        return sum(price_of(item) * quantity for" in run.output["patch"]
    assert price_of_two_lamps(run.output["state"]["repo"]) == "9800"
    assert price_of_two_lamps(str(tmp_path / "shop")) == "4900"
    assert len({one["checksum"] for one in run.output["results"]}) == 7


@pytest.mark.parametrize("filename", ["../secret.py", "/etc/passwd", "shop", "shop/unicorn.py"])
def test_no_tool_reads_outside_of_the_repository(repo: str, filename: str) -> None:
    (Path(repo).parent / "secret.py").write_text("KEY = 1")
    with pytest.raises(ToolError, match="There is no file"):
        read(repo, filename)


def test_a_method_is_replaced_with_its_decorators_and_its_margin(repo: str) -> None:
    (Path(repo) / "shop" / "cart.py").write_text(
        "class A:\n    @property\n    def b(self):\n        return 1\n    c = 2\n"
    )
    replace_method(repo, "shop/cart.py", "A", "b", "def b(self):\n    return 3\n")
    assert read(repo, "shop/cart.py") == "class A:\n    def b(self):\n        return 3\n    c = 2\n"


def test_code_that_is_no_python_changes_nothing(repo: str) -> None:
    before = read(repo, "shop/cart.py")
    with pytest.raises(ToolError, match="would be no Python"):
        replace_method(repo, "shop/cart.py", "Cart", "total", "def total(self:")
    assert read(repo, "shop/cart.py") == before


def test_the_outline_of_a_file_has_its_classes_and_functions(repo: str) -> None:
    assert python_files(repo) == ["shop/__init__.py", "shop/cart.py", "shop/prices.py"]
    assert outline(repo, "shop/prices.py").functions == ["price_of"]
    [cart] = outline(repo, "shop/cart.py").classes
    assert (cart.name, cart.methods, cart.start_line) == ("Cart", ["__init__", "add", "total"], 6)
