"""The effect log is whole whatever dies while it is written, and traps kill exactly one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from celeriac.chaos.effects import EffectLog, read_effects
from celeriac.chaos.traps import Traps
from fleet.worker_fleet import TESTS

SPRING = "import sys; from pathlib import Path; from celeriac.chaos.traps import Traps; Traps(Path(sys.argv[1])).spring"


def test_what_is_noted_is_read_in_the_order_of_its_times(tmp_path: Path) -> None:
    """Each execution under its own name."""
    log = EffectLog(tmp_path / "effects")
    first, second = log.begin("began", "run_1", "a"), log.begin("began", "run_1", "b")
    log.note("ended", "run_1", "b", second)
    effects = read_effects(tmp_path / "effects")
    assert [(one.kind, one.path, one.by) for one in effects] == [
        ("began", "a", first),
        ("began", "b", second),
        ("ended", "b", second),
    ]
    assert {one.pid for one in effects} == {os.getpid()}


def test_a_line_that_a_death_has_cut_off_is_left_out(tmp_path: Path) -> None:
    """The others count."""
    EffectLog(tmp_path / "effects").begin("link", "run_1")
    with (tmp_path / "effects").open("a") as file:
        file.write('["began", 12.5, 7')
    assert [one.kind for one in read_effects(tmp_path / "effects")] == ["link"]


def test_without_a_folder_nothing_is_kept() -> None:
    """So the functions of the play may stand in any staging app."""
    assert EffectLog(None).begin("began", "run_1", "a")
    Traps(None).spring("amid a body")


def test_a_trap_kills_the_first_who_comes(tmp_path: Path) -> None:
    """And nobody after that."""
    Traps(tmp_path).set("amid a body")
    codes = [
        subprocess.run(
            [sys.executable, "-c", f"{SPRING}('amid a body')", str(tmp_path)], env={"PYTHONPATH": str(TESTS.parent)}
        ).returncode
        for _ in range(2)
    ]
    assert codes == [-signal.SIGKILL, 0]
    assert not Traps(tmp_path).is_set("amid a body")
