"""The Python of the documentation works: it is executed, or at least compiled and type-checked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from docs_pages import PAGES, ROOT, blocks_of, module_name, module_source, python_of, run_page

WITH_PYTHON = [page for page in PAGES if python_of(page)]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=module_name)
def test_the_blocks_of_a_page_do_what_they_say(page: Path) -> None:
    """They hold assertions of their own; those that are not run are compiled."""
    compile(module_source(page), str(page), "exec")
    assert run_page(page).__name__ == module_name(page)


def test_the_blocks_of_all_pages_are_typed(tmp_path: Path) -> None:
    """Who copies one into a strict project gets no error from it."""
    for page in WITH_PYTHON:
        (tmp_path / f"{module_name(page)}.py").write_text(module_source(page))
    options = ["--config-file", "tests/docs/mypy.ini", "--cache-dir", str(ROOT / ".mypy_cache" / "docs")]
    command = [sys.executable, "-m", "mypy", *options, *map(str, sorted(tmp_path.glob("*.py")))]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_every_page_of_the_sdk_has_code_that_runs() -> None:
    """A page whose code only compiles may be wrong."""
    told = {"durable-functions", "agents", "events-and-api", "memory", "tenants", "testing", "getting-started"}
    told |= {"models", "streaming"}
    ran = {page.stem for page in PAGES if any(block.is_run for block in python_of(page))}
    assert told - ran == set()


def test_a_block_is_run_only_below_its_mark() -> None:
    """The reader of blocks must not run what only looks like it, nor lose lines."""
    text = "<!-- run -->\n\n```python\na = 1\n```\n```python\nb = 2\n```\n```\ntext\n```\n"
    blocks = blocks_of(text)
    assert [(block.language, block.line, block.is_run) for block in blocks] == [
        ("python", 4, True),
        ("python", 7, False),
        ("", 10, False),
    ]
