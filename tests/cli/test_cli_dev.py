"""`celeriac dev` brings up everything with one command, keeps it up, and leaves nothing behind."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from cli_shell import SHOP, Shell, descendants, end, is_running, wait_until_gone

from waiting import wait_until

#: everything starts at once on a machine that may be busy
START_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Dev:
    """A `celeriac dev` that is up."""

    shell: Shell
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self.log.read_text()

    def is_up(self) -> bool:
        """Whether the banner is complete; fails the test where the process has ended."""
        assert self.process.poll() is None, self.output
        return "Ctrl-C ends everything" in self.output


def started(folder: Path, data: str = ".celeriac") -> Dev:
    """Start one and wait for its banner."""
    (folder / "shop.py").write_text(SHOP)
    shell, log = Shell(folder=folder), folder / f"{data}.log"
    dev = Dev(shell=shell, process=shell.start("dev", "shop:app", "--data-dir", data, log=log), log=log)
    wait_until(dev.is_up, START_SECONDS, "celeriac dev to be up")
    return dev


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One that the tests of this file share."""
    dev = started(tmp_path_factory.mktemp("dev"))
    yield dev
    end(dev.process)


def sourced(dev: Dev) -> Shell:
    """A shell in which the environment file was sourced."""
    text = (dev.shell.folder / ".celeriac" / "env").read_text()
    settings = dict(shlex.split(line)[1].split("=", 1) for line in text.splitlines())
    return Shell(folder=dev.shell.folder, settings=settings)


def test_the_first_curl_of_the_banner_works(dev: Dev) -> None:
    """As it is printed, against the web that is up."""
    command = next(line for line in dev.output.splitlines() if line.strip().startswith("curl "))
    _, url, _, _, _, body = shlex.split(command)
    request = urllib.request.Request(url, body.encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert json.load(answer)["ids"][0].startswith("evt_")


def test_another_terminal_can_work_with_it(dev: Dev) -> None:
    """After sourcing the file that the banner names."""
    done = sourced(dev).run("send", "shop/order.placed", '{"order_id": 7}', "--wait", "--json")
    assert [run["output"] for run in json.loads(done.stdout)["runs"]] == [{"price": 70}]


def test_the_doctor_finds_it_sound(dev: Dev) -> None:
    """Two workers for runs and one for memories among it."""
    report = sourced(dev).json("doctor", "--json")
    assert {check["name"]: check["status"] for check in report["checks"]}["workers"] == "ok"
    assert report["ok"]


def test_its_keys_are_for_its_owner_alone(dev: Dev) -> None:
    """Files that hold secrets are closed to others."""
    folder = dev.shell.folder / ".celeriac"
    modes = {name: (folder / name).stat().st_mode & 0o777 for name in ("keys.json", "env", "redis.conf")}
    assert modes == {"keys.json": 0o600, "env": 0o600, "redis.conf": 0o600}


def test_the_same_folder_cannot_be_used_twice(dev: Dev) -> None:
    """The second one says so and ends."""
    done = dev.shell.run("dev", "shop:app")
    assert done.returncode == 1
    assert "Another `celeriac dev` uses '.celeriac'" in done.stderr


def test_a_worker_that_dies_is_started_again(dev: Dev) -> None:
    """And the terminal says so."""
    workers = sourced(dev)
    before = descendants(dev.process.pid)
    victim = next(pid for pid in before if "--queues\0runs" in Path(f"/proc/{pid}/cmdline").read_text())
    subprocess.run(["kill", "-9", str(victim)], check=True)
    wait_until(lambda: re.search(r"worker-\d ended with -9 and is started again", dev.output), 20, "the restart")
    done = workers.run("send", "shop/order.placed", '{"order_id": 8}', "--wait", "--timeout", "30s")
    assert done.returncode == 0


def test_one_in_another_folder_runs_beside_it_and_leaves_nothing_after_kill_9(dev: Dev, tmp_path: Path) -> None:
    """Its port is a free one; the kernel ends the children."""
    other = started(tmp_path, "other")
    pids = descendants(other.process.pid)
    assert dev.process.poll() is None
    end(other.process, signal.SIGKILL)
    wait_until_gone(pids)
    assert len(pids) >= 5


def test_a_restart_keeps_its_keys_and_ctrl_c_leaves_nothing(tmp_path: Path) -> None:
    """Exit code 130, no process, and the same key in the next banner."""
    keys = []
    for _ in range(2):
        dev = started(tmp_path)
        encryption = (tmp_path / ".celeriac" / "env").read_text().partition("CELERIAC_ENCRYPTION_KEYS=")[2].split()[0]
        keys += [(key, encryption) for key in re.findall(r"/e/(cel_live_\w+)", dev.output)]
        pids = descendants(dev.process.pid)
        assert all(map(is_running, pids))
        assert end(dev.process, signal.SIGINT) == 130
        wait_until_gone(pids)
        assert not (tmp_path / ".celeriac" / "env").exists()
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_an_app_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    """Before anything is started."""
    done = Shell(folder=tmp_path).run("dev", "nope:app")
    assert done.returncode == 1
    assert "There is no module 'nope'" in done.stderr
    assert not (tmp_path / ".celeriac").exists()
