"""Each command that the README of the examples shows runs offline, and says what came of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from services import die_with_parent

_README = Path(__file__).resolve().parents[2] / "examples" / "README.md"
COMMANDS = re.findall(r"`(python -m examples\.[^`]*)`", _README.read_text())


@pytest.mark.parametrize("command", COMMANDS)
def test_the_command_of_the_readme_plays_the_example(command: str) -> None:
    words = command.split()
    done = subprocess.run([sys.executable, *words[1:]], env=dict(os.environ), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^ended by \w+ after \d+ turns; \d+ model calls, ", done.stdout, re.MULTILINE)


def test_each_example_has_its_command() -> None:
    rows = [line for line in _README.read_text().splitlines() if line.startswith("| [`")]
    assert len(rows) >= 5
    assert [row for row in rows if not re.search(r"`(\w+=\S+ )?(python -m|celeriac dev|make) ", row)] == []


def test_the_script_of_an_example_is_served_by_the_command_of_the_readme() -> None:
    [shown] = re.findall(r"^python (-m celeriac\.testing\.model_server \S+) --port", _README.read_text(), re.MULTILINE)
    command = [sys.executable, *shown.split(), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent) as server:
        assert server.stdout is not None
        announced = json.loads(server.stdout.readline())
        server.terminate()
    assert (announced["url"].startswith("http://127.0.0.1:"), server.returncode) == (True, 0)
